//! Registering identities: the charter is checked whole, and a refusal names everything that is missing or wrong.

use tenure_api::requests::{NewIdentity, Stage};
use tenure_api::views::{IdentityView, Page};
use tenure_core::base::id::{IdentityId, PersonId};
use tenure_core::base::problem::{FieldProblem, Reason};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::binding::{Binding, BindingState};
use tenure_core::identity::{CharterDraft, Identity, IdentityState, RiskTier, narrows};
use tenure_core::inventory::environment::parse_name;
use tenure_core::policy::Action;
use tenure_core::request::{Matter, Route};
use tenure_core::store::changeset::{Changeset, Once};
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;
use tenure_core::trust::issuer::Issuer;

use crate::identities::charter::{self, unchangeable, widens};
use crate::identities::{bindings, consumers, identity_facts, lifecycle, view};
use crate::inventory::{naming, references, removal_groups, templates};
use crate::kernel::Kernel;
use crate::kernel::authority::{self, inventory, owns};
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::if_match::IfMatch;
use crate::kernel::operation::Asked;
use crate::kernel::query::ListAsk;
use crate::requests::facts::MatterFacts;
use crate::requests::route;

/// Registers an identity: as a draft; handed in, with its request open; or active at once where a named rule approves
/// it.
///
/// # Errors
/// Every field that is missing or wrong, over a ceiling, no route is permitted, or the caller may not.
pub async fn register(kernel: &Kernel, caller: &Caller, ask: NewIdentity) -> Result<IdentityView, OpError> {
    let result = kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "identity.register", ""), async {
            let registered_by = accountable_person(caller)?;
            let (identity, committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let (charter, clipped) = templates::templated(kernel, &ask, now).await?;
                    let mut identity = new_identity(kernel, &ask, charter, registered_by, now);
                    let mut problems: Vec<FieldProblem> = check_name(kernel, &ask).await?;
                    if ask.stage != Stage::Draft {
                        problems.extend(identity.complete_charter().err().unwrap_or_default());
                    }
                    let references =
                        Box::pin(references::check_references(kernel, ask.kind, &identity.charter, &mut problems))
                            .await?;
                    identity.tier = references.tier(identity.kind, &identity.charter);
                    if ask.stage != Stage::Draft {
                        Box::pin(removal_groups::needs_removal_group(kernel, &identity.charter, &mut problems)).await?;
                    }
                    if ask.stage != Stage::Draft && !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    let matter = Matter::Activation { identity: identity.id };
                    let mut facts = Box::pin(identity_facts::facts_of_identity(
                        kernel,
                        &matter,
                        &identity,
                        &identity.charter,
                        &references,
                        now,
                    ))
                    .await?;
                    facts.interested.extend(caller.person_id());
                    facts.clipped = clipped;
                    route::may_ask(kernel, caller, &facts)?;
                    if !problems.is_empty() {
                        return Err(OpError::Invalid(problems));
                    }
                    templates::check_template_tier(kernel, &ask, identity.tier).await?;
                    let binding = binding_of(kernel, &identity, references.issuer.as_ref(), now).await?;
                    identity.bindings.extend(binding.as_ref().map(|(binding, _)| binding.id));
                    let mut changeset =
                        Changeset::new(caller.author(), now, registered_event(kernel, &identity, &facts, now));
                    if ask.stage != Stage::Draft {
                        identity = identity.submit().map_err(|_| OpError::refused(Reason::IllegalTransition))?;
                        changeset.event(kernel.event(now, EventKind::IdentitySubmitted).subject(identity.id));
                        identity = ask_for_activation(kernel, caller, &mut changeset, identity, facts, now).await?;
                        if ask.stage == Stage::Active && identity.state != IdentityState::Active {
                            return Err(OpError::refused(Reason::ApprovalNeeded));
                        }
                    }
                    changeset.once.push(Once { space: "identity_name", key: ask.name.clone(), until: None });
                    if let Some((binding, once)) = binding {
                        changeset.insert(&binding);
                        changeset.once.push(once);
                    }
                    let own = consumers::bindings_in(&identity.charter).to_vec();
                    Box::pin(consumers::insert(kernel, &mut changeset, &mut identity, &own, now)).await?;
                    changeset.insert(&identity);
                    Ok((changeset, identity))
                })
                .await?;
            view::identity_view(kernel, identity, 1, Some(&committed)).await
        })
        .await;
    bindings::note_taken_binding(kernel, caller.actor(), &ask.name, ask.charter.workload_binding.as_ref(), &result)
        .await;
    result
}

/// The person who answers for what the caller registers: themselves, or the owner of the identity that calls.
fn accountable_person(caller: &Caller) -> Result<PersonId, OpError> {
    match caller {
        Caller::Person { person, .. } => Ok(person.id),
        Caller::Identity { identity, .. } => identity.charter.owner.ok_or(OpError::refused(Reason::OwnerNotActive)),
    }
}

