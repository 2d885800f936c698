//! Places: where an automation runs (R21). A proof from another place is another use, and takes an identity of its own or
//! a shared exception that lists it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity::checker::{Checker, MAX_ITEMS};
use crate::identity::workload::WorkloadBinding;
use crate::trust::claim;
use crate::trust::issuer::Preset;

/// The longest name of a place in bytes.
pub const MAX_PLACE: usize = 500;

/// What sort of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKind {
    /// A region of a provider.
    Region,
    /// A cluster: of Kubernetes the issuer of its tokens.
    Cluster,
    /// A pipeline: the file that defines it, without the branch or tag it was read from.
    Pipeline,
}

impl PlaceKind {
    /// Every sort.
    pub const ALL: &[Self] = &[Self::Region, Self::Cluster, Self::Pipeline];

    /// The name in refusals.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Cluster => "cluster",
            Self::Pipeline => "pipeline",
        }
    }
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// What sort of place.
    #[serde(rename = "type")]
    pub kind: PlaceKind,
    /// Its name, as proofs tell it.
    pub name: String,
}

impl Place {
    /// Whether its name can be one.
    pub fn is_well_formed(&self) -> bool {
        let good = !self.name.is_empty() && self.name.len() <= MAX_PLACE;
        good && self.name.trim() == self.name && !self.name.chars().any(char::is_control)
    }
}

/// Where a token says that it comes from; none if it doesn't say that.
pub fn told(preset: Preset, issuer: &str, claims: &Map<String, Value>, kind: PlaceKind) -> Option<String> {
    let text = |name: &str| {
        let found = claim::find(claims, name)?;
        preset.comparable(name, found).as_str().map(str::to_owned)
    };
    let file = |name: &str| text(name).map(|place| without_ref(&place).to_owned());
    match (preset, kind) {
        (Preset::Kubernetes, PlaceKind::Cluster) => Some(issuer.to_owned()),
        (Preset::GithubActions, PlaceKind::Pipeline) => file("workflow_ref"),
        (Preset::Gitlab, PlaceKind::Pipeline) => file("ci_config_ref_uri"),
        (Preset::Oidc, _) => text(kind.as_str()),
        _ => None,
    }
}

/// Whether a place's name is the one that a token tells, as its platform compares them.
pub fn is_same(preset: Preset, place: &Place, told: &str) -> bool {
    let claim = match (preset, place.kind) {
        (Preset::GithubActions, PlaceKind::Pipeline) => "workflow_ref",
        (Preset::Gitlab, PlaceKind::Pipeline) => "ci_config_ref_uri",
        _ => return place.name == told,
    };
    let named = preset.comparable(claim, &Value::from(place.name.as_str()));
    named.as_str().is_some_and(|named| without_ref(named) == told)
}

/// `octo/app/.github/workflows/release.yml@refs/heads/main` without what follows the file.
fn without_ref(file: &str) -> &str {
    file.rsplit_once('@').map_or(file, |(file, _)| file)
}

/// Whether places allow nothing that others don't: of each sort that those name, fewer.
pub(super) fn narrow(from: &[Place], to: &[Place]) -> bool {
    let of = |places: &[Place], kind: PlaceKind| places.iter().any(|place| place.kind == kind);
    PlaceKind::ALL.iter().all(|kind| {
        let within = || to.iter().filter(|place| place.kind == *kind).all(|place| from.contains(place));
        !of(from, *kind) || (of(to, *kind) && within())
    })
}

/// Checks the places of a charter. Only a token that an issuer signed says where it comes from.
pub(super) fn check<'a>(
    places: &[Place],
    mut bindings: impl Iterator<Item = &'a WorkloadBinding>,
    check: &mut Checker,
) {
    check.list("places", places);
    if places.len() <= MAX_ITEMS && !places.iter().all(Place::is_well_formed) {
        check.wrong("places", "item_malformed", "give names of 1 to 500 bytes without control characters");
    }
    if !places.is_empty() && !bindings.all(|binding| matches!(binding, WorkloadBinding::Oidc { .. })) {
        let hint = "a key or a certificate says no place: bind the workload to the tokens of its platform (oidc)";
        check.wrong("places", "places_unproven", hint);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(kind: PlaceKind, name: &str) -> Place {
        Place { kind, name: name.into() }
    }

    #[test]
    fn r21_a_token_tells_its_place_by_what_its_platform_signs() {
        let claims = |value: Value| value.as_object().unwrap().clone();
        let github =
            claims(json!({"workflow_ref": "Acme/App/.github/workflows/release.yml@refs/heads/main", "region": "eu"}));
        let pipeline = told(Preset::GithubActions, "https://x", &github, PlaceKind::Pipeline).unwrap();
        assert_eq!(pipeline, "acme/app/.github/workflows/release.yml");
        for (name, same) in [
            ("acme/app/.github/workflows/release.yml", true),
            ("ACME/App/.github/workflows/release.yml@refs/tags/v1", true),
            ("acme/app/.github/workflows/Release.yml", false),
            ("acme/app/.github/workflows/deploy.yml", false),
        ] {
            assert_eq!(is_same(Preset::GithubActions, &place(PlaceKind::Pipeline, name), &pipeline), same, "{name}");
        }
        // What anybody can write into a run is no place of that platform.
        assert_eq!(told(Preset::GithubActions, "https://x", &github, PlaceKind::Region), None);
        assert_eq!(told(Preset::Kubernetes, "https://k8s", &github, PlaceKind::Cluster), Some("https://k8s".into()));
        let own = claims(json!({"region": "eu-central-1", "cluster": 7}));
        assert_eq!(told(Preset::Oidc, "https://x", &own, PlaceKind::Region), Some("eu-central-1".into()));
        assert_eq!(told(Preset::Oidc, "https://x", &own, PlaceKind::Cluster), None);
    }

    #[test]
    fn fewer_places_of_a_sort_are_narrower_and_none_at_all_are_not() {
        let (eu, us) = (place(PlaceKind::Region, "eu"), place(PlaceKind::Region, "us"));
        let cluster = place(PlaceKind::Cluster, "eu");
        let one = std::slice::from_ref::<Place>;
        assert!(narrow(&[], &[]) && narrow(&[], one(&eu)) && narrow(&[eu.clone(), us.clone()], one(&us)));
        assert!(narrow(one(&eu), &[eu.clone(), cluster.clone()]), "a bound more");
        assert!(!narrow(one(&eu), &[]) && !narrow(one(&eu), one(&us)) && !narrow(&[eu.clone(), cluster], one(&eu)));
    }
}
