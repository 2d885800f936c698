//! The policy set in force, and its change: proposed by one person, put in force by another (S-9).

pub mod proposal;

use std::sync::Arc;

use tenure_api::policies::{NewPolicySet, PolicyInForceView};
use tenure_api::request::{NewRequest, RequestView};
use tenure_api::templates::TemplateChange;
use tenure_api::views::{Names, Page, Revised};
use tenure_core::base::id::PolicySetId;
use tenure_core::base::problem::FieldProblem;
use tenure_core::policy::set::{InForce, PolicySet, PolicySetState};
use tenure_core::policy::{Answer, PolicyEngine, Question};
use tenure_core::request::Matter;
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::ControlPoint;
use tenure_core::store::event_kind::EventKind;

use crate::kernel::administrators;
use crate::kernel::caller::Caller;
use crate::kernel::error::OpError;
use crate::kernel::operation::Asked;
use crate::kernel::query::{ListAsk, Query};
use crate::kernel::{Kernel, authority, policy};
use crate::matters::lockouts::lockouts;
use crate::matters::{request, votes};
use crate::requests::content::Subject;
use crate::requests::facts::MatterFacts;
use crate::requests::route;

/// A set with what its review needs.
pub struct ToReview {
    /// The set.
    pub set: Revised<PolicySet>,
    /// The text that it is based on.
    pub in_force: String,
    /// What was asked lately, with the answers of the set in force.
    pub recent: Vec<(Question, Answer)>,
}

/// The longest policy text in bytes.
const MAX_TEXT: usize = 48 * 1024;

/// What a proposed set would lock out.
async fn would_lock_out(set: &Arc<dyn PolicyEngine>) -> Result<Vec<FieldProblem>, OpError> {
    let set = Arc::clone(set);
    policy::in_time(policy::off_thread(move || lockouts(&*set))).await
}

/// The policy set in force.
///
/// # Errors
/// The caller may not read it.
pub async fn policy_in_force(kernel: &Kernel, caller: &Caller) -> Result<PolicyInForceView, OpError> {
    authority::may_read(kernel, caller, "policy", "", false).await?;
    let row = kernel.store.load(&[InForce::row_key()]).await?.get::<InForce>(0)?;
    let (policy, text) = match row {
        None => (None, kernel.policy.loader.default_text().to_owned()),
        Some(row) => {
            let set = kernel.must::<PolicySet>("policy set", row.policy).await?;
            (Some(set.id), set.text.clone())
        }
    };
    Ok(PolicyInForceView { policy, version: kernel.policy.version(), text })
}

/// Proposes a policy set: it is validated strictly, and waits for another administrator.
///
/// # Errors
/// Everything that is wrong with the text, or the caller may not.
pub async fn propose_policy(kernel: &Kernel, caller: &Caller, ask: NewPolicySet) -> Result<RequestView, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "policy.propose", ""), async {
            let author = caller.must_be_person()?;
            let id = PolicySetId::generate(kernel.now(), kernel.entropy.as_ref());
            let matter = Matter::Policy { policy: id };
            may_propose(kernel, caller, &matter, &ask.text).await?;
            if ask.purpose.trim().is_empty() || ask.purpose.len() > 1_000 {
                return Err(OpError::field("purpose", "purpose_missing", "say for which need, in at most 1000 bytes"));
            }
            let proposed = read_proposed(kernel, &ask.text).await?;
            let ((request, revision), committed) = kernel
                .decide(|| async {
                    let now = kernel.now();
                    let mut set = PolicySet {
                        id,
                        text: ask.text.clone(),
                        version: proposed.version(),
                        based_on: kernel.policy.version(),
                        author,
                        purpose: ask.purpose.clone(),
                        request: tenure_core::base::id::RequestId::from_u128(0),
                        state: PolicySetState::Proposed,
                        created_at: now,
                        in_force_at: None,
                    };
                    let mut facts = proposal::facts_of_set(kernel, &matter, &set, Arc::clone(&proposed))?;
                    facts.context.single_person = administrators::is_alone(kernel).await?;
                    route::may_ask(kernel, caller, &facts)?;
                    let mut request = route::draft_request(kernel, caller, &facts, &ask.purpose, now).await?;
                    set.request = request.id;
                    let event = kernel
                        .event(now, EventKind::PolicyProposed)
                        .subject(id)
                        .fact("version", &set.version)
                        .fact("based_on", &set.based_on)
                        .fact("text", &set.text);
                    let mut changeset = Changeset::new(caller.author(), now, event);
                    changeset.event(route::opened_event(kernel, &request, &facts, now));
                    if votes::decides_alone(caller, &request) {
                        // Alone, it is put in force by the same commit that proposes it.
                        votes::vote_alone_on_policy(
                            kernel,
                            caller,
                            &mut changeset,
                            &mut request,
                            &mut set,
                            &facts,
                            now,
                        )
                        .await?;
                    } else {
                        route::wait_for_votes(kernel, &mut changeset, &request, now).await?;
                    }
                    changeset.insert(&set).insert(&request);
                    Ok((changeset, (request, 1)))
                })
                .await?;
            route::request_view(kernel, request, revision, Some(&committed)).await
        })
        .await
}

