//! Sources of signals: registered by one administrator, confirmed by another, with all that they may say fixed (S-12).

use std::collections::HashMap;

use parking_lot::Mutex;
use tenure_api::ownership::OwnerEdit;
use tenure_api::signals::{NewSource, SourceAuth, SourceMade, SourceView};
use tenure_api::views::{Page, Revised};
use tenure_core::base::id::{EventId, PersonId, SourceId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::state::{BadStep, InState};
use tenure_core::identity::template::Template;
use tenure_core::inventory::environment::{Environment, parse_name};
use tenure_core::policy::Action;
use tenure_core::signal::{Format, MAX_SUBJECT, Signal, SignalKind, Source, SourceKey, SubjectKind};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::{Pending, Secret};
use tenure_core::trust::issuer::Preset;
use tenure_core::trust::state::TrustState;
use tenure_credentials::opaque::Minted;

use crate::inventory::ownership::{self, Named};
use crate::inventory::references;
use crate::kernel::Kernel;
use crate::kernel::authority::{self, administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Listed, Query};
use crate::signals::reception::is_well_formed;
use crate::signals::rhythm;
use crate::trust::issuers::{self, algorithms, allowed_url};
use crate::trust::records::{self, Names, Trusted};

const KIND: &str = "source";
const SEAL_LABEL: &str = "source-key";
const MAX_ENVIRONMENTS: usize = 16;
const RATE: u32 = 600;
const MAX_RATE: u32 = 60_000;
const BLAST_CAP: u32 = 25;
const MAX_BLAST_CAP: u32 = 10_000;
const MAX_SUBJECTS: usize = 100;
const MAX_TEXT: usize = 200;
/// Names of sources that are kept; registrations are few.
const MAX_KNOWN: usize = 1_024;

impl Trusted for Source {
    const NAMES: Names = Names {
        what: "source",
        kind: KIND,
        confirm: "source.confirm",
        remove: "source.remove",
        activated: EventKind::SourceActivated,
        removed: EventKind::SourceRemoved,
    };
    fn state(&self) -> TrustState {
        self.state.get()
    }
    fn proposed_by(&self) -> PersonId {
        self.proposed_by
    }
    fn confirmed(self, by: PersonId) -> Result<Self, BadStep> {
        self.confirm(by)
    }
    fn removed(self) -> Result<Self, BadStep> {
        self.remove()
    }
}

impl Listed for Signal {
    const NAME: &'static str = "signal";
}

/// Which source has a name. Names are never reassigned, so what is known stays true.
#[derive(Default)]
pub(crate) struct SourceNames(Mutex<HashMap<String, SourceId>>);

/// A key as it is kept, and the secret behind it, if Tenure made one: out once the commit that keeps it is durable.
type FreshKey = (SourceKey, Option<Pending<String>>);

/// Registers a source. What it says counts once another administrator has confirmed it, or at once, and marked so,
/// while there is no other.
///
/// # Errors
/// The fields are wrong, its name is taken, or the caller may not.
pub async fn create_source(kernel: &Kernel, caller: &Caller, ask: NewSource) -> Result<SourceMade, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "source.create", ""), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, "", ""), administration(false, false))?;
            let proposed_by = caller.must_be_person()?;
            let ask = checked_source(kernel, ask).await?;
            let ((source, secret), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let proposing = records::proposing(kernel, caller, now).await?;
                    let id = SourceId::generate(now, kernel.entropy.as_ref());
                    let event = kernel.event(now, EventKind::SourceProposed);
                    let (key, secret) = source_key(kernel, id, ask.format, &ask.auth, event.id)?;
                    let source = Source {
                        id,
                        name: ask.name.clone(),
                        format: ask.format,
                        owner: ask.owner,
                        kinds: ask.kinds.clone(),
                        subjects: ask.subjects.clone(),
                        environments: ask.environments.clone(),
                        rate_per_minute: ask.rate_per_minute.unwrap_or(RATE),
                        blast_cap: ask.blast_cap.unwrap_or(BLAST_CAP),
                        template: ask.template.clone(),
                        issuer: ask.issuer.clone(),
                        key,
                        state: InState::proposed(proposing.alone),
                        proposed_by,
                        confirmed_by: None,
                        single_person: proposing.alone,
                        created_at: now,
                    };
                    let event = event
                        .subject(id)
                        .subject(source.owner)
                        .fact("name", &source.name)
                        .fact("format", source.format)
                        .fact("kinds", &source.kinds)
                        .fact("subjects", &source.subjects)
                        .fact("environments", &source.environments)
                        .fact("rate_per_minute", source.rate_per_minute)
                        .fact("blast_cap", source.blast_cap)
                        .fact("template", &source.template)
                        .fact("issuer", &source.issuer)
                        .fact("auth", auth_of(&source.key));
                    let mut changeset = records::proposal(kernel, caller, now, proposing, &source, event);
                    changeset.once.push(Once { space: "source_name", key: source.name.clone(), until: None });
                    Ok((changeset, (source, secret)))
                })
                .await?;
            let secret = match secret {
                Some(pending) => Some(Kernel::released(pending, &committed)?.expose().clone()),
                None => None,
            };
            Ok(SourceMade { source: kernel.changed(source_view(kernel, &source), 1, &committed).await?, secret })
        })
        .await
}

