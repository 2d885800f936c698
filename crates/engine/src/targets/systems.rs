//! Target systems: registered by one administrator, confirmed by another, with a login that only workers open (S-17).

use tenure_api::targets::{NewTarget, TargetEdit, TargetLoginAsk, TargetLoginView, TargetView};
use tenure_api::views::{Names as ShownNames, Page, Revised};
use tenure_core::base::id::{IdentityId, PersonId, TargetId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::state::{BadStep, InState};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::inventory::environment::{Environment, parse_name};
use tenure_core::policy::Action;
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{Connector, ConnectorError, Endpoint, TargetKind, TargetLogin};
use tenure_core::target::system::{BLAST_CAP, CLAIM_WITHIN, ConnectorLogin, SCAN_EVERY, TargetSystem};
use tenure_core::trust::state::TrustState;

use crate::inventory::ownership;
use crate::kernel::Kernel;
use crate::kernel::administrators;
use crate::kernel::authority::{self, administration, inventory};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::freshness::{self, assurance_fact};
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Listed};
use crate::targets::reach::Reached;
use crate::trust::records::{self, Names, Trusted};

pub(crate) const KIND: &str = "target";
const SEAL_LABEL: &str = "target-login";
const SCAN: (Span, Span) = (Span::from_mins(1), Span::from_days(30));
const CLAIM: (Span, Span) = (Span::from_mins(60), Span::from_days(90));
const MAX_BLAST_CAP: u32 = 10_000;
const MAX_LOGIN_NAME: usize = 512;
const MAX_SECRET: usize = 4_096;
/// For how long a word of security lets more accounts be held than the cap.
const UNCAPPED_FOR: Span = Span::from_days(1);

impl Trusted for TargetSystem {
    const NAMES: Names = Names {
        what: "target",
        kind: KIND,
        confirm: "target.confirm",
        remove: "target.remove",
        activated: EventKind::TargetActivated,
        removed: EventKind::TargetRemoved,
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

impl Listed for TargetSystem {
    const NAME: &'static str = KIND;
}

/// Registers a target. Its connector works once another administrator has confirmed it and its login was handed in.
///
/// # Errors
/// The fields are wrong, its name is taken, or the caller may not.
pub async fn create_target(kernel: &Kernel, caller: &Caller, ask: NewTarget) -> Result<Revised<TargetView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "target.create", ""), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, "", ""), administration(false, false))?;
            let proposed_by = caller.must_be_person()?;
            let (target, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut problems: Vec<FieldProblem> = parse_name("name", &ask.name).err().into_iter().collect();
                    check_endpoint(kernel, ask.kind, &ask.endpoint, &mut problems);
                    check_spans(ask.scan_every, ask.claim_within, ask.blast_cap, &mut problems);
                    let owner = ownership::who_answers(kernel, ask.owner, &mut problems).await?;
                    let identity = connector_identity(kernel, ask.identity, &mut problems).await?;
                    if kernel.one::<Environment>(&ask.environment).await?.is_none() {
                        let hint = "name a registered environment: tenure environment list";
                        problems.push(FieldProblem::new("environment", "environment_unknown", hint));
                    }
                    let (Some(owner), Some(identity), true) = (owner, identity, problems.is_empty()) else {
                        return Err(OpError::Invalid(problems));
                    };
                    let proposing = records::proposing(kernel, caller, now).await?;
                    let target = TargetSystem {
                        id: TargetId::generate(now, kernel.entropy.as_ref()),
                        name: ask.name.clone(),
                        kind: ask.kind,
                        endpoint: ask.endpoint.clone(),
                        mode: ask.mode,
                        identity: ask.identity,
                        owner: ask.owner,
                        environment: ask.environment.clone(),
                        login: None,
                        scan_every: ask.scan_every.unwrap_or(SCAN_EVERY),
                        claim_within: ask.claim_within.unwrap_or(CLAIM_WITHIN),
                        blast_cap: ask.blast_cap.unwrap_or(BLAST_CAP),
                        scanning: None,
                        scanned: None,
                        uncapped_until: None,
                        trouble: None,
                        gone: None,
                        state: InState::proposed(proposing.alone),
                        proposed_by,
                        confirmed_by: None,
                        single_person: proposing.alone,
                        moved_by: None,
                        created_at: now,
                    };
                    let event = kernel
                        .event(now, EventKind::TargetProposed)
                        .subject(target.id)
                        .subject(target.identity)
                        .subject(target.owner)
                        .fact("name", &target.name)
                        .fact("kind", target.kind)
                        .fact("endpoint", &target.endpoint)
                        .fact("mode", target.mode)
                        .fact("environment", &target.environment)
                        .fact("scan_every", target.scan_every)
                        .fact("claim_within", target.claim_within)
                        .fact("blast_cap", target.blast_cap);
                    let mut changeset = records::proposal(kernel, caller, now, proposing, &target, event);
                    changeset.expect(&owner).expect(&identity);
                    changeset.once.push(Once { space: "target_name", key: target.name.clone(), until: None });
                    Ok((changeset, target))
                })
                .await?;
            kernel.changed(view_of(kernel, &target), 1, &committed).await
        })
        .await
}

