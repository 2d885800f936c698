//! What there is, changed: applications, vendors, resources, environments, cloud accounts. What takes something away is so
//! at once; what lets somebody do more leads to the request about it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, get};
use tenure_api::ownership::{ApplicationEdit, Edited, EnvironmentEdit, OwnerEdit, ResourceEdit, VendorEdit};
use tenure_api::views::Revised;
use tenure_console::address::Address;
use tenure_console::directory::Entity;
use tenure_console::list::Cell;
use tenure_console::problem::Wrong;
use tenure_console::records::Named;
use tenure_console::sheet::{Button, Field, Form, Sheet, SheetPage};
use tenure_console::text;
use tenure_core::base::id::{PersonId, TeamId};
use tenure_core::base::time::Timestamp;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::environment::Environment;
use tenure_core::inventory::resource::{Resource, Verification, WhenUnreachable};
use tenure_core::inventory::third_party::{CloudAccount, Vendor};
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_engine::inventory::ownership;
use tenure_engine::kernel::if_match::IfMatch;
use tenure_engine::matters::{contracts, inventory_changes};

use crate::app::App;
use crate::caller::named::{Addressed, get as record, meant, names_in};
use crate::console::making::{CHECKS, PRODUCTION, day, words};
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};
use crate::contract::query::Path;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/applications/{id}/edit", editing::<Application>())
        .page("/vendors/{id}/edit", editing::<Vendor>())
        .page("/resources/{id}/edit", editing::<Resource>())
        .page("/environments/{id}/edit", editing::<Environment>())
        .page("/cloud-accounts/{id}/edit", editing::<CloudAccount>())
}

/// The page on which a record is changed.
fn editing<T: Editable>() -> MethodRouter<App> {
    get(ask::<T>).post(change::<T>)
}

/// What is tried when nothing can be reached.
const UNREACHABLE: [&str; 2] = ["deny", "accept"];

/// A record that is changed by a form.
trait Editable: Entity + Addressed {
    /// The fields of its form. What was typed stands in them, and else what it is now.
    fn fields(&self, typed: &Typed<'_>) -> Vec<Field>;

    /// Whose its fields are that are left empty for what stays: each with its label and the id that stands there now.
    fn staying(&self) -> Vec<(&'static str, &'static str, String)> {
        Vec::new()
    }

    /// Changes it, by the API's own use case; the request about it, if it takes one.
    fn changed(
        &self,
        app: &App,
        sent: &Sent,
        if_match: IfMatch,
    ) -> impl Future<Output = Result<Option<String>, Failure>> + Send;
}

/// What was typed, if anything was.
struct Typed<'a>(Option<&'a Sent>);

impl Typed<'_> {
    fn or(&self, name: &str, now: impl Into<String>) -> String {
        let Some(sent) = self.0 else { return now.into() };
        let typed = sent.text(name);
        // What was left as it was shown is what it is by now: nobody's change is undone by a form that says nothing of it.
        if sent.given(&was(name)).is_some_and(|was| was == typed) { now.into() } else { typed }
    }
}

async fn ask<T: Editable>(State(app): State<App>, reader: Reader, Path(which): Path<String>) -> Shown {
    let view = record::<T>(&app, &reader.caller, &which).await?;
    Ok(page(StatusCode::OK, &form(&reader, &view, &Typed(None), None, Vec::new())))
}

async fn change<T: Editable>(State(app): State<App>, Path(which): Path<String>, sent: Sent) -> Shown {
    let reader = &sent.reader;
    // Whoever may not read it learns here that they may not, and nothing else.
    let view = record::<T>(&app, &reader.caller, &which).await?;
    // What the page showed is what is changed: nobody's change is written over unseen.
    let if_match = IfMatch::Revisions(sent.text("revision").parse().into_iter().collect());
    match sent.done(view.record.changed(&app, &sent, if_match)).await {
        Ok(Some(request)) => Ok(Redirect::to(&format!("/requests/{request}")).into_response()),
        Ok(None) => Ok(Redirect::to(&home(&view.record).to_string()).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            // What the others made of it stands beside what was typed, and the next send is meant for that.
            let now = record::<T>(&app, &reader.caller, &which).await?;
            let others = match status {
                StatusCode::PRECONDITION_FAILED => conflicts(&app, &now.record, &sent).await?,
                _ => Vec::new(),
            };
            Ok(page(status, &form(reader, &now, &Typed(Some(&sent)), Some((*failure.0).into()), others)))
        }
    }
}

/// What a record is now, field by field: each with its label.
fn standing<T: Editable>(record: &T) -> Vec<(&'static str, &'static str, String)> {
    let mut standing = record.staying();
    let fields = record.fields(&Typed(None));
    for field in fields.iter().filter_map(Field::said) {
        if standing.iter().all(|(name, ..)| *name != field.0) {
            standing.push(field);
        }
    }
    standing
}

