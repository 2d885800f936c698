//! What a removal would take with it (R84): the same look serves the dry run, the effect, and whoever confirms.

use std::collections::{BTreeMap, BTreeSet};

use tenure_core::base::id::IdentityId;
use tenure_core::base::time::Timestamp;
use tenure_core::credential::Credential;
use tenure_core::credential::liveness::credential_is_live;
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::third_party::{CloudAccount, Need, Standing, Vendor};
use tenure_core::signal::removal::BlastRadius;
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind};
use tenure_core::store::row::{Record, Stored};
use tenure_core::store::term::Term;

use crate::endings::removals::plan::{self, Ending};
use crate::identities::deferral;
use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::{Found, Query};

/// Rows read at once.
const PAGE: u16 = 500;
/// Identities that are named, and whose credentials are counted.
const NAMED: usize = 1_000;
/// Credentials that are counted.
const CREDENTIALS: u32 = 10_000;
/// Owners, resources, consumers and delegates that are named.
const OTHERS: usize = 200;

/// What would be done to whom.
pub(crate) struct Planned {
    pub blast: BlastRadius,
    pub digest: String,
    /// How many would be cut and held: what counts against a source's cap.
    pub held: u32,
}

/// What a subject stands for here, bounded to these environments if any are named; none if nothing by that name or id
/// is known.
pub(crate) async fn ending(
    kernel: &Kernel,
    subject: &SignalSubject,
    environments: &[String],
) -> Result<Option<Ending>, OpError> {
    let found = named_ending(kernel, subject).await?;
    Ok(found.map(|found| Ending { environments: environments.to_vec(), ..found }))
}

async fn named_ending(kernel: &Kernel, subject: &SignalSubject) -> Result<Option<Ending>, OpError> {
    let by_terms = |terms: Vec<Term<Identity>>| Ending {
        subject: subject.clone(),
        scope: None,
        environments: Vec::new(),
        owner: None,
        identity: None,
        terms,
        closed: false,
    };
    let id = subject.id.as_str();
    Ok(match subject.kind {
        SubjectKind::Workload => Some(by_terms(vec![Identity::WORKLOAD.of(id)])),
        SubjectKind::Repository => Some(by_terms(vec![Identity::by_repository(id)])),
        SubjectKind::Person => None,
        SubjectKind::Identity => match id.parse::<IdentityId>() {
            Ok(id) => kernel.one::<Identity>(id).await?.map(|identity| Ending {
                owner: identity.charter.owner,
                identity: Some(id),
                closed: !plan::has_not_ended(identity.state),
                ..by_terms(Vec::new())
            }),
            Err(_) => None,
        },
        SubjectKind::Application => {
            let found = named(kernel, id, [Application::NAME.of(id)], |found| found.name == id).await?;
            found.map(|found| Ending {
                scope: Some(Scope::Application(found.id)),
                owner: Some(found.owner),
                closed: found.standing == Standing::Closed,
                ..of(subject, found.name.clone(), Identity::APPLICATION.of(found.id))
            })
        }
        SubjectKind::Vendor => {
            let found = named(kernel, id, [Vendor::NAME.of(id)], |found| found.name == id).await?;
            found.map(|found| Ending {
                scope: Some(Scope::Vendor(found.id)),
                owner: Some(found.owner),
                closed: found.standing == Standing::Closed,
                ..of(subject, found.name.clone(), Identity::VENDOR.of(found.id))
            })
        }
        SubjectKind::CloudAccount => {
            let (provider, account) = id.split_once('/').unwrap_or(("", id));
            let terms = [CloudAccount::PROVIDER.of(provider), CloudAccount::ACCOUNT.of(account)];
            let same = |found: &CloudAccount| found.provider == provider && found.account == account;
            let found = named(kernel, id, terms, same).await?;
            found.map(|found| Ending {
                scope: Some(Scope::CloudAccount(found.id)),
                owner: Some(found.owner),
                closed: found.standing == Standing::Closed,
                ..of(subject, format!("{}/{}", found.provider, found.account), Identity::CLOUD_ACCOUNT.of(found.id))
            })
        }
        SubjectKind::Need => {
            let found = named(kernel, id, [Need::NAME.of(id)], |found| found.name == id).await?;
            found.map(|found| Ending {
                owner: Some(found.owner),
                closed: found.standing == Standing::Closed,
                ..of(subject, found.name.clone(), Identity::NEED.of(found.id))
            })
        }
    })
}

/// A record by its id, or by the name that only it has.
async fn named<T: Record, const N: usize>(
    kernel: &Kernel,
    id: &str,
    terms: [Term<T>; N],
    same: impl Fn(&T) -> bool,
) -> Result<Option<Stored<T>>, OpError> {
    if let Some(found) = kernel.one::<T>(id).await? {
        return Ok(Some(found));
    }
    let rows = kernel.find(Query::of(terms)).await?.readable();
    Ok(rows.into_iter().find(|row| same(row)))
}

/// The next identities that are concerned, in the order of their ids.
pub(crate) async fn concerned_by(
    kernel: &Kernel,
    ending: &Ending,
    after: Option<&str>,
    n: u16,
) -> Result<Found<Identity>, OpError> {
    if let Some(id) = ending.identity {
        let found = if after.is_none() { kernel.one::<Identity>(id).await? } else { None };
        return Ok(Found::one(found).wanted(|found| ending.meant(found)));
    }
    let lives_by_it = Query::every().any(ending.terms.iter().cloned());
    let found = kernel.find(lives_by_it.after(after.map(str::to_owned)).limit(n)).await?;
    Ok(found.wanted(|row| ending.concerns(row)))
}

