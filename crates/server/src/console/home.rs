//! The first page: what waits for whoever reads.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tenure_console::frame::Place;
use tenure_console::home::{HomePage, LaterPage, Waiting};
use tenure_console::text;
use tenure_core::finding::{Finding, FindingState, Severity};
use tenure_core::identity::transfer::{Transfer, TransferState};
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::request::review::{Review, ReviewState};
use tenure_core::store::document::Order;
use tenure_engine::access::transfers;
use tenure_engine::credentials::{receipts, refusal_times};
use tenure_engine::identities::{census, findings, registration};
use tenure_engine::kernel::authority;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::ListAsk;
use tenure_engine::matters::request;
use tenure_engine::people::setup;
use tenure_engine::reviews;

use crate::app::App;
use crate::caller::named::names_in;
use crate::console::reader::{Reader, Refusal, Shown};
use crate::contract::api::Api;
use crate::contract::page::page;

/// Things of each sort that the page shows.
const SHOWN: u16 = 20;
/// Findings and revocations that it shows.
const FEW: u16 = 8;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/", get(home)).page("/later", get(later))
}

/// A server that wasn't set up yet begins with that.
async fn home(State(app): State<App>, reader: Result<Reader, Response>) -> Shown {
    let reader = match reader {
        Ok(reader) => reader,
        Err(_) if !setup::is_set_up(&app.kernel).await? => return Ok(Redirect::to("/set-up").into_response()),
        Err(elsewhere) => return Ok(elsewhere),
    };
    let mut waiting = Box::pin(waiting(&app, &reader)).await?;
    let seen = (
        (&waiting.votes.items, &waiting.transfers, &waiting.reviews, &waiting.ending),
        (&waiting.findings, &waiting.receipts),
    );
    waiting.names = names_in(&app, &reader.caller, &seen).await?;
    Ok(page(StatusCode::OK, &HomePage::new(reader.frame(text::HOME, Place::Home), waiting)))
}

/// What isn't there yet, said plainly.
async fn later(reader: Reader) -> Shown {
    Ok(page(StatusCode::OK, &LaterPage { frame: reader.frame(text::LATER, Place::Later) }))
}

/// What waits for somebody, and what they may see of the whole. What the API would refuse them isn't asked for.
async fn waiting(app: &App, reader: &Reader) -> Result<Waiting, Refusal> {
    let (kernel, caller, me) = (&app.kernel, &reader.caller, reader.person);
    let offered = vec![Transfer::OFFERED_TO.of(me), Transfer::STATE.of(TransferState::Offered)];
    let to_answer = vec![Review::REVIEWER.of(me), Review::STATE.of(ReviewState::Open)];
    let mine = ListAsk {
        filters: vec![Identity::OWNER.of(me), Identity::STATE.of(IdentityState::Active)],
        sort: Some((Order::End, false)),
        limit: Some(SHOWN),
        ..ListAsk::default()
    };
    let ending = match registration::identities(kernel, caller, mine).await {
        Ok(page) => page.items,
        // What ends is left out for the moments in which the index is made; its notices are sent all the same.
        Err(OpError::SearchBuilding { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let findings = match authority::reads_all(kernel, caller, "finding") {
        true => Some(worst(app, reader).await?),
        false => None,
    };
    let (receipts, times) = match authority::reads_all(kernel, caller, "receipt") {
        true => (
            Some(receipts::last_receipts(kernel, caller, FEW).await?),
            refusal_times::refusal_times_at_hand(kernel, caller).await?,
        ),
        false => (None, None),
    };
    let is_counted = authority::reads_all(kernel, caller, "identity");
    let census = match is_counted {
        true => census::census_at_hand(kernel, caller).await?,
        false => None,
    };
    Ok(Waiting {
        votes: request::waiting_votes(kernel, caller, None, Some(SHOWN)).await?,
        transfers: transfers::transfers(kernel, caller, some(offered)).await?.items,
        reviews: reviews::reviews(kernel, caller, some(to_answer)).await?.items,
        ending,
        findings,
        receipts,
        times,
        is_counted,
        census,
        names: Default::default(),
    })
}

/// The worst open findings.
async fn worst(app: &App, reader: &Reader) -> Result<Vec<tenure_api::findings::FindingView>, OpError> {
    let mut worst = Vec::new();
    for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low] {
        let left = FEW.saturating_sub(u16::try_from(worst.len()).unwrap_or(FEW));
        if left == 0 {
            break;
        }
        let filters = vec![Finding::STATE.of(FindingState::Open), Finding::SEVERITY.of(severity)];
        let ask = ListAsk { filters, limit: Some(left), ..ListAsk::default() };
        worst.extend(findings::findings(&app.kernel, &reader.caller, ask).await?.items);
    }
    Ok(worst)
}

fn some<T>(filters: Vec<tenure_core::store::term::Term<T>>) -> ListAsk<T> {
    ListAsk { filters, limit: Some(SHOWN), ..ListAsk::default() }
}