pub(crate) fn new_identity(
    kernel: &Kernel,
    ask: &NewIdentity,
    charter: CharterDraft,
    registered_by: PersonId,
    now: Timestamp,
) -> Identity {
    Identity {
        id: IdentityId::generate(now, kernel.entropy.as_ref()),
        kind: ask.kind,
        name: ask.name.clone(),
        state: IdentityState::Draft,
        charter,
        tier: RiskTier::High,
        tier_kept: None,
        struck: Vec::new(),
        deferred: Vec::new(),
        suspensions: Vec::new(),
        valid_after: None,
        bindings: Vec::new(),
        grants: Vec::new(),
        memberships: Vec::new(),
        activation: None,
        retirement: None,
        template: ask.template.clone(),
        request: None,
        transfer: None,
        exceptions: Vec::new(),
        resumed_at: None,
        reviewed_at: None,
        has_accounts: false,
        registered_by,
        created_at: now,
    }
}

fn registered_event(
    kernel: &Kernel,
    identity: &Identity,
    facts: &MatterFacts,
    now: Timestamp,
) -> tenure_core::store::event::Event {
    let mut event = kernel
        .event(now, EventKind::IdentityRegistered)
        .subject(identity.id)
        .fact("workflow", "non_human.registration")
        .fact("name", &identity.name)
        .fact("identity_kind", identity.kind)
        .fact("template", &identity.template)
        .fact("tier", identity.tier)
        .fact("clipped", &facts.clipped)
        .fact("charter", &identity.charter);
    if let Some(owner) = identity.charter.owner {
        event = event.subject(owner);
    }
    event
}

/// Opens the request about a pending identity's activation, in the changeset that writes the identity; by a rule it is
/// active at once.
pub(crate) async fn ask_for_activation(
    kernel: &Kernel,
    caller: &Caller,
    changeset: &mut Changeset,
    mut identity: Identity,
    facts: MatterFacts,
    now: Timestamp,
) -> Result<Identity, OpError> {
    let purpose = identity.charter.purpose.clone().unwrap_or_default();
    let mut request = route::draft_request(kernel, caller, &facts, &purpose, now).await?;
    changeset.event(route::opened_event(kernel, &request, &facts, now));
    changeset.expects.extend(facts.expects);
    if request.route == Route::Auto {
        route::approve_by_rule(kernel, changeset, &mut request, now);
        identity = lifecycle::activated(kernel, changeset, identity, &mut request, now).await?;
        route::close_fulfilled(kernel, changeset, &mut request, now);
    } else {
        identity.request = Some(request.id);
        route::wait_for_votes(kernel, changeset, &request, now).await?;
    }
    changeset.insert(&request);
    Ok(identity)
}

/// The name against the pattern of every name, and against its kind's standard (R30).
pub(crate) async fn check_name(kernel: &Kernel, ask: &NewIdentity) -> Result<Vec<FieldProblem>, OpError> {
    if let Err(problem) = parse_name("name", &ask.name) {
        return Ok(vec![problem]);
    }
    Ok(naming::against_standard(kernel, ask.kind, &ask.name).await?.into_iter().collect())
}

/// The binding that a charter asks for, and the key that makes it unique for ever (S-13, R75).
pub(crate) async fn binding_of(
    kernel: &Kernel,
    identity: &Identity,
    issuer: Option<&Issuer>,
    now: Timestamp,
) -> Result<Option<(Binding, Once)>, OpError> {
    let Some(binding) = &identity.charter.workload_binding else { return Ok(None) };
    let what = bindings::Bound { binding, issuer, consumer: None, field: "charter.workload_binding" };
    bindings::bound(kernel, identity.id, what, now).await
}

/// Replaces the charter of a draft, or narrows that of an active identity, which needs nobody's approval. What widens
/// goes through a request.
///
/// # Errors
/// The state doesn't allow it, a field is wrong, `if_match` is missing or doesn't hold, it would widen, or the caller
/// may not.
pub async fn write_charter(
    kernel: &Kernel,
    caller: &Caller,
    id: IdentityId,
    charter: CharterDraft,
    if_match: IfMatch,
) -> Result<IdentityView, OpError> {
    let wanted = charter.workload_binding.clone();
    let result = kernel
        .recorded(caller, Asked::new(ControlPoint::Change, "identity.write_charter", id), async {
            let ((), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let stored = kernel.must::<Identity>("identity", id).await?;
                    let changeset = match stored.state {
                        // What was denied, withdrawn or has lapsed can be written again and handed in anew.
                        IdentityState::Pending if stored.request.is_none() => {
                            redrafted(kernel, caller, &stored, &charter, now).await?
                        }
                        IdentityState::Draft => redrafted(kernel, caller, &stored, &charter, now).await?,
                        IdentityState::Active | IdentityState::Suspended => {
                            narrowed(kernel, caller, &stored, &charter, now).await?
                        }
                        state => {
                            return Err(OpError::because(
                                Reason::IllegalTransition,
                                format!("the charter of an identity that is {} is fixed", state.as_str()),
                            ));
                        }
                    };
                    // Whoever may not, or wants what can't be, is told that first (RFC 9110 §13.2.1).
                    if_match.demand(Some(stored.revision))?;
                    Ok((changeset, ()))
                })
                .await?;
            let stored = kernel.must::<Identity>("identity", id).await?;
            view::identity_view(kernel, (*stored.value).clone(), stored.revision, Some(&committed)).await
        })
        .await;
    bindings::note_taken_binding(kernel, caller.actor(), &id.to_string(), wanted.as_ref(), &result).await;
    result
}

