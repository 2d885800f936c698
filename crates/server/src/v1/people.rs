//! People, teams, feeds of people, and the questions that feeds raise.

use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use tenure_api::people::{
    Departure, FeedFormat, ImportPeople, ImportReport, NewDecision, NewDeparture, NewJoinerCheck, NewPerson, NewRoles,
    NewStandIn, NewTeam, PersonChange, PersonMade,
};
use tenure_api::request::RequestView;
use tenure_api::requests::{Because, ResumePerson};
use tenure_api::views::{Page, Revised};
use tenure_core::people::difference::Difference;
use tenure_core::people::person::Person;
use tenure_core::people::team::Team;
use tenure_engine::access::{departures, import};
use tenure_engine::matters::roles;
use tenure_engine::people::{joiner_checks, person, stand_ins};

use crate::app::App;
use crate::caller::named::{get, meant};
use crate::caller::operator::Operator;
use crate::contract::api::{Api, Operation, Takes};
use crate::contract::body::{Body, Claimed, body_within, too_large};
use crate::contract::error::Failure;
use crate::contract::list::List;
use crate::contract::query::{Path, Query};
use crate::contract::reply::{New, Reply, created, id, ok};

/// The largest feed in bytes.
const MAX_FEED: usize = 8 * 1024 * 1024;

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/people", "Makes a person.", create)
        .get("/v1/people", "Lists people.", list)
        .post_within("/v1/people/import", "Imports a feed of people.", MAX_FEED, import)
        .get("/v1/people/{id}", "Shows a person.", one)
        .post("/v1/people/{id}/change", "Changes a person's record.", change)
        .post("/v1/people/{id}/roles", "Asks for other roles of a person's.", roles)
        .post("/v1/people/{id}/suspend", "Suspends a person.", suspend)
        .post("/v1/people/{id}/resume", "Resumes a person.", resume)
        .post("/v1/people/{id}/depart", "Records that a person leaves, and hands over what they own.", depart)
        .post("/v1/people/{id}/erase", "Erases what is personal of a person who has left.", erase)
        .post("/v1/people/{id}/checks", "Records that a joiner has passed a control point.", record_check)
        .put("/v1/people/{id}/stand-in", "Names who votes in one's own place while one is away.", name_stand_in)
        .post("/v1/people/{id}/end-stand-in", "Ends that somebody stands in for oneself.", end_stand_in)
        .post("/v1/teams", "Makes a team.", create_team)
        .get("/v1/teams", "Lists teams.", teams)
        .get("/v1/teams/{id}", "Shows a team.", team)
        .get("/v1/differences", "Lists differences between sources and the inventory.", differences)
        .get("/v1/differences/{id}", "Shows a difference between a source and the inventory.", difference)
        .post("/v1/differences/{id}/decide", "Decides a difference.", decide)
}

async fn list(State(app): State<App>, Operator(caller): Operator, list: List<Person>) -> Reply<Page<Revised<Person>>> {
    ok(app.kernel.list::<Person>(&caller, list.ask).await?)
}

async fn one(State(app): State<App>, Operator(caller): Operator, Path(person): Path<String>) -> Reply<Revised<Person>> {
    ok(get::<Person>(&app, &caller, &person).await?)
}

async fn create(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewPerson>) -> New<PersonMade> {
    created(roles::create_person(&app.kernel, &caller, ask).await?)
}

async fn change(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<PersonChange>,
) -> Reply<Revised<Person>> {
    ok(person::change_person(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask).await?)
}

async fn roles(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<NewRoles>,
) -> New<RequestView> {
    created(roles::ask_for_roles(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask).await?)
}

async fn suspend(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<Because>,
) -> Reply<Revised<Person>> {
    ok(departures::suspend_person(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask.reason)
        .await?)
}

async fn resume(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<ResumePerson>,
) -> Reply<Revised<Person>> {
    ok(departures::resume_person(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask).await?)
}

