//! Conditions: entity tags and If-Match (RFC 9110 §13.1.1).
//!
//! A change at an address of the management API that names a record heeds `If-Match`, whatever its handler knows of it:
//! the first part of the address says what sort of record, the second one which. Where an address names none, or one of
//! whose revision nobody is told, a condition can't be held against anything, and is refused rather than passed over.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde_json::json;
use tenure_api::problem::Problem;
use tenure_core::store::row::RowKind;
use tenure_engine::kernel::if_match::IfMatch;

use crate::contract::api::{Operation, Takes};
use crate::contract::error::Failure;

/// The entity tags that one condition names at most.
pub(crate) const MAX_TAGS: usize = 64;

/// The records at a revision, by the first part of their addresses.
const RECORDS: &[(&str, RowKind)] = &[
    ("accounts", RowKind::Account),
    ("applications", RowKind::Application),
    ("break-glass", RowKind::BreakGlass),
    ("cloud-accounts", RowKind::CloudAccount),
    ("data-domains", RowKind::DataDomain),
    ("deprecations", RowKind::Deprecation),
    ("drift", RowKind::Drift),
    ("differences", RowKind::Difference),
    ("environments", RowKind::Environment),
    ("exceptions", RowKind::Exception),
    ("findings", RowKind::Finding),
    ("grants", RowKind::Grant),
    ("identities", RowKind::Identity),
    ("invitations", RowKind::Invitation),
    ("issuers", RowKind::Issuer),
    ("naming-standards", RowKind::NamingStandard),
    ("needs", RowKind::Need),
    ("packages", RowKind::Package),
    ("people", RowKind::Person),
    ("person-grants", RowKind::PersonGrant),
    ("removals", RowKind::Removal),
    ("requests", RowKind::Request),
    ("resources", RowKind::Resource),
    ("reviews", RowKind::Review),
    ("campaigns", RowKind::Campaign),
    ("sign-in-providers", RowKind::SignInProvider),
    ("sources", RowKind::Source),
    ("targets", RowKind::Target),
    ("templates", RowKind::Template),
    ("transfers", RowKind::Transfer),
    ("vendors", RowKind::Vendor),
];

/// The sort of record that a route of the management API names, if it names one at a revision.
pub(crate) fn record_of(route: &str) -> Option<RowKind> {
    let mut parts = route.strip_prefix("/v1/")?.split('/');
    let collection = parts.next()?;
    parts.next().filter(|name| name.starts_with('{'))?;
    RECORDS.iter().find(|(name, _)| *name == collection).map(|(_, kind)| *kind)
}

/// A condition at an address that names no record at a revision.
pub(crate) fn unfit() -> Failure {
    Failure::of(
        Problem::new(400, "if_match_unfit", "there is nothing here that If-Match could be about")
            .detail("the address names no record at a revision")
            .hint("leave If-Match out: two such changes don't replace each other"),
    )
}

/// What a condition looks like: `*`, or entity tags (§8.8.3).
const IF_MATCH: &str = r#"^(\*|(W/)?"[!#-~]*"([ ]*,[ ]*(W/)?"[!#-~]*")*)$"#;

/// Says that an operation heeds a condition.
pub(crate) fn heeded(operation: &mut Operation<'_>) {
    let says = "The ETag of the record as it was read, or * for whatever it is now: the change is made only while that holds (RFC 9110 §13.1.1).";
    operation.parameter("header", "If-Match", says, &json!({"type": "string", "pattern": IF_MATCH}));
    for status in [400, 412] {
        operation.problem(status);
    }
}

/// Which revision of the record a change is meant for (RFC 9110 §13.1.1).
pub(crate) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Failure> {
    let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
    if lines.peek().is_none() {
        return Ok(IfMatch::Missing);
    }
    let mut revisions = Vec::new();
    let mut tags = 0;
    for (n, line) in lines.enumerate() {
        let text = line.to_str().map(str::trim).unwrap_or_default();
        if text == "*" && n == 0 && headers.get_all(header::IF_MATCH).iter().count() == 1 {
            return Ok(IfMatch::Any);
        }
        for tag in entity_tags(text).filter(|found| tags + found.len() <= MAX_TAGS).ok_or_else(no_condition)? {
            tags += 1;
            revisions.extend(tag);
        }
    }
    if tags == 0 { Err(no_condition()) } else { Ok(IfMatch::Revisions(revisions)) }
}

pub(crate) fn no_condition() -> Failure {
    Failure::malformed(
        "If-Match takes the ETag as this server gave it, e.g. \"3\", a list of up to 64, or * for whatever it is now",
    )
}

/// The entity tags of a list, each as the revision that it names; one that is weak, or was never one of ours, names
/// none. `None` if it is no such list.
pub(crate) fn entity_tags(list: &str) -> Option<Vec<Option<u64>>> {
    let mut tags = Vec::new();
    let mut rest = list;
    loop {
        // Empty elements are passed over (§5.6.1.2).
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let (weak, tag) = match rest.strip_prefix("W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let (opaque, after) = tag.strip_prefix('"')?.split_once('"')?;
        if opaque.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return None;
        }
        let is_ours = !weak && opaque.bytes().all(|b| b.is_ascii_digit()) && !opaque.starts_with('0');
        tags.push(opaque.parse().ok().filter(|_| is_ours));
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

/// Which revision of the record a change is meant for, where it has to say so.
pub(crate) struct Condition(pub IfMatch);

impl<S: Send + Sync> FromRequestParts<S> for Condition {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if_match(&parts.headers).map(Self)
    }
}

impl Takes for Condition {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(428);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn e04_a_condition_is_a_list_of_tags_or_a_star() {
        let read = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::IF_MATCH, HeaderValue::from_static(line));
            }
            if_match(&headers)
        };
        assert_eq!(read(&[]).unwrap(), IfMatch::Missing);
        assert_eq!(read(&[" * "]).unwrap(), IfMatch::Any);
        for (lines, revisions) in [
            (&["\"3\""][..], vec![3]),
            (&["\"3\", \"7\""], vec![3, 7]),
            (&["\"3\",, \"7\" ,", "\"9\""], vec![3, 7, 9]),
            // Weak ones, and such as are nobody's, match nothing.
            (&["W/\"3\""], vec![]),
            (&["W/\"3\", \"4\""], vec![4]),
            (&["\"x\""], vec![]),
            (&["\"a,b\", \"5\""], vec![5]),
            (&["\"03\", \"+3\", \"\", \"99999999999999999999\""], vec![]),
        ] {
            assert_eq!(read(lines).unwrap(), IfMatch::Revisions(revisions), "{lines:?}");
        }
        for bad in [
            &["3"][..],
            &[""],
            &[","],
            &["\"3"],
            &["\"3\" \"4\""],
            &["\"3\"x"],
            &["w/\"3\""],
            &["*, \"3\""],
            &["*", "\"3\""],
            &["*", "*"],
            &["\"a b\""],
        ] {
            assert_eq!(read(bad).unwrap_err().0.status, 400, "{bad:?}");
        }
        let mut many = HeaderMap::new();
        many.insert(header::IF_MATCH, HeaderValue::try_from("\"1\",".repeat(MAX_TAGS + 1)).unwrap());
        assert_eq!(if_match(&many).unwrap_err().0.status, 400);
    }
}
