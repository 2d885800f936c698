//! What people hold: asked for by a request, approved by the manager on record, temporary, and reviewed early (R116,
//! R117).
//!
//! A person's grant and an identity's are records of different kinds, and neither is ever looked at for the other
//! (invariant 9).

pub mod plan;

pub mod grant_deadlines;
pub mod report;
pub mod verdict;

use tenure_core::base::id::{ExceptionId, PersonGrantId, PersonId};
use tenure_core::base::problem::Reason;
use tenure_core::base::state::InState;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::{Person, PersonClass, PersonState, Role};
use tenure_core::people::person_grant::{Package, PersonGrant, PersonGrantState};
use tenure_core::request::exception::{CompensatingControl, Exception, ExceptionSubject, ExceptionType, MAX_RENEWALS};
use tenure_core::request::{Asker, Matter, Request};
use tenure_core::store::changeset::{Changeset, DueChange, Once};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::Event;
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::Stored;

use crate::access::person_access::plan::{AccessPlan, plan};
use crate::identities::identity_facts;
use crate::inventory::entitlements::{self, MAX_PARTS, SHORTEST};
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::load::expect;
use crate::kernel::query::Query;
use crate::requests::content::Subject;
use crate::requests::facts::MatterFacts;

/// Grants that a person can hold at once.
const MAX_HELD: u16 = 200;
/// How far ahead access can be asked for.
const MAX_AHEAD: Span = Span::from_days(366);

/// What is asked for, taken out of the matter.
struct Wanted<'a> {
    person: PersonId,
    package: Option<&'a String>,
    entitlements: &'a [Entitlement],
    starts_at: Option<Timestamp>,
    duration: Span,
    fast: bool,
}

impl<'a> Wanted<'a> {
    fn of(matter: &'a Matter) -> Result<Self, OpError> {
        match matter {
            Matter::PersonAccess { person, package, entitlements, starts_at, duration, fast_onboarding } => Ok(Self {
                person: *person,
                package: package.as_ref(),
                entitlements,
                starts_at: *starts_at,
                duration: *duration,
                fast: *fast_onboarding,
            }),
            _ => Err(OpError::Internal("asked about another matter than a person's access".into())),
        }
    }

    /// When it begins, if not at once. A person's own start holds what is asked the usual way (R117); what is given
    /// before the usual steps doesn't wait for its request, but still works only once the person is at work (R110).
    fn start(&self, person: &Person) -> Option<Timestamp> {
        if self.fast { self.starts_at } else { self.starts_at.max(person.starts_at) }
    }
}

/// What a request gives: parts that begin some time after its start.
struct Content {
    package: Option<Stored<Package>>,
    parts: Vec<(Span, Entitlement)>,
    resources: Vec<Stored<Resource>>,
}