/// Confirms a source that somebody else proposed: from then on what it says counts.
///
/// # Errors
/// No such source, it isn't proposed, or the caller proposed it, may not, or hasn't just signed in.
pub async fn confirm_source(kernel: &Kernel, caller: &Caller, id: SourceId) -> Result<Revised<SourceView>, OpError> {
    let confirmed = records::confirm_trusted::<Source>(kernel, caller, &id.to_string()).await?;
    Ok(seen(kernel, confirmed))
}

/// Listens to a source no more, for ever, and destroys its key.
///
/// # Errors
/// There is no reason, no such source, it was removed before, or the caller may not.
pub async fn remove_source(
    kernel: &Kernel,
    caller: &Caller,
    id: SourceId,
    reason: &str,
) -> Result<Revised<SourceView>, OpError> {
    let removed = records::remove_trusted::<Source>(kernel, caller, &id.to_string(), Some(reason)).await?;
    rhythm::no_longer_listened_to(kernel, id).await?;
    Ok(seen(kernel, removed))
}

/// Makes a source's secret anew. The old one is dead before this returns.
///
/// # Errors
/// No such source, it has no secret of ours, or the caller may not or hasn't just signed in.
pub async fn rotate_source_key(kernel: &Kernel, caller: &Caller, id: SourceId) -> Result<SourceMade, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "source.rotate_key", id), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, id, ""), administration(false, false))?;
            let ((source, revision, secret), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<Source>(KIND, id).await?;
                    if stored.state == TrustState::Removed {
                        return Err(OpError::because(Reason::IllegalTransition, "the source was removed"));
                    }
                    let event = kernel.event(now, EventKind::SourceKeyRotated);
                    let (key, Some(secret)) = source_key(kernel, id, stored.format, &auth_of(&stored.key), event.id)?
                    else {
                        return Err(OpError::because(
                            Reason::IllegalTransition,
                            "the source signs with keys of its own: it rotates them by its key set",
                        ));
                    };
                    let source = Source { key, ..(*stored.value).clone() };
                    let event = event.subject(id).fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &source);
                    Ok((changeset, (source, stored.revision + 1, secret)))
                })
                .await?;
            Ok(SourceMade {
                source: kernel.changed(source_view(kernel, &source), revision, &committed).await?,
                secret: Some(Kernel::released(secret, &committed)?.expose().clone()),
            })
        })
        .await
}

/// A page of sources, without their secrets.
///
/// # Errors
/// The caller may not read them.
pub async fn sources(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<Source>,
) -> Result<Page<Revised<SourceView>>, OpError> {
    authority::may_read(kernel, caller, KIND, "", false).await?;
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.into_iter().map(|row| read(kernel, &row)).collect()))
}

/// One source, without its secret.
///
/// # Errors
/// No such source, or the caller may not read it.
pub async fn source(kernel: &Kernel, caller: &Caller, id: SourceId) -> Result<Revised<SourceView>, OpError> {
    let row = kernel.one::<Source>(id).await?;
    let own = row.as_ref().is_some_and(|row| caller.person_id() == Some(row.owner));
    authority::may_read(kernel, caller, KIND, &id.to_string(), own).await?;
    Ok(read(kernel, &row.ok_or(OpError::NotFound(KIND))?))
}

