//! The inventory, and each identity's page.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Deserialize;
use tenure_api::findings::PostureView;
use tenure_api::views::{AccessReport, IdentityView, Names, Page};
use tenure_console::frame::Place;
use tenure_console::identities::{CSV_HEAD, csv_lines};
use tenure_console::identity::{IdentityPage, Known};
use tenure_console::{identities, list, text};
use tenure_core::credential::receipt::{Receipt, Target};
use tenure_core::identity::Identity;
use tenure_core::identity::scope::Scope;
use tenure_core::request::Request;
use tenure_core::request::review::Review;
use tenure_engine::credentials::liveness;
use tenure_engine::identities::{findings, grants, registration};
use tenure_engine::kernel::authority;
use tenure_engine::kernel::query::{ListAsk, Listed as _, MAX_PAGE};
use tenure_engine::log::timeline;
use tenure_engine::matters::{exceptions, request, reviews};

use crate::app::App;
use crate::caller::named::{listed_names, meant, names_in};
use crate::console::reader::{Asked, Reader, Refusal, Shown, counted};
use crate::contract::api::Api;
use crate::contract::page::page;
use crate::contract::query::{Path, Query};

/// Pages of the inventory that one file holds at most.
const PAGES_OF_A_FILE: usize = 50;
/// Entries of the log that an identity's page shows.
const ENTRIES: u16 = 20;
/// Requests and exceptions that it shows, each.
const LAST_REQUESTS: usize = 8;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities", get(inventory)).page("/identities.csv", get(file)).page("/identities/{id}", get(one))
}

async fn inventory(State(app): State<App>, asked: Asked<Identity>) -> Shown {
    let Asked { reader, ask, address } = asked;
    let found = counted!(ask, |ask| registration::identities(&app.kernel, &reader.caller, ask))?;
    let names = listed_names(&app, &reader.caller, &found, address.parameters()).await?;
    let frame = reader.frame(text::IDENTITIES, Place::Identities);
    Ok(page(StatusCode::OK, &identities::page(frame, address, found, &names)))
}

/// What the inventory shows, as a file; ten thousand lines at most.
async fn file(State(app): State<App>, asked: Asked<Identity>) -> Shown {
    let Asked { reader, mut ask, .. } = asked;
    ask.limit = Some(MAX_PAGE);
    let mut text = list::csv([CSV_HEAD.map(str::to_owned).to_vec()]);
    for _ in 0..PAGES_OF_A_FILE {
        let found: Page<IdentityView> =
            Box::pin(registration::identities(&app.kernel, &reader.caller, ask.clone())).await?;
        let names = names_in(&app, &reader.caller, &found).await?;
        text.push_str(&csv_lines(&found.items, &names));
        ask.after = found.next;
        if ask.after.is_none() {
            break;
        }
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"identities.csv\"")),
    ];
    Ok((headers, text).into_response())
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
    let about_it = ListAsk { filters: vec![Request::IDENTITY.of(id)], limit: Some(MAX_PAGE), ..ListAsk::default() };
    let mut requests = request::requests(kernel, caller, about_it).await?.items;
    requests.reverse();
    requests.truncate(LAST_REQUESTS);
    let mut exceptions = Vec::new();
    for exception in view.record.exceptions.iter().take(LAST_REQUESTS).filter(|_| reads("exception")) {
        exceptions.push(exceptions::exception(kernel, caller, *exception).await?);
    }
    let removal = match authority::reads_all(kernel, caller, Receipt::NAME) {
        true => {
            let of_it = Receipt::TARGET.of(Target::Scope(Scope::Identity(id)));
            let ask = ListAsk { filters: vec![of_it], limit: Some(MAX_PAGE), ..ListAsk::default() };
            kernel.list::<Receipt>(caller, ask).await?.items.pop().map(|last| last.record)
        }
        false => None,
    };
    let mut known = Known {
        exceptions,
        requests,
        grants_from,
        removal,
        access: match reads("identity") {
            true => grants::access(kernel, caller, id).await?,
            false => AccessReport { identity: id, access: Vec::new(), names: Names::new() },
        },
        credentials: match reads("credential") {
            true => liveness::credentials_of(kernel, caller, id, ListAsk::default()).await?,
            false => Page::whole(Vec::new()),
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
        (&known.view, &known.access, &known.credentials, &known.reviews),
        (&known.exceptions, &known.requests, &known.timeline),
    );
    known.names = names_in(&app, &reader.caller, &seen).await?;
    Ok::<_, Refusal>(page(StatusCode::OK, &IdentityPage::new(reader.frame("", Place::Identities), known)))
}