/// What is known about access that a person is to hold.
///
/// # Errors
/// The person has left, or what is asked for isn't there, is too much or too long.
pub(crate) async fn facts_of_person_access(
    kernel: &Kernel,
    matter: &Matter,
    now: Timestamp,
) -> Result<MatterFacts, OpError> {
    let wanted = Wanted::of(matter)?;
    let person = kernel.must::<Person>("person", wanted.person).await?;
    if person.state == PersonState::Departed {
        return Err(OpError::because(Reason::IllegalTransition, "who has left is given nothing"));
    }
    if wanted.duration < SHORTEST {
        return Err(OpError::field("matter.duration", "duration_too_short", "use at least 1m"));
    }
    let start = wanted.start(&person);
    if start.is_some_and(|start| start > now.plus(MAX_AHEAD)) {
        return Err(OpError::field("matter.starts_at", "start_too_late", "start within a year"));
    }
    if person.ends_at.is_some_and(|end| end <= start.unwrap_or(now)) {
        return Err(OpError::field("matter.starts_at", "start_after_end", "start before the person leaves"));
    }
    let content = content(kernel, &wanted).await?;
    if let Some(package) = &content.package
        && wanted.duration > package.max_duration
    {
        return Err(OpError::because(
            Reason::OverCeiling,
            format!("the package {} is given for at most {}", package.name, package.max_duration),
        ));
    }
    if held_by(kernel, person.id).await?.len() + content.parts.len() > usize::from(MAX_HELD) {
        return Err(OpError::because(Reason::BudgetSpent, format!("a person holds at most {MAX_HELD} grants at once")));
    }
    if wanted.fast {
        check_box(kernel, &person, wanted.duration).await?;
    }
    let package = content.package.as_ref().map(|package| (*package.value).clone());
    let mut facts =
        MatterFacts::about(matter, Subject::default().with("package", &package)?.with("class", &person.class)?);
    facts.manager = approving_manager(kernel, &person).await?;
    facts.interested = vec![person.id];
    facts.starts_at = start;
    facts.subjects = vec![person.id.to_string()];
    facts.subjects.extend(content.resources.iter().map(|resource| resource.id.to_string()));
    facts.expects = vec![expect(&person)];
    facts.expects.extend(content.package.as_ref().map(expect));
    facts.context.production = entitlements::any_in_production(kernel, &content.resources).await?;
    facts.context.contractor = person.class == PersonClass::Contractor;
    facts.context.fast_onboarding = wanted.fast;
    facts.context.duration = wanted.duration;
    let scope: Vec<_> = content.parts.iter().map(|(_, entitlement)| entitlement.clone()).collect();
    identity_facts::add_touched(kernel, &mut facts.context.touches, &scope).await?;
    identity_facts::add_teams(kernel, &mut facts.context.touches, &person.teams).await?;
    facts.environment = one_environment(&content.resources);
    Ok(facts)
}

/// The grants of an approved request, in the commit that fulfils it.
pub(crate) async fn fulfil_person_access(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &mut Request,
    now: Timestamp,
) -> Result<(), OpError> {
    let matter = request.matter.clone();
    let wanted = Wanted::of(&matter)?;
    let person = kernel.must::<Person>("person", wanted.person).await?;
    let content = content(kernel, &wanted).await?;
    let starts_at = wanted.start(&person).unwrap_or(now).max(now);
    let ends_at = starts_at.plus(wanted.duration).min(person.ends_at.unwrap_or(Timestamp::MAX));
    if ends_at <= starts_at {
        return Err(OpError::because(Reason::IllegalTransition, "the person leaves before it would begin"));
    }
    let exception = match wanted.fast {
        true => Some(boxed(kernel, changeset, request, &person, (starts_at, ends_at), now).await?),
        false => None,
    };
    for (after, entitlement) in content.parts {
        let begins = starts_at.plus(after);
        // A step that would begin behind the end is never reached.
        if begins >= ends_at {
            continue;
        }
        let grant = PersonGrant {
            id: PersonGrantId::generate(now, kernel.entropy.as_ref()),
            person: person.id,
            entitlement,
            package: wanted.package.cloned(),
            exception,
            starts_at: begins,
            ends_at,
            review_by: begins.plus(kernel.settings.early_review),
            reviewed: false,
            state: if begins <= now && person.is_active() {
                PersonGrantState::Live
            } else {
                PersonGrantState::Scheduled
            },
            request: request.id,
            approved_by: request.approvers(),
            policies: request.policies.clone(),
            policy_version: request.policy_version.clone(),
            purpose: request.purpose.clone(),
        };
        request.outcome.person_grants.push(grant.id);
        changeset.event(person_grant_opened(kernel, &grant, now)).insert(&grant);
        let at = match plan(&grant, Some(person.state), false, now) {
            AccessPlan::Later(at) => at,
            _ => now,
        };
        changeset.due.push(DueChange::Set(DueKind::PersonGrant, grant.id.to_string(), at));
    }
    Ok(())
}

/// Ends everything that a person who leaves holds. What is left of a longer list ends by its own deadline, which comes
/// at once; nothing of it works meanwhile, the person not being active.
pub(crate) async fn end_person_grants(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: PersonId,
    because: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    for (n, stored) in held_by(kernel, person).await?.into_iter().enumerate() {
        if n < 100 {
            changeset.event(grant_deadlines::revoked_event(kernel, &stored, because, now));
            grant_deadlines::take_back_grant(kernel, changeset, &stored, None, now).await?;
        } else {
            changeset.due.push(DueChange::Set(DueKind::PersonGrant, stored.id.to_string(), now));
        }
    }
    Ok(())
}

