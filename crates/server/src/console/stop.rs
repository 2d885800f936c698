//! Stop: anything is found by any name, and stopped.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use tenure_api::requests::{Revocation, RevocationTarget};
use tenure_api::views::{IdentityView, Names, Page};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::graph::Graph;
use tenure_console::identities::identity_table;
use tenure_console::list::Cell;
use tenure_console::problem::Wrong;
use tenure_console::records::Named;
use tenure_console::sheet::{Button, Choice, Field, Form, Sheet, SheetPage};
use tenure_console::stop::{Found, Proof, StopPage, StoppedPage};
use tenure_console::text;
use tenure_core::base::id::ReceiptId;
use tenure_core::credential::receipt::Target;
use tenure_core::identity::{Identity, IdentityState};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::third_party::{CloudAccount, Vendor};
use tenure_core::people::person::Person;
use tenure_core::store::term::Term;
use tenure_engine::credentials::{receipts, revocation};
use tenure_engine::identities::registration;
use tenure_engine::kernel::authority;
use tenure_engine::kernel::error::OpError;
use tenure_engine::kernel::names::Named as _;
use tenure_engine::kernel::query::{ListAsk, Listed};

use crate::app::App;
use crate::caller::named::{meant, names_in};
use crate::console::reader::{Reader, Refusal, Sent, Shown, counted};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::list::{Filtered, List};
use crate::contract::page::{page, status_of};
use crate::contract::query::{Path, Query};

/// Things of each sort that are found at once.
const FOUND: u16 = 12;
/// Identities that the page of a scope names.
const NAMED: usize = 25;
/// Identities of a scope that its page looks at for whom they belong to and what they touch: a scope may have a third of
/// all, and is to be stopped at once.
const LOOKED_AT: u16 = 60;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/stop", get(find))
        .page("/stop/identity/{id}", scope("identity"))
        .page("/stop/owner/{id}", scope("owner"))
        .page("/stop/application/{id}", scope("application"))
        .page("/stop/environment/{id}", scope("environment"))
        .page("/stop/vendor/{id}", scope("vendor"))
        .page("/stop/cloud_account/{id}", scope("cloud_account"))
}

