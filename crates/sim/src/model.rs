//! The reference model: what was acknowledged to callers, and what follows from it. It knows nothing of how the engine
//! decides.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use tenure_core::base::id::{CredentialId, GrantId, IdentityId, PersonId};
use tenure_core::base::time::Timestamp;
use tenure_core::identity::Identity;
use tenure_core::identity::grant::{Grant, GrantState};
use tenure_core::identity::scope::Scope;
use tenure_core::store::row::{Record, Row, RowKey, RowKind};
use tenure_store::Dump;

use crate::intent::Asked;

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant} is broken in step {step} of seed {seed}: {what}")]
pub struct Violation {
    /// Which: `inv1` to `inv10` after the design's invariants, or a name of its own.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// The run.
    pub seed: u64,
    /// When.
    pub step: u64,
}

/// A broken rule, before it is known when.
pub type Broken = (&'static str, String);

/// A credential that was handed out.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub identity: IdentityId,
    /// Where its issuance stands in the log.
    pub index: u64,
    /// The token.
    pub token: String,
    /// The environment that issued it.
    pub environment: String,
    /// What it is for.
    pub resource: String,
    /// The same by its id.
    pub resource_id: String,
    /// Its end.
    pub expires_at: Timestamp,
    /// What it derives from: places in the list of what was handed out.
    pub parents: Vec<usize>,
    /// The link of the chain that it was handed on to.
    pub to: Option<usize>,
}

/// Something that was taken away, and may be given back.
#[derive(Debug, Clone, Copy)]
struct Withheld {
    asked: u64,
    acknowledged: u64,
}

/// What was acknowledged, by the step in which it was.
#[derive(Debug, Default)]
pub struct Model {
    /// Credentials handed out, in order.
    pub issued: Vec<Issued>,
    /// Proofs that got a token.
    pub spent: BTreeSet<String>,
    /// Secrets that callers were given.
    pub secrets: Vec<String>,
    revoked: BTreeMap<CredentialId, u64>,
    revoked_grants: BTreeMap<GrantId, u64>,
    cuts: Vec<(Scope, u64, u64)>,
    /// Who was in a scope when it was cut, by the place of the cut in the log.
    cut_off: BTreeMap<(Scope, u64), BTreeSet<IdentityId>>,
    withheld: BTreeMap<Scope, Vec<Withheld>>,
    suspended: BTreeMap<IdentityId, Vec<Withheld>>,
    loosened: BTreeMap<String, u64>,
    ended: BTreeMap<IdentityId, u64>,
    departed: BTreeMap<PersonId, u64>,
}

impl Model {
    /// A credential's revocation was acknowledged.
    pub fn revoke(&mut self, id: CredentialId, step: u64) {
        self.revoked.entry(id).or_insert(step);
    }

    /// The end of a grant was acknowledged.
    pub fn revoke_grant(&mut self, id: GrantId, step: u64) {
        self.revoked_grants.entry(id).or_insert(step);
    }

    /// A cut was acknowledged, with its place in the log.
    pub fn cut(&mut self, scope: Scope, index: u64, step: u64) {
        self.cuts.push((scope, index, step));
    }

    /// A cut was written at this place of the log, when these were in its scope.
    pub fn cut_off(&mut self, scope: Scope, index: u64, members: BTreeSet<IdentityId>) {
        self.cut_off.insert((scope, index), members);
    }

    /// A hold was acknowledged that was asked for in an earlier step.
    pub fn hold(&mut self, scope: Scope, asked: u64, step: u64) {
        self.withheld.entry(scope).or_default().push(Withheld { asked, acknowledged: step });
    }

    /// A suspension was acknowledged.
    pub fn suspend(&mut self, id: IdentityId, asked: u64, step: u64) {
        self.suspended.entry(id).or_default().push(Withheld { asked, acknowledged: step });
    }

    /// Something may have been given back up to this step: a resumption or release that was acknowledged, or whose end
    /// nobody knows.
    pub fn loosen(&mut self, what: String, step: u64) {
        self.loosened.insert(what, step);
    }

    /// An end was acknowledged: retirement or closing.
    pub fn end(&mut self, id: IdentityId, step: u64) {
        self.ended.entry(id).or_insert(step);
    }

    /// A person left.
    pub fn depart(&mut self, id: PersonId, step: u64) {
        self.departed.entry(id).or_insert(step);
    }

    /// Whether a person has left.
    pub fn has_departed(&self, id: PersonId) -> bool {
        self.departed.contains_key(&id)
    }

    /// Why an identity has to be refused by what was asked then; `loosening` names what is just being given back.
    pub fn refuses(&self, dump: &Dump, id: IdentityId, asked: Asked, loosening: &BTreeSet<String>) -> Option<Broken> {
        let since = asked.step;
        let stands = |key: &str, withheld: &Withheld| {
            withheld.acknowledged < since
                && !loosening.contains(key)
                && self.loosened.get(key).is_none_or(|at| *at < withheld.asked)
        };
        if self.ended.get(&id).is_some_and(|at| *at < since) {
            return Some(("inv5", format!("{id} was ended")));
        }
        let key = id.to_string();
        if self.suspended.get(&id).is_some_and(|all| all.iter().any(|one| stands(&key, one))) {
            return Some(("inv4", format!("{id} was suspended")));
        }
        let identity = identity(dump, id)?;
        let held = scopes(&identity).into_iter().find(|scope| {
            self.withheld.get(scope).is_some_and(|all| all.iter().any(|one| stands(&scope.to_string(), one)))
        });
        if let Some(scope) = held {
            return Some(("inv4", format!("{scope} was held")));
        }
        let in_transfer = identity.transfer.as_ref().is_some_and(|window| asked.at < window.deadline);
        if in_transfer || changed_since(dump, &RowKey::new(RowKind::Identity, id), asked) {
            return None;
        }
        let gone = identity.charter.owner.filter(|owner| self.departed.get(owner).is_some_and(|at| *at < since));
        gone.map(|owner| ("inv7", format!("{owner}, the owner of {id}, has left, and nobody took it in time")))
    }

