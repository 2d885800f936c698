//! What a removal would take with it (R84): the same look serves the dry run, the effect, and whoever confirms.

use std::collections::{BTreeMap, BTreeSet};

use tenure_core::application::Application;
use tenure_core::credential::Credential;
use tenure_core::id::IdentityId;
use tenure_core::identity::{ENFORCE, Identity, IdentityState, MORE_REPOSITORIES, repository_term, workload_term};
use tenure_core::liveness::credential_is_live;
use tenure_core::removal::BlastRadius;
use tenure_core::row::{Record, RowKind, Stored};
use tenure_core::scope::Scope;
use tenure_core::signal::{SignalKind, SignalSubject, SubjectKind};
use tenure_core::third_party::{CloudAccount, Need, Standing, Vendor};
use tenure_core::time::Timestamp;

use crate::Engine;
use crate::error::OpError;
use crate::plan::removal::{self, Ending};

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

impl Engine {
    /// What a subject stands for here, bounded to these environments if any are named; none if nothing by that name or id is known.
    pub(crate) async fn ending(&self, subject: &SignalSubject, environments: &[String]) -> Result<Option<Ending>, OpError> {
        let found = self.named_ending(subject).await?;
        Ok(found.map(|found| Ending {
            environments: environments.to_vec(),
            ..found
        }))
    }

    async fn named_ending(&self, subject: &SignalSubject) -> Result<Option<Ending>, OpError> {
        let by_term = |term: String| Ending {
            subject: subject.clone(),
            scope: None,
            environments: Vec::new(),
            owner: None,
            identity: None,
            terms: vec![term],
            closed: false,
        };
        let id = subject.id.as_str();
        Ok(match subject.kind {
            SubjectKind::Workload => Some(by_term(workload_term(id))),
            SubjectKind::Repository => Some(Ending {
                terms: vec![repository_term(id), MORE_REPOSITORIES.to_owned()],
                ..by_term(String::new())
            }),
            SubjectKind::Person => None,
            SubjectKind::Identity => match id.parse::<IdentityId>() {
                Ok(id) => self.one::<Identity>(id).await?.map(|identity| Ending {
                    owner: identity.charter.owner,
                    identity: Some(id),
                    terms: Vec::new(),
                    closed: !removal::has_not_ended(identity.state),
                    ..by_term(String::new())
                }),
                Err(_) => None,
            },
            SubjectKind::Application => {
                let found = self.named::<Application>(id, &[format!("name={id}")], |found| found.name == id).await?;
                found.map(|found| Ending {
                    scope: Some(Scope::Application(found.id)),
                    owner: Some(found.owner),
                    closed: found.standing == Standing::Closed,
                    ..of(subject, found.name.clone(), format!("application={}", found.id))
                })
            }
            SubjectKind::Vendor => {
                let found = self.named::<Vendor>(id, &[format!("name={id}")], |found| found.name == id).await?;
                found.map(|found| Ending {
                    scope: Some(Scope::Vendor(found.id)),
                    owner: Some(found.owner),
                    closed: found.standing == Standing::Closed,
                    ..of(subject, found.name.clone(), format!("vendor={}", found.id))
                })
            }
            SubjectKind::CloudAccount => {
                let (provider, account) = id.split_once('/').unwrap_or(("", id));
                let terms = [format!("provider={provider}"), format!("account={account}")];
                let same = |found: &CloudAccount| found.provider == provider && found.account == account;
                let found = self.named::<CloudAccount>(id, &terms, same).await?;
                found.map(|found| Ending {
                    scope: Some(Scope::CloudAccount(found.id)),
                    owner: Some(found.owner),
                    closed: found.standing == Standing::Closed,
                    ..of(subject, format!("{}/{}", found.provider, found.account), format!("cloud_account={}", found.id))
                })
            }
            SubjectKind::Need => {
                let found = self.named::<Need>(id, &[format!("name={id}")], |found| found.name == id).await?;
                found.map(|found| Ending {
                    owner: Some(found.owner),
                    closed: found.standing == Standing::Closed,
                    ..of(subject, found.name.clone(), format!("need={}", found.id))
                })
            }
        })
    }

    /// A record by its id, or by the name that only it has.
    async fn named<T: Record>(&self, id: &str, terms: &[String], same: impl Fn(&T) -> bool) -> Result<Option<Stored<T>>, OpError> {
        if let Some(found) = self.one::<T>(id).await? {
            return Ok(Some(found));
        }
        let (rows, _) = self.rows::<T>(terms, None).await?;
        Ok(rows.into_iter().find(|row| same(row)))
    }

