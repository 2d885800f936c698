//! What is made on pages: identities with their charters, and what a charter names.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, get};
use tenure_api::people::{NewPerson, NewTeam};
use tenure_api::requests::{NewApplication, NewEnvironment, NewIdentity, NewResource, Stage};
use tenure_console::address::Address;
use tenure_console::frame::Place;
use tenure_console::problem::Wrong;
use tenure_console::sheet::{Button, Field, Form, Sheet, SheetPage};
use tenure_console::text;
use tenure_core::base::id::{PersonId, TeamId};
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::identity::{
    CharterDraft, Coverage, Kind, Parties, RetirementCondition, TrustBoundary, WorkloadBinding,
};
use tenure_core::inventory::application::Application;
use tenure_core::inventory::entitlement::Entitlement;
use tenure_core::inventory::resource::{Resource, Verification, WhenUnreachable};
use tenure_core::people::person::{Person, Role};
use tenure_core::people::team::Team;
use tenure_engine::identities::registration;
use tenure_engine::inventory::directory;
use tenure_engine::kernel::error::OpError;
use tenure_engine::matters::roles;
use tenure_engine::people::person;

use crate::app::App;
use crate::caller::named::meant;
use crate::console::reader::{Reader, Sent, Shown};
use crate::contract::api::Api;
use crate::contract::error::Failure;
use crate::contract::page::{page, status_of};

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.page("/identities/new", making(Making::Identity))
        .page("/applications/new", making(Making::Application))
        .page("/environments/new", making(Making::Environment))
        .page("/resources/new", making(Making::Resource))
        .page("/people/new", making(Making::Person))
        .page("/teams/new", making(Making::Team))
}

/// What is made.
#[derive(Clone, Copy)]
enum Making {
    Identity,
    Application,
    Environment,
    Resource,
    Person,
    Team,
}

/// How an identity's access is held at rest.
const COVERAGES: [&str; 3] =
    [Coverage::JustInTime.as_str(), Coverage::RoleBased.as_str(), Coverage::Privileged.as_str()];
/// How credentials are checked at a resource.
pub(super) const CHECKS: [&str; 2] = ["online", "offline"];
/// What an environment counts as.
pub(super) const PRODUCTION: [&str; 2] = ["not_production", "production"];

impl Making {
    const fn place(self) -> Place {
        match self {
            Self::Identity => Place::Identities,
            Self::Application => Place::Applications,
            Self::Environment => Place::Environments,
            Self::Resource => Place::Resources,
            Self::Person => Place::People,
            Self::Team => Place::Teams,
        }
    }