/// The source with this id or name.
pub(crate) async fn find_source(kernel: &Kernel, id_or_name: &str) -> Result<Option<Stored<Source>>, OpError> {
    if let Ok(id) = id_or_name.parse::<SourceId>() {
        return kernel.one::<Source>(id).await;
    }
    let known = kernel.memory.of::<SourceNames>().0.lock().get(id_or_name).copied();
    if let Some(id) = known {
        return kernel.one::<Source>(id).await;
    }
    if parse_name("source", id_or_name).is_err() {
        return Ok(None);
    }
    let Some(source) = kernel.first(Query::of([Source::NAME.of(id_or_name)])).await? else {
        return Ok(None);
    };
    let known = kernel.memory.of::<SourceNames>();
    let mut known = known.0.lock();
    if known.len() >= MAX_KNOWN {
        known.clear();
    }
    known.insert(source.name.clone(), source.id);
    Ok(Some(source))
}

/// The HMAC key of a source, for the one delivery that needs it.
pub(crate) fn open_source_key(kernel: &Kernel, id: SourceId, sealed: &str) -> Result<Secret<String>, OpError> {
    let broken = || OpError::Internal(format!("the key of the source {id} can't be opened with this root key"));
    kernel.root.open_text(SEAL_LABEL, &id.to_string(), sealed).map_err(|_| broken())
}

fn source_key(
    kernel: &Kernel,
    id: SourceId,
    format: Format,
    auth: &SourceAuth,
    commit: EventId,
) -> Result<FreshKey, OpError> {
    let entropy = kernel.entropy.as_ref();
    Ok(match auth {
        SourceAuth::Hmac {} => {
            // GitLab takes keys of no other form.
            let secret =
                kernel.opaque.signing_secret((&kernel.root, SEAL_LABEL), id, format == Format::Gitlab, commit, entropy);
            let (secret, sealed) = secret.map_err(|error| OpError::Internal(error.to_string()))?;
            (SourceKey::Hmac { sealed }, Some(secret))
        }
        SourceAuth::Token {} => {
            let Minted { token, hash } = kernel.opaque.source_token(id, commit, entropy);
            (SourceKey::Token { hash }, Some(token))
        }
        SourceAuth::Keys { issuer, audience, jwks_uri, algorithms } => {
            let key = SourceKey::Keys {
                issuer: issuer.clone(),
                audience: audience.clone(),
                jwks_uri: jwks_uri.clone().unwrap_or_default(),
                algorithms: algorithms.clone(),
            };
            (key, None)
        }
    })
}

/// The registration with everything that it leaves out, if all of it is good.
async fn checked_source(kernel: &Kernel, mut ask: NewSource) -> Result<NewSource, OpError> {
    let mut problems = check(&ask);
    ask.kinds.sort_unstable();
    ask.kinds.dedup();
    ask.subjects.sort_unstable();
    ask.subjects.dedup();
    ownership::who_answers(kernel, ask.owner, &mut problems).await?;
    ask.environments.sort_unstable();
    ask.environments.dedup();
    for name in ask.environments.iter().take(MAX_ENVIRONMENTS) {
        if parse_name("environments", name).is_err() || kernel.one::<Environment>(name).await?.is_none() {
            problems.push(FieldProblem::new(
                "environments",
                "environment_unknown",
                "name registered environments: tenure environment list",
            ));
            break;
        }
    }
    if ask.environments.len() > MAX_ENVIRONMENTS {
        problems.push(FieldProblem::new("environments", "too_many", "name at most 16 environments"));
    }
    let of_all = |kind: &SignalKind| {
        matches!(
            kind,
            SignalKind::ApplicationRetired
                | SignalKind::VendorTerminated
                | SignalKind::CloudAccountDeleted
                | SignalKind::IntegrationRemoved
                | SignalKind::EmploymentEnded
        )
    };
    if let Some(kind) = ask.kinds.iter().find(|kind| !ask.environments.is_empty() && of_all(kind)) {
        let hint = format!(
            "{} is of no one environment: leave environments out, or register another source for it",
            kind.as_str()
        );
        problems.push(FieldProblem::new("environments", "kind_of_every_environment", hint));
    }
    if let Some(template) = &ask.template
        && (parse_name("template", template).is_err() || kernel.one::<Template>(template).await?.is_none())
    {
        problems.push(FieldProblem::new("template", "template_unknown", "name a template: tenure template list"));
    }
    if let Some(issuer) = &ask.issuer
        && references::find_issuer(kernel, issuer).await?.is_none()
    {
        problems.push(FieldProblem::new("issuer", "issuer_unknown", "name a registered, confirmed issuer by its URL"));
    }
    if let SourceAuth::Keys { algorithms: given, .. } = &mut ask.auth {
        *given = algorithms(given, Preset::Oidc, &mut problems);
    }
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    if let SourceAuth::Keys { issuer, jwks_uri, .. } = &mut ask.auth
        && jwks_uri.is_none()
    {
        *jwks_uri = Some(issuers::discover(kernel, "auth.issuer", issuer).await?.jwks_uri);
    }
    Ok(ask)
}

