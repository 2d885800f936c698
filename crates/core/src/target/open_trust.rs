//! Trust that fixes nobody (NHI6:2025): who may become an account at a cloud, in the words in which its connector tells
//! the trust policy: `TRUST FEDERATED arn:… IF {"StringEquals":{"…:sub":"…","…:aud":"…"}}`.

use serde_json::Value;

/// What a trust leaves open, in a sentence; nothing if it fixes whom it lets in.
pub fn left_open(grant: &str) -> Option<&'static str> {
    let trust = grant.strip_prefix("TRUST ")?;
    let (whom, condition) = match trust.split_once(" IF ") {
        Some((whom, condition)) => (whom, Some(condition)),
        None => (trust, None),
    };
    if matches!(whom, "*" | "AWS *") || whom.starts_with("ALL BUT") {
        return condition.is_none().then_some("it lets anybody in, on no condition");
    }
    if !whom.starts_with("FEDERATED ") {
        return None;
    }
    let Some(condition) = condition else {
        return Some("it lets in whoever the provider vouches for: neither subject nor audience is fixed");
    };
    let Ok(Value::Object(condition)) = serde_json::from_str::<Value>(condition) else {
        return Some("its condition can't be read whole");
    };
    let fixes = |claim: &str| {
        condition.iter().any(|(operator, keys)| {
            let fitting = keys.as_object().into_iter().flatten();
            fitting.into_iter().any(|(key, value)| names(key, claim) && is_fixed(operator, value))
        })
    };
    match (fixes("sub"), fixes("aud")) {
        (true, true) => None,
        (false, true) => Some("no subject is fixed"),
        (true, false) => Some("no audience is fixed"),
        (false, false) => Some("neither subject nor audience is fixed"),
    }
}

/// Whether a condition's key is about a claim, whoever the provider is.
fn names(key: &str, claim: &str) -> bool {
    key.rsplit_once(':').is_some_and(|(_, name)| name.eq_ignore_ascii_case(claim))
}

/// Whether an operator demands one of these values, each exactly.
fn is_fixed(operator: &str, value: &Value) -> bool {
    let operator = operator.strip_prefix("ForAnyValue:").unwrap_or(operator);
    let is_like = matches!(operator, "StringLike" | "ArnLike");
    if !is_like && !matches!(operator, "StringEquals" | "StringEqualsIgnoreCase" | "ArnEquals") {
        return false;
    }
    let exact = |value: &Value| {
        value.as_str().is_some_and(|text| !text.is_empty() && (!is_like || !is_wild(text) || is_one_repository(text)))
    };
    match value {
        Value::Array(values) => !values.is_empty() && values.iter().all(exact),
        one => exact(one),
    }
}

fn is_wild(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// GitHub's subjects name the repository first: whatever of one repository is still one repository.
fn is_one_repository(text: &str) -> bool {
    let named = text.strip_prefix("repo:").and_then(|rest| rest.split_once(':'));
    named.is_some_and(|(repository, _)| repository.contains('/') && !is_wild(repository))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_fixes_its_subject_and_its_audience() {
        let github = "TRUST FEDERATED arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com IF ";
        let of = |condition: &str| left_open(&format!("{github}{condition}"));
        let g = "token.actions.githubusercontent.com";
        let both = format!(
            r#"{{"StringEquals":{{"{g}:aud":"sts.amazonaws.com","{g}:sub":"repo:acme/app:ref:refs/heads/main"}}}}"#
        );
        assert_eq!(of(&both), None);
        let branches = format!(
            r#"{{"StringEquals":{{"{g}:aud":"sts.amazonaws.com"}},"StringLike":{{"{g}:sub":["repo:acme/app:*"]}}}}"#
        );
        assert_eq!(of(&branches), None);
        for open in ["repo:acme/*", "repo:*", "*", "system:serviceaccount:shop:*", ""] {
            let condition = branches.replace("repo:acme/app:*", open);
            assert_eq!(of(&condition), Some("no subject is fixed"), "{open}");
        }
        let no_audience = format!(r#"{{"StringEquals":{{"{g}:sub":"repo:acme/app:ref:refs/heads/main"}}}}"#);
        assert_eq!(of(&no_audience), Some("no audience is fixed"));
        // What must not be, or what may be missing, fixes nothing.
        for operator in ["StringNotEquals", "StringEqualsIfExists", "Null", "ForAllValues:StringEquals"] {
            assert_eq!(
                of(&both.replace("StringEquals", operator)),
                Some("neither subject nor audience is fixed"),
                "{operator}"
            );
        }
        assert_eq!(of(&both[..40]), Some("its condition can't be read whole"));
        assert!(left_open(github.trim_end_matches(" IF ")).is_some());
    }

    #[test]
    fn a_trust_in_anybody_is_open_and_one_in_a_service_is_not() {
        for open in ["TRUST *", "TRUST AWS *", r#"TRUST ALL BUT {"AWS":"arn:aws:iam::2:root"}"#] {
            assert!(left_open(open).is_some(), "{open}");
        }
        for closed in [
            "TRUST SERVICE ec2.amazonaws.com",
            "TRUST AWS arn:aws:iam::2:root",
            r#"TRUST * IF {"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#,
            "SELECT ON TABLE public.orders",
        ] {
            assert_eq!(left_open(closed), None, "{closed}");
        }
    }
}