/// What a review of a set needs: the set, the text that it would replace or replaced, and what was asked lately.
///
/// # Errors
/// No such set, or the caller may not read it.
pub async fn policy_to_review(kernel: &Kernel, caller: &Caller, id: PolicySetId) -> Result<ToReview, OpError> {
    authority::may_read(kernel, caller, "policy", &id.to_string(), false).await?;
    let set = kernel.must::<PolicySet>("policy set", id).await?;
    Ok(ToReview {
        in_force: text_of(kernel, &set.based_on).await?,
        set: Revised {
            record: (*set.value).clone(),
            revision: set.revision,
            hold: None,
            log: None,
            names: Names::new(),
        },
        recent: kernel.policy.engine().recent(),
    })
}

/// What trying a text out needs.
pub struct ToTry {
    /// The text in force.
    pub in_force: String,
    /// What was asked lately, with the answers of the set in force.
    pub recent: Vec<(Question, Answer)>,
}

/// What is needed to try a text out, before anything is proposed: for whoever could propose it.
///
/// # Errors
/// The caller may not propose a set, or everything that is wrong with the text.
pub async fn policy_to_try(kernel: &Kernel, caller: &Caller, text: &str) -> Result<ToTry, OpError> {
    kernel
        .recorded(caller, Asked::new(ControlPoint::Request, "policy.try", ""), async {
            let matter = Matter::Policy { policy: PolicySetId::generate(kernel.now(), kernel.entropy.as_ref()) };
            may_propose(kernel, caller, &matter, text).await?;
            read_proposed(kernel, text).await.map(drop)
        })
        .await?;
    let in_force = policy_in_force(kernel, caller).await?.text;
    Ok(ToTry { in_force, recent: kernel.policy.engine().recent() })
}

/// The set that a text is, if it can be put in force and locks nobody out; within a bounded time.
async fn read_proposed(kernel: &Kernel, text: &str) -> Result<Arc<dyn PolicyEngine>, OpError> {
    let proposed = kernel.policy.read(text).await?;
    // Nothing is asked of the built-in set, which locks nobody out and may be in force.
    let lockouts = match kernel.policy.way_back(text) {
        Some(_) => Vec::new(),
        None => would_lock_out(&proposed).await?,
    };
    if lockouts.is_empty() { Ok(proposed) } else { Err(OpError::Invalid(lockouts)) }
}

/// That the caller may propose a set: what somebody wrote who may not ask is not read.
async fn may_propose(kernel: &Kernel, caller: &Caller, matter: &Matter, text: &str) -> Result<(), OpError> {
    let mut asking = MatterFacts::about(matter, Subject::default());
    asking.context.single_person = administrators::is_alone(kernel).await?;
    asking.judge = kernel.policy.way_back(text);
    route::may_ask(kernel, caller, &asking)?;
    if text.len() > MAX_TEXT {
        return Err(OpError::field("text", "policy_too_long", "use at most 48 KiB"));
    }
    Ok(())
}