/// Confirms a target that somebody else registered: from then on its connector works, once it has a login.
///
/// # Errors
/// No such target, it isn't proposed, or the caller proposed it, may not, or hasn't just signed in.
pub async fn confirm_target(kernel: &Kernel, caller: &Caller, id: TargetId) -> Result<Revised<TargetView>, OpError> {
    let confirmed = records::confirm_trusted::<TargetSystem>(kernel, caller, &id.to_string()).await?;
    Ok(shown(kernel, confirmed))
}

/// Asks a target no more, for ever, and destroys its connector's login. What stands there goes on standing: whoever
/// removes a target ends its accounts before.
///
/// # Errors
/// There is no reason, no such target, it was removed before, or the caller may not.
pub async fn remove_target(
    kernel: &Kernel,
    caller: &Caller,
    id: TargetId,
    reason: &str,
) -> Result<Revised<TargetView>, OpError> {
    let removed = records::remove_trusted::<TargetSystem>(kernel, caller, &id.to_string(), Some(reason)).await?;
    Ok(shown(kernel, removed))
}

/// Changes what is asked of a target, or who answers for it. Where it goes, or where its connector may do more, its login
/// doesn't follow: another administrator hands in another.
///
/// # Errors
/// No such target, the fields are wrong, it was removed, or the caller may not.
pub async fn update_target(
    kernel: &Kernel,
    caller: &Caller,
    id: TargetId,
    if_match: IfMatch,
    ask: TargetEdit,
) -> Result<Revised<TargetView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "target.update", id), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, id, ""), administration(false, false))?;
            let by = caller.must_be_person()?;
            let ((target, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<TargetSystem>(KIND, id).await?;
                    if_match.demand(Some(stored.revision))?;
                    not_removed(&stored)?;
                    let mut problems = Vec::new();
                    if let Some(endpoint) = &ask.endpoint {
                        check_endpoint(kernel, stored.kind, endpoint, &mut problems);
                    }
                    check_spans(ask.scan_every, ask.claim_within, ask.blast_cap, &mut problems);
                    let owner = match ask.owner {
                        Some(owner) => ownership::who_answers(kernel, owner, &mut problems).await?,
                        None => None,
                    };
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    let before = (*stored.value).clone();
                    let mut target = before.clone();
                    target.owner = ask.owner.unwrap_or(target.owner);
                    target.scan_every = ask.scan_every.unwrap_or(target.scan_every);
                    target.claim_within = ask.claim_within.unwrap_or(target.claim_within);
                    target.blast_cap = ask.blast_cap.unwrap_or(target.blast_cap);
                    let target = target.changed(ask.endpoint.clone(), ask.mode, by);
                    let event = kernel
                        .event(now, EventKind::TargetUpdated)
                        .subject(id)
                        .subject(target.owner)
                        .fact("endpoint", &target.endpoint)
                        .fact("mode", target.mode)
                        .fact("scan_every", target.scan_every)
                        .fact("claim_within", target.claim_within)
                        .fact("blast_cap", target.blast_cap)
                        .fact("login_destroyed", before.login.is_some() && target.login.is_none())
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    if let Some(owner) = &owner {
                        ownership::has_an_owner(kernel, &mut changeset, &id.to_string(), owner, now).await?;
                    }
                    changeset.replace(&stored, &target);
                    look_through(&mut changeset, &target, now);
                    Ok((changeset, (target, stored.revision + 1)))
                })
                .await?;
            kernel.changed(view_of(kernel, &target), revision, &committed).await
        })
        .await
}

