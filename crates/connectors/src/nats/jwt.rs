//! JWTs of NATS (version 2): what they claim, signed by keys of NATS.

use aws_lc_rs::digest::{SHA512_256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::BASE32_NOPAD;
use serde_json::{Map, Value};

use super::key::{Owner, Pair, is_signed};

/// The longest JWT that is read, in bytes.
const MAX_JWT: usize = 1 << 20;
const HEAD: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// The claims of a JWT, whoever signed it; none if it is no JWT of NATS.
pub(super) fn claims(jwt: &str) -> Option<Value> {
    let mut parts = jwt.split('.');
    let (head, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if jwt.len() > MAX_JWT || parts.next().is_some() {
        return None;
    }
    let decoded = |part: &str| -> Option<Value> { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok() };
    if decoded(head)?.get("alg")?.as_str()? != "ed25519-nkey" {
        return None;
    }
    decoded(claims).filter(|claims| claims.get("nats").is_some_and(Value::is_object))
}

/// The claims of an account's JWT, if one of these operators' keys signed it.
pub(super) fn verified(jwt: &str, operators: &[String]) -> Result<Value, String> {
    let none = || "it is no JWT of NATS".to_owned();
    let claims = claims(jwt).ok_or_else(none)?;
    let issuer = text(&claims, "/iss");
    if !operators.contains(&issuer) {
        return Err(format!("it is signed by {issuer}, which the option operators doesn't name"));
    }
    let (signed, signature) = jwt.rsplit_once('.').ok_or_else(none)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| none())?;
    if !is_signed(&issuer, Owner::Operator, signed.as_bytes(), &signature) {
        return Err(format!("its signature is none by {issuer}"));
    }
    Ok(claims)
}

/// A JWT with these claims, issued then.
pub(super) fn signed(by: &Pair, claims: Map<String, Value>, issued: i64) -> String {
    let with = |id: &str| {
        let own = [("iss", by.public().into()), ("iat", issued.into()), ("jti", id.into())];
        let own = own.into_iter().map(|(name, value): (_, Value)| (name.to_owned(), value));
        Value::Object(claims.clone().into_iter().chain(own).collect()).to_string()
    };
    let id = BASE32_NOPAD.encode(digest(&SHA512_256, with("").as_bytes()).as_ref());
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEAD), URL_SAFE_NO_PAD.encode(with(&id)));
    let signature = URL_SAFE_NO_PAD.encode(by.sign(text.as_bytes()));
    format!("{text}.{signature}")
}

/// A text of claims; empty where there is none.
pub(super) fn text(claims: &Value, pointer: &str) -> String {
    claims.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Texts of a list of claims.
pub(super) fn texts(claims: &Value, pointer: &str) -> Vec<String> {
    let texts = claims.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_accounts_jwt_counts_by_its_operators_signature_alone() {
        let [ours, other] = [[1; 32], [2; 32]].map(|seed| Pair::of_bytes(&seed, Owner::Operator).unwrap());
        let told = Map::from_iter([("sub".to_owned(), "A".into()), ("nats".to_owned(), json!({ "type": "account" }))]);
        let jwt = signed(&ours, told.clone(), 7);
        let claims = verified(&jwt, &[ours.public()]).unwrap();
        assert_eq!((claims["iat"].as_i64(), text(&claims, "/nats/type").as_str()), (Some(7), "account"));
        assert!(verified(&jwt, &[other.public()]).is_err_and(|why| why.contains("doesn't name")));
        let (head, rest) = jwt.split_once('.').unwrap();
        let forged = signed(&other, told, 7);
        let forged = format!("{head}.{}.{}", rest.split_once('.').unwrap().0, forged.rsplit_once('.').unwrap().1);
        assert!(verified(&forged, &[ours.public()]).is_err_and(|why| why.contains("signature")));
        for bad in ["", "a.b", "a.b.c", "a.b.c.d", &format!("{jwt}.x")] {
            assert!(self::claims(bad).is_none(), "{bad}");
        }
    }
}