    const fn list(self) -> (&'static str, &'static str) {
        match self {
            Self::Identity => ("/identities", text::IDENTITIES),
            Self::Application => ("/applications", text::APPLICATIONS),
            Self::Environment => ("/environments", text::ENVIRONMENTS),
            Self::Resource => ("/resources", text::RESOURCES),
            Self::Person => ("/people", text::PEOPLE),
            Self::Team => ("/teams", text::TEAMS),
        }
    }

    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Identity => (text::REGISTER, text::REGISTER_LEAD, text::REGISTER_BUTTON),
            Self::Application => (text::NEW_APPLICATION, text::NEW_APPLICATION_LEAD, text::MAKE),
            Self::Environment => (text::NEW_ENVIRONMENT, text::NEW_ENVIRONMENT_LEAD, text::MAKE),
            Self::Resource => (text::NEW_RESOURCE, text::NEW_RESOURCE_LEAD, text::MAKE),
            Self::Person => (text::NEW_PERSON, text::NEW_PERSON_LEAD, text::MAKE),
            Self::Team => (text::NEW_TEAM, text::NEW_TEAM_LEAD, text::MAKE),
        }
    }

    /// The fields of its form, each with what was typed.
    fn fields(self, typed: impl Fn(&str) -> String) -> Vec<Field> {
        match self {
            Self::Identity => {
                let kinds: Vec<&'static str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                let kind = Some(typed("kind")).filter(|kind| !kind.is_empty());
                vec![
                    Field::select("kind", text::KIND, &kinds, kind.as_deref().unwrap_or(Kind::Workload.as_str())),
                    Field::line("name", text::NAME, text::NAME_HINT, typed("name")),
                    Field::Lines {
                        name: "purpose",
                        label: text::PURPOSE,
                        hint: text::PURPOSE_HINT,
                        value: typed("purpose"),
                        required: true,
                    },
                    Field::optional("owner", text::OWNER, text::OWNER_HINT, typed("owner")),
                    Field::optional("backup", text::BACKUP, text::BACKUP_HINT, typed("backup")),
                    Field::optional("removers", text::REMOVAL_GROUP, text::REMOVERS_OF_ONE_HINT, typed("removers")),
                    Field::line("application", text::APPLICATION, "", typed("application")),
                    Field::line("environment", text::ENVIRONMENT, "", typed("environment")),
                    Field::line("resource", text::RESOURCE, text::RESOURCE_HINT, typed("resource")),
                    Field::line("actions", text::ACTIONS, text::ACTIONS_HINT, typed("actions")),
                    Field::select("coverage", text::COVERAGE, &COVERAGES, &typed("coverage")),
                    Field::day("until", text::LAST_DAY, text::LAST_DAY_HINT, typed("until")),
                    Field::line("idle", text::IDLE, text::IDLE_HINT, typed("idle")),
                    Field::line("operator", text::RUN_BY, text::RUN_BY_HINT, typed("operator")),
                    Field::line("beneficiary", text::SERVES, text::SERVES_HINT, typed("beneficiary")),
                    Field::line("boundary", text::BOUNDARY, text::BOUNDARY_HINT, typed("boundary")),
                    Field::line("workload", text::WORKLOAD, text::WORKLOAD_HINT, typed("workload")),
                    Field::Lines {
                        name: "jwk",
                        label: text::PUBLIC_KEY,
                        hint: text::PUBLIC_KEY_HINT,
                        value: typed("jwk"),
                        required: false,
                    },
                ]
            }
            Self::Application => vec![
                Field::line("name", text::NAME, text::NAME_HINT, typed("name")),
                Field::optional("owner", text::OWNER, text::OWNER_HINT, typed("owner")),
                Field::optional("removers", text::REMOVAL_GROUP, text::REMOVERS_HINT, typed("removers")),
            ],
            Self::Team => vec![Field::line("name", text::NAME, text::NAME_HINT, typed("name"))],
            Self::Environment => vec![
                Field::line("name", text::NAME, text::NAME_HINT, typed("name")),
                Field::select("production", text::COUNTS_AS, &PRODUCTION, &typed("production")),
            ],
            Self::Resource => vec![
                Field::line("uri", text::URI, text::URI_HINT, typed("uri")),
                Field::line("type", text::TYPE, text::TYPE_HINT, typed("type")),
                Field::line("application", text::APPLICATION, "", typed("application")),
                Field::line("environment", text::ENVIRONMENT, "", typed("environment")),
                Field::line("actions", text::ACTIONS, text::ACTIONS_HINT, typed("actions")),
                Field::select("verification", text::CHECKED, &CHECKS, &typed("verification")),
            ],
            Self::Person => vec![
                Field::line("name", text::NAME, "", typed("name")),
                Field::optional("email", text::EMAIL, text::EMAIL_HINT, typed("email")),
                Field::optional("roles", text::ROLES, text::ROLES_HINT, typed("roles")),
                Field::optional("manager", text::MANAGER, text::MANAGER_HINT, typed("manager")),
                Field::optional("teams", text::TEAMS, text::TEAMS_HINT, typed("teams")),
            ],
        }
    }
}

/// The page on which something is made, and its form.
fn making(what: Making) -> MethodRouter<App> {
    get(move |reader: Reader| async move {
        let shown: Shown = Ok(page(StatusCode::OK, &form(&reader, what, |_| String::new(), None)));
        shown
    })
    .post(move |app: State<App>, sent: Sent| make(what, app, sent))
}

