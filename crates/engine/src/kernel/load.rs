//! Loading what decisions rest on.

use std::fmt::Display;

use tenure_core::base::id::{IdentityId, ResourceId};
use tenure_core::base::time::Timestamp;
use tenure_core::credential::gate::IdentityFacts;
use tenure_core::credential::liveness::Scopes;
use tenure_core::identity::binding::Binding;
use tenure_core::identity::grant::Grant;
use tenure_core::identity::scope::{Cut, Hold};
use tenure_core::identity::{Charter, Identity};
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::{Person, PersonState};
use tenure_core::store::changeset::{Changeset, Expect};
use tenure_core::store::epoch::{Contradiction, Epoch, Trust};
use tenure_core::store::row::{Record, RowKey, RowKind, Stored};

use crate::kernel::Kernel;
use crate::kernel::error::OpError;

/// An identity with everything that its decisions rest on, read in one snapshot.
pub(crate) struct KnownIdentity {
    pub identity: Stored<Identity>,
    pub owner: Option<Stored<Person>>,
    pub cuts: Vec<Option<Stored<Cut>>>,
    pub holds: Vec<Option<Stored<Hold>>>,
    pub grants: Vec<Option<Stored<Grant>>>,
    pub bindings: Vec<Option<Stored<Binding>>>,
    pub resources: Vec<Option<Stored<Resource>>>,
    pub epoch: Option<Stored<Epoch>>,
    pub contradiction: Option<Stored<Contradiction>>,
}

impl KnownIdentity {
    pub(crate) fn scopes(&self) -> Scopes<'_> {
        Scopes { cuts: &self.cuts, holds: &self.holds, trust: self.trust() }
    }

    /// How far the database vouches for any of it.
    pub(crate) fn trust(&self) -> Trust {
        Trust::of(self.epoch.as_ref(), self.contradiction.as_ref())
    }

    pub(crate) fn facts(&self, now: Timestamp) -> IdentityFacts<'_> {
        IdentityFacts {
            identity: &self.identity,
            owner: self.owner.as_ref(),
            scopes: self.scopes(),
            grants: &self.grants,
            now,
        }
    }

    /// A resource of the charter's scope.
    pub(crate) fn resource(&self, id: ResourceId) -> Option<&Stored<Resource>> {
        self.resources.iter().flatten().find(|resource| resource.id == id)
    }

    /// Demands that nothing that the gate looked at changes before the commit: not the identity, its owner, its scopes.
    pub(crate) fn expect(&self, changeset: &mut Changeset) {
        changeset.expect(&self.identity);
        expect_optional(changeset, Epoch::row_key(), self.epoch.as_ref());
        expect_optional(changeset, Contradiction::row_key(), self.contradiction.as_ref());
        if let Some(owner) = &self.owner {
            changeset.expect(owner);
        }
        for (membership, cut) in self.identity.memberships.iter().zip(&self.cuts) {
            expect_optional(changeset, membership.scope.cut_key(), cut.as_ref());
        }
        for (membership, hold) in self.identity.memberships.iter().zip(&self.holds) {
            expect_optional(changeset, membership.scope.hold_key(), hold.as_ref());
        }
    }
}

/// Demands that a row is as it was read, be it absent.
pub(crate) fn expect_optional<T: Record>(changeset: &mut Changeset, key: RowKey, read: Option<&Stored<T>>) {
    changeset.expects.push(match read {
        Some(stored) => Expect::Revision(key, stored.revision),
        None => Expect::Absent(key),
    });
}

impl Kernel {
    /// One record by id.
    pub(crate) async fn one<T: Record>(&self, id: impl Display) -> Result<Option<Stored<T>>, OpError> {
        Ok(self.store.load(&[RowKey::new(T::KIND, id)]).await?.get::<T>(0)?)
    }

