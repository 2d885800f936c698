//! Who calls, sessions, invitations, and providers that people sign in with.

use axum::extract::State;
use tenure_api::sign_in::{
    InvitationMade, InvitationView, Me, NewInvitation, NewSignInProvider, SessionView, SignInProviderView,
};
use tenure_api::views::{Page, Revised};
use tenure_core::people::sign_in::Invitation;
use tenure_engine::people::{invitations, sign_in, sign_in_providers};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::api::Api;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::{NoParameters, Path, Query};
use crate::contract::reply::{New, Reply, created, id, ok};

pub(crate) fn routes(api: Api<App>) -> Api<App> {
    api.get("/v1/me", "Shows who asks, and how fresh their sign-in is.", me)
        .get("/v1/sessions", "Lists one's own sessions.", sessions)
        .post("/v1/sessions/{id}/revoke", "Revokes a session.", revoke_session)
        .post("/v1/invitations", "Makes an invitation.", create_invitation)
        .get("/v1/invitations", "Lists invitations.", invitations)
        .post("/v1/invitations/{id}/confirm", "Confirms an invitation.", confirm_invitation)
        .post("/v1/invitations/{id}/revoke", "Revokes an invitation.", revoke_invitation)
        .post("/v1/sign-in-providers", "Makes a sign-in provider.", create_provider)
        .get("/v1/sign-in-providers", "Lists sign-in providers.", providers)
        .post("/v1/sign-in-providers/{id}/confirm", "Confirms a sign-in provider.", confirm_provider)
        .post("/v1/sign-in-providers/{id}/remove", "Removes a sign-in provider.", remove_provider)
}

async fn me(State(app): State<App>, Operator(caller): Operator) -> Reply<Me> {
    ok(sign_in::me(&app.kernel, &caller))
}

async fn sessions(
    State(app): State<App>,
    Operator(caller): Operator,
    _: Query<NoParameters>,
) -> Reply<Page<SessionView>> {
    ok(sign_in::sessions(&app.kernel, &caller).await?)
}

async fn revoke_session(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(session): Path<String>,
) -> Reply<SessionView> {
    ok(sign_in::revoke_session(&app.kernel, &caller, id(&session, "session")?).await?)
}

async fn create_invitation(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewInvitation>,
) -> New<InvitationMade> {
    created(invitations::create_invitation(&app.kernel, &caller, ask).await?)
}

async fn invitations(
    State(app): State<App>,
    Operator(caller): Operator,
    list: List<Invitation>,
) -> Reply<Page<Revised<InvitationView>>> {
    ok(invitations::invitations(&app.kernel, &caller, list.ask).await?)
}

async fn confirm_invitation(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(invitation): Path<String>,
) -> Reply<Revised<InvitationView>> {
    ok(invitations::confirm_invitation(&app.kernel, &caller, id(&invitation, "invitation")?).await?)
}

async fn revoke_invitation(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(invitation): Path<String>,
) -> Reply<Revised<InvitationView>> {
    ok(invitations::revoke_invitation(&app.kernel, &caller, id(&invitation, "invitation")?).await?)
}

async fn create_provider(
    State(app): State<App>,
    Operator(caller): Operator,
    Body(ask): Body<NewSignInProvider>,
) -> New<Revised<SignInProviderView>> {
    created(sign_in_providers::create_sign_in_provider(&app.kernel, &caller, ask).await?)
}

async fn providers(
    State(app): State<App>,
    Operator(caller): Operator,
    _: Query<NoParameters>,
) -> Reply<Page<Revised<SignInProviderView>>> {
    ok(sign_in_providers::sign_in_providers(&app.kernel, &caller).await?)
}

async fn confirm_provider(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(provider): Path<String>,
) -> Reply<Revised<SignInProviderView>> {
    ok(sign_in_providers::confirm_sign_in_provider(&app.kernel, &caller, id(&provider, "sign-in provider")?).await?)
}

async fn remove_provider(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(provider): Path<String>,
) -> Reply<Revised<SignInProviderView>> {
    ok(sign_in_providers::remove_sign_in_provider(&app.kernel, &caller, id(&provider, "sign-in provider")?).await?)
}
