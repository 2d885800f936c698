//! Policies as administrators hand them in.

use tenure_core::policy::PolicyLoader;
use tenure_policy::{CedarPolicy, Loader, bench};

/// Sets of policies: whatever nests, nothing overflows the stack; what is loaded holds its bounds and loads again.
pub(crate) fn set(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match CedarPolicy::with_policies(text) {
        Ok(set) => {
            for policy in set.policies() {
                assert!(!policy.id.is_empty());
                assert!(text.contains(policy.text.as_str()), "a policy is told with another text");
            }
            assert!(Loader.load(text).is_ok());
        }
        Err(error) => assert!(!error.problems.is_empty(), "refused without a reason"),
    }
}

/// Tables of cases.
pub(crate) fn cases(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = bench::parse(text);
}
