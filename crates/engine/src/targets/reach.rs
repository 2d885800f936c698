//! What every room of work at targets needs of them: how long they are waited for, what is noted of a target that was
//! asked, and who is told of what came of it.

use std::time::Duration;

use futures_util::future;
use tenure_core::base::backoff::Backoff;
use tenure_core::base::id::{CredentialId, IdentityId, ReceiptId, TargetId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::receipt::{Receipt, Target as Revoked};
use tenure_core::identity::Identity;
use tenure_core::identity::scope::Scope;
use tenure_core::store::changeset::{Changeset, DueChange};
use tenure_core::store::due::DueKind;
use tenure_core::store::secret::Secret;
use tenure_core::target::connector::{
    Ability, Connector, ConnectorError, Ending, Endpoint, Found, Gone, Mode, NewAccount, NewSession, Probe, ProofWorth,
    Reach, SeenAccount, TargetLogin,
};
use tenure_core::target::system::TargetSystem;

use crate::kernel::Kernel;
use crate::kernel::error::OpError;
use crate::kernel::query::Query;

/// How long one call of a connector may take: well inside the lease of the deadline.
pub(super) const PATIENCE: Span = Span::from_secs(15);
/// How long one call is waited for at most: longer than a connector waits by itself.
const NO_LONGER: Duration = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(20) };
/// How often a receipt of many identities is looked through, while something comes of them.
const SLOT: Span = Span::from_millis(500);
/// The time between two tries of an act.
pub(super) const BACKOFF: Backoff = Backoff::new(Span::from_secs(2), Span::from_mins(60));

/// A target that can be asked, as its connector's own login. Each call is bounded by itself: a target that takes a question
/// and never answers takes nobody's time but its own.
pub(crate) struct Reached<'a> {
    connector: &'a dyn Connector,
    endpoint: &'a Endpoint,
    own: TargetLogin,
    mode: Mode,
}

/// A login that was made, and what its holder logs in with where that isn't the secret that it was made with.
type LetIn = (SeenAccount, Option<Secret<String>>);

impl<'a> Reached<'a> {
    pub(super) fn new(connector: &'a dyn Connector, target: &'a TargetSystem, own: TargetLogin) -> Self {
        Self { connector, endpoint: &target.endpoint, own, mode: target.mode }
    }

