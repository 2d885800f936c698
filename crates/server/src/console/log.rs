//! The log.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use serde::Deserialize;
use tenure_api::log::{FeedEvent, InclusionProof};
use tenure_api::pages::is_id;
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::log::{EntryPage, LogPage};
use tenure_console::text;
use tenure_core::identity::Identity;
use tenure_core::store::row::Position;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::names::Named as _;
use tenure_engine::log::{reading, timeline};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::console::reader::{Reader, Refusal, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::page;
use crate::contract::query::{Path, Query};

/// Entries of a page.
const ENTRIES: u16 = 50;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/log", get(log)).page("/log/{index}", get(entry))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct About {
    /// Whom or what it is about.
    #[serde(default)]
    subject: String,
    /// The entry before which it is told.
    before: Option<u64>,
}

async fn log(State(app): State<App>, reader: Reader, about: Result<Query<About>, Failure>) -> Shown {
    let Query(About { subject, before }) = about?;
    let subject = subject.trim().to_owned();
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let (events, before) = if subject.is_empty() {
        newest(&app, &reader, before).await?
    } else {
        // A name is an identity's; ids of all sorts have a timeline.
        let id = match is_id(&subject) {
            true => subject.clone(),
            false => meant::<Identity>(&app, caller, &subject).await?.to_string(),
        };
        // Whoever may not read it learns no id of it, and not whether there is such a name.
        let told = Box::pin(timeline::timeline(kernel, caller, &id, before, ENTRIES)).await?;
        if id == Identity::NOBODY.to_string() {
            return Err(OpError::NotFound("identity").into());
        }
        if id != subject {
            return Ok(Redirect::to(&Address::new("/log").with("subject", id).to_string()).into_response());
        }
        (told.items, told.before)
    };
    let names = names_in(&app, &reader.caller, &(&events, &subject)).await?;
    let checkpoint = reading::checkpoint(kernel).await?.unwrap_or_default();
    let signed = (checkpoint, reading::verifier_key(kernel).await?);
    let frame = reader.frame(text::LOG, Place::Log);
    Ok(page(StatusCode::OK, &LogPage::new(frame, (subject, before), events, &names, signed)))
}

/// The entries before one of them, or the newest, and where it goes on.
async fn newest(app: &App, reader: &Reader, before: Option<u64>) -> Result<(Vec<FeedEvent>, Option<u64>), Refusal> {
    let end = match before {
        Some(before) => before,
        None => sealed(app).await?,
    };
    let start = end.saturating_sub(ENTRIES.into());
    let after = start.checked_sub(1).map(Position::at);
    let limit = u16::try_from(end.saturating_sub(start)).unwrap_or(ENTRIES).max(1);
    let mut events = reading::events_after(&app.kernel, &reader.caller, after, limit).await?;
    events.reverse();
    Ok((events, (start > 0).then_some(start)))
}

/// How many entries the newest checkpoint covers.
async fn sealed(app: &App) -> Result<u64, Refusal> {
    let checkpoint = reading::checkpoint(&app.kernel).await?.unwrap_or_default();
    Ok(checkpoint.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or_default())
}

/// One entry, with its proof under the newest checkpoint if that covers it.
async fn entry(State(app): State<App>, reader: Reader, Path(index): Path<String>) -> Shown {
    let index: u64 = index.parse().map_err(|_| OpError::NotFound("entry of the log"))?;
    let after = index.checked_sub(1).map(Position::at);
    let event = match reading::events_after(&app.kernel, &reader.caller, after, 1).await {
        Ok(events) => events.into_iter().next().ok_or(OpError::NotFound("entry of the log"))?,
        Err(OpError::Invalid(_)) => return Err(OpError::NotFound("entry of the log").into()),
        Err(error) => return Err(error.into()),
    };
    let size = sealed(&app).await?;
    let proof: Option<InclusionProof> = match index < size {
        true => Some(reading::inclusion(&app.kernel, index, size).await?),
        false => None,
    };
    let names = names_in(&app, &reader.caller, &event).await?;
    let title = text::sentence(&text::plain(&event.kind.replace('.', " ")));
    Ok(page(StatusCode::OK, &EntryPage::new(reader.frame(title, Place::Log), event, &names, proof)))
}
