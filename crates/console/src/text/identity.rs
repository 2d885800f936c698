//! Words of an identity, its pictures and what is done with it.

use super::shared::plain;

words! {
    LONG_AGO = "not lately";
    STILL_NEEDED = "Still needed?";
    STILL_SCOPED = "Still scoped?";
    STILL_MONITORED = "Still watched?";
    STILL_REMOVABLE = "Still removable?";
    BY_USE = "It was used.";
    BY_REVIEW = "A review kept it.";
    NEVER_USED = "No use of it is on record.";
    NOBODY_NAMED = "nobody named";
    REMOVES_IT = "answers for its removal.";
    HAS_NO_MEMBER = "answers for its removal, and has no active member.";
    NO_REMOVAL_GROUP = "No team answers for its removal.";
    NEVER_TRIED = "No removal of it is on record.";
    DRILL_UNPROVEN = "The last drill isn't over, or proved nothing: a refusal counts beside something that was accepted.";
    SUSPENDED = "Suspended";
    OWNER_RELEASES = "Its owner or security may release it, but nobody who placed it.";
    SECURITY_RELEASES = "Security may release it, but nobody who placed it.";
    TRANSFER = "Transfer";
    RETIRE = "Retire";
    CLOSE = "Close";
    OF_THE_APPLICATION = "the application’s, since the charter names none";
    VENDOR = "Vendor";
    TOUCHES = "What it touches";
    ENDS_IT = "What else ends it";
    A_RULE = "a rule, without a vote";
    NEED_AS_APPROVED = "The need as it then read";
    RETIRED_BECAUSE = "Retired because";
    FOR = "for";
    CREDENTIAL_TYPES = "Credentials";
    REGISTERED_BY = "Registered by";
    ON = "on";
    WITHOUT_USE = "without use";
    TASK_COMPLETED = "when its task is completed";
    LIVE = "live";
    NOT_LIVE = "not live";
    GRANTS = "Grants";
    CREDENTIALS = "Live credentials";
    KEY_BOUND = "its key";
    BEARER = "whoever holds it";
    NO_PURPOSE = "No purpose yet.";
    ASK_ACCESS = "Ask for access";
    ASK_LEAD = "Asks that it may do something more for a bounded time, inside its charter. Whoever has to approve is asked.";
    FOR_HOW_LONG = "For how long";
    FOR_HOW_LONG_HINT = "such as 30m, 8h, 5d";
    LINEAGE = "Lineage";
    COMES_FROM = "What it comes from";
    THE_IDENTITY = "The identity";
    COMES_OF_IT = "What comes from it";
    AND_MORE = "and";
    LINK_REGISTERED = "registered by";
    LINK_TEMPLATE = "made from the template";
    LINK_APPROVED = "approved by";
    LINK_NEED = "needed for";
    LINK_ACTS_FOR = "acts for";
    LINK_DELEGATES = "lets act for it";
    LINK_HOLDS = "holds";
    CONSUMERS_OF_IT = "Shared by";
    NOT_USED_YET = "not used yet";
    NOT_TOLD_APART = "not told apart";
    AN_EXCEPTION = "an exception";
    LINK_BACK = "comes back by";
    OWNERS = "Owners";
    THE_OTHERS = "the others";
    UNTIL_HINT = "the last day";
    SUSPEND_LEAD = "Nothing of it works until somebody else releases it: its tokens are refused at once, and what it has is kept. Time runs on.";
    RESUME_LEAD = "It works again once no cause is left. What was revoked meanwhile stays revoked.";
    RENEW_LEAD = "Asks that it goes on until another day, as far as its charter and its tier let it. Whoever has to approve is asked.";
    TRANSFER_LEAD = "Asks somebody else to answer for it. Until they accept, it stays with its owner.";
    RETIRE_LEAD = "It ends for good: everything of it is refused at once, and it never comes back.";
    CLOSE_LEAD = "It never began, and ends here for good.";
    ACTS = "Acts";
    TASKS_AND_CHAINS = "Tasks and chains";
    GRANTED_AND_USED = "What its charter grants, and what of it was used";
    WAS_USED = "Used";
    NEWLY_GRANTED = "Granted lately";
    UNTOLD = "Can't be told";
    RARE = "Rarely used";
    UNUSED = "Unused";
    NARROW = "Narrow";
    NARROW_LEAD = "Asks that its charter be narrowed to what was used. What is rarely used stays. Whoever has to approve is asked.";
}