    fn reach(&self) -> Reach<'_> {
        Reach { endpoint: self.endpoint, login: &self.own, mode: self.mode, patience: PATIENCE }
    }

    /// Whether refusals can be seen at targets of this kind at all.
    pub(crate) fn can_probe(&self) -> bool {
        self.connector.proof() == ProofWorth::Refusal && self.connector.abilities().contains(&Ability::Probe)
    }

    /// Whether what it lets in is a session on our word, and no account.
    pub(crate) fn takes_our_word(&self) -> bool {
        self.connector.federation().is_some()
    }

    pub(crate) async fn discover(&self, after: Option<&str>) -> Result<Found, ConnectorError> {
        answered(self.connector.discover(&self.reach(), after)).await
    }

    pub(crate) async fn read(&self, key: &str) -> Result<Option<SeenAccount>, ConnectorError> {
        answered(self.connector.read(&self.reach(), key)).await
    }

    async fn provision(&self, account: &NewAccount<'_>) -> Result<SeenAccount, ConnectorError> {
        answered(self.connector.provision(&self.reach(), account)).await
    }

    /// Makes a login: as an account, or as a session at a target that takes our word for whose it is. The secret is what it
    /// is made with; what its holder logs in with comes with it where that is another one, or more.
    pub(crate) async fn let_in(&self, login: &NewAccount<'_>) -> Result<LetIn, ConnectorError> {
        self.begun(login).await.map_err(|error| error.without(login.secret))
    }

    async fn begun(&self, login: &NewAccount<'_>) -> Result<LetIn, ConnectorError> {
        let Some(federation) = self.connector.federation() else {
            let account = self.provision(login).await?;
            return Ok((account, answered(self.connector.credential(&self.reach(), login)).await?));
        };
        let session = NewSession { name: login.name, grants: login.grants, ends_at: login.ends_at };
        let begun = answered(federation.begin(&self.reach(), &session, login.secret)).await?;
        Ok((begun.account, Some(begun.secret)))
    }

    /// Makes logins, in their order, all at once.
    pub(crate) async fn let_in_all(&self, logins: &[NewAccount<'_>]) -> Vec<Result<LetIn, ConnectorError>> {
        // A session on our word begins by itself.
        let batches = self.connector.batches().filter(|_| logins.len() > 1 && !self.takes_our_word());
        let Some(batches) = batches else {
            return future::join_all(logins.iter().map(|login| self.let_in(login))).await;
        };
        let reach = self.reach();
        let made = answered(async { Ok(batches.provision_all(&reach, logins).await) }).await;
        match made {
            Ok(made) => {
                let told = |(made, login): (Result<SeenAccount, ConnectorError>, &NewAccount<'_>)| {
                    made.map(|account| (account, None)).map_err(|error| error.without(login.secret))
                };
                made.into_iter().zip(logins).map(told).collect()
            }
            Err(error) => logins.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    pub(crate) async fn rotate(&self, key: &str, secret: &Secret<String>) -> Result<Ending, ConnectorError> {
        answered(self.connector.rotate(&self.reach(), key, secret)).await.map_err(|error| error.without(secret))
    }

    pub(crate) async fn hold(&self, key: &str) -> Result<Ending, ConnectorError> {
        answered(self.connector.hold(&self.reach(), key)).await
    }

    pub(crate) async fn release(&self, key: &str) -> Result<(), ConnectorError> {
        answered(self.connector.release(&self.reach(), key)).await
    }

    pub(crate) async fn narrow(&self, key: &str, keep: &[String]) -> Result<Ending, ConnectorError> {
        answered(self.connector.narrow(&self.reach(), key, keep)).await
    }

    pub(crate) async fn revoke(&self, key: &str) -> Result<Ending, ConnectorError> {
        answered(self.connector.revoke(&self.reach(), key)).await
    }

    /// Ends accounts, in the order of their keys, all at once, and reads each back.
    pub(crate) async fn revoke_all(&self, keys: &[String]) -> Vec<Result<Gone, ConnectorError>> {
        let Some(batches) = self.connector.batches().filter(|_| keys.len() > 1) else {
            let one = async |key: &String| Ok((self.revoke(key).await?, self.read(key).await?));
            return future::join_all(keys.iter().map(one)).await;
        };
        let reach = self.reach();
        let gone = answered(async { Ok(batches.revoke_all(&reach, keys).await) }).await;
        gone.unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
    }

    /// Tries a login as its holder would.
    pub(crate) async fn probe(&self, login: &TargetLogin) -> Result<Probe, ConnectorError> {
        answered(self.connector.probe(self.endpoint, login, PATIENCE)).await
    }
}

async fn answered<T>(asked: impl Future<Output = Result<T, ConnectorError>>) -> Result<T, ConnectorError> {
    match tokio::time::timeout(NO_LONGER, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(ConnectorError::Unreachable("it did not answer in time".into())),
    }
}

/// That a target answers, or doesn't: what the others who have something to do there go by.
pub(crate) async fn note_target(
    kernel: &Kernel,
    changeset: &mut Changeset,
    id: TargetId,
    unreachable: Option<&str>,
    answered: bool,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(target) = kernel.one::<TargetSystem>(id).await? else { return Ok(()) };
    if unreachable.is_none() && (target.trouble.is_none() || !answered) {
        return Ok(());
    }
    let asked = (*target.value).clone().asked(unreachable, now);
    changeset.replace(&target, &asked);
    Ok(())
}

/// The end of the [`SLOT`] in which a time is: whoever comes later in it puts nothing off.
fn slot_after(now: Timestamp) -> Timestamp {
    now.plus(Span::from_micros(SLOT.as_micros() - now.as_micros().rem_euclid(SLOT.as_micros())))
}

/// When a receipt of many identities looks again: once for all that came of them in a slot, and never later than it would
/// have. One that is being looked at looks once more.
async fn looks_at(kernel: &Kernel, receipt: ReceiptId, now: Timestamp) -> Result<Timestamp, OpError> {
    let known = kernel.store.deadlines(&[(DueKind::Receipt, receipt.to_string())]).await?;
    let waiting = known.first().copied().flatten().filter(|known| known.leased_until.is_none_or(|until| until <= now));
    let slot = slot_after(now);
    Ok(waiting.map_or(slot, |known| known.due_at.min(slot)))
}

/// Has the open receipts of an identity, of its scopes, and of the credential that a login is, look again.
pub(crate) async fn wake_receipts(
    kernel: &Kernel,
    changeset: &mut Changeset,
    identity: IdentityId,
    login: Option<CredentialId>,
    now: Timestamp,
) -> Result<(), OpError> {
    let Some(identity) = kernel.one::<Identity>(identity).await? else { return Ok(()) };
    let scopes = identity.memberships.iter().map(|membership| Revoked::Scope(membership.scope.clone()));
    let revoked = scopes.chain(login.map(Revoked::Credential)).map(|revoked| Receipt::TARGET.of(revoked));
    let mut receipts = kernel.pages(Query::every().any(revoked));
    while let Some(found) = receipts.next().await? {
        for receipt in found.readable().iter().filter(|receipt| receipt.signed.is_none() && receipt.lifted_at.is_none())
        {
            let at = match &receipt.target {
                Revoked::Credential(_) | Revoked::Scope(Scope::Identity(_)) => now,
                Revoked::Scope(_) => looks_at(kernel, receipt.id, now).await?,
            };
            changeset.due.push(DueChange::Set(DueKind::Receipt, receipt.id.to_string(), at));
        }
    }
    Ok(())
}
