//! Receipts: after a revocation is in force, each enforcement is checked, and what it did is signed (R72, S-18).

pub mod plan;

use std::collections::BTreeMap;

use tenure_api::views::{Names, ReceiptView};
use tenure_core::base::id::{CredentialId, ReceiptId, ResourceId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::{Point, PointState, Receipt, ReceiptState, Returning, Target};
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState, MAX_CREDENTIAL_TTL};
use tenure_core::inventory::resource::{Resource, Verification};
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::event::{Actor, ControlPoint};
use tenure_core::store::port::Claimed;
use tenure_core::store::row::{Position, Record, Stored};
use tenure_core::store::term::Term;
use tenure_log::Leaf;

use crate::credentials::liveness;
use crate::kernel::caller::Caller;
use crate::kernel::counters::count;
use crate::kernel::error::OpError;
use crate::kernel::query::{self, Query};
use crate::kernel::{Kernel, authority, keys};

/// Identities among whose credentials a live one is looked for, as the positive control.
const CONTROL_IDENTITIES: u16 = 64;
/// Identities that a revocation may concern for its receipt to be checked before its reply; others are checked right after.
const INLINE_IDENTITIES: usize = 200;
/// Identities of one scope that a receipt looks at for their resources.
const MAX_IDENTITIES: usize = 100_000;
/// Identities that could come back by themselves that a receipt names.
const RETURNING: usize = 100;

/// What a revocation concerned.
struct Concerned {
    identities: Vec<Stored<Identity>>,
    resources: Vec<ResourceId>,
}

/// A receipt as it stands.
///
/// # Errors
/// No such receipt, or the caller may not read it.
pub async fn receipt(kernel: &Kernel, caller: &Caller, id: ReceiptId) -> Result<ReceiptView, OpError> {
    let stored = kernel.must::<Receipt>("receipt", id).await?;
    let asked_by_caller = matches!(&stored.requested_by, Actor::Person { id, .. } if Some(*id) == caller.person_id());
    authority::may_read(kernel, caller, "receipt", &id.to_string(), asked_by_caller).await?;
    Ok(view(&stored))
}

/// The public key with which receipts can be checked, as a JWK.
///
/// # Errors
/// Set-up has not been done.
pub async fn receipt_key(kernel: &Kernel) -> Result<serde_json::Value, OpError> {
    let keys = keys::deployment_keys(kernel).await?;
    Ok(tenure_credentials::token::public_jwk(keys.receipt.kid(), &keys.receipt_public))
}

/// The receipt of a revocation that is in force: checked at once if it concerns few, else by a worker. What goes wrong with
/// the check is the worker's to repeat: the revocation itself stands, and its caller is told so.
pub(crate) async fn first_receipt(kernel: &Kernel, id: ReceiptId) -> Result<ReceiptView, OpError> {
    let checked = check_receipt(kernel, id).await;
    kernel.poke.notify_one();
    match checked {
        Ok(Some(view)) => return Ok(view),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, receipt = %id, "the receipt is checked again by a worker"),
    }
    Ok(view(&*kernel.must::<Receipt>("receipt", id).await?))
}

async fn check_receipt(kernel: &Kernel, id: ReceiptId) -> Result<Option<ReceiptView>, OpError> {
    let stored = kernel.must::<Receipt>("receipt", id).await?;
    if concerned(kernel, &stored.target, INLINE_IDENTITIES).await?.identities.len() >= INLINE_IDENTITIES {
        return Ok(None);
    }
    let (receipt, _) = kernel
        .decide(|| async {
            let now = kernel.now();
            let stored = kernel.must::<Receipt>("receipt", id).await?;
            let receipt = checked(kernel, &stored, now).await?;
            let mut changeset = receipt_changes(kernel, &stored, &receipt, now);
            changeset.due.push(match plan::next(&receipt, now) {
                // Who waits for this receipt still looks at it once more.
                plan::Next::Settled if waits_for(&receipt) => DueChange::Set(DueKind::Receipt, id.to_string(), now),
                plan::Next::Settled => DueChange::Clear(DueKind::Receipt, id.to_string()),
                plan::Next::At(at) => DueChange::Set(DueKind::Receipt, id.to_string(), at),
            });
            Ok((changeset, receipt))
        })
        .await?;
    Ok(Some(view(&receipt)))
}