async fn make(what: Making, State(app): State<App>, sent: Sent) -> Shown {
    match Box::pin(made(&app, what, &sent)).await {
        Ok(to) => Ok(Redirect::to(&to.to_string()).into_response()),
        Err(failure) => {
            let status = status_of(&failure);
            let wrong = Some((*failure.0).into());
            Ok(page(status, &form(&sent.reader, what, |name| sent.text(name), wrong)))
        }
    }
}

fn form(reader: &Reader, what: Making, typed: impl Fn(&str) -> String, wrong: Option<Wrong>) -> SheetPage {
    let ((list, back), (title, lead, button)) = (what.list(), what.words());
    let sheet = Sheet {
        back: Some((Address::new(list), back.to_owned())),
        lead: lead.to_owned(),
        form: Some(Form {
            action: Address::new(list).verb("new"),
            wrong,
            fields: what.fields(typed),
            buttons: vec![Button::only(button, false)],
            takes_fresh: false,
        }),
        ..Sheet::default()
    };
    SheetPage { frame: reader.frame(title, what.place()), sheet }
}

/// Makes it, by the API's own use case; the page of what was made.
async fn made(app: &App, what: Making, sent: &Sent) -> Result<Address, Failure> {
    sent.checked()?;
    let (kernel, caller) = (&app.kernel, &sent.reader.caller);
    let id = match what {
        Making::Identity => {
            let ask = identity(app, sent).await?;
            registration::register(kernel, caller, ask).await?.record.id.to_string()
        }
        Making::Application => {
            let ask = NewApplication {
                name: sent.text("name"),
                owner: owner(app, sent).await?,
                removal_group: removers(app, sent).await?,
            };
            directory::create_application(kernel, caller, ask).await?.record.id.to_string()
        }
        Making::Team => {
            person::create_team(kernel, caller, NewTeam { name: sent.text("name") }).await?.record.id.to_string()
        }
        Making::Environment => {
            let production = sent.text("production") == "production";
            let ask = NewEnvironment { name: sent.text("name"), production, signing_algorithm: Default::default() };
            directory::create_environment(kernel, caller, ask).await?.record.name
        }
        Making::Resource => {
            let ask = NewResource {
                uri: sent.text("uri"),
                kind: sent.text("type"),
                actions: words(&sent.text("actions")),
                application: meant::<Application>(app, caller, &sent.text("application")).await?,
                environment: sent.text("environment"),
                data_domains: Vec::new(),
                verification: match sent.text("verification").as_str() {
                    "offline" => Verification::Offline,
                    _ => Verification::Online,
                },
                when_unreachable: WhenUnreachable::Deny,
                signing_algorithm: None,
            };
            directory::create_resource(kernel, caller, ask).await?.record.id.to_string()
        }
        Making::Person => {
            let manager = match sent.text("manager") {
                named if named.is_empty() => None,
                named => Some(meant::<Person>(app, caller, &named).await?),
            };
            let mut teams = Vec::new();
            for team in words(&sent.text("teams")) {
                teams.push(meant::<Team>(app, caller, &team).await?);
            }
            let ask = NewPerson {
                name: sent.text("name"),
                email: Some(sent.text("email")).filter(|email| !email.is_empty()),
                roles: words(&sent.text("roles")).iter().map(|word| role(word)).collect::<Result<_, _>>()?,
                purpose: Some(text::NEW_PERSON.to_owned()),
                teams,
                manager,
                ..NewPerson::default()
            };
            roles::create_person(kernel, caller, ask).await?.record.id.to_string()
        }
    };
    Ok(Address::new(what.list().0).below(&id))
}

/// Who answers for it: whoever makes it, if nobody is named.
async fn owner(app: &App, sent: &Sent) -> Result<PersonId, Failure> {
    match sent.text("owner") {
        named if named.is_empty() => Ok(sent.reader.person),
        named => meant::<Person>(app, &sent.reader.caller, &named).await,
    }
}

