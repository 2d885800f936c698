//! Tokens that are bound to a key (RFC 9449): whoever steals one can't use it.
//!
//! ```no_run
//! # async fn example(client: tenure_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use tenure_client::{TokenProof, TokenRequest, assertion::WorkloadKey};
//!
//! let key = WorkloadKey::from_text(&std::fs::read_to_string("billing-exporter.key")?)?;
//! let issuer = client.issuer_of("prod");
//! let assertion = key.client_assertion("idn_01k9…", &issuer)?;
//! let bound_to = WorkloadKey::generate();
//! let token = client.bound_token("prod", &TokenRequest::new(TokenProof::Assertion(assertion)), &bound_to, &issuer).await?;
//! let proof = bound_to.dpop_proof("GET", "https://orders.internal/v1/orders", None, Some(&token.access_token));
//! # drop(proof);
//! # Ok(())
//! # }
//! ```

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use tenure_api::views::TokenIssued;
use tenure_core::base::entropy::Entropy;
use tenure_core::base::time::Timestamp;

use crate::assertion::{SystemEntropy, WorkloadKey, fresh_id, wall_clock};
use crate::{Client, ClientError, TokenRequest, error};

const DPOP: &str = "dpop";
const DPOP_NONCE: &str = "dpop-nonce";

impl WorkloadKey {
    /// A proof of this moment for one request: its method, its address, the server's nonce if it gave one, and the
    /// access token that goes along, if one does.
    pub fn dpop_proof(&self, method: &str, url: &str, nonce: Option<&str>, token: Option<&str>) -> String {
        sign_dpop(self, method, url, nonce, token, wall_clock(), &SystemEntropy)
    }
}

/// Signs a DPoP proof for one request.
pub fn sign_dpop(
    key: &WorkloadKey,
    method: &str,
    url: &str,
    nonce: Option<&str>,
    token: Option<&str>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> String {
    let address = url.split(['?', '#']).next().unwrap_or(url);
    let mut claims = Map::from_iter([
        ("jti".to_owned(), json!(fresh_id(entropy))),
        ("htm".to_owned(), json!(method)),
        ("htu".to_owned(), json!(address)),
        ("iat".to_owned(), json!(now.as_secs())),
    ]);
    claims.extend(nonce.map(|nonce| ("nonce".to_owned(), json!(nonce))));
    claims.extend(
        token.map(|token| ("ath".to_owned(), json!(URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes()))))),
    );
    key.compact_with_key("dpop+jwt", &Value::Object(claims))
}

impl Client {
    /// `POST /env/{environment}/token` for a token that is bound to `key`. `issuer` is the environment's issuer
    /// identifier, under which the server knows its own address. The server's nonce is fetched on the way.
    ///
    /// # Errors
    /// What OAuth says if the server refuses, else what broke.
    pub async fn bound_token(
        &self,
        environment: &str,
        ask: &TokenRequest,
        key: &WorkloadKey,
        issuer: &str,
    ) -> Result<TokenIssued, ClientError> {
        let form = ask.form();
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = format!("{issuer}/token");
        let mut nonce: Option<String> = None;
        loop {
            let proof = key.dpop_proof("POST", &url, nonce.as_deref(), None);
            let sent = self.form(environment, "token", &form).header(DPOP, proof).send().await;
            let response = sent.map_err(|error| ClientError::transport(&error))?;
            let next = response.headers().get(DPOP_NONCE).and_then(|value| value.to_str().ok()).map(str::to_owned);
            if response.status().is_success() {
                let body = response.bytes().await.map_err(|error| ClientError::transport(&error))?;
                return serde_json::from_slice(&body).map_err(|error| {
                    ClientError::Unexpected(format!("the reply is not what this version knows: {error}"))
                });
            }
            let refusal = error::refused(response).await;
            // The server wants its nonce in the proof: with it, the same assertion is good for a second try, and no
            // third is made.
            match next {
                Some(next) if nonce.is_none() && refusal.code() == Some("dpop_nonce_needed") => nonce = Some(next),
                _ => return Err(refusal),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_core::base::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn a_proof_brings_its_public_key_and_names_its_request() {
        let entropy = SeededEntropy::new(6);
        let key = WorkloadKey::draw(&entropy).unwrap();
        let url = "https://orders.internal/v1/orders?page=2#top";
        let proof = sign_dpop(
            &key,
            "GET",
            url,
            Some("n"),
            Some("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
            Timestamp::from_secs(9),
            &entropy,
        );
        let part = |n: usize| {
            serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(proof.split('.').nth(n).unwrap()).unwrap()).unwrap()
        };
        assert_eq!(part(0), json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": key.public_jwk()}));
        let claims = part(1);
        assert_eq!((&claims["htm"], &claims["htu"]), (&json!("GET"), &json!("https://orders.internal/v1/orders")));
        // The example of RFC 9449, section 7.1.
        assert_eq!(claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        assert_eq!((&claims["iat"], &claims["nonce"]), (&json!(9), &json!("n")));
        let decoding = jsonwebtoken::DecodingKey::from_ed_components(key.public_jwk()["x"].as_str().unwrap()).unwrap();
        let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
        rules.validate_exp = false;
        rules.required_spec_claims.clear();
        jsonwebtoken::decode::<Value>(&proof, &decoding, &rules).unwrap();
    }
}