/// The fields that read otherwise by now than they did when the page was shown, with what they are.
async fn conflicts<T: Editable>(app: &App, now: &T, sent: &Sent) -> Result<Vec<(&'static str, Cell)>, Failure> {
    let mut standing = standing(now);
    standing.retain(|(name, _, value)| sent.given(&was(name)).is_some_and(|shown| shown != *value));
    let ids: Vec<&String> = standing.iter().map(|(_, _, value)| value).collect();
    let names = names_in(app, &sent.reader.caller, &ids).await?;
    let told = |value: String| match value.is_empty() {
        true => text::EMPTIED_MEANWHILE.to_owned(),
        false => format!("{} {}", text::CHANGED_MEANWHILE, Named::of(value, &names).name),
    };
    Ok(standing.into_iter().map(|(_, label, value)| (label, Cell::Text(told(value)))).collect())
}

/// The field by which a form keeps what another one was when the page was shown.
fn was(name: &str) -> String {
    format!("was_{name}")
}

fn home<T: Entity + tenure_core::store::row::Record>(record: &T) -> Address {
    Address::new(T::PATH).below(&record.row_id())
}

fn form<T: Editable>(
    reader: &Reader,
    view: &Revised<T>,
    typed: &Typed<'_>,
    wrong: Option<Wrong>,
    others: Vec<(&'static str, Cell)>,
) -> SheetPage {
    let mut fields = view.record.fields(typed);
    fields.push(Field::Hidden { name: "revision", value: view.revision.to_string() });
    let kept = standing(&view.record).into_iter().map(|(name, _, value)| (was(name), value));
    fields.push(Field::Kept(kept.collect()));
    let conflict = others.into_iter().map(|(label, value)| (label, vec![value]));
    let home = home(&view.record);
    let sheet = Sheet {
        lead: text::EDIT_LEAD.to_owned(),
        form: Some(Form {
            action: home.clone().verb("edit"),
            wrong,
            fields,
            buttons: vec![Button::only(text::CHANGE, false)],
            takes_fresh: false,
        }),
        back: Some((home, view.record.name())),
        facts: conflict.collect(),
        ..Sheet::default()
    };
    SheetPage { frame: reader.frame(format!("{} {}", text::CHANGE, view.record.name()), T::PLACE), sheet }
}

fn owner_field(typed: &Typed<'_>) -> Field {
    Field::optional("owner", text::OWNER, text::STAYS_HINT, typed.or("owner", ""))
}

fn purpose_field(typed: &Typed<'_>) -> Field {
    Field::optional("purpose", text::FOR_WHICH_NEED, text::FOR_WHICH_NEED_HINT, typed.or("purpose", ""))
}

async fn owner(app: &App, sent: &Sent) -> Result<Option<PersonId>, Failure> {
    match sent.text("owner") {
        named if named.is_empty() => Ok(None),
        named => Ok(Some(meant::<Person>(app, &sent.reader.caller, &named).await?)),
    }
}

/// A text that was typed, if it is one.
fn said(sent: &Sent, name: &str) -> Option<String> {
    Some(sent.text(name)).filter(|text| !text.is_empty())
}

/// A field of which the form says something else than what it is now.
fn differing<T: PartialEq>(sent: &Sent, name: &str, read: impl FnOnce(&str) -> T, now: &T) -> Option<T> {
    sent.given(name).map(|typed| read(&typed)).filter(|typed| typed != now)
}

/// What became of a change: the request about it, if it takes one.
fn asked<T>(edited: Edited<T>) -> Option<String> {
    match edited {
        Edited::Changed(_) => None,
        Edited::Asked(view) => Some(view.request.id.to_string()),
    }
}

impl Editable for Application {
    fn staying(&self) -> Vec<(&'static str, &'static str, String)> {
        let removers = self.removal_group.map(|team| team.to_string()).unwrap_or_default();
        vec![("owner", text::OWNER, self.owner.to_string()), ("removers", text::REMOVAL_GROUP, removers)]
    }

    fn fields(&self, typed: &Typed<'_>) -> Vec<Field> {
        let removers = typed.or("removers", "");
        vec![owner_field(typed), Field::optional("removers", text::REMOVAL_GROUP, text::STAYS_HINT, removers)]
    }

    async fn changed(&self, app: &App, sent: &Sent, if_match: IfMatch) -> Result<Option<String>, Failure> {
        let caller = &sent.reader.caller;
        let removal_group: Option<TeamId> = match sent.text("removers") {
            named if named.is_empty() => None,
            named => Some(meant::<Team>(app, caller, &named).await?),
        };
        let ask = ApplicationEdit { owner: owner(app, sent).await?, removal_group };
        ownership::update_application(&app.kernel, caller, self.id, if_match, ask).await?;
        Ok(None)
    }
}

impl Editable for CloudAccount {
    fn staying(&self) -> Vec<(&'static str, &'static str, String)> {
        vec![("owner", text::OWNER, self.owner.to_string())]
    }

    fn fields(&self, typed: &Typed<'_>) -> Vec<Field> {
        vec![Field::line("owner", text::OWNER, text::TO_WHOM_HINT, typed.or("owner", ""))]
    }

    async fn changed(&self, app: &App, sent: &Sent, if_match: IfMatch) -> Result<Option<String>, Failure> {
        let caller = &sent.reader.caller;
        let owner = meant::<Person>(app, caller, &sent.text("owner")).await?;
        ownership::update_cloud_account(&app.kernel, caller, self.id, if_match, OwnerEdit { owner }).await?;
        Ok(None)
    }
}

impl Editable for Vendor {
    fn staying(&self) -> Vec<(&'static str, &'static str, String)> {
        vec![("owner", text::OWNER, self.owner.to_string())]
    }

    fn fields(&self, typed: &Typed<'_>) -> Vec<Field> {
        let ends = Field::Line {
            name: "ends_at",
            label: text::CONTRACT_ENDS,
            hint: text::NO_END_HINT,
            value: typed.or("ends_at", day_of(self.ends_at)),
            kind: "date",
            required: false,
        };
        vec![
            owner_field(typed),
            Field::line("contact", text::CONTACT, "", typed.or("contact", self.contact.clone())),
            Field::optional(
                "data_domains",
                text::DATA,
                text::ACTIONS_HINT,
                typed.or("data_domains", self.data_domains.join(", ")),
            ),
            ends,
            purpose_field(typed),
        ]
    }

    async fn changed(&self, app: &App, sent: &Sent, if_match: IfMatch) -> Result<Option<String>, Failure> {
        let ends_at = match sent.given("ends_at").filter(|typed| *typed != day_of(self.ends_at)) {
            None => None,
            Some(none) if none.is_empty() => Some(None),
            Some(end) => Some(Some(day("ends_at", &end)?)),
        };
        let ask = VendorEdit {
            owner: owner(app, sent).await?,
            contact: differing(sent, "contact", str::to_owned, &self.contact),
            data_domains: differing(sent, "data_domains", words, &self.data_domains),
            ends_at,
            purpose: said(sent, "purpose"),
        };
        Ok(asked(contracts::update_vendor(&app.kernel, &sent.reader.caller, self.id, if_match, ask).await?))
    }
}

/// The day of a time, as a browser's form has it.
fn day_of(at: Option<Timestamp>) -> String {
    at.and_then(|at| at.to_string().get(..10).map(str::to_owned)).unwrap_or_default()
}

impl Editable for Resource {
    fn fields(&self, typed: &Typed<'_>) -> Vec<Field> {
        let checked = match self.verification {
            Verification::Online => "online",
            Verification::Offline => "offline",
        };
        let unreachable = match self.when_unreachable {
            WhenUnreachable::Deny => "deny",
            WhenUnreachable::Accept => "accept",
        };
        vec![
            Field::line("actions", text::ACTIONS, text::ACTIONS_HINT, typed.or("actions", self.actions.join(", "))),
            Field::optional(
                "data_domains",
                text::DATA,
                text::ACTIONS_HINT,
                typed.or("data_domains", self.data_domains.join(", ")),
            ),
            Field::select("verification", text::CHECKED, &CHECKS, &typed.or("verification", checked)),
            Field::select(
                "when_unreachable",
                text::UNREACHABLE,
                &UNREACHABLE,
                &typed.or("when_unreachable", unreachable),
            ),
            purpose_field(typed),
        ]
    }

    async fn changed(&self, app: &App, sent: &Sent, if_match: IfMatch) -> Result<Option<String>, Failure> {
        let verification = |word: &str| match word {
            "offline" => Verification::Offline,
            _ => Verification::Online,
        };
        let when_unreachable = |word: &str| match word {
            "accept" => WhenUnreachable::Accept,
            _ => WhenUnreachable::Deny,
        };
        let ask = ResourceEdit {
            actions: differing(sent, "actions", words, &self.actions),
            data_domains: differing(sent, "data_domains", words, &self.data_domains),
            verification: differing(sent, "verification", verification, &self.verification),
            when_unreachable: differing(sent, "when_unreachable", when_unreachable, &self.when_unreachable),
            logins: None,
            purpose: said(sent, "purpose"),
        };
        Ok(asked(inventory_changes::update_resource(&app.kernel, &sent.reader.caller, self.id, if_match, ask).await?))
    }
}

impl Editable for Environment {
    fn fields(&self, typed: &Typed<'_>) -> Vec<Field> {
        let [not_production, production] = PRODUCTION;
        let now = if self.production { production } else { not_production };
        vec![
            Field::select("production", text::COUNTS_AS, &PRODUCTION, &typed.or("production", now)),
            purpose_field(typed),
        ]
    }

    async fn changed(&self, app: &App, sent: &Sent, if_match: IfMatch) -> Result<Option<String>, Failure> {
        let ask = EnvironmentEdit {
            production: differing(sent, "production", |word| word == "production", &self.production),
            signing_algorithm: None,
            purpose: said(sent, "purpose"),
        };
        let edited =
            inventory_changes::update_environment(&app.kernel, &sent.reader.caller, &self.name, if_match, ask).await?;
        Ok(asked(edited))
    }
}