fn waits_for(receipt: &Receipt) -> bool {
    matches!(receipt.target, Target::Scope(Scope::Identity(_)))
}

fn receipt_changes(kernel: &Kernel, stored: &Stored<Receipt>, receipt: &Receipt, now: Timestamp) -> Changeset {
    let event = kernel
        .event(now, "revocation.checked", ControlPoint::Revoke)
        .subject(receipt.id)
        .fact("state", receipt.state())
        .fact("position", receipt.position)
        .fact("points", receipt.points.len())
        .fact("signed", receipt.signed.is_some());
    let mut changeset = Changeset::new(Actor::System { part: "receipts".into() }, now, event);
    changeset.replace(stored, receipt);
    changeset
}

/// Works off a claimed receipt: checks it again if it is open, and finishes the identity that waited for it.
pub(crate) async fn work_receipt(kernel: &Kernel, claimed: &Claimed, now: Timestamp) -> Result<Option<Changeset>, OpError> {
    let Ok(id) = claimed.subject.parse::<ReceiptId>() else { return Ok(None) };
    let Some(stored) = kernel.one::<Receipt>(id).await? else { return Ok(None) };
    let receipt = if stored.signed.is_some() {
        (*stored.value).clone()
    } else {
        checked(kernel, &stored, now).await?
    };
    let mut changeset = receipt_changes(kernel, &stored, &receipt, now);
    let ack = DueChange::Ack(claimed.kind, claimed.subject.clone(), claimed.fence);
    match plan::next(&receipt, now) {
        plan::Next::At(at) => changeset.due.push(DueChange::Retry(claimed.kind, claimed.subject.clone(), claimed.fence, at)),
        plan::Next::Settled => {
            changeset.due.push(ack);
            if let Target::Scope(Scope::Identity(identity)) = &receipt.target
                && let Some(read) = kernel.one::<Identity>(identity).await?
                && read.state == IdentityState::Retiring
                && is_last(kernel, &mut changeset, &receipt, now).await?
            {
                let finished = (*read.value).clone().finish_retiring(now)?;
                changeset.event(
                    kernel
                        .event(now, "identity.retired", ControlPoint::Retire)
                        .subject(identity)
                        .fact("receipt", receipt.id),
                );
                changeset.replace(&read, &finished);
            }
        }
    }
    Ok(Some(changeset))
}

/// Whether no other receipt of the same target is open: `retired` waits for the last one, also of revocations before the end. That
/// the others are open is a precondition, so that of two that settle at once the later one finishes.
async fn is_last(kernel: &Kernel, changeset: &mut Changeset, receipt: &Receipt, now: Timestamp) -> Result<bool, OpError> {
    let mut last = true;
    let mut same = kernel.pages(Query::of(receipt.terms()).limit(500));
    while let Some(found) = same.next().await? {
        for other in found.whole()? {
            if other.id != receipt.id && plan::next(&other, now) != plan::Next::Settled {
                changeset.expect(&other);
                last = false;
            }
        }
    }
    Ok(last)
}

/// The receipt with each point checked now.
async fn checked(kernel: &Kernel, stored: &Stored<Receipt>, now: Timestamp) -> Result<Receipt, OpError> {
    let mut receipt = (*stored.value).clone();
    receipt.position = Some(stored.created);
    receipt.in_force_at = committed_at(kernel, stored.created).await?.unwrap_or(receipt.in_force_at);
    receipt.attempts += 1;
    count(&kernel.counters.receipts);
    let concerned = concerned(kernel, &receipt.target, MAX_IDENTITIES).await?;
    let mut points = Vec::new();
    for resource in &concerned.resources {
        if let Some(resource) = kernel.one::<Resource>(resource).await? {
            points.push(point(kernel, &receipt, &resource, &concerned, now).await?);
        }
    }
    receipt.points = points;
    receipt.returning = Some(Box::pin(returning(kernel, &concerned, now)).await?);
    if plan::is_answered(&receipt) {
        let keys = keys::deployment_keys(kernel).await?;
        receipt.signed = None;
        let serde_json::Value::Object(statement) = serde_json::to_value(view(&receipt)).map_err(|e| OpError::Internal(e.to_string()))? else {
            return Err(OpError::Internal("a receipt is no object".into()));
        };
        receipt.signed = Some(keys.receipt.sign(&statement).map_err(|e| OpError::Internal(e.to_string()))?);
    }
    Ok(receipt)
}