async fn depart(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<NewDeparture>,
) -> Reply<Departure> {
    ok(departures::depart_person(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask).await?)
}

async fn erase(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
) -> Reply<Revised<Person>> {
    ok(departures::erase_person(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?).await?)
}

async fn record_check(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<NewJoinerCheck>,
) -> Reply<Revised<Person>> {
    ok(joiner_checks::record_check(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask).await?)
}

async fn name_stand_in(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
    Body(ask): Body<NewStandIn>,
) -> Reply<Revised<Person>> {
    ok(stand_ins::name_stand_in(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?, ask).await?)
}

async fn end_stand_in(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(person): Path<String>,
) -> Reply<Revised<Person>> {
    ok(stand_ins::end_stand_in(&app.kernel, &caller, meant::<Person>(&app, &caller, &person).await?).await?)
}

/// What stands in the address of an import; a feed as `text/csv` says everything there.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ImportQuery {
    source: Option<String>,
    complete: Option<bool>,
    dry_run: Option<bool>,
    expect: Option<String>,
}

const AT_MOST: &str = "a feed has at most 8 MiB: hand it in in parts, each with complete=false";

/// A feed, as JSON or as `text/csv`.
struct Feed(ImportPeople);

impl FromRequest<App> for Feed {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let is_too_large = |length: &str| length.parse::<usize>().is_ok_and(|length| length > MAX_FEED);
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if length.is_some_and(is_too_large) {
            return Err(too_large(AT_MOST));
        }
        if !is_csv(request.headers()) {
            // The feed is read row by row, and each row tells its own wrong places.
            return Claimed::<ImportPeople>::from_request(request, app).await.map(|Claimed(ask)| Self(ask));
        }
        let bytes = body_within(request, app, AT_MOST).await?;
        let content = String::from_utf8(bytes.into()).map_err(|_| Failure::malformed("the feed is not UTF-8"))?;
        Ok(Self(ImportPeople {
            source: String::new(),
            complete: false,
            format: FeedFormat::Csv,
            content: Some(content),
            people: Vec::new(),
            dry_run: false,
            expect: None,
        }))
    }
}

impl Takes for Feed {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.schema::<ImportPeople>();
        operation.body("application/json", &schema, true);
        operation.also_body("text/csv", &serde_json::json!({"type": "string"}));
    }
}

fn is_csv(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/csv")
}

async fn import(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(query): Query<ImportQuery>,
    Feed(mut ask): Feed,
) -> Reply<ImportReport> {
    ask.source = query.source.unwrap_or(ask.source);
    ask.complete = query.complete.unwrap_or(ask.complete);
    ask.dry_run = query.dry_run.unwrap_or(ask.dry_run);
    ask.expect = query.expect.or(ask.expect);
    ok(import::import_people(&app.kernel, &caller, ask).await?)
}

async fn create_team(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewTeam>,
) -> New<Revised<Team>> {
    created(person::create_team(&app.kernel, &caller, ask).await?)
}

async fn teams(State(app): State<App>, Operator(caller): Operator, list: List<Team>) -> Reply<Page<Revised<Team>>> {
    ok(app.kernel.list::<Team>(&caller, list.ask).await?)
}

async fn team(State(app): State<App>, Operator(caller): Operator, Path(team): Path<String>) -> Reply<Revised<Team>> {
    ok(get::<Team>(&app, &caller, &team).await?)
}

async fn differences(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Difference>,
) -> Reply<Page<Revised<Difference>>> {
    ok(app.kernel.list::<Difference>(&caller, list.ask).await?)
}

async fn difference(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(difference): Path<String>,
) -> Reply<Revised<Difference>> {
    ok(get::<Difference>(&app, &caller, &difference).await?)
}

async fn decide(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(difference): Path<String>,
    Body(ask): Body<NewDecision>,
) -> Reply<Revised<Difference>> {
    ok(import::decide_difference(&app.kernel, &caller, id(&difference, "difference")?, ask).await?)
}
