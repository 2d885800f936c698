//! What is done to an identity from its page: suspended, released, renewed, transferred, retired, closed.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use tenure_api::people::NewOffer;
use tenure_api::request::NewRequest;
use tenure_api::requests::Resume;
use tenure_api::usage::NewRightSize;
use tenure_api::views::{IdentityView, Names};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::list::Cell;
use tenure_console::problem::Wrong;
use tenure_console::records::Named;
use tenure_console::sheet::{Button, Field, Form, Sheet, SheetPage};
use tenure_console::when::When;
use tenure_console::{identities, text};
use tenure_core::identity::Identity;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::Resource;
use tenure_core::people::person::Person;
use tenure_core::request::Matter;
use tenure_engine::access::transfers;
use tenure_engine::identities::{lifecycle, registration};
use tenure_engine::matters::{request, right_size};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::console::making::{day, span, words};
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::{Path, Query};

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities/{id}/suspend", deed(Verb::Suspend))
        .page("/identities/{id}/resume", deed(Verb::Resume))
        .page("/identities/{id}/access", deed(Verb::Ask))
        .page("/identities/{id}/renew", deed(Verb::Renew))
        .page("/identities/{id}/right-size", deed(Verb::Narrow))
        .page("/identities/{id}/transfer", deed(Verb::Transfer))
        .page("/identities/{id}/retire", deed(Verb::Retire))
        .page("/identities/{id}/close", deed(Verb::Close))
}

/// The page of a deed, and its form.
fn deed(verb: Verb) -> MethodRouter<App> {
    get(move |app: State<App>, reader: Reader, who: Path<String>, which: Result<Query<Which>, Failure>| {
        ask(verb, app, reader, who, which)
    })
    .post(move |app: State<App>, who: Path<String>, sent: Sent| act(verb, app, who, sent))
}

/// A deed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Suspend,
    Resume,
    Ask,
    Renew,
    Narrow,
    Transfer,
    Retire,
    Close,
}

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Suspend => text::SUSPEND,
            Self::Resume => text::RESUME,
            Self::Ask => text::ASK_ACCESS,
            Self::Renew => text::RENEW,
            Self::Narrow => text::NARROW,
            Self::Transfer => text::TRANSFER,
            Self::Retire => text::RETIRE,
            Self::Close => text::CLOSE,
        }
    }

    const fn lead(self) -> &'static str {
        match self {
            Self::Suspend => text::SUSPEND_LEAD,
            Self::Resume => text::RESUME_LEAD,
            Self::Ask => text::ASK_LEAD,
            Self::Renew => text::RENEW_LEAD,
            Self::Narrow => text::NARROW_LEAD,
            Self::Transfer => text::TRANSFER_LEAD,
            Self::Retire => text::RETIRE_LEAD,
            Self::Close => text::CLOSE_LEAD,
        }
    }
}

/// What was typed: nothing yet, or what came with a form.
#[derive(Default)]
struct Typed {
    reason: String,
    until: String,
    to: String,
    cause: String,
    revision: String,
    resource: String,
    actions: String,
    duration: String,
}