/// What can get new credentials by itself: a revocation ends what was issued, and forbids nothing afterwards.
async fn returning(kernel: &Kernel, concerned: &Concerned, now: Timestamp) -> Result<Returning, OpError> {
    let mut returning = Returning::default();
    let mut held: BTreeMap<Scope, bool> = BTreeMap::new();
    for identity in &concerned.identities {
        let ended = identity.charter.expires_at.is_none_or(|end| now >= end);
        if identity.state != IdentityState::Active || ended || identity.bindings.is_empty() {
            continue;
        }
        let mut on_hold = false;
        for membership in &identity.memberships {
            on_hold |= match held.get(&membership.scope) {
                Some(held) => *held,
                None => {
                    let found = query::hold_on(kernel, &membership.scope).await?.is_some();
                    held.insert(membership.scope.clone(), found);
                    found
                }
            };
        }
        if !on_hold {
            returning.count = returning.count.saturating_add(1);
            if returning.identities.len() < RETURNING {
                returning.identities.push(identity.id);
            }
        }
    }
    Ok(returning)
}

/// The time that the log gives a position: when a revocation was in force.
async fn committed_at(kernel: &Kernel, position: Position) -> Result<Option<Timestamp>, OpError> {
    let entries = kernel.store.entries(position.index, 1).await?;
    Ok(entries
        .first()
        .and_then(|entry| Leaf::parse(&entry.leaf).ok())
        .map(|leaf| Timestamp::from_micros(leaf.at)))
}

async fn concerned(kernel: &Kernel, target: &Target, limit: usize) -> Result<Concerned, OpError> {
    let term = match target {
        Target::Credential(id) => {
            let Some(credential) = kernel.one::<Credential>(id).await? else {
                return Ok(Concerned {
                    identities: Vec::new(),
                    resources: Vec::new(),
                });
            };
            let identities = kernel.one::<Identity>(credential.identity).await?.into_iter().collect();
            return Ok(Concerned {
                identities,
                resources: vec![credential.resource],
            });
        }
        Target::Scope(Scope::Identity(id)) => {
            let identities: Vec<_> = kernel.one::<Identity>(id).await?.into_iter().collect();
            let resources = resources_of(&identities);
            return Ok(Concerned { identities, resources });
        }
        Target::Scope(Scope::Owner(id)) => Identity::OWNER.of(id),
        Target::Scope(Scope::Application(id)) => Identity::APPLICATION.of(id),
        Target::Scope(Scope::Environment(name)) => Identity::ENVIRONMENT.of(name),
        Target::Scope(Scope::Vendor(id)) => Identity::VENDOR.of(id),
        Target::Scope(Scope::CloudAccount(id)) => Identity::CLOUD_ACCOUNT.of(id),
    };
    let identities = all_identities(kernel, term, limit).await?;
    let resources = resources_of(&identities);
    Ok(Concerned { identities, resources })
}

/// The identities that have a term.
async fn all_identities(kernel: &Kernel, term: Term<Identity>, limit: usize) -> Result<Vec<Stored<Identity>>, OpError> {
    let mut identities = Vec::new();
    let mut pages = kernel.pages(Query::of([term]).limit(500));
    while identities.len() < limit
        && let Some(found) = pages.next().await?
    {
        // A receipt says nothing of what can't be read.
        identities.extend(found.whole()?);
    }
    Ok(identities)
}

async fn point(kernel: &Kernel, receipt: &Receipt, resource: &Resource, concerned: &Concerned, now: Timestamp) -> Result<Point, OpError> {
    let enforcers = all_identities(kernel, Identity::ENFORCES.of(resource.id.to_string()), MAX_IDENTITIES).await?;
    let outcome = match resource.verification {
        Verification::Offline => offline(kernel, receipt, concerned).await?,
        Verification::Online => online(kernel, receipt, resource.id, concerned, now).await?,
    };
    Ok(Point {
        resource: resource.id,
        verification: resource.verification,
        enforcement_points: enforcers
            .iter()
            .filter(|identity| identity.state == IdentityState::Active)
            .map(|identity| identity.id)
            .collect(),
        outcome,
    })
}

