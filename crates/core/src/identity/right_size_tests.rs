use super::*;
use crate::identity::tally::{UseCount, UseNames};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn today() -> u16 {
    day_of(NOW)
}

fn resource(n: u128) -> ResourceId {
    ResourceId::from_u128(n)
}

fn entitlement(n: u128, actions: &[&str]) -> Entitlement {
    Entitlement {
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resource: resource(n).to_string(),
    }
}

/// A ledger of uses: the resource, the action, how many days ago, and how often it was allowed.
fn ledger(uses: &[(u128, &str, u16, u32)]) -> UseLedger {
    let mut ledger = UseLedger { names: UseNames::since(today() - 200), ..UseLedger::default() };
    for (of, action, ago, allowed) in uses {
        ledger.add(today() - ago, resource(*of), action, UseCount { allowed: *allowed, refused: 0 });
    }
    ledger
}

fn facts<'a>(scope: &'a [Entitlement], ledger: &'a UseLedger) -> UseFacts<'a> {
    UseFacts { scope, grants: &[], active_since: None, ledger, window: UseWindow::Month, now: NOW }
}

fn sized(scope: &[Entitlement], ledger: &UseLedger) -> RightSize {
    facts(scope, ledger).right_size(&|_, _| None)
}

fn actions(uses: &[GrantedUse]) -> Vec<&str> {
    uses.iter().map(|granted| granted.action.as_str()).collect()
}

#[test]
fn r101_what_is_unused_goes_and_what_is_rare_is_asked_about() {
    let scope = [entitlement(1, &["read", "write", "close", "drop"]), entitlement(2, &["read"])];
    let mut ledger = ledger(&[(1, "read", 1, 41_000), (1, "write", 60, 200)]);
    ledger.months.insert(600, {
        let mut month = UseCounts::default();
        month.add(ledger.names.number(resource(1), "close", true), UseCount { allowed: 1, refused: 0 });
        month
    });
    let sized = sized(&scope, &ledger);
    assert_eq!(actions(&sized.used), ["read"]);
    assert_eq!(actions(&sized.rare), ["write", "close"], "used before the window, and in another year");
    assert_eq!(actions(&sized.unused), ["drop", "read"]);
    assert_eq!(sized.unused_percent(), 80);
    assert_eq!(sized.proposal, Some(vec![entitlement(1, &["read", "write", "close"])]));
    assert_eq!(sized.replayed, Replay { would_deny: 0, of: 41_200, untold: 0 });
    let strict = sized.without_rare.unwrap();
    assert_eq!(strict.scope, [entitlement(1, &["read"])]);
    assert_eq!(strict.replayed, Replay { would_deny: 200, of: 41_200, untold: 0 });
}

#[test]
fn r101_a_wildcard_becomes_what_was_used_under_it() {
    let everything = Entitlement { actions: vec!["*".into()], resource: "*".into() };
    let ledger = ledger(&[(1, "read", 1, 5), (2, "", 2, 3), (3, "write", 80, 1)]);
    let sized = sized(&[everything], &ledger);
    let on_two = entitlement(2, &["*"]);
    let scope = [entitlement(1, &["read"]), on_two.clone(), entitlement(3, &["write"])];
    assert_eq!(sized.proposal, Some(scope.to_vec()), "where tokens were shown nobody knows what for");
    assert_eq!(sized.replayed, Replay { would_deny: 0, of: 9, untold: 0 });
    let strict = sized.without_rare.unwrap();
    assert_eq!(strict.scope, [entitlement(1, &["read"]), on_two]);
    assert_eq!(strict.replayed.would_deny, 1);
}

#[test]
fn nothing_is_proposed_on_thin_evidence() {
    let scope = [entitlement(1, &["read", "write"])];
    let withheld = |ledger: &UseLedger| sized(&scope, ledger).withheld;
    assert_eq!(withheld(&UseLedger::default()), Some(Withheld::NothingUsed));
    assert_eq!(withheld(&ledger(&[(1, "read", 1, 5), (1, "write", 2, 1)])), Some(Withheld::NothingUnused));
    let mut young = ledger(&[(1, "read", 1, 5)]);
    assert_eq!(withheld(&young), None);
    young.names.since = today() - 29;
    assert_eq!(withheld(&young), Some(Withheld::CountedTooShortly));
    let wild = [Entitlement { actions: vec!["*".into()], resource: resource(1).to_string() }];
    let mut many = ledger(&[(1, "read", 1, 5)]);
    many.names.overflowed = true;
    assert_eq!(sized(&wild, &many).withheld, Some(Withheld::TooManyThings));
    assert_eq!(sized(&scope, &many).withheld, None, "what is granted by name has a last use of its own");
}

#[test]
fn a_last_use_keeps_what_no_count_tells_apart() {
    let scope = [entitlement(1, &["read", "write", "drop"])];
    let mut ledger = ledger(&[(1, "read", 1, 5)]);
    ledger.days.entry(today()).or_default().add(OTHERS, UseCount { allowed: 7, refused: 0 });
    let last = |_: &str, action: &str| (action == "write").then(|| NOW.minus(Span::from_days(3)));
    let sized = facts(&scope, &ledger).right_size(&last);
    assert_eq!(sized.proposal, Some(vec![entitlement(1, &["read", "write"])]));
    assert_eq!(sized.replayed, Replay { would_deny: 0, of: 12, untold: 7 });
    let ahead = |_: &str, action: &str| (action == "write").then(|| NOW.plus(Span::from_days(3)));
    let sized = facts(&scope, &ledger).right_size(&ahead);
    assert_eq!(actions(&sized.unused), ["write", "drop"], "a use that is yet to come is none");
}

#[test]
fn what_is_new_or_used_where_nothing_is_counted_stays() {
    let scope = [entitlement(1, &["read", "write", DELEGATE])];
    let ledger = ledger(&[(1, "read", 1, 5)]);
    let recent = Some(NOW.minus(Span::from_days(29)));
    let sized = UseFacts { active_since: recent, ..facts(&scope, &ledger) }.right_size(&|_, _| None);
    assert_eq!(actions(&sized.used), ["read", "write", DELEGATE]);
    let long = Some(NOW.minus(Span::from_days(31)));
    let sized = UseFacts { active_since: long, ..facts(&scope, &ledger) }.right_size(&|_, _| None);
    assert_eq!(sized.proposal, Some(vec![entitlement(1, &["read", DELEGATE])]));
}

#[test]
fn counters_at_their_end_are_still_replayed() {
    let scope = [entitlement(1, &["read", "write"])];
    let mut ledger = ledger(&[(1, "read", 1, u32::MAX), (1, "read", 2, u32::MAX)]);
    ledger.add(today(), resource(1), "read", UseCount { allowed: 9, refused: u32::MAX });
    let sized = sized(&scope, &ledger);
    assert_eq!(sized.replayed, Replay { would_deny: 0, of: u64::from(u32::MAX), untold: 0 });
}