/// Hands in the login of a target's connector. Whoever sent the target elsewhere doesn't hand in the login for there,
/// unless there is no other administrator.
///
/// # Errors
/// No such target, it isn't confirmed, the login is none, or the caller may not, hasn't just signed in, or moved the
/// target.
pub async fn set_login(
    kernel: &Kernel,
    caller: &Caller,
    id: TargetId,
    ask: TargetLoginAsk,
) -> Result<Revised<TargetView>, OpError> {
    let TargetLoginAsk { name, secret } = ask;
    let secret = Secret::new(secret);
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "target.login", id), async {
            kernel.allow(caller, Action::Trust, inventory(KIND, id, ""), administration(false, false))?;
            let by = caller.must_be_person()?;
            let mut problems = Vec::new();
            let plain = |text: &str| !text.chars().any(char::is_control);
            if name.len() > MAX_LOGIN_NAME || !plain(&name) {
                let hint = "give the login's name at the target: 512 bytes at most, without control characters";
                problems.push(FieldProblem::new("name", "name_malformed", hint));
            }
            if secret.expose().is_empty() || secret.expose().len() > MAX_SECRET || !plain(secret.expose()) {
                let hint = "give its password, key or token: 1 to 4096 bytes, without control characters";
                problems.push(FieldProblem::new("secret", "secret_malformed", hint));
            }
            if !problems.is_empty() {
                return Err(OpError::Invalid(problems));
            }
            let ((target, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let stored = kernel.must::<TargetSystem>(KIND, id).await?;
                    if stored.state != TrustState::Active {
                        let detail = "hand in the login of a target that is confirmed, and not removed";
                        return Err(OpError::because(Reason::IllegalTransition, detail));
                    }
                    if stored.moved_by == Some(by) && !administrators::is_alone(kernel).await? {
                        let detail = "you changed where the target is or what may be done there: another administrator \
                                      hands in the login";
                        return Err(OpError::because(Reason::SamePerson, detail));
                    }
                    let sealed = kernel
                        .root
                        .seal(SEAL_LABEL, &id.to_string(), secret.expose().as_bytes(), kernel.entropy.as_ref())
                        .map_err(|error| OpError::Internal(error.to_string()))?;
                    let login = ConnectorLogin { name: name.clone(), sealed, by, at: now };
                    let target =
                        TargetSystem { login: Some(login), moved_by: None, trouble: None, ..(*stored.value).clone() };
                    let event = kernel
                        .event(now, EventKind::TargetLoginSet)
                        .subject(id)
                        .fact("login", &name)
                        .fact("assurance", assurance_fact(caller));
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    changeset.replace(&stored, &target);
                    look_through(&mut changeset, &target, now);
                    Ok((changeset, (target, stored.revision + 1)))
                })
                .await?;
            kernel.changed(view_of(kernel, &target), revision, &committed).await
        })
        .await
}

/// Looks through a target's accounts now.
///
/// # Errors
/// No such target, it can't be asked, or the caller may not.
pub async fn scan_now(kernel: &Kernel, caller: &Caller, id: TargetId) -> Result<Revised<TargetView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "target.scan", id), async {
            let ((target, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<TargetSystem>(KIND, id).await?;
                    let own = caller.person_id() == Some(stored.owner);
                    kernel.allow(caller, Action::Suspend, inventory(KIND, id, ""), authority::owns(own))?;
                    let event = kernel.event(now, EventKind::TargetUpdated).subject(id).fact("scan", "now");
                    let changeset = Changeset::new(caller.author(), now, event);
                    again(changeset, &stored, (*stored.value).clone(), now)
                })
                .await?;
            kernel.changed(view_of(kernel, &target), revision, &committed).await
        })
        .await
}