/// Ends what a person holds by an exception that is over (R110). It stopped working with it.
pub(crate) async fn end_boxed_grants(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: PersonId,
    exception: ExceptionId,
    because: &str,
    now: Timestamp,
) -> Result<(), OpError> {
    let held = held_by(kernel, person).await?;
    for stored in held.into_iter().filter(|grant| grant.exception == Some(exception)) {
        changeset.event(grant_deadlines::revoked_event(kernel, &stored, because, now));
        grant_deadlines::take_back_grant(kernel, changeset, &stored, None, now).await?;
    }
    Ok(())
}

/// Has what a person is to hold looked at again at once, the person having begun or come back to work.
pub(crate) async fn wake_person_grants(
    kernel: &Kernel,
    changeset: &mut Changeset,
    person: PersonId,
    now: Timestamp,
) -> Result<(), OpError> {
    for stored in
        grants_in(kernel, person, PersonGrantState::Scheduled).await?.iter().filter(|grant| grant.starts_at <= now)
    {
        changeset.due.push(DueChange::Set(DueKind::PersonGrant, stored.id.to_string(), now));
    }
    Ok(())
}

/// Every grant of a person that has not ended.
pub(crate) async fn held_by(kernel: &Kernel, person: PersonId) -> Result<Vec<Stored<PersonGrant>>, OpError> {
    let mut held = grants_in(kernel, person, PersonGrantState::Live).await?;
    held.extend(grants_in(kernel, person, PersonGrantState::Scheduled).await?);
    Ok(held)
}

async fn grants_in(
    kernel: &Kernel,
    person: PersonId,
    state: PersonGrantState,
) -> Result<Vec<Stored<PersonGrant>>, OpError> {
    let held = [PersonGrant::PERSON.of(person), PersonGrant::STATE.of(state)];
    Ok(kernel.find(Query::of(held).limit(MAX_HELD)).await?.readable())
}

/// A person's manager on record, if they may approve: no feed confers that (S-8).
pub(crate) async fn approving_manager(kernel: &Kernel, person: &Person) -> Result<Option<PersonId>, OpError> {
    let Some(id) = person.manager.filter(|manager| *manager != person.id) else {
        return Ok(None);
    };
    let manager = kernel.one::<Person>(id).await?;
    Ok(manager.filter(|manager| manager.holds(Role::Manager)).map(|manager| manager.id))
}

async fn content(kernel: &Kernel, wanted: &Wanted<'_>) -> Result<Content, OpError> {
    let package = match (wanted.package, wanted.entitlements.is_empty()) {
        (Some(name), true) => Some(kernel.must::<Package>("package", name).await?),
        (None, false) if wanted.entitlements.len() <= MAX_PARTS => None,
        _ => {
            return Err(OpError::field(
                "matter.package",
                "package_or_entitlements",
                "name a package, or list 1 to 32 entitlements; not both",
            ));
        }
    };
    let parts: Vec<(Span, Entitlement)> = match &package {
        Some(package) => package.parts().map(|(after, entitlement)| (after, entitlement.clone())).collect(),
        None => wanted.entitlements.iter().map(|entitlement| (Span::default(), entitlement.clone())).collect(),
    };
    let all: Vec<Entitlement> = parts.iter().map(|(_, entitlement)| entitlement.clone()).collect();
    let mut problems = Vec::new();
    let resources = entitlements::check_entitlements(kernel, "matter.entitlements", &all, &mut problems).await?;
    if problems.is_empty() { Ok(Content { package, parts, resources }) } else { Err(OpError::Invalid(problems)) }
}

