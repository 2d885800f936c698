//! Claims by name: how a rule says which claim of a token it means, and whether it has the value that the rule demands.
//!
//! A name is a path of members with `/` between them, as Kubernetes writes them: `kubernetes.io/serviceaccount/uid` is
//! the member `uid` of the member `serviceaccount` of the member `kubernetes.io`. A dot is a dot. A `/` that is part of
//! a member's own name is written `~1`, and a `~` is written `~0`, as in a JSON Pointer (RFC 6901):
//! `https:~1~1example.com~1tenant` is one member. So a token can't answer for a nested claim with a flat one of the
//! same letters, nor the reverse.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::trust::issuer::Preset;

/// The longest name in bytes.
const MAX_NAME: usize = 200;
/// Members that one name leads through at most.
const MAX_DEPTH: usize = 8;

/// The members that a claim's name leads through, outermost first; nothing if it is no name.
fn members(name: &str) -> Option<Vec<String>> {
    if name.len() > MAX_NAME {
        return None;
    }
    let members: Vec<String> = name.split('/').map(member).collect::<Option<_>>()?;
    (members.len() <= MAX_DEPTH).then_some(members)
}

fn member(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '~' => match letters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other if other.is_control() => return None,
            other => other,
        });
    }
    (!plain.is_empty()).then_some(plain)
}

/// Whether this is a claim's name.
pub fn is_name(name: &str) -> bool {
    members(name).is_some()
}

/// The claim with this name.
pub fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let members = members(name)?;
    let (first, rest) = members.split_first()?;
    rest.iter().try_fold(claims.get(first)?, |value, member| value.as_object()?.get(member))
}

/// Whether the claims have exactly these values, as the platform compares them. No rules match nothing: an issuer alone
/// identifies nobody.
pub fn match_all(preset: Preset, claims: &Map<String, Value>, rules: &BTreeMap<String, Value>) -> bool {
    let same =
        |name: &str, found: &Value, wanted: &Value| preset.comparable(name, found) == preset.comparable(name, wanted);
    !rules.is_empty()
        && rules.iter().all(|(name, wanted)| find(claims, name).is_some_and(|found| same(name, found, wanted)))
}

/// The first of these rules that the claims break; a list as a value is met by any one of its members.
pub fn first_broken<'a>(
    preset: Preset,
    claims: &Map<String, Value>,
    rules: &'a BTreeMap<String, Value>,
) -> Option<&'a str> {
    let broken = |(name, wanted): &(&'a String, &'a Value)| {
        find(claims, name).is_none_or(|found| !is_one_of(preset, name, found, wanted))
    };
    rules.iter().find(broken).map(|(name, _)| name.as_str())
}

/// Whether a claim's value is the one that is wanted, or one of those that are.
pub fn is_one_of(preset: Preset, name: &str, found: &Value, wanted: &Value) -> bool {
    let found = preset.comparable(name, found);
    match wanted {
        Value::Array(several) => several.iter().any(|one| preset.comparable(name, one) == found),
        one => preset.comparable(name, one) == found,
    }
}

