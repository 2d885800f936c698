//! Token exchange (RFC 8693): the parameters that say for whom the client wants to act.

use axum::http::StatusCode;
use tenure_engine::credentials::token::ACCESS_TOKEN_TYPE;
use tenure_engine::credentials::token::ask::Grant;

use crate::protocols::oauth::{Form, OAuthError};

/// The grant type.
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Reads the parameters. The actor is the client, who proves itself as everywhere: a second token for it would be a
/// second way.
pub(super) fn grant(form: &Form) -> Result<Grant, OAuthError> {
    for (name, needed) in [("subject_token_type", true), ("requested_token_type", false)] {
        match form.get(name) {
            Some(ACCESS_TOKEN_TYPE) => {}
            None if !needed => {}
            _ => {
                return Err(OAuthError::invalid_request(format!("{name} has to be {ACCESS_TOKEN_TYPE}")));
            }
        }
    }
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(OAuthError::invalid_request("the actor is who authenticates as the client: send no actor_token"));
    }
    if form.get("audience").is_some() {
        let hint = "name the target by its identifier, as resource (RFC 8707)";
        return Err(OAuthError::new(StatusCode::BAD_REQUEST, "invalid_target", hint));
    }
    Ok(Grant::Exchange(form.must("subject_token")?.to_owned()))
}
