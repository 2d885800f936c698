//! The inventory, and each identity's page.

use std::convert::Infallible;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tenure_api::findings::PostureView;
use tenure_api::views::{AccessReport, IdentityView, Names, Page};
use tenure_console::frame::Place;
use tenure_console::identities::{CSV_HEAD, csv_lines};
use tenure_console::identity::{IdentityPage, Known};
use tenure_console::{identities, list, text};
use tenure_core::credential::receipt::{Receipt, Target};
use tenure_core::identity::right_size::UseWindow;
use tenure_core::identity::scope::Scope;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::request::Request;
use tenure_core::request::review::Review;
use tenure_core::target::account::Account;
use tenure_core::target::login::Login;
use tenure_engine::credentials::{liveness, logins};
use tenure_engine::identities::{findings, grants, registration, usage};
use tenure_engine::kernel::authority;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::query::{ListAsk, Listed as _, MAX_PAGE};
use tenure_engine::log::timeline;
use tenure_engine::matters::{exceptions, request};
use tenure_engine::people::views;
use tenure_engine::reviews;
use tenure_engine::targets::accounts;

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::reader::{Asked, NEWEST_FIRST, Reader, Refusal, Shown, counted};
use crate::console::targets::last;
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::{Path, Query};
use crate::limits::admission::BoundedElsewhere;

/// Entries of the log that an identity's page shows.
const ENTRIES: u16 = 20;
/// Requests and exceptions that it shows, each.
const LAST_REQUESTS: u16 = 8;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities", get(inventory)).page("/identities.csv", get(file)).page("/identities/{id}", get(one))
}

