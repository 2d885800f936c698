//! What an identity's accounts at targets may do there, as its charter says: read by whoever approves it, and held
//! against what the targets give (R102).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::base::id::AccountId;
use crate::identity::checker::Checker;

/// Grants of one account that a charter names one by one; more are counted.
pub const MAX_GRANTS: usize = 256;
/// The longest text of one grant in bytes.
const MAX_GRANT: usize = 2_048;
/// What the grants of a charter come to at most, in bytes: it is read by people, and fits into one entry of the log.
pub const MAX_GRANTS_TEXT: usize = 16 * 1_024;

/// What one account may do at its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountGrants {
    /// The account.
    pub account: AccountId,
    /// Its grants, in the target's words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// How many grants it has beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_grants: u32,
    /// Whether it may do whatever there is, or give itself the right to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Whether accounts may do nothing that they could not before.
pub(super) fn accounts_narrow(from: &[AccountGrants], to: &[AccountGrants]) -> bool {
    to.iter().all(|to| {
        from.iter().find(|from| from.account == to.account).is_some_and(|from| {
            to.grants.iter().all(|grant| from.grants.contains(grant))
                && to.more_grants <= from.more_grants
                && (from.privileged || !to.privileged)
        })
    })
}

pub(super) fn check(accounts: &[AccountGrants], check: &mut Checker) {
    check.list("account_grants", accounts);
    let ids: BTreeSet<_> = accounts.iter().map(|account| account.account).collect();
    if ids.len() < accounts.len() {
        check.wrong("account_grants", "account_twice", "name each account once");
    }
    let grants = || accounts.iter().flat_map(|account| &account.grants);
    let malformed = |grant: &String| grant.is_empty() || grant.len() > MAX_GRANT || grant.chars().any(char::is_control);
    if accounts.iter().any(|account| account.grants.len() > MAX_GRANTS) || grants().any(malformed) {
        let hint = "give at most 256 grants an account, each of 1 to 2048 bytes without control characters";
        check.wrong("account_grants", "grants_malformed", hint);
    }
    if grants().map(String::len).sum::<usize>() > MAX_GRANTS_TEXT {
        let hint = "name at most 16384 bytes of grants, and count the others in more_grants";
        check.wrong("account_grants", "grants_too_long", hint);
    }
}