/// Offline verifiers accept what they have seen signed until its end, at the latest.
async fn offline(kernel: &Kernel, receipt: &Receipt, concerned: &Concerned) -> Result<PointState, OpError> {
    if let Target::Credential(id) = receipt.target
        && let Some(credential) = kernel.one::<Credential>(id).await?
    {
        return Ok(PointState::AcceptedUntil { until: credential.expires_at });
    }
    let longest = concerned
        .identities
        .iter()
        .filter_map(|identity| identity.complete_charter().ok())
        .map(|charter| charter.credential_ttl)
        .max();
    Ok(PointState::AcceptedUntil {
        until: receipt.in_force_at.plus(longest.unwrap_or(Span::from_secs(0))),
    })
}

/// Enforcement points that ask Tenure get the answer that is asked for here, by the same code, with a credential
/// that was issued before and with one that is alive.
async fn online(kernel: &Kernel, receipt: &Receipt, resource: ResourceId, concerned: &Concerned, now: Timestamp) -> Result<PointState, OpError> {
    let before = receipt.position.unwrap_or_default();
    for identity in &concerned.identities {
        let Some(known) = kernel.know(identity.id).await? else { continue };
        // Only a credential that this revocation killed proves it: not one that was dead before.
        let alive_before = |credential: &Stored<Credential>| match receipt.target {
            Target::Credential(id) => credential.id == id,
            Target::Scope(ref scope) => {
                before.is_after(credential.created)
                    && receipt.previous.is_none_or(|previous| credential.created.is_after(previous))
                    && credential.revoked_at.is_none()
                    && !known.identity.memberships.iter().zip(&known.cuts).any(|(membership, cut)| {
                        membership.scope != *scope
                            && cut.as_ref().is_some_and(|cut| {
                                before.is_after(cut.position) && cut.position.is_after(membership.joined) && cut.position.is_after(credential.created)
                            })
                    })
            }
        };
        let probe = find_credential(kernel, identity, now, |credential| credential.resource == resource && alive_before(credential)).await?;
        let Some(probe) = probe else { continue };
        return Ok(match liveness::held(kernel, probe.id, now).await?.map(|held| held.status) {
            Some(Err(reason)) => {
                let control = control(kernel, resource, probe.id, now).await?;
                PointState::Refused {
                    at: kernel.now(),
                    probe: probe.id,
                    reason: reason.code().to_owned(),
                    control,
                }
            }
            Some(Ok(())) => PointState::Unproven {
                at: now,
                why: format!("the credential {} was accepted", probe.id),
            },
            None => PointState::Unproven {
                at: now,
                why: format!("the credential {} could not be checked", probe.id),
            },
        });
    }
    Ok(PointState::NothingLive { at: now })
}

/// A credential for the same resource that is alive and accepted now.
async fn control(kernel: &Kernel, resource: ResourceId, refused: CredentialId, now: Timestamp) -> Result<Option<CredentialId>, OpError> {
    let active = Query::of([Identity::STATE.of(IdentityState::Active)]);
    for identity in kernel.find(active.limit(CONTROL_IDENTITIES)).await?.readable() {
        let is_control = |credential: &Stored<Credential>| credential.resource == resource && credential.id != refused && credential.revoked_at.is_none();
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
async fn find_credential(
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
        if let Some(found) = credentials.find(|credential| now < credential.expires_at && test(credential)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn resources_of(identities: &[Stored<Identity>]) -> Vec<ResourceId> {
    let mut resources: Vec<ResourceId> = identities
        .iter()
        .flat_map(|identity| &identity.charter.scope)
        .filter_map(|entitlement| entitlement.resource.parse().ok())
        .collect();
    resources.sort_unstable();
    resources.dedup();
    resources
}

fn view(receipt: &Receipt) -> ReceiptView {
    let state: ReceiptState = receipt.state();
    ReceiptView {
        receipt: receipt.clone(),
        state,
        releasers: None,
        log: None,
        names: Names::new(),
    }
}