    /// Why a credential has to be refused, by what was asked then, for actions that were accepted.
    pub fn refuses_credential(
        &self,
        dump: &Dump,
        credential: &Issued,
        actions: &[String],
        asked: Asked,
        loosening: &BTreeSet<String>,
    ) -> Option<Broken> {
        let since = asked.step;
        let id = credential.id;
        if self.revoked.get(&id).is_some_and(|at| *at < since) {
            return Some(("inv4", format!("{id} was revoked")));
        }
        if let Some(broken) = self.refuses_parents(dump, credential, asked, loosening) {
            return Some(broken);
        }
        if let Some(action) = actions.iter().find(|action| !self.rests(dump, credential, action, asked)) {
            return Some(("left", format!("{action} rests on no live grant that was there when {id} was issued")));
        }
        // Whoever was in the scope then: what left it since is cut off all the same.
        let in_it = |scope: &Scope, index: u64| {
            let members = self.cut_off.get(&(scope.clone(), index));
            members.is_some_and(|members| members.contains(&credential.identity))
        };
        let cut = self
            .cuts
            .iter()
            .find(|(scope, index, at)| *at < since && *index > credential.index && in_it(scope, *index));
        if let Some((scope, ..)) = cut {
            return Some(("inv4", format!("{scope} was cut after {id} was issued")));
        }
        self.refuses(dump, credential.identity, asked, loosening)
    }

    /// Whether one of those that a credential derives from is dead: then it is too (S-14).
    pub fn refuses_parents(
        &self,
        dump: &Dump,
        credential: &Issued,
        asked: Asked,
        loosening: &BTreeSet<String>,
    ) -> Option<Broken> {
        credential.parents.iter().filter_map(|n| self.issued.get(*n)).find_map(|parent| {
            let over = asked.at >= parent.expires_at;
            let why = match self.refuses_credential(dump, parent, &[], asked, loosening) {
                Some((_, why)) => why,
                None if over => format!("{} is over", parent.id),
                None => return None,
            };
            Some(("s14", format!("{} derives from {}: {why}", credential.id, parent.id)))
        })
    }

    /// Whether a grant that was there when the credential was issued gives the action; one that changed since it was
    /// asked may have.
    fn rests(&self, dump: &Dump, credential: &Issued, action: &String, asked: Asked) -> bool {
        dump.rows.iter().filter(|(key, _)| key.kind == RowKind::Grant).any(|(key, row)| {
            let Some(grant) = record::<Grant>(dump, key).filter(|grant| grant.identity == credential.identity) else {
                return false;
            };
            let there = row.created.index <= credential.index && grant.entitlement.resource == credential.resource_id;
            let ended = self.revoked_grants.get(&grant.id).is_some_and(|at| *at < asked.step);
            let gives = grant.state == GrantState::Live
                && asked.at < grant.ends_at
                && grant.entitlement.actions.contains(action);
            there && !ended && (gives || row.position.index >= asked.head)
        })
    }
}

/// The identity as its row says.
pub fn identity(dump: &Dump, id: IdentityId) -> Option<Identity> {
    record(dump, &RowKey::new(RowKind::Identity, id))
}

/// The grant as its row says.
pub fn grant(dump: &Dump, id: GrantId) -> Option<Grant> {
    record(dump, &RowKey::new(RowKind::Grant, id))
}

/// What was read of a row, which is kept with it: no other row has its address as long as it is.
type Known = (Arc<Row>, Rc<dyn Any>);

/// Rows that are kept as they were read.
const KEPT: usize = 4_096;

thread_local! {
    /// The same rows are asked about in every step, and reading them would be most of a run.
    static READ: RefCell<HashMap<(TypeId, *const Row), Known>> = RefCell::default();
}

/// A record as its row says, read without the engine's help.
pub fn record<T: Record + Clone>(dump: &Dump, key: &RowKey) -> Option<T> {
    let row = dump.rows.get(key)?;
    let place = (TypeId::of::<T>(), Arc::as_ptr(row));
    READ.with_borrow_mut(|read| {
        if let Some(known) = read.get(&place).and_then(|(_, known)| known.downcast_ref::<T>()) {
            return Some(known.clone());
        }
        let record: T = serde_json::from_slice(&row.body).ok()?;
        if read.len() >= KEPT {
            read.clear();
        }
        read.insert(place, (Arc::clone(row), Rc::new(record.clone())));
        Some(record)
    })
}

/// Whether a row was written after something was asked.
pub fn changed_since(dump: &Dump, key: &RowKey, asked: Asked) -> bool {
    dump.rows.get(key).is_some_and(|row| row.position.index >= asked.head)
}

/// The scopes that a charter puts an identity in.
fn scopes(identity: &Identity) -> Vec<Scope> {
    let charter = &identity.charter;
    let mut scopes = vec![Scope::Identity(identity.id)];
    scopes.extend(charter.owner.map(Scope::Owner));
    scopes.extend(charter.application.map(Scope::Application));
    scopes.extend(charter.environment.clone().map(Scope::Environment));
    scopes
}