    /// The next identities that are concerned, in the order of their ids, and after which to look on if there may be more.
    pub(crate) async fn concerned_by(&self, ending: &Ending, after: Option<&str>, n: u16) -> Result<(Vec<Stored<Identity>>, Option<String>), OpError> {
        if let Some(id) = ending.identity {
            let found = if after.is_none() { self.one::<Identity>(id).await? } else { None };
            return Ok((found.into_iter().filter(|found| ending.meant(found)).collect(), None));
        }
        let mut found = BTreeMap::new();
        let (mut more, mut behind) = (false, None);
        for term in &ending.terms {
            let (rows, next) = self
                .listed::<Identity>(RowKind::Identity, vec![term.clone()], after.map(str::to_owned), n)
                .await?;
            more |= next.is_some();
            // Of a page on which nothing can be read, too, the next one is read.
            behind = [behind, next].into_iter().flatten().min();
            found.extend(rows.into_iter().map(|row| (row.id.to_string(), row)));
        }
        more |= found.len() > usize::from(n);
        let page: Vec<_> = found.into_iter().take(usize::from(n)).collect();
        let next = if more { page.last().map(|(id, _)| id.clone()).or(behind) } else { None };
        let concerned = page.into_iter().map(|(_, row)| row).filter(|row| ending.concerns(row));
        Ok((concerned.collect(), next))
    }

    /// What the end of this would do to whom, as things stand.
    pub(crate) async fn plan_removal(&self, kind: SignalKind, ending: &Ending, now: Timestamp) -> Result<Planned, OpError> {
        let mut states: BTreeMap<String, IdentityState> = BTreeMap::new();
        let mut blast = BlastRadius::default();
        let mut owners: BTreeSet<_> = ending.owner.into_iter().collect();
        let (mut enforced, mut consumers, mut delegates) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut held, mut after) = (0_u32, None);
        loop {
            let (rows, next) = self.concerned_by(ending, after.as_deref(), PAGE).await?;
            for identity in rows.iter().filter(|identity| removal::has_not_ended(identity.state)) {
                states.insert(identity.id.to_string(), identity.state);
                held += u32::from(removal::can_be_held(identity.state));
                let charter = &identity.charter;
                add(&mut owners, charter.owner);
                let points = charter.scope.iter().filter(|e| e.actions.iter().any(|action| action == ENFORCE));
                add(&mut enforced, points.map(|e| e.resource.clone()));
                add(&mut consumers, charter.shared.iter().flat_map(|shared| shared.consumers.iter().cloned()));
                add(&mut delegates, charter.delegates.iter().map(|delegate| delegate.actor));
                if blast.identities.len() < NAMED {
                    blast.identities.push(identity.id);
                    self.count_credentials(identity.id, &mut blast.live_credentials, &mut delegates, now).await?;
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        for resource in enforced {
            if !self.enforced_by_others(&resource, &states).await? {
                blast.enforced_resources.push(resource);
            }
        }
        blast.count = u32::try_from(states.len()).unwrap_or(u32::MAX);
        blast.owners = owners.into_iter().collect();
        blast.consumers = consumers.into_iter().collect();
        blast.delegates = delegates.into_iter().filter(|id| !states.contains_key(&id.to_string())).collect();
        Ok(Planned {
            digest: removal::digest(kind, &ending.subject, &states),
            blast,
            held,
        })
    }

    /// Counts an identity's live credentials, and notes who acts by them along with it.
    async fn count_credentials(&self, id: IdentityId, count: &mut u32, delegates: &mut BTreeSet<IdentityId>, now: Timestamp) -> Result<(), OpError> {
        if *count >= CREDENTIALS {
            return Ok(());
        }
        let Some(known) = self.know(id).await? else { return Ok(()) };
        let is_live = |credential: &Stored<Credential>| credential_is_live(credential, &known.identity, known.scopes(), now).is_ok();
        let terms = vec![format!("identity={id}")];
        let mut after = None;
        loop {
            let (rows, next) = self.listed::<Credential>(RowKind::Credential, terms.clone(), after, PAGE).await?;
            for credential in rows.iter().filter(|credential| is_live(credential)) {
                *count = count.saturating_add(1).min(CREDENTIALS);
                add(delegates, credential.delegation.iter().flat_map(|delegation| delegation.chain.iter().copied()));
            }
            after = next;
            if after.is_none() || *count >= CREDENTIALS {
                return Ok(());
            }
        }
    }

    /// Whether an active identity that isn't concerned enforces a resource, too.
    async fn enforced_by_others(&self, resource: &str, concerned: &BTreeMap<String, IdentityState>) -> Result<bool, OpError> {
        let terms = vec![format!("enforces={resource}"), format!("state={}", IdentityState::Active.as_str())];
        let mut after = None;
        loop {
            let (rows, next) = self.listed::<Identity>(RowKind::Identity, terms.clone(), after, PAGE).await?;
            if rows.iter().any(|row| !concerned.contains_key(&row.id.to_string())) {
                return Ok(true);
            }
            after = next;
            if after.is_none() {
                return Ok(false);
            }
        }
    }
}

fn of(subject: &SignalSubject, name: String, term: String) -> Ending {
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

fn add<T: Ord>(set: &mut BTreeSet<T>, more: impl IntoIterator<Item = T>) {
    for item in more {
        if set.len() < OTHERS {
            set.insert(item);
        }
    }
}