impl Typed {
    fn of(sent: &Sent) -> Self {
        let text = |name| sent.text(name);
        Self {
            reason: text("reason"),
            until: text("until"),
            to: text("to"),
            cause: text("cause"),
            revision: text("revision"),
            resource: text("resource"),
            actions: text("actions"),
            duration: text("duration"),
        }
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Which cause of suspension is released.
    #[serde(default)]
    cause: usize,
}

async fn ask(
    verb: Verb,
    State(app): State<App>,
    reader: Reader,
    Path(who): Path<String>,
    which: Result<Query<Which>, Failure>,
) -> Shown {
    let Query(which) = which?;
    let id = meant::<Identity>(&app, &reader.caller, &who).await?;
    let view = registration::identity(&app.kernel, &reader.caller, id).await?;
    let typed = Typed { cause: which.cause.to_string(), revision: view.revision.to_string(), ..Typed::default() };
    let names = names_in(&app, &reader.caller, &view).await?;
    Ok(page(StatusCode::OK, &form(&reader, verb, &view, &names, typed, None)))
}

async fn act(verb: Verb, State(app): State<App>, Path(who): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let id = meant::<Identity>(&app, &reader.caller, &who).await?;
    // Whoever may not read it learns here that they may not, and nothing else.
    let view = registration::identity(&app.kernel, &reader.caller, id).await?;
    let typed = Typed::of(&sent);
    let done = match sent.checked() {
        Ok(()) => Box::pin(done(&app, reader, verb, &view.record, &typed)).await,
        Err(wrong) => Err(wrong),
    };
    match done {
        Ok(to) => Ok(Redirect::to(&to.to_string()).into_response()),
        Err(failure) => {
            // It may have gone on meanwhile: what it is now is shown.
            let view = registration::identity(&app.kernel, &reader.caller, id).await?;
            let names = names_in(&app, &reader.caller, &view).await?;
            let status = status_of(&failure);
            Ok(page(status, &form(reader, verb, &view, &names, typed, Some((*failure.0).into()))))
        }
    }
}

/// Does it, by the API's own use case; where it leads.
async fn done(app: &App, reader: &Reader, verb: Verb, identity: &Identity, typed: &Typed) -> Result<Address, Failure> {
    let (kernel, caller, id) = (&app.kernel, &reader.caller, identity.id);
    let reason = typed.reason.clone();
    match verb {
        Verb::Suspend => drop(lifecycle::suspend(kernel, caller, id, reason).await?),
        Verb::Resume => {
            let ask =
                Resume { cause: number(&typed.cause)?.unwrap_or_default(), revision: number(&typed.revision)?, reason };
            lifecycle::resume(kernel, caller, id, ask).await?;
        }
        Verb::Retire => drop(lifecycle::retire(kernel, caller, id, reason).await?),
        Verb::Close => drop(lifecycle::close(kernel, caller, id, reason).await?),
        Verb::Ask => {
            let resource = meant::<Resource>(app, caller, &typed.resource).await?.to_string();
            let matter = Matter::Access {
                identity: id,
                entitlement: Entitlement { actions: words(&typed.actions), resource },
                starts_at: None,
                duration: span("duration", &typed.duration)?,
                task: None,
            };
            let view = request::open_request(kernel, caller, NewRequest { matter, purpose: reason }).await?;
            return Ok(Address::new("/requests").below(&view.request.id.to_string()));
        }
        Verb::Renew => {
            let matter = Matter::Renewal { identity: id, until: day("until", &typed.until)? };
            let view = request::open_request(kernel, caller, NewRequest { matter, purpose: reason }).await?;
            return Ok(Address::new("/requests").below(&view.request.id.to_string()));
        }
        Verb::Narrow => {
            let ask = NewRightSize { purpose: Some(reason), ..NewRightSize::default() };
            let asked = right_size::open_right_size(kernel, caller, id, ask).await?;
            if let Some(view) = asked.request {
                return Ok(Address::new("/requests").below(&view.request.id.to_string()));
            }
        }
        Verb::Transfer => {
            let to = meant::<Person>(app, caller, &typed.to).await?;
            transfers::start_transfer(kernel, caller, id, NewOffer { to }).await?;
        }
    }
    Ok(Address::new("/identities").below(&id.to_string()))
}

/// A number that a form keeps to itself, if it has one.
fn number<T: std::str::FromStr>(text: &str) -> Result<Option<T>, Failure> {
    let number = Some(text).filter(|text| !text.is_empty()).map(str::parse).transpose();
    number.map_err(|_| Failure::malformed("the form is not the page's: load it anew"))
}

fn form(
    reader: &Reader,
    verb: Verb,
    view: &IdentityView,
    names: &Names,
    typed: Typed,
    wrong: Option<Wrong>,
) -> SheetPage {
    let identity = &view.record;
    let home = Address::new("/identities").below(&identity.id.to_string());
    let action = home.clone().verb(match verb {
        Verb::Suspend => "suspend",
        Verb::Resume => "resume",
        Verb::Ask => "access",
        Verb::Renew => "renew",
        Verb::Narrow => "right-size",
        Verb::Transfer => "transfer",
        Verb::Retire => "retire",
        Verb::Close => "close",
    });
    let mut sheet = Sheet { lead: verb.lead().to_owned(), state: Some(identities::state(view)), ..Sheet::default() };
    sheet.fact(text::OWNER, identity.charter.owner.map(|owner| Cell::Named(Named::of(owner, names))));
    sheet.fact(text::ENDS_AT, identity.charter.expires_at.map(|end| Cell::Time(When::new(end, reader.now))));
    let mut fields = Vec::new();
    match verb {
        Verb::Resume => {
            let cause = number::<usize>(&typed.cause).ok().flatten().and_then(|n| identity.suspensions.get(n));
            sheet.fact(text::SUSPENDED_BECAUSE, cause.map(|cause| Cell::Text(cause.reason.clone())));
            fields.push(Field::Hidden { name: "cause", value: typed.cause });
            fields.push(Field::Hidden { name: "revision", value: typed.revision });
        }
        Verb::Renew => fields.push(Field::day("until", text::UNTIL, text::UNTIL_HINT, typed.until)),
        Verb::Transfer => fields.push(Field::line("to", text::TO_WHOM, text::TO_WHOM_HINT, typed.to)),
        Verb::Ask => {
            fields.push(Field::line("resource", text::RESOURCE, text::RESOURCE_HINT, typed.resource));
            fields.push(Field::line("actions", text::ACTIONS, text::ACTIONS_HINT, typed.actions));
            fields.push(Field::line("duration", text::FOR_HOW_LONG, text::FOR_HOW_LONG_HINT, typed.duration));
        }
        Verb::Suspend | Verb::Narrow | Verb::Retire | Verb::Close => {}
    }
    if verb != Verb::Transfer {
        fields.push(Field::reason(typed.reason));
    }
    let buttons = vec![Button::only(verb.word(), matches!(verb, Verb::Retire | Verb::Close))];
    sheet.form = Some(Form { action, wrong, fields, buttons, takes_fresh: verb == Verb::Resume });
    sheet.back = Some((home, identity.name.clone()));
    SheetPage { frame: reader.frame(format!("{} {}", verb.word(), identity.name), Place::Identities), sheet }
}