/// The text of a version.
async fn text_of(kernel: &Kernel, version: &str) -> Result<String, OpError> {
    if version == kernel.policy.builtin.version() {
        return Ok(kernel.policy.loader.default_text().to_owned());
    }
    let found = kernel.first(Query::of([PolicySet::VERSION.of(version)])).await?;
    Ok(found.ok_or(OpError::NotFound("policy set of that version"))?.text.clone())
}

/// A page of policy sets.
///
/// # Errors
/// The caller may not read them.
pub async fn policy_sets(
    kernel: &Kernel,
    caller: &Caller,
    mut ask: ListAsk<PolicySet>,
) -> Result<Page<Revised<PolicySet>>, OpError> {
    authority::may_read(kernel, caller, "policy", "", false).await?;
    // Every set has a version; the row that says which one is in force has none of these terms.
    let mut items = Vec::new();
    if ask.filters.is_empty() {
        ask.filters.push(PolicySet::SORT.of(PolicySet::SET));
    }
    let (rows, end) = kernel.page(ask).await?;
    for row in rows {
        items.push(Revised {
            record: (*row.value).clone(),
            revision: row.revision,
            hold: None,
            log: None,
            names: Names::new(),
        });
    }
    Ok(end.page(items))
}

/// Opens the request about a template, new or changed.
///
/// # Errors
/// The address names another template, the template is wrong, or the caller may not ask for it.
pub async fn change_template(
    kernel: &Kernel,
    caller: &Caller,
    name: &str,
    ask: TemplateChange,
) -> Result<RequestView, OpError> {
    if ask.template.name != name {
        return Err(OpError::field("template.name", "name_mismatch", "give the name that is in the address"));
    }
    let matter = Matter::Template { template: Box::new(ask.template) };
    let purpose = ask.purpose;
    request::open_request(kernel, caller, NewRequest { matter, purpose }).await
}

#[cfg(test)]
mod tests {
    use tenure_core::base::id::{PersonId, RequestId};
    use tenure_core::people::person::Role;

    use super::*;
    use crate::access::departures;

    use crate::kernel::refresh;
    use crate::kernel::work::system;
    use crate::log::seal::tests::world;
    use crate::people::person;

    #[tokio::test]
    async fn a01_a_set_in_force_that_is_not_taken_any_more_leaves_the_kernel() {
        let world = world().await;
        let (engine, now) = (&world.engine, world.engine.now());
        let (security, other) = (world.person(Role::Security).await, world.person(Role::Auditor).await);
        let set = PolicySet {
            id: PolicySetId::from_u128(1),
            text: format!(
                r#"@id("long") permit (principal, action, resource) when {{ resource.name == "{}" }};"#,
                "x".repeat(2_000)
            ),
            version: "of-before".to_owned(),
            based_on: engine.policy.version(),
            author: PersonId::from_u128(1),
            purpose: String::new(),
            request: RequestId::from_u128(1),
            state: PolicySetState::InForce,
            created_at: now,
            in_force_at: Some(now),
        };
        let in_force = InForce { policy: set.id, version: set.version.clone() };
        let mut changeset = Changeset::new(system(), now, engine.event(now, EventKind::PolicyChanged));
        changeset.insert(&set).insert(&in_force);
        engine.settle(changeset).await.unwrap().unwrap();
        refresh::catch_up(engine).await.expect("the server starts");
        assert_eq!(engine.policy.version(), "of-before");
        // What enables is refused, what disables isn't.
        let team = tenure_api::people::NewTeam { name: "payers".to_owned() };
        let refused = person::create_team(engine, &world.admin, team.clone()).await.map(drop);
        assert!(matches!(refused, Err(OpError::Refused { .. })), "{refused:?}");
        let other = other.person_id().unwrap();
        departures::suspend_person(engine, &security, other, "while it lasts".to_owned()).await.unwrap();
        // The way back is open.
        let back = NewPolicySet {
            text: engine.policy.loader.default_text().to_owned(),
            purpose: "the new release takes less".to_owned(),
        };
        propose_policy(engine, &world.admin, back).await.unwrap();
        refresh::catch_up(engine).await.unwrap();
        person::create_team(engine, &world.admin, team).await.unwrap();
    }
}
