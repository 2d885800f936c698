//! Browsers: whose session asks.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tenure_engine::kernel::caller::{self, Caller};

use crate::app::App;
use crate::caller::cookie::{Cookie, must_be_same_origin};
use crate::contract::error::Failure;
use crate::contract::source::proven;

/// The person whose browser asks, if one has signed in.
pub(crate) struct Browser(pub Option<Caller>);

impl FromRequestParts<App> for Browser {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Some(cookie) = Cookie::Session.read(app, &parts.headers) else {
            return Ok(Self(None));
        };
        must_be_same_origin(app, &parts.method, &parts.headers)?;
        match caller::authenticate_browser(&app.kernel, &cookie).await {
            Ok(caller) => {
                proven(&parts.extensions);
                Ok(Self(Some(caller)))
            }
            Err(tenure_engine::kernel::error::OpError::Unauthenticated(_)) => Ok(Self(None)),
            Err(other) => Err(other.into()),
        }
    }
}

/// How a caller is called, unless their name was erased.
pub(crate) fn name(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Person { person, .. } => person.name.clone(),
        Caller::Identity { .. } => None,
    }
}