/// A draft with another charter.
async fn redrafted(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Identity>,
    charter: &CharterDraft,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let mut problems = Vec::new();
    let references = Box::pin(references::check_references(kernel, stored.kind, charter, &mut problems)).await?;
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    let matter = Matter::Activation { identity: stored.id };
    // Judged is the new charter, by somebody whom the old one makes its owner: nobody becomes that by naming
    // themselves.
    let facts = Box::pin(identity_facts::facts_of_identity(kernel, &matter, stored, charter, &references, now)).await?;
    route::may_ask(kernel, caller, &facts)?;
    if caller.person_id() != Some(stored.registered_by) && !authority::owns_identity(caller, stored) {
        return Err(OpError::because(Reason::NotAllowed, "a draft is changed by who registered it, or by its owner"));
    }
    let mut identity =
        Identity { charter: charter.clone(), tier: references.tier(stored.kind, charter), ..(*stored.value).clone() };
    let event = kernel
        .event(now, EventKind::IdentityCharterWritten)
        .subject(stored.id)
        .fact("tier", identity.tier)
        .fact("charter", charter);
    let mut changeset = Changeset::new(caller.author(), now, event);
    let own = consumers::bindings_in(charter);
    if stored.charter.workload_binding != charter.workload_binding || consumers::bindings_in(&stored.charter) != own {
        for old in &stored.bindings {
            let read = kernel.must::<Binding>("binding", old).await?;
            changeset.replace(&read, &Binding { state: BindingState::Removed, ..(*read.value).clone() });
        }
        identity.bindings.clear();
        if let Some((binding, once)) = binding_of(kernel, &identity, references.issuer.as_ref(), now).await? {
            identity.bindings.push(binding.id);
            changeset.insert(&binding);
            changeset.once.push(once);
        }
        consumers::insert(kernel, &mut changeset, &mut identity, own, now).await?;
    }
    changeset.replace(stored, &identity);
    Ok(changeset)
}

/// An active identity with a narrower charter.
async fn narrowed(
    kernel: &Kernel,
    caller: &Caller,
    stored: &Stored<Identity>,
    charter: &CharterDraft,
    now: Timestamp,
) -> Result<Changeset, OpError> {
    let mut problems = stored.complete_with(charter).err().unwrap_or_default();
    problems.extend(unchangeable(&stored.charter, charter));
    if !problems.is_empty() {
        return Err(OpError::Invalid(problems));
    }
    kernel.allow(
        caller,
        Action::Revoke,
        inventory("identity", stored.id, charter.environment.as_deref().unwrap_or("")),
        owns(authority::owns_identity(caller, stored)),
    )?;
    if !narrows(&stored.charter, charter) {
        return Err(widens());
    }
    let asked = kernel.event(now, EventKind::IdentityNarrowed).subject(stored.id).fact("workflow", "non_human.charter");
    let mut changeset = Changeset::new(caller.author(), now, asked);
    charter::rechartered(kernel, &mut changeset, stored, charter.clone(), None, now).await?;
    Ok(changeset)
}

/// One identity.
///
/// # Errors
/// No such identity, or the caller may not read it.
pub async fn identity(kernel: &Kernel, caller: &Caller, id: IdentityId) -> Result<IdentityView, OpError> {
    let stored = kernel.sought::<Identity>(caller, "identity", id).await?;
    // Who registered a draft has to finish it.
    let drafts = caller.person_id() == Some(stored.registered_by)
        && matches!(stored.state, IdentityState::Draft | IdentityState::Pending);
    authority::may_read(
        kernel,
        caller,
        "identity",
        &id.to_string(),
        drafts || authority::owns_identity(caller, &stored),
    )
    .await?;
    view::identity_view(kernel, (*stored.value).clone(), stored.revision, None).await
}

/// The environment of an identity: where its proofs are addressed.
///
/// # Errors
/// No such identity, or its charter names no environment yet.
pub async fn environment_of(kernel: &Kernel, id: IdentityId) -> Result<String, OpError> {
    kernel
        .must::<Identity>("identity", id)
        .await?
        .charter
        .environment
        .clone()
        .ok_or(OpError::refused(Reason::CharterIncomplete))
}

/// A page of identities. Who may not read all of them sees those that they own.
///
/// # Errors
/// The caller may read none.
pub async fn identities(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: ListAsk<Identity>,
) -> Result<Page<IdentityView>, OpError> {
    if authority::can_read(kernel, caller, "identity", "", false).is_err() {
        authority::may_read(kernel, caller, "identity", "", true).await?;
        let person = kernel.only_person(caller, "identity.list").await?;
        ask = ask.only(Identity::OWNER.of(person));
    }
    let (rows, end) = kernel.page(ask).await?;
    let items = view::identity_views(kernel, rows).await?;
    Ok(end.page(items))
}