/// What the end of this would do to whom, as things stand; of a compromise nothing waits.
pub(crate) async fn plan_removal(
    kernel: &Kernel,
    kind: SignalKind,
    ending: &Ending,
    compromise: bool,
    now: Timestamp,
) -> Result<Planned, OpError> {
    let may_wait = plan::ends_for_good(kind) && !compromise;
    let mut states: BTreeMap<String, IdentityState> = BTreeMap::new();
    let mut blast = BlastRadius::default();
    let mut owners: BTreeSet<_> = ending.owner.into_iter().collect();
    let (mut enforced, mut consumers, mut delegates) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut deferred = BTreeSet::new();
    let (mut held, mut after) = (0_u32, None);
    loop {
        let found = concerned_by(kernel, ending, after.as_deref(), PAGE).await?;
        let next = found.next();
        for identity in found.readable().iter().filter(|identity| plan::has_not_ended(identity.state)) {
            states.insert(identity.id.to_string(), identity.state);
            let can_be_held = plan::can_be_held(identity.state);
            let waits = may_wait && can_be_held && deferral::in_force(kernel, identity, now).await?.is_some();
            held += u32::from(can_be_held && !waits);
            let charter = &identity.charter;
            let mut whole = add(&mut owners, charter.owner);
            let points = charter.scope.iter().filter(|e| e.enforces());
            whole &= add(&mut enforced, points.map(|e| e.resource.clone()));
            whole &= add(&mut consumers, charter.shared.iter().flat_map(|shared| shared.consumers.iter().cloned()));
            whole &= add(&mut delegates, charter.delegates.iter().map(|delegate| delegate.actor));
            whole &= add(&mut deferred, waits.then_some(identity.id));
            blast.more |= !whole;
            if blast.identities.len() < NAMED {
                blast.identities.push(identity.id);
                count_credentials(kernel, identity.id, &mut blast, &mut delegates, now).await?;
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    for resource in enforced {
        if !enforced_by_others(kernel, &resource, &states).await? {
            blast.enforced_resources.push(resource);
        }
    }
    blast.count = u32::try_from(states.len()).unwrap_or(u32::MAX);
    blast.owners = owners.into_iter().collect();
    blast.consumers = consumers.into_iter().collect();
    blast.delegates = delegates.into_iter().filter(|id| !states.contains_key(&id.to_string())).collect();
    blast.deferred = deferred.into_iter().collect();
    Ok(Planned { digest: plan::digest(kind, &ending.subject, &states, &blast.deferred), blast, held })
}

/// Counts an identity's live credentials, and notes who acts by them along with it.
async fn count_credentials(
    kernel: &Kernel,
    id: IdentityId,
    blast: &mut BlastRadius,
    delegates: &mut BTreeSet<IdentityId>,
    now: Timestamp,
) -> Result<(), OpError> {
    if blast.live_credentials >= CREDENTIALS {
        blast.more = true;
        return Ok(());
    }
    let Some(known) = kernel.know(id).await? else {
        return Ok(());
    };
    let is_live =
        |credential: &Stored<Credential>| credential_is_live(credential, &known.identity, known.scopes(), now).is_ok();
    let mut pages = kernel.pages(Query::of([Credential::IDENTITY.of(id)]).limit(PAGE));
    while blast.live_credentials < CREDENTIALS
        && let Some(found) = pages.next().await?
    {
        for credential in found.readable().iter().filter(|credential| is_live(credential)) {
            blast.live_credentials = blast.live_credentials.saturating_add(1).min(CREDENTIALS);
            blast.more |=
                !add(delegates, credential.delegation.iter().flat_map(|delegation| delegation.chain.iter().copied()));
        }
    }
    blast.more |= pages.more();
    Ok(())
}

/// Whether an active identity that isn't concerned enforces a resource, too.
async fn enforced_by_others(
    kernel: &Kernel,
    resource: &str,
    concerned: &BTreeMap<String, IdentityState>,
) -> Result<bool, OpError> {
    let enforcers = Query::of([Identity::ENFORCES.of(resource), Identity::STATE.of(IdentityState::Active)]);
    let mut pages = kernel.pages(enforcers.limit(PAGE));
    while let Some(found) = pages.next().await? {
        if found.readable().iter().any(|row| !concerned.contains_key(&row.id.to_string())) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn of(subject: &SignalSubject, name: String, term: Term<Identity>) -> Ending {
    Ending {
        environments: Vec::new(),
        subject: SignalSubject { kind: subject.kind, id: name },
        scope: None,
        owner: None,
        identity: None,
        terms: vec![term],
        closed: false,
    }
}

/// Names more, as far as there is room; whether there was.
fn add<T: Ord>(set: &mut BTreeSet<T>, more: impl IntoIterator<Item = T>) -> bool {
    let mut whole = true;
    for item in more {
        if set.len() < OTHERS || set.contains(&item) {
            set.insert(item);
        } else {
            whole = false;
        }
    }
    whole
}