async fn inventory(State(app): State<App>, asked: Asked<Identity>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let columns = identities::columns(address.get(list::COLUMNS))
        .map_err(|takes| OpError::field(list::COLUMNS, "value_unknown", &takes))?;
    let found = counted!(ask, |ask| registration::identities(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let saved = views::views(&app.kernel, &reader.caller).await?.items;
    let frame = reader.frame(text::IDENTITIES, Place::Identities);
    Ok(page(StatusCode::OK, &identities::page(frame, address, &columns, found, &names, &saved)))
}

/// What the inventory shows, as a file: all of it, a page at a time.
async fn file(State(app): State<App>, asked: Asked<Identity>) -> Shown {
    let Asked { reader, mut ask, .. } = asked;
    ask.limit = Some(MAX_PAGE);
    let caller = reader.caller;
    // What is wrong with the question is said before the file begins.
    let (first, after) = Box::pin(lines(&app, &caller, ask.clone())).await?;
    let open = app.streams.open(&caller)?;
    let head = list::csv([CSV_HEAD.map(str::to_owned).to_vec()]);
    let begun = stream::iter([Ok(head), Ok(first)]);
    ask.after = after;
    let more = Some(ask).filter(|ask| ask.after.is_some());
    let rest = stream::unfold((more, app, caller, open), async |(ask, app, caller, open)| {
        let mut ask = ask?;
        // A session that ends takes the file that it began with it.
        let still = caller::still(&app.kernel, &caller).await;
        let read = match still {
            Ok(_) => Box::pin(lines(&app, &caller, ask.clone())).await.map_err(|refusal| refusal.0),
            Err(error) => Err(error.into()),
        };
        Some(match read {
            Ok((text, after)) => {
                ask.after = after;
                (Ok(text), (Some(ask).filter(|ask| ask.after.is_some()), app, caller, open))
            }
            // Whoever reads it later has to see that it is not all.
            Err(failure) => {
                tracing::warn!(code = failure.0.code, "an export of the inventory ends before its end");
                (Ok(list::csv([vec![text::NOT_ALL.to_owned()]])), (None, app, caller, open))
            }
        })
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"identities.csv\"")),
    ];
    let body = Body::from_stream(begun.chain(rest).map(|text: Result<String, Infallible>| text));
    Ok((Extension(BoundedElsewhere), headers, body).into_response())
}

/// A page of the inventory as lines of the file, and where it goes on.
async fn lines(app: &App, caller: &Caller, ask: ListAsk<Identity>) -> Result<(String, Option<String>), Refusal> {
    let found: Page<IdentityView> = registration::identities(&app.kernel, caller, ask).await?;
    let names = names_in(app, caller, &found).await?;
    Ok((csv_lines(&found.items, &names), found.next))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Back {
    /// The entry of the log before which its history is told.
    before: Option<u64>,
    /// The grant from which on they are shown.
    #[serde(default)]
    grants: usize,
}

async fn one(
    State(app): State<App>,
    reader: Reader,
    Path(who): Path<String>,
    back: Result<Query<Back>, crate::contract::error::Failure>,
) -> Shown {
    let (kernel, caller) = (&app.kernel, &reader.caller);
    let Query(Back { before, grants: grants_from }) = back?;
    let id = meant::<Identity>(&app, caller, &who).await?;
    let view = registration::identity(kernel, caller, id).await?;
    let owns = view.record.charter.owner == Some(reader.person);
    // Who registered a draft for somebody else reads that, and nothing else of it.
    let reads = |kind: &str| owns || authority::reads_all(kernel, caller, kind);
    let timeline = match owns || authority::audits(kernel, caller) {
        true => Some(Box::pin(timeline::timeline(kernel, caller, &id.to_string(), before, ENTRIES)).await?),
        false => None,
    };
    let of_it = ListAsk { filters: vec![Review::IDENTITY.of(id)], ..ListAsk::default() };
    let about_it = ListAsk {
        filters: vec![Request::IDENTITY.of(id)],
        sort: Some(NEWEST_FIRST),
        limit: Some(LAST_REQUESTS),
        ..ListAsk::default()
    };
    let requests = request::requests(kernel, caller, about_it).await?.items;
    let mut exceptions = Vec::new();
    for exception in view.record.exceptions.iter().take(LAST_REQUESTS.into()).filter(|_| reads("exception")) {
        exceptions.push(exceptions::exception(kernel, caller, *exception).await?);
    }
    let accounts = match view.record.has_accounts && reads("account") {
        true => {
            let of_it = vec![Account::IDENTITY.of(id)];
            accounts::accounts(kernel, caller, ListAsk { filters: of_it, ..ListAsk::default() }).await?.items
        }
        false => Vec::new(),
    };
    let logins = match reads("credential") {
        true => logins::logins(kernel, caller, last(Login::IDENTITY.of(id))).await?.items,
        false => Vec::new(),
    };
    let removal = match authority::reads_all(kernel, caller, Receipt::NAME) {
        true => {
            let of_it = Receipt::TARGET.of(Target::Scope(Scope::Identity(id)));
            let sort = Some(NEWEST_FIRST);
            let ask = ListAsk { filters: vec![of_it], sort, limit: Some(1), ..ListAsk::default() };
            kernel.list::<Receipt>(caller, ask).await?.items.pop().map(|last| last.record)
        }
        false => None,
    };
    let mut known = Known {
        exceptions,
        requests,
        grants_from,
        accounts,
        logins,
        removal,
        access: match reads("identity") {
            true => grants::access(kernel, caller, id).await?,
            false => AccessReport { identity: id, access: Vec::new(), names: Names::new() },
        },
        credentials: match reads("credential") {
            true => liveness::credentials_of(kernel, caller, id, ListAsk::default()).await?,
            false => Page::whole(Vec::new()),
        },
        usage: match reads("identity") && matches!(view.record.state, IdentityState::Active | IdentityState::Suspended)
        {
            true => Some(Box::pin(usage::usage(kernel, caller, id, UseWindow::default())).await?),
            false => None,
        },
        posture: match reads("identity") {
            true => findings::posture(kernel, caller, id).await?,
            false => PostureView { identity: id, at: reader.now, rules: Vec::new(), broken: Vec::new() },
        },
        reviews: reviews::reviews(kernel, caller, of_it).await?.items,
        timeline,
        is_whole: reads("identity") && reads("credential"),
        view,
        names: Default::default(),
    };
    let seen = (
        (&known.view, &known.access, &known.credentials, &known.reviews, &known.usage),
        (&known.exceptions, &known.requests, &known.timeline, &known.accounts, &known.logins),
    );
    known.names = names_in(&app, &reader.caller, &seen).await?;
    Ok::<_, Refusal>(page(StatusCode::OK, &IdentityPage::new(reader.frame("", Place::Identities), known)))
}