fn read(kernel: &Kernel, row: &Stored<Source>) -> Revised<SourceView> {
    Revised {
        record: source_view(kernel, row),
        revision: row.revision,
        hold: None,
        log: None,
        names: tenure_api::views::Names::new(),
    }
}

pub(crate) fn seen(kernel: &Kernel, changed: Revised<Source>) -> Revised<SourceView> {
    Revised {
        record: source_view(kernel, &changed.record),
        revision: changed.revision,
        hold: None,
        log: changed.log,
        names: tenure_api::views::Names::new(),
    }
}

fn source_view(kernel: &Kernel, source: &Source) -> SourceView {
    SourceView {
        id: source.id,
        name: source.name.clone(),
        format: source.format,
        owner: source.owner,
        kinds: source.kinds.clone(),
        subjects: source.subjects.clone(),
        environments: source.environments.clone(),
        rate_per_minute: source.rate_per_minute,
        blast_cap: source.blast_cap,
        template: source.template.clone(),
        issuer: source.issuer.clone(),
        auth: auth_of(&source.key),
        delivery_url: format!("{}/signals/{}", kernel.settings.public_url, source.name),
        state: source.state.get(),
        proposed_by: source.proposed_by,
        confirmed_by: source.confirmed_by,
        single_person: source.single_person,
        created_at: source.created_at,
    }
}

/// How a source is authenticated, without what must not be told.
fn auth_of(key: &SourceKey) -> SourceAuth {
    match key {
        SourceKey::Hmac { .. } => SourceAuth::Hmac {},
        SourceKey::Token { .. } => SourceAuth::Token {},
        SourceKey::Keys { issuer, audience, jwks_uri, algorithms } => SourceAuth::Keys {
            issuer: issuer.clone(),
            audience: audience.clone(),
            jwks_uri: Some(jwks_uri.clone()),
            algorithms: algorithms.clone(),
        },
    }
}

