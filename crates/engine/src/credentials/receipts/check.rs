//! The check of a receipt: the identities that its revocation concerned are looked at in batches, and what was issued
//! before has to be refused wherever it would be used.
//!
//! A step looks at one batch and is committed with how far it has come, so that a scope of any size is worked through
//! under short leases, whoever goes on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sha2::{Digest, Sha256};
use tenure_core::base::id::{AccountId, CredentialId, IdentityId, ResourceId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::{
    AccountOutcome, AccountPoint, Narrowed, NarrowedAt, Point, PointState, Progress, Receipt, ReceiptOf, Returning,
    Target,
};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{CredentialType, Identity, IdentityState, MAX_CREDENTIAL_TTL};
use tenure_core::inventory::resource::{Resource, Verification};
use tenure_core::store::row::{Position, Stored};
use tenure_core::target::account::Account;
use tenure_core::target::login::{Login, LoginPurpose};
use tenure_log::Leaf;

use crate::credentials::liveness;
use crate::credentials::receipts::{TheirPoints, plan, stopped, view};
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::query::{self, Query};
use crate::kernel::{Kernel, keys};

/// Identities that one step looks at: far fewer than a lease would allow.
const BATCH: u16 = 200;
/// Identities among whose credentials a live one is looked for, as the positive control.
const CONTROL_IDENTITIES: u16 = 64;
/// Identities that could come back by themselves that a receipt names.
const RETURNING: usize = 100;
/// Enforcement points of a resource that a receipt names.
const ENFORCEMENT_POINTS: usize = 100;
/// What the points of a signed receipt take at most, in bytes of JSON: beyond, their digest is signed in their place,
/// since no verifier takes a receipt of any size.
const SIGNED_POINTS: usize = 512 * 1024;
/// The form of what is signed. The first said nothing of its form, nor what it was about: revocations alone had receipts.
const SIGNED_FORM: u8 = 2;

/// The receipt after the next batch; with each point checked and, if all have answered, signed, after the last one. What a
/// person had is found by `theirs`.
pub(super) async fn step(
    kernel: &Kernel,
    stored: &Stored<Receipt>,
    theirs: TheirPoints,
    now: Timestamp,
) -> Result<Receipt, OpError> {
    let mut receipt = (*stored.value).clone();
    let begun = receipt.progress.take();
    if stopped::is_lifted(kernel, &receipt).await? {
        return Ok(Receipt { lifted_at: Some(now), ..receipt });
    }
    if begun.is_none() {
        count(&kernel.counters.receipts);
        receipt.position = Some(stored.created);
        receipt.in_force_at = committed_at(kernel, stored.created).await?.unwrap_or(receipt.in_force_at);
        receipt.attempts += 1;
        receipt.points.clear();
        receipt.returning = Some(Returning::default());
        receipt.accounts = None;
        receipt.person = None;
    }
    let (batch, next) = next_batch(kernel, &receipt.target, begun.as_ref()).await?;
    let mut check = Check::new(receipt, begun);
    for identity in &batch {
        if was_cut(&check.receipt, identity) {
            check.look(kernel, identity, now).await?;
        }
    }
    if let Some(after) = next {
        return Ok(check.paused(after));
    }
    if let Target::Person(id) = check.receipt.target {
        let points = theirs(kernel, id, &check.receipt, now).await?;
        check.receipt.person = (points.count > 0).then_some(points);
    }
    let attempt = check.receipt.attempts;
    for left in check.receipt.left.clone().iter().filter(|left| left.seen_in != Some(attempt)) {
        if let Some(identity) = kernel.one::<Identity>(left.identity).await? {
            check.look(kernel, &identity, now).await?;
        }
    }
    check.finished(kernel, now).await
}

/// A check that is under way.
struct Check {
    receipt: Receipt,
    points: BTreeMap<ResourceId, Point>,
    identities: u64,
    longest_life: Span,
    returning: Returning,
    /// Scopes that were looked at in this step, and whether they are on hold.
    held: BTreeMap<Scope, bool>,
}

impl Check {
    fn new(mut receipt: Receipt, begun: Option<Progress>) -> Self {
        let points = std::mem::take(&mut receipt.points);
        let (identities, longest_life) =
            begun.map_or((0, Span::default()), |begun| (begun.identities, begun.longest_life));
        Self {
            points: points.into_iter().map(|point| (point.resource, point)).collect(),
            identities,
            longest_life,
            returning: receipt.returning.take().unwrap_or_default(),
            held: BTreeMap::new(),
            receipt,
        }
    }

    async fn look(&mut self, kernel: &Kernel, identity: &Stored<Identity>, now: Timestamp) -> Result<(), OpError> {
        self.identities += 1;
        // What somebody answers for goes on until its transfer ends: only that it does is said.
        if matches!(self.receipt.target, Target::Person(_)) {
            return self.note_return(kernel, identity, now).await;
        }
        if let Ok(charter) = identity.complete_charter() {
            self.longest_life = self.longest_life.max(charter.credential_ttl);
        }
        for id in resources_of(kernel, &self.receipt, identity).await? {
            let point = match self.points.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => match kernel.one::<Resource>(id).await? {
                    Some(resource) => place.insert(unanswered(&resource)),
                    None => continue,
                },
            };
            if point.verification == Verification::Online
                && point.outcome == PointState::Requested
                && let Some(outcome) = match self.receipt.what {
                    ReceiptOf::Narrowing => stopped::narrowed(kernel, &self.receipt, id, identity, now).await?,
                    _ => answer(kernel, &self.receipt, id, identity, now).await?,
                }
            {
                point.outcome = outcome;
            }
        }
        if identity.has_accounts {
            self.look_at_accounts(kernel, identity, now).await?;
        }
        self.note_return(kernel, identity, now).await
    }

    /// Notes what became of the accounts that an identity has at targets. One that may stand says nothing: it got
    /// another secret since.
    async fn look_at_accounts(
        &mut self,
        kernel: &Kernel,
        identity: &Stored<Identity>,
        now: Timestamp,
    ) -> Result<(), OpError> {
        // One credential of Tenure's own concerns no account elsewhere, unless it is a login there.
        if let Target::Credential(id) = self.receipt.target {
            if let Some(login) = kernel.one::<Login>(id).await? {
                self.look_at_login(&login);
            }
            return Ok(());
        }
        self.look_at_logins(kernel, identity, now).await?;
        let known = kernel.know_rest(identity.clone()).await?;
        let mut accounts = kernel.pages(Query::of([Account::IDENTITY.of(identity.id)]));
        while let Some(found) = accounts.next().await? {
            for account in found.whole()? {
                let wanted = account.wanted(&known.identity, known.scopes(), now).state();
                let outcome = match self.receipt.what {
                    ReceiptOf::Narrowing => stopped::narrowed_account(&self.receipt, &account),
                    _ => stopped::stopped_account(&account, wanted),
                };
                let Some(outcome) = outcome else { continue };
                self.receipt.accounts.get_or_insert_default().add(AccountPoint {
                    account: account.id,
                    login: None,
                    target: account.target,
                    name: account.seen.name.clone(),
                    identity: identity.id,
                    outcome,
                });
            }
        }
        Ok(())
    }

    /// Notes what became of the logins that an identity had when this was revoked: those that are there still, and those
    /// that were ended since.
    async fn look_at_logins(&mut self, kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<(), OpError> {
        let since = CredentialId::floor(self.receipt.in_force_at.min(now).minus(MAX_CREDENTIAL_TTL)).to_string();
        let mut recent = kernel.pages(Query::of([Login::IDENTITY.of(identity.id)]).after(Some(since.clone())));
        while let Some(found) = recent.next().await? {
            found.whole()?.iter().for_each(|login| self.look_at_login(login));
        }
        // What couldn't be ended for longer than a login lives is there still.
        let mut left = kernel.pages(Query::of([Login::LEFT.of(identity.id)]));
        while let Some(found) = left.next().await? {
            let logins = found.whole()?;
            logins.iter().filter(|login| login.id.to_string() <= since).for_each(|login| self.look_at_login(login));
        }
        Ok(())
    }

    fn look_at_login(&mut self, login: &Stored<Login>) {
        let since = self.receipt.in_force_at;
        // A login without any of the actions that were dropped goes on as it is.
        let is_elsewhere = |narrowed: &Narrowed| match narrowed.at {
            NarrowedAt::Resource(resource) => {
                let drops = narrowed.dropped.iter().any(|action| login.actions.contains(action));
                login.resource != Some(resource) || !drops
            }
            NarrowedAt::Account(_) => true,
        };
        let is_left = self.receipt.what == ReceiptOf::Narrowing && self.receipt.narrowed.iter().all(is_elsewhere);
        let is_concerned = !is_left
            && login.purpose == LoginPurpose::Work
            && self.receipt.position.is_none_or(|position| position.is_after(login.created))
            && (!login.is_over() || login.outcome.as_ref().and_then(AccountOutcome::at).is_some_and(|at| at >= since));
        if !is_concerned {
            return;
        }
        self.receipt.accounts.get_or_insert_default().add(AccountPoint {
            account: AccountId::from_u128(login.id.as_u128()),
            login: Some(login.id),
            target: login.target,
            name: login.name(),
            identity: login.identity,
            outcome: login.outcome.clone().unwrap_or(AccountOutcome::Requested),
        });
    }

    /// Notes what can get new credentials by itself: a revocation ends what was issued, and forbids nothing afterwards.
    async fn note_return(&mut self, kernel: &Kernel, identity: &Identity, now: Timestamp) -> Result<(), OpError> {
        let ended = identity.charter.expires_at.is_none_or(|end| now >= end);
        if identity.state != IdentityState::Active || ended || identity.bindings.is_empty() {
            return Ok(());
        }
        for membership in &identity.memberships {
            let on_hold = match self.held.get(&membership.scope) {
                Some(held) => *held,
                None => {
                    let found = query::hold_on(kernel, &membership.scope).await?.is_some();
                    self.held.insert(membership.scope.clone(), found);
                    found
                }
            };
            if on_hold {
                return Ok(());
            }
        }
        self.returning.count = self.returning.count.saturating_add(1);
        if self.returning.identities.len() < RETURNING {
            self.returning.identities.push(identity.id);
        }
        Ok(())
    }

    /// The receipt, to be gone on with behind an identity.
    fn paused(self, after: String) -> Receipt {
        Receipt {
            points: self.points.into_values().collect(),
            progress: Some(Progress { after, identities: self.identities, longest_life: self.longest_life }),
            returning: Some(self.returning),
            ..self.receipt
        }
    }

    async fn finished(self, kernel: &Kernel, now: Timestamp) -> Result<Receipt, OpError> {
        let longest = longest_acceptance(kernel, &self.receipt, self.longest_life).await?;
        let mut points = Vec::with_capacity(self.points.len());
        for mut point in self.points.into_values() {
            (point.enforcement_points, point.more_enforcement_points) =
                enforcement_points(kernel, point.resource).await?;
            point.outcome = match (point.verification, point.outcome) {
                (Verification::Offline, _) => PointState::AcceptedUntil { until: longest },
                (Verification::Online, PointState::Requested) => PointState::NothingLive { at: now },
                (Verification::Online, answered) => answered,
            };
            points.push(point);
        }
        let mut receipt = Receipt { points, returning: Some(self.returning), ..self.receipt };
        if plan::is_answered(&receipt) {
            receipt.signed = None;
            receipt.signed = Some(signed(kernel, &receipt).await?);
        }
        Ok(receipt)
    }
}

pub(super) async fn signed(kernel: &Kernel, receipt: &Receipt) -> Result<String, OpError> {
    let keys = keys::deployment_keys(kernel).await?;
    let serde_json::Value::Object(mut statement) =
        serde_json::to_value(view(receipt)).map_err(|e| OpError::Internal(e.to_string()))?
    else {
        return Err(OpError::Internal("a receipt is no object".into()));
    };
    statement.insert("form".into(), SIGNED_FORM.into());
    let points = serde_json::to_vec(&receipt.points).map_err(|e| OpError::Internal(e.to_string()))?;
    if points.len() > SIGNED_POINTS {
        statement.remove("points");
        statement.insert("points_count".into(), receipt.points.len().into());
        let digest: String = Sha256::digest(&points).iter().map(|byte| format!("{byte:02x}")).collect();
        statement.insert("points_sha256".into(), digest.into());
    }
    keys.receipt.sign(&statement).map_err(|e| OpError::Internal(e.to_string()))
}

fn unanswered(resource: &Resource) -> Point {
    Point {
        resource: resource.id,
        verification: resource.verification,
        enforcement_points: Vec::new(),
        more_enforcement_points: false,
        outcome: PointState::Requested,
    }
}

/// The time that the log gives a position: when a revocation was in force.
async fn committed_at(kernel: &Kernel, position: Position) -> Result<Option<Timestamp>, OpError> {
    let entries = kernel.store.entries(position.index, 1).await?;
    Ok(entries.first().and_then(|entry| Leaf::read(&entry.leaf).ok()).map(|leaf| Timestamp::from_micros(leaf.at)))
}

/// Whether an identity of the scope was there when it was cut: who joined since lost nothing.
fn was_cut(receipt: &Receipt, identity: &Identity) -> bool {
    let (Target::Scope(scope), Some(cut)) = (&receipt.target, receipt.position) else { return true };
    !identity.memberships.iter().any(|membership| membership.scope == *scope && !cut.is_after(membership.joined))
}

/// The next identities that a revocation concerned, and behind which to go on if there may be more.
async fn next_batch(
    kernel: &Kernel,
    target: &Target,
    begun: Option<&Progress>,
) -> Result<(Vec<Stored<Identity>>, Option<String>), OpError> {
    let term = match target {
        Target::Credential(id) => {
            let Some(credential) = kernel.one::<Credential>(id).await? else {
                return Ok((Vec::new(), None));
            };
            return Ok((kernel.one::<Identity>(credential.identity).await?.into_iter().collect(), None));
        }
        Target::Scope(Scope::Identity(id)) => {
            return Ok((kernel.one::<Identity>(id).await?.into_iter().collect(), None));
        }
        Target::Scope(Scope::Owner(id)) | Target::Person(id) => Identity::OWNER.of(id),
        Target::Scope(Scope::Application(id)) => Identity::APPLICATION.of(id),
        Target::Scope(Scope::Environment(name)) => Identity::ENVIRONMENT.of(name),
        Target::Scope(Scope::Vendor(id)) => Identity::VENDOR.of(id),
        Target::Scope(Scope::CloudAccount(id)) => Identity::CLOUD_ACCOUNT.of(id),
    };
    let after = begun.map(|begun| begun.after.clone());
    let found = kernel.find(Query::of([term]).after(after).limit(BATCH)).await?;
    let next = found.next();
    // A receipt says nothing of what can't be read.
    Ok((found.whole()?, next))
}

/// The resources at which something that was issued to an identity and is revoked now would be used.
async fn resources_of(kernel: &Kernel, receipt: &Receipt, identity: &Identity) -> Result<Vec<ResourceId>, OpError> {
    if receipt.what == ReceiptOf::Narrowing {
        let at = |narrowed: &Narrowed| match narrowed.at {
            NarrowedAt::Resource(resource) => Some(resource),
            NarrowedAt::Account(_) => None,
        };
        return Ok(receipt.narrowed.iter().filter_map(at).collect());
    }
    if let Target::Credential(id) = &receipt.target {
        // A login is refused by its target, and no enforcement point ever sees it.
        let credential =
            kernel.one::<Credential>(id).await?.filter(|credential| credential.kind != CredentialType::Login);
        return Ok(credential.map(|credential| credential.resource).into_iter().collect());
    }
    let scope = identity.charter.scope.iter();
    let mut resources: Vec<ResourceId> = scope.filter_map(|entitlement| entitlement.resource.parse().ok()).collect();
    resources.sort_unstable();
    resources.dedup();
    Ok(resources)
}

/// The active enforcement points of a resource, the first of them by name, and whether there are more.
async fn enforcement_points(kernel: &Kernel, resource: ResourceId) -> Result<(Vec<IdentityId>, bool), OpError> {
    let mut named = Vec::new();
    let mut enforcers = kernel.pages(Query::of([Identity::ENFORCES.of(resource.to_string())]));
    while let Some(found) = enforcers.next().await? {
        for identity in found.whole()?.iter().filter(|identity| identity.state == IdentityState::Active) {
            if named.len() >= ENFORCEMENT_POINTS {
                return Ok((named, true));
            }
            named.push(identity.id);
        }
    }
    Ok((named, false))
}

/// Until when offline verifiers may accept what they have seen signed.
async fn longest_acceptance(kernel: &Kernel, receipt: &Receipt, longest_life: Span) -> Result<Timestamp, OpError> {
    if let Target::Credential(id) = receipt.target
        && let Some(credential) = kernel.one::<Credential>(id).await?
    {
        return Ok(credential.expires_at);
    }
    Ok(receipt.in_force_at.plus(longest_life))
}

/// What a resource's enforcement points answer to a credential that an identity had there when this was revoked;
/// nothing if it had none that lives. Those that ask Tenure get the answer that is asked for here, by the same code,
/// with a credential that was issued before and with one that is alive.
async fn answer(
    kernel: &Kernel,
    receipt: &Receipt,
    resource: ResourceId,
    identity: &Identity,
    now: Timestamp,
) -> Result<Option<PointState>, OpError> {
    let before = receipt.position.unwrap_or_default();
    let Some(known) = kernel.know(identity.id).await? else {
        return Ok(None);
    };
    // Only a credential that this revocation killed proves it: not one that was dead before.
    let alive_before = |credential: &Stored<Credential>| match receipt.target {
        Target::Credential(id) => credential.id == id,
        Target::Person(_) => false,
        Target::Scope(ref scope) => {
            before.is_after(credential.created)
                && receipt.previous.is_none_or(|previous| credential.created.is_after(previous))
                && credential.revoked_at.is_none()
                && !known.identity.memberships.iter().zip(&known.cuts).any(|(membership, cut)| {
                    membership.scope != *scope
                        && cut.as_ref().is_some_and(|cut| {
                            before.is_after(cut.position)
                                && cut.position.is_after(membership.joined)
                                && cut.position.is_after(credential.created)
                        })
                })
        }
    };
    let is_probe = |credential: &Stored<Credential>| credential.resource == resource && alive_before(credential);
    let Some(probe) = find_credential(kernel, identity, now, is_probe).await? else {
        return Ok(None);
    };
    Ok(Some(match liveness::held(kernel, probe.id, now).await?.map(|held| held.status) {
        Some(Err(reason)) => PointState::Refused {
            at: kernel.now(),
            probe: probe.id,
            reason: reason.code().to_owned(),
            control: control(kernel, resource, probe.id, now).await?,
        },
        Some(Ok(())) => PointState::Unproven { at: now, why: format!("the credential {} was accepted", probe.id) },
        None => PointState::Unproven { at: now, why: format!("the credential {} could not be checked", probe.id) },
    }))
}

/// A credential for the same resource that is alive and accepted now.
pub(super) async fn control(
    kernel: &Kernel,
    resource: ResourceId,
    refused: CredentialId,
    now: Timestamp,
) -> Result<Option<CredentialId>, OpError> {
    let active = Query::of([Identity::STATE.of(IdentityState::Active)]);
    for identity in kernel.find(active.limit(CONTROL_IDENTITIES)).await?.readable() {
        let is_control = |credential: &Stored<Credential>| {
            credential.resource == resource && credential.id != refused && credential.revoked_at.is_none()
        };
        let found = match find_credential(kernel, &identity, now, is_control).await {
            Ok(Some(found)) => found,
            // Whose credentials can't be read is no control, and spoils nobody else's receipt.
            Ok(None) | Err(OpError::Internal(_)) => continue,
            Err(error) => return Err(error),
        };
        if liveness::held(kernel, found.id, now).await?.is_none_or(|held| held.status.is_err()) {
            continue;
        }
        return Ok(Some(found.id));
    }
    Ok(None)
}

/// A credential of an identity that has not ended and passes the test; those that can't have ended are looked at first.
pub(super) async fn find_credential(
    kernel: &Kernel,
    identity: &Identity,
    now: Timestamp,
    test: impl Fn(&Stored<Credential>) -> bool,
) -> Result<Option<Stored<Credential>>, OpError> {
    let life = identity.complete_charter().map_or(MAX_CREDENTIAL_TTL, |charter| charter.credential_ttl);
    let since = CredentialId::floor(now.minus(life)).to_string();
    let theirs = Query::of([Credential::IDENTITY.of(identity.id)]);
    let mut pages = kernel.pages(theirs.after(Some(since)).limit(64));
    while let Some(found) = pages.next().await? {
        // A receipt says nothing of what can't be read.
        let mut credentials = found.whole()?.into_iter();
        let seen = |credential: &Stored<Credential>| credential.kind != CredentialType::Login;
        if let Some(found) =
            credentials.find(|credential| now < credential.expires_at && seen(credential) && test(credential))
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