/// That a contractor may have (another) box before the usual steps (R110). Returns those that they had.
async fn check_box(kernel: &Kernel, person: &Person, duration: Span) -> Result<Vec<Stored<Exception>>, OpError> {
    if person.class != PersonClass::Contractor {
        return Err(OpError::field(
            "matter.fast_onboarding",
            "contractors_only",
            "an employee's access is asked for the usual way",
        ));
    }
    let longest = ExceptionType::FastOnboarding.max_duration();
    if duration > longest {
        return Err(OpError::because(
            Reason::OverCeiling,
            format!("it is for at most {longest}: the rest is asked for the usual way"),
        ));
    }
    let theirs = [Exception::PERSON.of(person.id), Exception::TYPE.of(ExceptionType::FastOnboarding)];
    // One that can't be read counts, too.
    let earlier = kernel.find(Query::of(theirs).limit(100)).await?.whole()?;
    if earlier.len() > usize::from(MAX_RENEWALS) {
        return Err(OpError::because(
            Reason::RenewalsUsedUp,
            format!("a contractor gets it once and {MAX_RENEWALS} times more: ask for access the usual way"),
        ));
    }
    Ok(earlier)
}

/// The exception that stands for a box, so that it is seen, counted and can be withdrawn as any other.
async fn boxed(
    kernel: &Kernel,
    changeset: &mut Changeset,
    request: &Request,
    person: &Person,
    (starts_at, ends_at): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<ExceptionId, OpError> {
    let earlier = check_box(kernel, person, ends_at.since(starts_at)).await?;
    let sponsor = request.approvers().first().copied().ok_or_else(|| {
        OpError::because(Reason::ApprovalNeeded, "a contractor's early access is approved by somebody")
    })?;
    let exception = Exception {
        id: ExceptionId::generate(now, kernel.entropy.as_ref()),
        kind: ExceptionType::FastOnboarding,
        subject: ExceptionSubject::Person(person.id),
        reason: request.purpose.clone(),
        compensating: vec![CompensatingControl {
            control: "sponsor".into(),
            description: format!("{sponsor} approved it and answers for it"),
            checked_at: None,
        }],
        places: Vec::new(),
        proposed_by: match request.requested_by {
            Asker::Person(asker) => asker,
            Asker::Identity(_) => sponsor,
        },
        request: request.id,
        approved_by: Vec::new(),
        duration: ends_at.since(starts_at),
        starts_at: None,
        ends_at: None,
        renews: earlier.last().map(|exception| exception.id),
        renewals: u8::try_from(earlier.len()).unwrap_or(u8::MAX),
        state: InState::default(),
        breached_at: None,
        accepts: None,
        created_at: now,
    };
    let exception = exception.activate(request.approvers(), starts_at, ends_at, now)?;
    let event = kernel
        .event(now, EventKind::ExceptionActivated)
        .subject(exception.id)
        .subject(person.id)
        .fact("exception", &exception);
    changeset.event(event).insert(&exception);
    // Two approvals at once don't make the same renewal twice.
    changeset.once.push(Once {
        space: "fast_onboarding",
        key: format!("{}/{}", person.id, exception.renewals),
        until: None,
    });
    changeset.due.push(DueChange::Set(DueKind::Exception, exception.id.to_string(), ends_at));
    Ok(exception.id)
}

fn person_grant_opened(kernel: &Kernel, grant: &PersonGrant, now: Timestamp) -> Event {
    person_grant_event(kernel, grant, EventKind::PersonGrantOpened, now)
        .fact("entitlement", &grant.entitlement)
        .fact("package", &grant.package)
        .fact("exception", grant.exception)
        .fact("starts_at", grant.starts_at)
        .fact("ends_at", grant.ends_at)
        .fact("review_by", grant.review_by)
        .fact("state", grant.state)
        .fact("purpose", &grant.purpose)
        .fact("request", grant.request)
        .fact("approved_by", &grant.approved_by)
        .fact("policies", &grant.policies)
        .fact("policy_version", &grant.policy_version)
}

/// An event about a person's grant.
pub(crate) fn person_grant_event(kernel: &Kernel, grant: &PersonGrant, kind: EventKind, now: Timestamp) -> Event {
    kernel
        .event(now, kind)
        .subject(grant.id)
        .subject(grant.person)
        .subject(&grant.entitlement.resource)
        .fact("workflow", "human.person_access")
}

/// The environment of all these resources, if it is one.
fn one_environment(resources: &[Stored<Resource>]) -> String {
    match resources {
        [first, rest @ ..] if rest.iter().all(|resource| resource.environment == first.environment) => {
            first.environment.clone()
        }
        _ => String::new(),
    }
}