/// The team that answers for removals, if one is named.
async fn removers(app: &App, sent: &Sent) -> Result<Option<TeamId>, Failure> {
    match sent.text("removers") {
        named if named.is_empty() => Ok(None),
        named => Ok(Some(meant::<Team>(app, &sent.reader.caller, &named).await?)),
    }
}

/// An identity with the charter that the form says; what it lacks the engine names, field by field.
async fn identity(app: &App, sent: &Sent) -> Result<NewIdentity, Failure> {
    let caller = &sent.reader.caller;
    let kind = sent.text("kind");
    let kind = Kind::ALL.iter().copied().find(|known| known.as_str() == kind);
    let backup_owner = match sent.text("backup") {
        named if named.is_empty() => None,
        named => Some(meant::<Person>(app, caller, &named).await?),
    };
    let (workload, jwk) = (sent.text("workload"), sent.text("jwk"));
    let workload_binding = match jwk.is_empty() {
        true => WorkloadBinding::JoinToken { workload },
        false => WorkloadBinding::PublicKey {
            workload,
            jwk: serde_json::from_str(&jwk)
                .map_err(|_| OpError::field("jwk", "jwk_malformed", "paste the key as a JWK, which is JSON"))?,
            assertion_audience: Default::default(),
        },
    };
    let charter = CharterDraft {
        owner: Some(owner(app, sent).await?),
        backup_owner,
        purpose: Some(sent.text("purpose")),
        scope: vec![Entitlement {
            actions: words(&sent.text("actions")),
            resource: meant::<Resource>(app, caller, &sent.text("resource")).await?.to_string(),
        }],
        trust_boundary: Some(TrustBoundary::TrustDomain(sent.text("boundary"))),
        environment: Some(sent.text("environment")),
        application: Some(meant::<Application>(app, caller, &sent.text("application")).await?),
        workload_binding: Some(workload_binding),
        expires_at: Some(day("until", &sent.text("until"))?),
        retirement: vec![RetirementCondition::Idle { after: span("idle", &sent.text("idle"))? }],
        rotation_cadence: Some(Span::from_days(30)),
        coverage: match sent.text("coverage").as_str() {
            word if word == Coverage::RoleBased.as_str() => Some(Coverage::RoleBased),
            word if word == Coverage::Privileged.as_str() => Some(Coverage::Privileged),
            _ => Some(Coverage::JustInTime),
        },
        removal_group: removers(app, sent).await?,
        parties: Some(Parties {
            requester: sent.reader.person,
            operator: sent.text("operator"),
            beneficiary: sent.text("beneficiary"),
        }),
        ..CharterDraft::default()
    };
    Ok(NewIdentity {
        kind: kind.ok_or_else(|| OpError::field("kind", "value_unknown", "choose one of the kinds"))?,
        name: sent.text("name"),
        template: None,
        charter,
        stage: Stage::Pending,
        token: None,
    })
}

fn role(word: &str) -> Result<Role, OpError> {
    let all = [Role::Requester, Role::Owner, Role::Manager, Role::Security, Role::Administrator, Role::Auditor];
    let known = all.into_iter().find(|role| role.as_str() == word);
    known.ok_or_else(|| OpError::field("roles", "value_unknown", text::ROLES_HINT))
}

/// Words with commas between them.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

/// A length of time.
pub(super) fn span(field: &str, text: &str) -> Result<Span, OpError> {
    text.parse()
        .map_err(|_| OpError::field(field, "duration_malformed", "name a length of time, such as 30m, 8h or 5d"))
}

/// A day as a browser's form says it: its end, in UTC.
pub(super) fn day(field: &str, text: &str) -> Result<Timestamp, OpError> {
    time_of(field, text, "23:59:59")
}

/// The beginning of a day, in UTC.
pub(super) fn morning(field: &str, text: &str) -> Result<Timestamp, OpError> {
    time_of(field, text, "00:00:00")
}

fn time_of(field: &str, day: &str, time: &str) -> Result<Timestamp, OpError> {
    let at = format!("{day}T{time}Z").parse();
    at.map_err(|_| OpError::field(field, "time_malformed", "name a day, such as 2027-03-31"))
}