    /// One record by id, or the error that it isn't there.
    pub(crate) async fn must<T: Record>(&self, what: &'static str, id: impl Display) -> Result<Stored<T>, OpError> {
        self.one::<T>(id).await?.ok_or(OpError::NotFound(what))
    }

    /// At which revision each of these rows is, none where there is no row, and how long the log was when that was read.
    ///
    /// # Errors
    /// The store can't answer, or one of the rows was altered outside Tenure.
    pub async fn revisions(&self, rows: &[RowKey]) -> Result<(Vec<Option<u64>>, u64), OpError> {
        let read = self.store.load(rows).await?;
        Ok((read.rows.iter().map(|row| row.as_ref().map(|row| row.revision)).collect(), read.head))
    }

    /// The identity with all that its decisions rest on.
    pub(crate) async fn know(&self, id: IdentityId) -> Result<Option<KnownIdentity>, OpError> {
        match self.one::<Identity>(id).await? {
            Some(identity) => Ok(Some(self.know_rest(identity).await?)),
            None => Ok(None),
        }
    }

    /// What an identity's decisions rest on besides its own row.
    pub(crate) async fn know_rest(&self, identity: Stored<Identity>) -> Result<KnownIdentity, OpError> {
        self.look().await?;
        let resources = scope_resources(&identity.charter.scope);
        let scopes = identity.memberships.len();
        let mut keys =
            Vec::with_capacity(3 + 2 * scopes + identity.grants.len() + identity.bindings.len() + resources.len());
        // An identity without owner still has a place for one: a key that no row has.
        keys.push(RowKey::new(
            RowKind::Person,
            identity.charter.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        ));
        keys.extend([Epoch::row_key(), Contradiction::row_key()]);
        keys.extend(identity.memberships.iter().map(|m| m.scope.cut_key()));
        keys.extend(identity.memberships.iter().map(|m| m.scope.hold_key()));
        keys.extend(identity.grants.iter().map(|id| RowKey::new(RowKind::Grant, id)));
        keys.extend(identity.bindings.iter().map(|id| RowKey::new(RowKind::Binding, id)));
        keys.extend(resources.iter().map(|id| RowKey::new(RowKind::Resource, id)));
        let snapshot = self.store.load(&keys).await?;
        let mut place = 3..;
        let mut next = || place.next().unwrap_or(usize::MAX);
        Ok(KnownIdentity {
            owner: snapshot.get(0)?,
            epoch: snapshot.get(1)?,
            contradiction: snapshot.get(2)?,
            cuts: (0..scopes).map(|_| snapshot.get(next())).collect::<Result<_, _>>()?,
            holds: (0..scopes).map(|_| snapshot.get(next())).collect::<Result<_, _>>()?,
            grants: identity.grants.iter().map(|_| snapshot.get(next())).collect::<Result<_, _>>()?,
            bindings: identity.bindings.iter().map(|_| snapshot.get(next())).collect::<Result<_, _>>()?,
            resources: resources.iter().map(|_| snapshot.get(next())).collect::<Result<_, _>>()?,
            identity,
        })
    }
}

fn scope_resources(scope: &[Entitlement]) -> Vec<ResourceId> {
    let mut ids: Vec<ResourceId> = scope.iter().filter_map(|entitlement| entitlement.resource.parse().ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

pub(crate) fn expect<T: Record>(stored: &Stored<T>) -> Expect {
    Expect::Revision(stored.value.key(), stored.revision)
}

/// The key of an environment's row.
pub(crate) fn environment_key(name: &str) -> RowKey {
    RowKey::new(Environment::KIND, name)
}

/// Whether nobody is there who answers for what this person owns.
pub(crate) const fn is_away(person: &Person) -> bool {
    matches!(person.state, PersonState::Suspended | PersonState::Departed)
}

/// The complete charter of an identity that has one.
pub(crate) fn charter_of(identity: &Identity) -> Result<Charter, OpError> {
    identity.complete_charter().map_err(OpError::Invalid)
}
