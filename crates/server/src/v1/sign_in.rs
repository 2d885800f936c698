//! Who calls, sessions, invitations, and providers that people sign in with.

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use tenure_api::sign_in::{InvitationMade, InvitationView, Me, NewInvitation, NewSignInProvider, SessionView, SignInProviderView};
use tenure_api::views::{Page, Resource as View};
use tenure_core::people::sign_in::Invitation;
use tenure_engine::people::{invitations, sign_in, sign_in_providers};

use crate::app::App;
use crate::caller::operator::Operator;
use crate::contract::body::Body;
use crate::contract::list::List;
use crate::contract::query::{NoParameters, Path, Query};
use crate::contract::reply::{Reply, created, id, ok};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/me", get(me))
        .route("/v1/sessions", get(sessions))
        .route("/v1/sessions/{id}/revoke", post(revoke_session))
        .route("/v1/invitations", post(create_invitation).get(invitations))
        .route("/v1/invitations/{id}/confirm", post(confirm_invitation))
        .route("/v1/invitations/{id}/revoke", post(revoke_invitation))
        .route("/v1/sign-in-providers", post(create_provider).get(providers))
        .route("/v1/sign-in-providers/{id}/confirm", post(confirm_provider))
        .route("/v1/sign-in-providers/{id}/remove", post(remove_provider))
}

async fn me(State(app): State<App>, Operator(caller): Operator) -> Reply<Me> {
    ok(sign_in::me(&app.kernel, &caller))
}

async fn sessions(State(app): State<App>, Operator(caller): Operator, _: Query<NoParameters>) -> Reply<Page<SessionView>> {
    ok(sign_in::sessions(&app.kernel, &caller).await?)
}

async fn revoke_session(State(app): State<App>, Operator(caller): Operator, Path(session): Path<String>) -> Reply<SessionView> {
    ok(sign_in::revoke_session(&app.kernel, &caller, id(&session, "session")?).await?)
}

async fn create_invitation(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewInvitation>) -> Reply<InvitationMade> {
    created(invitations::create_invitation(&app.kernel, &caller, ask).await?)
}

async fn invitations(State(app): State<App>, Operator(caller): Operator, list: List<Invitation>) -> Reply<Page<View<InvitationView>>> {
    ok(invitations::invitations(&app.kernel, &caller, list.ask).await?)
}

async fn confirm_invitation(State(app): State<App>, Operator(caller): Operator, Path(invitation): Path<String>) -> Reply<View<InvitationView>> {
    ok(invitations::confirm_invitation(&app.kernel, &caller, id(&invitation, "invitation")?).await?)
}

async fn revoke_invitation(State(app): State<App>, Operator(caller): Operator, Path(invitation): Path<String>) -> Reply<View<InvitationView>> {
    ok(invitations::revoke_invitation(&app.kernel, &caller, id(&invitation, "invitation")?).await?)
}

async fn create_provider(State(app): State<App>, Operator(caller): Operator, Body(ask): Body<NewSignInProvider>) -> Reply<View<SignInProviderView>> {
    created(sign_in_providers::create_sign_in_provider(&app.kernel, &caller, ask).await?)
}

async fn providers(State(app): State<App>, Operator(caller): Operator, _: Query<NoParameters>) -> Reply<Page<View<SignInProviderView>>> {
    ok(sign_in_providers::sign_in_providers(&app.kernel, &caller).await?)
}

async fn confirm_provider(State(app): State<App>, Operator(caller): Operator, Path(provider): Path<String>) -> Reply<View<SignInProviderView>> {
    ok(sign_in_providers::confirm_sign_in_provider(&app.kernel, &caller, id(&provider, "sign-in provider")?).await?)
}

async fn remove_provider(State(app): State<App>, Operator(caller): Operator, Path(provider): Path<String>) -> Reply<View<SignInProviderView>> {
    ok(sign_in_providers::remove_sign_in_provider(&app.kernel, &caller, id(&provider, "sign-in provider")?).await?)
}