/// The page on which something of a sort is stopped.
fn scope(kind: &'static str) -> MethodRouter<App> {
    get(move |app: State<App>, reader: Reader, which: Path<String>, shown: Result<Query<Proven>, Failure>| {
        ask(kind, app, reader, which, shown)
    })
    .post(move |app: State<App>, which: Path<String>, sent: Sent| stop(kind, app, which, sent))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sought {
    /// Words of its name.
    #[serde(default)]
    q: String,
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Proven {
    /// The receipt of a stop of it, whose proof is shown.
    receipt: Option<ReceiptId>,
}

/// Looks through every sort of thing that can be stopped, and that the reader may see.
async fn find(State(app): State<App>, reader: Reader, sought: Result<Query<Sought>, Failure>) -> Shown {
    let Query(Sought { q }) = sought?;
    let words = q.trim().to_owned();
    let mut search = Search { app: &app, reader: &reader, words: &words, found: Vec::new(), is_partial: false };
    if !words.is_empty() {
        search.identities().await?;
        search.records::<Person>("owner", |found| (found.name.clone(), found.email.clone())).await?;
        search.records::<Application>("application", |found| (Some(found.name.clone()), None)).await?;
        search.records::<Environment>("environment", |found| (Some(found.name.clone()), None)).await?;
        search.records::<Vendor>("vendor", |found| (Some(found.name.clone()), Some(found.contact.clone()))).await?;
        search.records::<CloudAccount>("cloud_account", |found| (found.name(), None)).await?;
    }
    let Search { mut found, is_partial, .. } = search;
    // What is called so stands before what has such a word somewhere.
    let begins = words.to_lowercase();
    found.sort_by_key(|found| !found.name.to_lowercase().starts_with(&begins));
    let frame = reader.frame(text::STOP, Place::Stop);
    Ok(page(StatusCode::OK, &StopPage { frame, words, found, is_partial }))
}

/// A search through several sorts of records.
struct Search<'a> {
    app: &'a App,
    reader: &'a Reader,
    words: &'a str,
    found: Vec<Found>,
    is_partial: bool,
}

impl Search<'_> {
    /// The words as a list reads them, so that what it doesn't take is said.
    fn ask<T: Filtered>(&self) -> Result<ListAsk<T>, Refusal> {
        let query = Address::new("").with("q", self.words).to_string();
        let List { ask } = List::of(query.trim_start_matches('?'))?;
        Ok(ListAsk { limit: Some(FOUND), ..ask })
    }

    async fn identities(&mut self) -> Result<(), Refusal> {
        let found = registration::identities(&self.app.kernel, &self.reader.caller, self.ask()?).await;
        self.add("identity", found, |view| {
            let identity = &view.record;
            (identity.name.clone(), identity.id.to_string(), identity.charter.purpose.clone())
        })
    }

    /// Plain records, if the reader may read all of them.
    async fn records<T: Listed + Filtered>(
        &mut self,
        kind: &'static str,
        told: fn(&T) -> (Option<String>, Option<String>),
    ) -> Result<(), Refusal> {
        let (kernel, caller) = (&self.app.kernel, &self.reader.caller);
        if !authority::reads_all(kernel, caller, T::NAME) {
            return Ok(());
        }
        let found = Box::pin(kernel.list::<T>(caller, self.ask()?)).await;
        self.add(kind, found, |found| {
            let (name, lesser) = told(&found.record);
            (name.unwrap_or_else(|| text::ERASED.to_owned()), found.record.row_id(), lesser)
        })
    }

    /// Adds what was found, by its name, its id and what tells it from others.
    fn add<P>(
        &mut self,
        kind: &'static str,
        found: Result<Page<P>, OpError>,
        told: impl Fn(&P) -> (String, String, Option<String>),
    ) -> Result<(), Refusal> {
        let page = match found {
            Ok(page) => page,
            Err(OpError::SearchBuilding { .. }) => {
                self.is_partial = true;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.found.extend(page.items.iter().map(|item| {
            let (name, id, lesser) = told(item);
            let to = Address::new("/stop").verb(kind).below(&id);
            Found { name, kind: word_of(kind), lesser: lesser.unwrap_or_default(), to }
        }));
        Ok(())
    }
}

/// A sort of scope as people call it.
const fn word_of(kind: &'static str) -> &'static str {
    match kind.as_bytes() {
        b"cloud_account" => "cloud account",
        _ => kind,
    }
}

/// What is to be stopped, and whom it takes with it.
struct Scope {
    target: RevocationTarget,
    kind: &'static str,
    id: String,
    of_it: Option<Term<Identity>>,
}

/// The scope of a sort that a text names, by id or by name.
pub(super) async fn scope_of(
    app: &App,
    reader: &Reader,
    kind: &str,
    text: &str,
) -> Result<tenure_core::identity::scope::Scope, Failure> {
    match Target::from(Scope::of(app, reader, kind, text).await?.target) {
        Target::Scope(scope) => Ok(scope),
        Target::Credential(_) | Target::Person(_) => Err(OpError::NotFound("sort of thing that is held").into()),
    }
}

impl Scope {
    async fn of(app: &App, reader: &Reader, kind: &str, text: &str) -> Result<Self, Failure> {
        let caller = &reader.caller;
        Ok(match kind {
            "identity" => {
                let id = meant::<Identity>(app, caller, text).await?;
                Self { target: RevocationTarget::Identity(id), kind: "identity", id: id.to_string(), of_it: None }
            }
            "owner" => {
                let id = meant::<Person>(app, caller, text).await?;
                let of_it = Some(Identity::OWNER.of(id));
                Self { target: RevocationTarget::Owner(id), kind: "owner", id: id.to_string(), of_it }
            }
            "application" => {
                let id = meant::<Application>(app, caller, text).await?;
                let of_it = Some(Identity::APPLICATION.of(id));
                Self { target: RevocationTarget::Application(id), kind: "application", id: id.to_string(), of_it }
            }
            "environment" => {
                let of_it = Some(Identity::ENVIRONMENT.of(text));
                Self {
                    target: RevocationTarget::Environment(text.to_owned()),
                    kind: "environment",
                    id: text.to_owned(),
                    of_it,
                }
            }
            "vendor" => {
                let id = meant::<Vendor>(app, caller, text).await?;
                let of_it = Some(Identity::VENDOR.of(id));
                Self { target: RevocationTarget::Vendor(id), kind: "vendor", id: id.to_string(), of_it }
            }
            "cloud_account" => {
                let id = meant::<CloudAccount>(app, caller, text).await?;
                let of_it = Some(Identity::CLOUD_ACCOUNT.of(id));
                Self { target: RevocationTarget::CloudAccount(id), kind: "cloud_account", id: id.to_string(), of_it }
            }
            _ => return Err(OpError::NotFound("sort of thing that can be stopped").into()),
        })
    }

    /// The identities that it takes with it, as far as the reader may see them; each sort is read as the API reads it.
    async fn taken(&self, app: &App, reader: &Reader) -> Result<Page<IdentityView>, Failure> {
        let (kernel, caller) = (&app.kernel, &reader.caller);
        let known = match &self.target {
            RevocationTarget::Identity(id) => {
                return Ok(Page::whole(vec![registration::identity(kernel, caller, *id).await?]));
            }
            RevocationTarget::Owner(_) => kernel.get::<Person>(caller, &self.id).await.map(drop),
            RevocationTarget::Application(_) => kernel.get::<Application>(caller, &self.id).await.map(drop),
            RevocationTarget::Environment(_) => kernel.get::<Environment>(caller, &self.id).await.map(drop),
            RevocationTarget::Vendor(_) => kernel.get::<Vendor>(caller, &self.id).await.map(drop),
            RevocationTarget::CloudAccount(_) => kernel.get::<CloudAccount>(caller, &self.id).await.map(drop),
            RevocationTarget::Credential(_) => Ok(()),
        };
        known?;
        let filters = self.of_it.clone().into_iter().chain([Identity::STATE.of(IdentityState::Active)]).collect();
        let ask = ListAsk { filters, limit: Some(LOOKED_AT), ..ListAsk::default() };
        Ok(counted!(ask, |ask| registration::identities(kernel, caller, ask))?)
    }
}

async fn ask(
    kind: &str,
    State(app): State<App>,
    reader: Reader,
    Path(which): Path<String>,
    shown: Result<Query<Proven>, Failure>,
) -> Shown {
    let Query(Proven { receipt }) = shown?;
    let scope = Scope::of(&app, &reader, kind, &which).await?;
    if let Some(receipt) = receipt {
        return stopped(&app, &reader, &scope, receipt).await;
    }
    let taken = Box::pin(scope.taken(&app, &reader)).await?;
    let shown = form(&app, &reader, &scope, taken, Typed { reason: String::new(), suspend: true, wrong: None }).await?;
    Ok(page(StatusCode::OK, &shown))
}

/// The proof of a stop of it, as it comes in, beside what could come back by itself.
async fn stopped(app: &App, reader: &Reader, scope: &Scope, receipt: ReceiptId) -> Shown {
    let view = receipts::receipt(&app.kernel, &reader.caller, receipt).await?;
    if view.receipt.target != Target::from(scope.target.clone()) {
        return Err(OpError::NotFound("receipt of it").into());
    }
    let names = names_in(app, &reader.caller, &view).await?;
    let proof = Proof::new(view, &names, app.kernel.now());
    Ok(page(StatusCode::OK, &StoppedPage::new(reader.frame("", Place::Stop), proof)))
}

async fn stop(kind: &str, State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    let scope = Scope::of(&app, reader, kind, &which).await?;
    // Whoever may not read it learns here that they may not, and nothing else.
    let taken = Box::pin(scope.taken(&app, reader)).await?;
    let (reason, suspend) = (sent.text("reason"), sent.text("how") != "cut");
    let revocation = Revocation { target: scope.target.clone(), reason: reason.clone(), suspend };
    let done = match sent.checked() {
        Ok(()) => Box::pin(revocation::revoke(&app.kernel, &reader.caller, revocation)).await.map_err(Failure::from),
        Err(wrong) => Err(wrong),
    };
    match done {
        Ok(receipt) => {
            let home = Address::new("/stop").verb(scope.kind).below(&scope.id);
            let proof = home.with("receipt", receipt.receipt.id.to_string());
            Ok(Redirect::to(&proof.to_string()).into_response())
        }
        Err(failure) => {
            let status = status_of(&failure);
            let typed = Typed { reason, suspend, wrong: Some((*failure.0).into()) };
            Ok(page(status, &form(&app, reader, &scope, taken, typed).await?))
        }
    }
}

/// What was typed, and what was wrong with it.
struct Typed {
    reason: String,
    suspend: bool,
    wrong: Option<Wrong>,
}

async fn form(
    app: &App,
    reader: &Reader,
    scope: &Scope,
    taken: Page<IdentityView>,
    typed: Typed,
) -> Result<SheetPage, Refusal> {
    let Typed { reason, suspend, wrong } = typed;
    let names: Names = names_in(app, &reader.caller, &(&taken, &scope.id)).await?;
    let name = match taken.items.as_slice() {
        [one] if scope.kind == "identity" => one.record.name.clone(),
        _ => Named::of(&scope.id, &names).name,
    };
    let is_partial = taken.next.is_some();
    let mut sheet = Sheet { lead: text::stop_lead(scope.kind), ..Sheet::default() };
    if scope.kind != "identity" {
        let count = taken.count.unwrap_or(taken.items.len() as u64);
        sheet.fact(text::STOPS, [Cell::Text(text::active_identities(count, taken.items.len() > NAMED))]);
        let owners: BTreeSet<_> = taken.items.iter().filter_map(|view| view.record.charter.owner).collect();
        if is_partial {
            sheet.fact(text::LOOKED_AT, [Cell::Text(text::the_first(LOOKED_AT))]);
        }
        sheet.fact(text::HITS, owners.into_iter().map(|owner| Cell::Named(Named::of(owner, &names))));
    }
    let returning = taken.items.iter().filter(|view| !view.record.bindings.is_empty()).count();
    sheet.fact(
        text::COMES_BACK,
        [Cell::Text(text::returning(returning, scope.kind == "identity", is_partial.then_some(LOOKED_AT)))],
    );
    let choice = |value, label, hint, chosen| Choice { value, label, hint, chosen };
    let options = vec![
        choice("hold", text::STOP_AND_HOLD, text::STOP_AND_HOLD_HINT, suspend),
        choice("cut", text::STOP_ONLY, text::STOP_ONLY_HINT, !suspend),
    ];
    let caption = if taken.items.len() > NAMED { text::THE_FIRST_OF_THEM } else { text::ALL_OF_THEM };
    sheet.picture = Graph::of(&taken.items, &names);
    let shown = taken.items.get(..NAMED).unwrap_or(&taken.items);
    sheet.tables.push(identity_table(caption.to_owned(), shown, &names, reader.now));
    sheet.form = Some(Form {
        action: Address::new("/stop").verb(scope.kind).below(&scope.id),
        wrong,
        fields: vec![Field::Choice { name: "how", label: text::HOW, options }, Field::reason(reason)],
        buttons: vec![Button::only(text::STOP_NOW, true)],
        takes_fresh: false,
    });
    sheet.back = Some((Address::new("/stop"), text::STOP.to_owned()));
    let title = format!("{} {} {name}", text::STOP, word_of(scope.kind));
    Ok(SheetPage { frame: reader.frame(title, Place::Stop), sheet })
}
