//! Budgets in replies: what a request counted against, and what is left (draft-ietf-httpapi-ratelimit-headers-11).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tenure_engine::kernel::budgets::Budget;

/// What is left of each budget.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");
/// How large each is.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Tells what a request counted against.
pub(crate) fn tell(budgets: &[Budget], headers: &mut HeaderMap) {
    let list = |item: fn(&Budget) -> String| {
        HeaderValue::try_from(budgets.iter().map(item).collect::<Vec<_>>().join(", ")).ok()
    };
    let left = list(|budget| format!("\"{}\";r={};t={}", budget.name, budget.left, budget.over_in));
    let policy = list(|budget| {
        // A quota unit that isn't named is a request (§3.1.2).
        let unit = if budget.of_bytes { ";qu=\"content-bytes\"" } else { "" };
        format!("\"{}\";q={}{unit};w={}", budget.name, budget.quota, budget.window)
    });
    if let (Some(left), Some(policy), false) = (left, policy, budgets.is_empty()) {
        headers.insert(LEFT, left);
        headers.insert(POLICY, policy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_lists_of_structured_fields() {
        let budget = Budget { name: "writes", of_bytes: false, quota: 6_000, left: 5_999, window: 60, over_in: 42 };
        let bytes = Budget { name: "written", of_bytes: true, ..budget };
        let mut headers = HeaderMap::new();
        tell(&[], &mut headers);
        assert!(headers.is_empty());
        tell(&[budget, bytes], &mut headers);
        assert_eq!(headers["ratelimit"], r#""writes";r=5999;t=42, "written";r=5999;t=42"#);
        assert_eq!(headers["ratelimit-policy"], r#""writes";q=6000;w=60, "written";q=6000;qu="content-bytes";w=60"#);
    }
}
