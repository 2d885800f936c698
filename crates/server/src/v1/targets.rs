//! Target systems and their accounts.

use axum::extract::State;
use tenure_api::requests::Because;
use tenure_api::targets::{
    AccountSecret, Claim, GoneAsk, NarrowAccount, NewTarget, Proposal, ProposedAccounts, Suggestions, TargetEdit,
    TargetLoginAsk, TargetView,
};
use tenure_api::views::{IdentityView, Page, Revised};
use tenure_core::base::id::AccountId;
use tenure_core::identity::Identity;
use tenure_core::target::account::Account;
use tenure_core::target::system::TargetSystem;
use tenure_engine::targets::{accounts, gone, narrowing, rotation, suggestions, systems};

use crate::app::App;
use crate::caller::named::meant;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::condition::Condition;
use crate::contract::list::List;
use crate::contract::query::Path;
use crate::contract::reply::{New, Reply, created, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.post("/v1/targets", "Registers a target system.", create)
        .get("/v1/targets", "Lists target systems.", targets)
        .get("/v1/targets/{id}", "Shows a target system.", target)
        .patch("/v1/targets/{id}", "Changes a target system.", update)
        .post("/v1/targets/{id}/confirm", "Confirms a target system.", confirm)
        .post("/v1/targets/{id}/remove", "Removes a target system.", remove)
        .post("/v1/targets/{id}/login", "Hands in the login of a target's connector.", login)
        .post("/v1/targets/{id}/scan", "Looks through the accounts of a target now.", scan)
        .post(
            "/v1/targets/{id}/confirm-holds",
            "Lets more unclaimed accounts of a target be held today.",
            confirm_holds,
        )
        .post("/v1/targets/{id}/attest-gone", "Says that a target is gone for good.", attest_gone)
        .post("/v1/targets/{id}/confirm-gone", "Says, too, that a target is gone for good.", confirm_gone)
        .post("/v1/targets/{id}/withdraw-gone", "Takes back that a target is gone.", withdraw_gone)
        .post("/v1/targets/{id}/propose", "Proposes accounts of a target to whoever may answer for them.", propose)
        .get("/v1/accounts", "Lists accounts at targets.", listed)
        .get("/v1/accounts/{id}", "Shows an account at a target.", account)
        .post("/v1/accounts/{id}/narrow", "Leaves an account some of its grants at its target.", narrow)
        .post("/v1/accounts/{id}/rotate", "Gives an account at a target another secret.", rotate)
        .post("/v1/accounts/{id}/secret", "Shows the secret that an account was given, once.", secret)
        .get("/v1/accounts/{id}/suggestions", "Suggests who may answer for an account, and why.", suggested)
        .post("/v1/identities/{id}/claim", "Claims an identity that was found at a target.", claim)
}

async fn create(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewTarget>,
) -> New<Revised<TargetView>> {
    created(systems::create_target(&app.kernel, &caller, ask).await?)
}

async fn targets(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<TargetSystem>,
) -> Reply<Page<Revised<TargetView>>> {
    ok(systems::targets(&app.kernel, &caller, list.ask).await?)
}

async fn target(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
) -> Reply<Revised<TargetView>> {
    ok(systems::target(&app.kernel, &caller, meant::<TargetSystem>(&app, &caller, &target).await?).await?)
}

async fn update(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
    Condition(if_match): Condition,
    Body(ask): Body<TargetEdit>,
) -> Reply<Revised<TargetView>> {
    let id = meant::<TargetSystem>(&app, &caller, &target).await?;
    ok(systems::update_target(&app.kernel, &caller, id, if_match, ask).await?)
}

async fn confirm(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
) -> Reply<Revised<TargetView>> {
    ok(systems::confirm_target(&app.kernel, &caller, meant::<TargetSystem>(&app, &caller, &target).await?).await?)
}

async fn remove(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<TargetView>> {
    let id = meant::<TargetSystem>(&app, &caller, &target).await?;
    ok(systems::remove_target(&app.kernel, &caller, id, &because.reason).await?)
}

async fn login(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
    Body(ask): Body<TargetLoginAsk>,
) -> Reply<Revised<TargetView>> {
    let id = meant::<TargetSystem>(&app, &caller, &target).await?;
    ok(systems::set_login(&app.kernel, &caller, id, ask).await?)
}

async fn scan(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
) -> Reply<Revised<TargetView>> {
    ok(systems::scan_now(&app.kernel, &caller, meant::<TargetSystem>(&app, &caller, &target).await?).await?)
}

async fn confirm_holds(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
) -> Reply<Revised<TargetView>> {
    ok(systems::confirm_holds(&app.kernel, &caller, meant::<TargetSystem>(&app, &caller, &target).await?).await?)
}

async fn attest_gone(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
    Body(ask): Body<GoneAsk>,
) -> Reply<Revised<TargetView>> {
    let id = meant::<TargetSystem>(&app, &caller, &target).await?;
    ok(gone::attest(&app.kernel, &caller, id, ask).await?)
}

async fn confirm_gone(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
) -> Reply<Revised<TargetView>> {
    ok(gone::confirm(&app.kernel, &caller, meant::<TargetSystem>(&app, &caller, &target).await?).await?)
}

async fn withdraw_gone(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
    Body(because): Body<Because>,
) -> Reply<Revised<TargetView>> {
    let id = meant::<TargetSystem>(&app, &caller, &target).await?;
    ok(gone::withdraw(&app.kernel, &caller, id, &because.reason).await?)
}

async fn narrow(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<AccountId>,
    Body(ask): Body<NarrowAccount>,
) -> Reply<Revised<Account>> {
    ok(narrowing::narrow(&app.kernel, &caller, id, ask).await?)
}

async fn propose(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(target): Path<String>,
    Body(ask): Body<Proposal>,
) -> Reply<ProposedAccounts> {
    let id = meant::<TargetSystem>(&app, &caller, &target).await?;
    ok(accounts::propose(&app.kernel, &caller, id, ask).await?)
}

async fn listed(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Account>,
) -> Reply<Page<Revised<Account>>> {
    ok(accounts::accounts(&app.kernel, &caller, list.ask).await?)
}

async fn suggested(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<AccountId>,
) -> Reply<Suggestions> {
    ok(Box::pin(suggestions::suggestions(&app.kernel, &caller, id)).await?)
}

async fn account(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<AccountId>,
) -> Reply<Revised<Account>> {
    ok(accounts::account(&app.kernel, &caller, id).await?)
}

async fn rotate(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<AccountId>,
) -> Reply<Revised<Account>> {
    ok(Box::pin(rotation::rotate(&app.kernel, &caller, id)).await?)
}

async fn secret(State(app): State<App>, Operator(caller): Operator, Path(id): Path<AccountId>) -> Reply<AccountSecret> {
    ok(rotation::fetch_secret(&app.kernel, &caller, id).await?)
}

async fn claim(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(identity): Path<String>,
    Body(ask): Body<Claim>,
) -> Reply<IdentityView> {
    let id = meant::<Identity>(&app, &caller, &identity).await?;
    ok(Box::pin(accounts::claim(&app.kernel, &caller, id, ask)).await?)
}