/// How much of what is granted wasn't used.
pub fn unused_share(things: usize, of: usize, days: u16) -> String {
    format!("{things} of {of} weren't used in {days} days.")
}

/// What the scope without what is unused would have done.
pub fn replayed(would_deny: u64, of: u64) -> String {
    format!("Without what is unused, {would_deny} of {of} decisions in 90 days would have been denied.")
}

/// Why no narrower scope is proposed.
pub fn not_proposed(why: &str) -> String {
    format!("No narrower charter is proposed: {why}.")
}

/// What a picture of chains shows, in words.
pub fn pictured_chains(count: usize) -> String {
    if count == 1 { "1 chain.".to_owned() } else { format!("{count} chains.") }
}

/// What is held, by the sort of its scope.
pub fn held(kind: &str) -> String {
    match kind {
        "identity" => "On hold".to_owned(),
        kind => format!("Its {} is on hold", plain(kind)),
    }
}

/// How much a charter allows, and how much of it is granted now.
pub fn scoped(entitlements: usize, live: usize) -> String {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    format!("{entitlements} entitlement{} in its charter, {live} grant{} live.", s(entitlements), s(live))
}

/// What its end hangs on and can't be heard or reached now.
pub fn silent<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("Not heard or reached: {}. Until then nobody knows whether its end would be.", names.join(", "))
}

/// How many rules were looked at, and how many are broken.
pub fn monitored(rules: usize, broken: usize) -> String {
    match broken {
        _ if rules == 0 => "No rule was looked at.".to_owned(),
        0 => format!("{rules} rules looked at, none broken."),
        broken => format!("{rules} rules looked at, {broken} broken."),
    }
}

/// What a picture shows, in words.
pub fn pictured(owners: usize, identities: usize, resources: usize) -> String {
    let s = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    format!(
        "{} of {}, touching {}.",
        s(identities, "identity", "identities"),
        s(owners, "owner", "owners"),
        s(resources, "resource", "resources"),
    )
}

/// A lineage, in words.
pub fn lineage(name: &str, before: usize, after: usize) -> String {
    format!("What {name} comes from ({before}), and what comes from it or brings it back ({after}).")
}

/// What is too much to be told one by one.
pub fn others(count: usize) -> String {
    format!("{count} others")
}

/// Grants that are live.
pub fn live_grants(count: usize) -> String {
    if count == 1 { "1 live grant".to_owned() } else { format!("{count} live grants") }
}

/// Credentials that are live, of those that were counted.
pub fn live_credentials(count: usize, more: bool) -> String {
    match (count, more) {
        (count, true) => format!("{count} live credentials, or more"),
        (1, false) => "1 live credential".to_owned(),
        (count, false) => format!("{count} live credentials"),
    }
}

/// By what an identity gets new credentials.
pub fn proves_itself(workload: &str) -> String {
    format!("a proof of {workload}")
}

/// That an identity's end moves by itself.
pub fn renews_itself(by: &str) -> String {
    format!("renewal by {by}, while used")
}

/// Identities of a kind, folded into one node.
pub fn folded(count: usize, kind: &str) -> String {
    format!("{} × {count}", plain(kind))
}

/// A bucket of times with a bound.
pub fn up_to(length: &str) -> String {
    format!("up to {length}")
}

/// The bucket of times that have none.
pub fn longer_than(length: &str) -> String {
    format!("longer than {length}")
}

/// What a distribution of the times of revocations is about.
pub fn times_said(receipts: u32, has_more: bool) -> String {
    match has_more {
        true => {
            format!("The last {receipts} revocations, from the call until the last point refused or accepts no longer")
        }
        false => format!(
            "All {receipts} revocations of the last 30 days, from the call until the last point refused or accepts no longer"
        ),
    }
}

/// What of them stands in no bucket.
pub fn times_besides(nothing_to_refuse: u32, open: u32) -> String {
    let mut besides = String::new();
    if nothing_to_refuse > 0 {
        besides.push_str(&format!("; {nothing_to_refuse} had nothing live to refuse"));
    }
    if open > 0 {
        besides.push_str(&format!("; {open} not proven yet"));
    }
    besides + "."
}
