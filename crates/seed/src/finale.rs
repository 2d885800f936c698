//! The last events of a history: the engine itself does them on what was told.

use std::collections::HashMap;
use std::sync::Arc;

use tenure_api::people::NewDeparture;
use tenure_api::removals::NewRemoval;
use tenure_api::requests::{NewHold, NewOperatorToken, Revocation, RevocationTarget};
use tenure_core::base::id::{ApplicationId, OperatorTokenId, PersonId, VendorId};
use tenure_core::identity::scope::Scope;
use tenure_core::people::person::Person;
use tenure_core::signal::{SignalSubject, SubjectKind};
use tenure_core::store::event::Via;
use tenure_core::store::port::Store;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_engine::Kernel;
use tenure_engine::access::departures;
use tenure_engine::credentials::{holds, revocation};
use tenure_engine::endings::removals;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::people::operator_tokens;

use crate::error::SeedError;
use crate::repertoire::Repertoire;
use crate::stage::TOKEN_LIFE;

/// What the last events are about.
pub(crate) struct Last {
    pub(crate) slug: String,
    pub(crate) application: Option<ApplicationId>,
    pub(crate) vendor: Option<VendorId>,
    pub(crate) leaver: Option<PersonId>,
    pub(crate) first: HashMap<String, String>,
}

/// The last events: a cut of a vendor, a hold, a removal on hold, somebody who leaves. The engine itself does them, and
/// the server works off what follows.
pub(crate) async fn finale(
    kernel: &Kernel,
    store: &Arc<dyn Store>,
    repertoire: &Repertoire,
    last: &Last,
    token: &dyn Fn(PersonId) -> Result<String, SeedError>,
) -> Result<String, SeedError> {
    let security = &repertoire.runners.voters.security;
    let [sam, sunniva, ..] = security.as_slice() else {
        return Err(SeedError::missing("have security"));
    };
    let ada = caller_of(kernel, store, repertoire.runners.ada, token).await?;
    let sam = caller_of(kernel, store, *sam, token).await?;
    let sunniva = caller_of(kernel, store, *sunniva, token).await?;
    if let Some(vendor) = last.vendor {
        let ask = Revocation {
            target: RevocationTarget::Vendor(vendor),
            reason: "an incident at the vendor".into(),
            suspend: false,
        };
        Box::pin(revocation::revoke(kernel, &sam, ask))
            .await
            .map_err(|error| SeedError::engine("cut a vendor", error))?;
    }
    if let Some(application) = last.application {
        let ask = NewHold {
            scope: Scope::Application(application),
            reason: "while an incident is looked into".into(),
            dry_run: false,
        };
        Box::pin(holds::hold(kernel, &sunniva, ask))
            .await
            .map_err(|error| SeedError::engine("hold an application", error))?;
        let ask = NewRemoval {
            subject: SignalSubject { kind: SubjectKind::Need, id: format!("{}-roadmap", last.slug) },
            kind: None,
            reason: "the project has ended".into(),
            compromise: false,
            dry_run: false,
            expect: None,
        };
        Box::pin(removals::raise_removal(kernel, &sam, ask))
            .await
            .map_err(|error| SeedError::engine("raise a removal", error))?;
    }
    if let Some(leaver) = last.leaver {
        let ask = NewDeparture { reason: "left the company".into(), dry_run: false };
        Box::pin(departures::depart_person(kernel, &ada, leaver, ask))
            .await
            .map_err(|error| SeedError::engine("let somebody leave", error))?;
    }
    let ask = NewOperatorToken { ttl: Some(TOKEN_LIFE) };
    let id = repertoire.runners.ada;
    let made = Box::pin(operator_tokens::create_operator_token(kernel, &ada, id, ask))
        .await
        .map_err(|error| SeedError::engine("hand out an operator token", error))?;
    Ok(made.operator_token)
}

async fn caller_of(
    kernel: &Kernel,
    store: &Arc<dyn Store>,
    id: PersonId,
    token: &dyn Fn(PersonId) -> Result<String, SeedError>,
) -> Result<Caller, SeedError> {
    let token = token(id)?;
    let token: OperatorTokenId =
        token.parse().map_err(|_| SeedError::missing(&format!("hold {token} as an operator token")))?;
    let snapshot = store.load(&[RowKey::new(RowKind::Person, id)]).await?;
    let person = snapshot.get::<Person>(0)?.ok_or_else(|| SeedError::missing("have the person"))?;
    let caller = Caller::Person { person, via: Via::OperatorToken(token), assurance: None };
    Box::pin(caller::still(kernel, &caller)).await.map_err(|error| SeedError::engine("let somebody in", error))
}