/// Whether some token could meet both sets of rules: they differ nowhere.
pub fn overlap(preset: Preset, one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> bool {
    let differs = |(name, value): (&String, &Value)| {
        let Some(path) = members(name) else { return false };
        let value = preset.comparable(name, value);
        other.iter().any(|(name, theirs)| {
            let Some(theirs_path) = members(name) else { return false };
            let theirs = preset.comparable(name, theirs);
            // A value that is a scalar has no members: where one rule demands it, what lies below can't be.
            let shared = path.len().min(theirs_path.len());
            path.get(..shared) == theirs_path.get(..shared) && (path.len() != theirs_path.len() || value != theirs)
        })
    };
    !one.iter().any(differs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    /// GitHub and GitLab tell names apart by nothing but their letters, and what stands behind a name by its case too.
    #[test]
    fn d15_names_are_told_apart_as_their_platform_tells_them() {
        let github = [
            ("repository", "acme/billing", "Acme/Billing", true),
            ("sub", "repo:acme/billing:ref:refs/heads/main", "repo:Acme/Billing:ref:refs/heads/main", true),
            ("sub", "repo:acme/billing:ref:refs/heads/main", "repo:acme/billing:ref:refs/heads/Main", false),
            (
                "job_workflow_ref",
                "acme/ci/.github/workflows/x.yml@refs/heads/main",
                "Acme/CI/.github/workflows/x.yml@refs/heads/main",
                true,
            ),
            (
                "job_workflow_ref",
                "acme/ci/.github/workflows/x.yml@refs/heads/main",
                "acme/ci/.github/workflows/X.yml@refs/heads/main",
                false,
            ),
            ("environment", "production", "Production", false),
            ("ref", "refs/heads/main", "refs/heads/Main", false),
        ];
        let gitlab = [
            ("project_path", "acme/billing", "Acme/Billing", true),
            (
                "sub",
                "project_path:acme/billing:ref_type:branch:ref:main",
                "project_path:Acme/billing:ref_type:branch:ref:main",
                true,
            ),
            (
                "ci_config_ref_uri",
                "gitlab.com/acme/ci//.gitlab-ci.yml@refs/heads/main",
                "gitlab.com/Acme/CI//.gitlab-ci.yml@refs/heads/main",
                true,
            ),
            (
                "ci_config_ref_uri",
                "gitlab.com/acme/ci//.gitlab-ci.yml@refs/heads/main",
                "gitlab.com/acme/ci//.gitlab-ci.yml@refs/heads/Main",
                false,
            ),
        ];
        for (preset, cases) in [(Preset::GithubActions, &github[..]), (Preset::Gitlab, &gitlab[..])] {
            for (name, wanted, found, same) in cases {
                let (wanted, found) = (rules(json!({*name: wanted})), map(json!({*name: found})));
                assert_eq!(match_all(preset, &found, &wanted), *same, "{name}");
                assert_eq!(first_broken(preset, &found, &wanted).is_none(), *same, "{name}");
                assert!(!match_all(Preset::Oidc, &found, &wanted), "{name}");
                let theirs = found.into_iter().collect();
                assert_eq!(overlap(preset, &wanted, &theirs), *same, "two bindings of one repository are one: {name}");
            }
        }
    }

    fn rules(value: Value) -> BTreeMap<String, Value> {
        map(value).into_iter().collect()
    }

    #[test]
    fn a_name_means_one_claim() {
        let nested = map(json!({"kubernetes.io": {"serviceaccount": {"uid": "u"}}}));
        let flat = map(json!({"kubernetes.io/serviceaccount/uid": "u"}));
        let dotted = map(json!({"kubernetes": {"io": {"serviceaccount": {"uid": "u"}}}}));
        let path = "kubernetes.io/serviceaccount/uid";
        assert_eq!(find(&nested, path), Some(&json!("u")));
        assert_eq!((find(&flat, path), find(&dotted, path)), (None, None));
        let literal = "kubernetes.io~1serviceaccount~1uid";
        assert_eq!(find(&flat, literal), Some(&json!("u")));
        assert_eq!((find(&nested, literal), find(&dotted, literal)), (None, None));
        assert_eq!(find(&map(json!({"a~b": {"c/d": 1}})), "a~0b/c~1d"), Some(&json!(1)));
        // Neither a list nor a text has members.
        assert_eq!(find(&map(json!({"a": ["x"]})), "a/0"), None);
        assert_eq!(find(&map(json!({"a": "x"})), "a/x"), None);
        let deep = ["a"; 9].join("/");
        for bad in ["", "/", "a/", "/a", "a//b", "a~", "a~2", "a\n", "\u{0}", &deep, &"x".repeat(201)] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert!(is_name(&["a"; 8].join("/")) && is_name("é"));
    }

    #[test]
    fn values_are_exact_and_a_list_is_a_choice_of_the_issuers_rules_alone() {
        let claims = map(json!({"owner": "1234", "n": 7}));
        assert!(match_all(Preset::Oidc, &claims, &rules(json!({"owner": "1234", "n": 7}))));
        for other in [
            json!({}),
            json!({"owner": "12345"}),
            json!({"owner": 1234}),
            json!({"owner": ["1234"]}),
            json!({"Owner": "1234"}),
            json!({"owner": "1234 "}),
        ] {
            assert!(!match_all(Preset::Oidc, &claims, &rules(other.clone())), "{other}");
        }
        assert_eq!(first_broken(Preset::Oidc, &claims, &rules(json!({}))), None);
        assert_eq!(first_broken(Preset::Oidc, &claims, &rules(json!({"owner": ["99", "1234"]}))), None);
        assert_eq!(first_broken(Preset::Oidc, &claims, &rules(json!({"owner": ["99", "12"]}))), Some("owner"));
        assert_eq!(first_broken(Preset::Oidc, &claims, &rules(json!({"missing": "x"}))), Some("missing"));
        // A token that brings the list itself is not one of its members.
        assert_eq!(
            first_broken(
                Preset::Oidc,
                &map(json!({"owner": ["99", "1234"]})),
                &rules(json!({"owner": ["99", "1234"]}))
            ),
            Some("owner")
        );
    }

    #[test]
    fn rules_overlap_unless_they_differ_somewhere() {
        for (one, other, expected) in [
            (json!({"id": "1", "env": "prod"}), json!({"id": "1", "env": "prod"}), true),
            (json!({"id": "1", "env": "prod"}), json!({"id": "1", "ref": "main"}), true),
            (json!({"id": "1"}), json!({"id": "1", "env": "prod"}), true),
            (json!({"id": "1", "env": "prod"}), json!({"id": "1", "env": "test"}), false),
            (json!({"id": "1"}), json!({"id": "2"}), false),
            (json!({"id": "1"}), json!({"id": 1}), false),
            (json!({"a/b": "x"}), json!({"a": "x"}), false),
            (json!({"a/b": "x"}), json!({"a/c": "x"}), true),
            (json!({"a/b": "x"}), json!({"a~1b": "y"}), true),
        ] {
            assert_eq!(overlap(Preset::Oidc, &rules(one.clone()), &rules(other.clone())), expected, "{one} {other}");
            assert_eq!(overlap(Preset::Oidc, &rules(other.clone()), &rules(one.clone())), expected, "{other} {one}");
        }
    }

    proptest! {
        /// No token meets two sets of rules that don't overlap.
        #[test]
        fn what_does_not_overlap_is_met_by_no_token(
            one in proptest::collection::btree_map("[ab](/[ab])?", 0..3u8, 1..4),
            other in proptest::collection::btree_map("[ab](/[ab])?", 0..3u8, 1..4),
            token in proptest::collection::btree_map("[ab]", 0..5u8, 0..3),
        ) {
            let rules = |map: BTreeMap<String, u8>| -> BTreeMap<String, Value> { map.into_iter().map(|(name, value)| (name, json!(value))).collect() };
            let (one, other) = (rules(one), rules(other));
            let token = token.into_iter().map(|(name, value)| (name, if value < 3 { json!(value) } else { json!({"a": value - 3, "b": 0}) })).collect();
            prop_assert!(overlap(Preset::Oidc, &one, &other) || !(match_all(Preset::Oidc, &token, &one) && match_all(Preset::Oidc, &token, &other)));
        }
    }
}