/// Lets more of a target's accounts that nobody claimed be held than its cap, for a day: a word of security.
///
/// # Errors
/// No such target, it can't be asked, or the caller is nobody of security or hasn't just signed in.
pub async fn confirm_holds(kernel: &Kernel, caller: &Caller, id: TargetId) -> Result<Revised<TargetView>, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Administer, "target.confirm_holds", id), async {
            let ((target, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<TargetSystem>(KIND, id).await?;
                    kernel.allow(caller, Action::Suspend, inventory(KIND, id, ""), authority::owns(false))?;
                    let fresh = freshness::freshness(kernel, caller, now).await?;
                    let uncapped_until = Some(now.plus(UNCAPPED_FOR));
                    let event = kernel.event(now, EventKind::TargetUpdated).subject(id);
                    let event = event.fact("uncapped_until", uncapped_until);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    fresh.expect(&mut changeset);
                    again(changeset, &stored, TargetSystem { uncapped_until, ..(*stored.value).clone() }, now)
                })
                .await?;
            kernel.changed(view_of(kernel, &target), revision, &committed).await
        })
        .await
}

/// The changes that have a target's accounts looked through again, whatever trouble it was in.
fn again(
    mut changeset: Changeset,
    stored: &Stored<TargetSystem>,
    target: TargetSystem,
    now: Timestamp,
) -> Result<(Changeset, (TargetSystem, u64)), OpError> {
    if !stored.is_asked() {
        let detail = "the target isn't confirmed, was removed, or has no login yet";
        return Err(OpError::because(Reason::IllegalTransition, detail));
    }
    let target = TargetSystem { trouble: None, ..target };
    changeset.replace(stored, &target);
    look_through(&mut changeset, &target, now);
    Ok((changeset, (target, stored.revision + 1)))
}

/// A page of targets, without their logins.
///
/// # Errors
/// The caller may not read them.
pub async fn targets(
    kernel: &Kernel,
    caller: &Caller,
    ask: ListAsk<TargetSystem>,
) -> Result<Page<Revised<TargetView>>, OpError> {
    authority::may_read(kernel, caller, KIND, "", false).await?;
    let (rows, end) = kernel.page(ask).await?;
    Ok(end.page(rows.into_iter().map(|row| read(kernel, &row)).collect()))
}

/// One target, without its login.
///
/// # Errors
/// No such target, or the caller may not read it.
pub async fn target(kernel: &Kernel, caller: &Caller, id: TargetId) -> Result<Revised<TargetView>, OpError> {
    let row = kernel.one::<TargetSystem>(id).await?;
    let own = row.as_ref().is_some_and(|row| caller.person_id() == Some(row.owner));
    authority::may_read(kernel, caller, KIND, &id.to_string(), own).await?;
    Ok(read(kernel, &row.ok_or(OpError::NotFound(KIND))?))
}

/// The connector of a target and the login to ask with, for the one act that needs it; or why there is none.
pub(crate) async fn reached<'a>(
    kernel: &'a Kernel,
    target: &'a TargetSystem,
) -> Result<Result<Reached<'a>, String>, OpError> {
    let Some(login) = target.login.as_ref().filter(|_| target.state == TrustState::Active) else {
        return Ok(Err("the target isn't confirmed, was removed, or has no login".into()));
    };
    let Some(connector) = kernel.connectors.of(target.kind) else {
        return Ok(Err(format!("this build has no connector for {}", target.kind.as_str())));
    };
    // The connector is an identity as any other: what it may not do any more, nobody does in its place (S-17).
    let is_active =
        kernel.one::<Identity>(target.identity).await?.is_some_and(|identity| identity.state == IdentityState::Active);
    if !is_active {
        return Ok(Err("the connector's own identity isn't active".into()));
    }
    let broken = || OpError::Internal(format!("the login of the target {} can't be opened", target.id));
    let secret = kernel.root.open_text(SEAL_LABEL, &target.id.to_string(), &login.sealed).map_err(|_| broken())?;
    Ok(Ok(Reached::new(connector, target, TargetLogin { name: login.name.clone(), secret })))
}

