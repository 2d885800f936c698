//! Operators: who calls the management API.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use tenure_api::problem::Problem;
use tenure_core::base::problem::Reason;
use tenure_credentials::opaque::PREFIX;
use tenure_engine::credentials::identity_caller;
use tenure_engine::kernel::budgets;
use tenure_engine::kernel::caller::{self, Caller};
use tenure_engine::kernel::error::OpError;

use crate::app::App;
use crate::caller::cookie::{Cookie, must_be_same_origin};
use crate::caller::keys::{Keys, Scheme};
use crate::contract::api::{Operation, Takes};
use crate::contract::error::Failure;
use crate::contract::source::{self, Source};

/// Who calls the management API: a person, by the cookie of their browser, the session of their command line or an
/// operator token; or an identity, by its access token for Tenure itself.
#[derive(Clone)]
pub(crate) struct Operator(pub Caller);

/// Who a request turned out to come from, for whoever finishes its answer.
#[derive(Clone, Default)]
pub(crate) struct Asker(Arc<OnceLock<Caller>>);

impl Asker {
    /// The caller, if one was let in.
    pub(crate) fn known(&self) -> Option<&Caller> {
        self.0.get()
    }

    fn is(extensions: &Extensions, caller: &Caller) {
        if let Some(Self(asker)) = extensions.get() {
            asker.get_or_init(|| caller.clone());
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        // A proof is good once: who was let in already isn't asked again.
        if let Some(known) = parts.extensions.get::<Self>() {
            Asker::is(&parts.extensions, &known.0);
            return Ok(known.clone());
        }
        let Ok(Source(source)) = Source::from_request_parts(parts, app).await;
        let authenticated = match (authorization(&parts.headers)?, Cookie::Session.read(app, &parts.headers)) {
            (Some((Scheme::Bearer, token)), _) if token.starts_with(PREFIX) => {
                caller::authenticate_person(&app.kernel, &token).await
            }
            (Some((scheme, token)), _) => {
                let Ok(keys) = Keys::from_request_parts(parts, app).await;
                let changes = !parts.method.is_safe();
                identity_caller::authenticate_identity(&app.kernel, &token, &keys.with_a_token(scheme)?, changes).await
            }
            (None, Some(cookie)) => {
                must_be_same_origin(app, &parts.method, &parts.headers)?;
                caller::authenticate_browser(&app.kernel, &cookie).await
            }
            (None, None) => {
                app.kernel.count_stranger(Reason::ProofMissing, &source);
                return Err(Failure::of(
                    Problem::refusal(401, Reason::ProofMissing)
                        .hint("sign in (`tenure login`), or send a token: Authorization: Bearer tnr_…"),
                ));
            }
        };
        if let Ok(caller) = &authenticated {
            source::proven(&parts.extensions);
            Asker::is(&parts.extensions, caller);
            budgets::let_in(&caller.id());
        }
        authenticated.map(Self).map_err(|error| {
            if let OpError::Unauthenticated(reason) = &error {
                app.kernel.count_stranger(*reason, &source);
            }
            error.into()
        })
    }
}

impl Takes for Operator {
    fn describe(operation: &mut Operation<'_>) {
        operation.authenticated();
    }
}

/// The credential of a request with how it was sent, if it has one. Two are as bad as a malformed one; one in a scheme
/// that isn't taken here is no proof, and the answer says which schemes are (RFC 9110 §11.6.1).
pub(crate) fn authorization(headers: &HeaderMap) -> Result<Option<(Scheme, String)>, Failure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(header::AUTHORIZATION) {
            true => Err(Failure::malformed("there is more than one Authorization header")),
            false => Ok(None),
        };
    };
    let text = value.to_str().map_err(|_| Failure::malformed("the Authorization header is not text"))?;
    let (scheme, token) =
        text.split_once(' ').ok_or_else(|| Failure::malformed("the Authorization header has no token"))?;
    let scheme = match scheme {
        bearer if bearer.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        dpop if dpop.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => {
            let hint = "use Authorization: Bearer, or DPoP for a token that is bound to a key";
            return Err(Failure::of(Problem::refusal(401, Reason::ProofMissing).hint(hint)));
        }
    };
    match token.trim() {
        "" => Err(Failure::malformed("the Authorization header has no token")),
        token => Ok(Some((scheme, token.to_owned()))),
    }
}
