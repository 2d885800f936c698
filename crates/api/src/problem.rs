//! Problem bodies (RFC 9457) with stable codes.

use serde::{Deserialize, Serialize};
use tenure_core::base::problem::{FieldProblem, Reason};

/// A code that is not one of the domain's reasons.
#[derive(Debug, Clone, Copy)]
pub struct OtherCode {
    /// The HTTP status that it comes with.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// What it means and what to do about it.
    pub explanation: &'static str,
}

/// Codes that are not one of the domain's reasons, with what to do about each.
pub const OTHER_CODES: &[OtherCode] = &[
    other(422, "fields_invalid", "fields are missing or wrong: `fields` names each with its own code and what to do"),
    other(400, "request_malformed", "the request's head can't be read: `detail` says which part"),
    other(
        400,
        "body_malformed",
        "the body is not the JSON that this address takes: `detail` says where; unknown fields are refused",
    ),
    other(413, "body_too_large", "a body has at most 64 KiB, a feed of people 8 MiB, a delivery of signals 1 MiB"),
    other(
        408,
        "body_too_slow",
        "send the body with its head: a pause is at most 5 s, and the whole takes at most 20 s",
    ),
    other(
        415,
        "media_type_unsupported",
        "send application/json, or application/x-www-form-urlencoded to the OAuth endpoints",
    ),
    other(
        403,
        "cross_site",
        "a cookie speaks only for requests that a page of this server makes: use the pages, or send a bearer token",
    ),
    other(
        400,
        "unsupported_response_type",
        "the authorization endpoint gives no codes: identities get their tokens at the token endpoint",
    ),
    other(404, "route_unknown", "there is no such address: the API is under /v1"),
    other(405, "method_not_allowed", "the address exists and takes another method"),
    other(404, "not_found", "there is no such thing, or you may not know of it"),
    other(
        409,
        "taken",
        "names, URIs and keys are never reassigned, not even after their holder has ended: choose another",
    ),
    other(
        412,
        "revision_changed",
        "somebody changed the record since you read it: read it again and repeat the change with the new ETag",
    ),
    other(
        428,
        "if_match_required",
        "such a change says which revision it is meant for: read the record, and send its ETag as If-Match",
    ),
    other(
        400,
        "if_match_unfit",
        "the address names no record at a revision that If-Match could be about: leave it out",
    ),
    other(
        409,
        "request_repeated",
        "a request with the same idempotency key is being carried out: send it again in a second",
    ),
    other(
        409,
        "answer_not_kept",
        "the request was carried out before, and its answer is gone or held a secret: read what it made; a secret that never arrived is revoked and made anew",
    ),
    other(
        422,
        "idempotency_key_reused",
        "the idempotency key stands for another request of yours: use a new key for a new request",
    ),
    other(409, "setup", "set-up was not done yet, or was done before: `tenure setup` makes the first administrator"),
    other(
        503,
        "disk_full",
        "the server's disk is full: suspensions, revocations and retirements still work, everything else waits until an operator makes room",
    ),
    other(
        503,
        "index_building",
        "an index is being made, of the log (more than 16,384 entries are in none of its segments yet; the problem says how far it has come) or of the records (more than 4,096 changed since they were indexed): `Retry-After` says when to ask again",
    ),
    other(
        503,
        "unavailable",
        "nothing was changed: try again in a second; if it stays so, an operator finds the cause in the server's log",
    ),
    other(
        500,
        "internal",
        "something is wrong with the server or its data: an operator finds the cause in the server's log",
    ),
];

const fn other(status: u16, code: &'static str, explanation: &'static str) -> OtherCode {
    OtherCode { status, code, explanation }
}

/// What a code means and what to do about it; `None` for a code that is none.
pub fn explain(code: &str) -> Option<&'static str> {
    let reason = Reason::ALL.iter().find(|reason| reason.code() == code).map(|reason| reason.hint());
    reason.or_else(|| OTHER_CODES.iter().find(|other| other.code == code).map(|other| other.explanation))
}

/// A refusal or failure as a client sees it. It never carries an internal error's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// A page of this server that explains the code.
    #[serde(rename = "type")]
    pub page: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// Every field that is missing or wrong.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub fields: Vec<FieldProblem>,
    /// In how many seconds it is worth another try, where that is known; `Retry-After` says the same (RFC 9110
    /// §10.2.3).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after: Option<u64>,
    /// The policies that determined the answer.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub policies: Vec<String>,
    /// The policy set that was asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy_version: Option<String>,
    /// The request's id, as the server's log names it; `X-Request-ID` of the reply says the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
}

impl Problem {
    /// A problem with a code.
    pub fn new(status: u16, code: &str, title: &str) -> Self {
        Self {
            page: format!("/problems/{code}"),
            title: title.to_owned(),
            status,
            code: code.to_owned(),
            detail: None,
            hint: None,
            fields: Vec::new(),
            retry_after: None,
            policies: Vec::new(),
            policy_version: None,
            request_id: None,
        }
    }

    /// A refusal for one of the domain's reasons.
    pub fn refusal(status: u16, reason: Reason) -> Self {
        let mut problem = Self::new(status, reason.code(), &reason.code().replace('_', " "));
        problem.hint = Some(reason.hint().to_owned());
        problem
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the fields.
    #[must_use]
    pub fn fields(mut self, fields: Vec<FieldProblem>) -> Self {
        self.fields = fields;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test that writes the reference where it is asked to")]
    fn the_reference_lists_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/problems.md");
        let mut text = String::from(
            "# Codes of problems\n\nEvery refusal and failure carries one of these codes; `GET /problems/CODE` says the same. This page is made from the code.\n\n| Code | What to do |\n|---|---|\n",
        );
        for (code, what) in Reason::ALL
            .iter()
            .map(|reason| (reason.code(), reason.hint()))
            .chain(OTHER_CODES.iter().map(|other| (other.code, other.explanation)))
        {
            text.push_str(&format!("| `{code}` | {what} |\n"));
        }
        if std::env::var_os("TENURE_UPDATE").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), text, "run this test with TENURE_UPDATE=1");
    }

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<_> =
            Reason::ALL.iter().map(|reason| reason.code()).chain(OTHER_CODES.iter().map(|other| other.code)).collect();
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