/// Has a target's accounts looked through as soon as somebody comes to it.
pub(super) fn look_through(changeset: &mut Changeset, target: &TargetSystem, now: Timestamp) {
    if target.is_asked() {
        changeset.due.push(DueChange::Set(DueKind::TargetScan, target.id.to_string(), now));
    }
}

fn not_removed(target: &TargetSystem) -> Result<(), OpError> {
    if target.state == TrustState::Removed {
        return Err(OpError::because(Reason::IllegalTransition, "the target was removed"));
    }
    Ok(())
}

fn check_endpoint(kernel: &Kernel, kind: TargetKind, endpoint: &Endpoint, problems: &mut Vec<FieldProblem>) {
    let Some(connector) = kernel.connectors.of(kind) else {
        let hint = format!("this build has no connector for {}", kind.as_str());
        problems.push(FieldProblem::new("kind", "kind_unknown", hint));
        return;
    };
    if let Err(ConnectorError::Misconfigured(why)) = connector.check(endpoint) {
        problems.push(FieldProblem::new("endpoint", "endpoint_malformed", why));
    }
}

fn check_spans(
    scan_every: Option<Span>,
    claim_within: Option<Span>,
    blast_cap: Option<u32>,
    problems: &mut Vec<FieldProblem>,
) {
    let within =
        |span: Option<Span>, (least, most): (Span, Span)| span.is_none_or(|span| span >= least && span <= most);
    if !within(scan_every, SCAN) {
        problems.push(FieldProblem::new("scan_every", "scan_every_out_of_range", "look every minute to every 30 days"));
    }
    if !within(claim_within, CLAIM) {
        let hint = "give an hour to 90 days";
        problems.push(FieldProblem::new("claim_within", "claim_within_out_of_range", hint));
    }
    if blast_cap.is_some_and(|cap| cap > MAX_BLAST_CAP) {
        let hint = "allow at most 10000 accounts in a day";
        problems.push(FieldProblem::new("blast_cap", "blast_cap_out_of_range", hint));
    }
}

async fn connector_identity(
    kernel: &Kernel,
    id: IdentityId,
    problems: &mut Vec<FieldProblem>,
) -> Result<Option<Stored<Identity>>, OpError> {
    let identity = kernel.one::<Identity>(id).await?.filter(|identity| identity.state == IdentityState::Active);
    if identity.is_none() {
        let hint = "name an active identity, registered for this connector: tenure identity register";
        problems.push(FieldProblem::new("identity", "identity_not_active", hint));
    }
    Ok(identity)
}

fn read(kernel: &Kernel, row: &Stored<TargetSystem>) -> Revised<TargetView> {
    Revised { record: view_of(kernel, row), revision: row.revision, hold: None, log: None, names: ShownNames::new() }
}

fn shown(kernel: &Kernel, changed: Revised<TargetSystem>) -> Revised<TargetView> {
    Revised {
        record: view_of(kernel, &changed.record),
        revision: changed.revision,
        hold: None,
        log: changed.log,
        names: ShownNames::new(),
    }
}

pub(super) fn view_of(kernel: &Kernel, target: &TargetSystem) -> TargetView {
    let connector = kernel.connectors.of(target.kind);
    TargetView {
        id: target.id,
        name: target.name.clone(),
        kind: target.kind,
        endpoint: target.endpoint.clone(),
        mode: target.mode,
        identity: target.identity,
        owner: target.owner,
        environment: target.environment.clone(),
        login: target.login.as_ref().map(|login| TargetLoginView {
            name: login.name.clone(),
            by: login.by,
            at: login.at,
        }),
        abilities: connector.map(|connector| connector.abilities().to_vec()),
        proof: connector.map(Connector::proof),
        scan_every: target.scan_every,
        claim_within: target.claim_within,
        blast_cap: target.blast_cap,
        uncapped_until: target.uncapped_until,
        scanning: target.scanning.clone(),
        scanned: target.scanned.clone(),
        trouble: target.trouble.clone(),
        gone: target.gone.clone(),
        state: target.state.get(),
        proposed_by: target.proposed_by,
        confirmed_by: target.confirmed_by,
        single_person: target.single_person,
        created_at: target.created_at,
    }
}