fn check(ask: &NewSource) -> Vec<FieldProblem> {
    let mut problems: Vec<FieldProblem> = parse_name("name", &ask.name).err().into_iter().collect();
    let mut demand = |good: bool, field: &str, code: &str, hint: &str| {
        if !good {
            problems.push(FieldProblem::new(field, code, hint));
        }
    };
    demand(
        (1..=SignalKind::ALL.len()).contains(&ask.kinds.len()),
        "kinds",
        "kinds_malformed",
        "name the kinds of signals that it may send, each once",
    );
    demand(
        (1..=MAX_SUBJECTS).contains(&ask.subjects.len()),
        "subjects",
        "subjects_malformed",
        "name 1 to 100 patterns of subjects",
    );
    for (n, pattern) in ask.subjects.iter().take(MAX_SUBJECTS).enumerate() {
        demand(
            is_pattern(pattern),
            &format!("subjects[{n}]"),
            "subject_malformed",
            "give type:name, or type:prefix* where the prefix ends in one of / - . : e.g. repository:acme/*",
        );
    }
    demand(
        ask.rate_per_minute.is_none_or(|rate| (1..=MAX_RATE).contains(&rate)),
        "rate_per_minute",
        "rate_out_of_range",
        "allow 1 to 60000 signals in a minute",
    );
    demand(
        ask.blast_cap.is_none_or(|cap| cap <= MAX_BLAST_CAP),
        "blast_cap",
        "blast_cap_out_of_range",
        "allow at most 10000 identities in an hour",
    );
    demand(
        ask.template.is_some() || !ask.kinds.contains(&SignalKind::WorkloadCreated),
        "template",
        "template_missing",
        "name the template from which the identities of new workloads are drafted",
    );
    let fits = match (&ask.auth, ask.format) {
        (SourceAuth::Keys { .. }, format) => format == Format::Set,
        (SourceAuth::Hmac {}, format) => format != Format::Set,
        (SourceAuth::Token {}, format) => matches!(format, Format::Gitlab | Format::Kubernetes),
    };
    demand(
        fits,
        "auth.type",
        "auth_not_for_format",
        "use keys with set; hmac with github and cloud_events; hmac or token with gitlab and kubernetes",
    );
    if let SourceAuth::Keys { issuer, audience, jwks_uri, .. } = &ask.auth {
        demand(
            allowed_url(issuer, false),
            "auth.issuer",
            "url_malformed",
            "give the issuer exactly as its tokens name it: an https URL without user, query and fragment",
        );
        demand(
            !audience.trim().is_empty()
                && audience.len() <= MAX_TEXT
                && tenure_core::base::text::check_line(audience).is_ok(),
            "auth.audience",
            "audience_malformed",
            "give the audience that its tokens must name, of 1 to 200 bytes",
        );
        demand(
            jwks_uri.as_deref().is_none_or(|url| allowed_url(url, true)),
            "auth.jwks_uri",
            "jwks_uri_malformed",
            "give the https URL of its key set, or leave it out where a discovery document names it",
        );
    }
    problems
}

/// Whether a pattern means what it seems to: a prefix ends where a name's part does, so that `acme*` can't be taken to
/// leave out `acme-evil`.
fn is_pattern(pattern: &str) -> bool {
    const KINDS: [SubjectKind; 8] = [
        SubjectKind::Workload,
        SubjectKind::Repository,
        SubjectKind::Application,
        SubjectKind::Vendor,
        SubjectKind::CloudAccount,
        SubjectKind::Need,
        SubjectKind::Person,
        SubjectKind::Identity,
    ];
    let Some((kind, id)) = pattern.split_once(':') else {
        return false;
    };
    if !KINDS.iter().any(|known| known.as_str() == kind) || id.len() > MAX_SUBJECT {
        return false;
    }
    match id.strip_suffix('*') {
        None => is_well_formed(id),
        Some("") => true,
        Some(prefix) => prefix.ends_with(['/', '-', '.', ':']) && is_well_formed(&format!("{prefix}x")),
    }
}

/// Has another person answer for a source of signals. What it may say stays as two people fixed it (S-12).
///
/// # Errors
/// It was removed, `if_match` is missing or doesn't hold, the person isn't active, or the caller is no administrator.
pub async fn update_source(
    kernel: &Kernel,
    caller: &Caller,
    id: SourceId,
    if_match: IfMatch,
    ask: OwnerEdit,
) -> Result<Revised<SourceView>, OpError> {
    let named = Named::owner(ask.owner);
    let changed = ownership::update(kernel, caller, &id.to_string(), if_match, named, Vec::new(), |source: Source| {
        Source { owner: ask.owner, ..source }
    })
    .await?;
    Ok(seen(kernel, changed))
}

#[cfg(test)]
mod tests {
    use super::is_pattern;

    #[test]
    fn a_pattern_ends_where_a_part_of_a_name_does() {
        for good in [
            "repository:acme/*",
            "repository:acme/payments",
            "person:hr/*",
            "application:*",
            "workload:prod/web-*",
            "vendor:Acme Corp",
        ] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "acme/*",
            "repository:",
            "repository:acme*",
            "repository:*/acme",
            "repository:acme/**",
            "repository:acme/../*",
            "repos:acme/*",
            "repository:/acme",
            "repository:acme//*",
            "Repository:acme/*",
        ] {
            assert!(!is_pattern(bad), "{bad}");
        }
    }
}
