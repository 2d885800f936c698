//! What a narrower charter allows is asked of the rules that decide about it, one by one, and not of the order itself.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::base::id::{IdentityId, ResourceId, VendorId};
use crate::identity::delegation::{Delegate, Task};
use crate::identity::{RevocationTrigger, Shared};
use crate::inventory::entitlement::Entitlement;

const ACTIONS: [&str; 3] = ["read", "write", "*"];

fn resource(n: u128) -> String {
    ResourceId::from_u128(n).to_string()
}

fn scopes() -> impl Strategy<Value = Vec<Entitlement>> {
    let entitlement = (subsequence(ACTIONS.to_vec(), 1..=2), select(vec![resource(1), resource(2), "*".to_owned()]))
        .prop_map(|(actions, resource)| {
            let actions = actions.into_iter().map(str::to_owned).collect();
            Entitlement { actions, resource }
        });
    prop::collection::vec(entitlement, 1..3)
}

fn names(of: &[&str]) -> impl Strategy<Value = Vec<String>> {
    let all: Vec<String> = of.iter().map(|name| (*name).to_owned()).collect();
    subsequence(all, 0..=of.len())
}

fn spans() -> impl Strategy<Value = Option<Span>> {
    prop::option::of(select(vec![Span::from_mins(5), DEFAULT_CREDENTIAL_TTL, Span::from_mins(30)]))
}

fn conditions() -> impl Strategy<Value = Vec<RetirementCondition>> {
    let one = prop_oneof![
        select(vec![5, 9]).prop_map(|at| RetirementCondition::Date { at: Timestamp::from_secs(at) }),
        select(vec![5, 9]).prop_map(|secs| RetirementCondition::Idle { after: Span::from_secs(secs) }),
        Just(RetirementCondition::TaskCompleted),
    ];
    prop::collection::vec(one, 0..3)
}

fn usages() -> impl Strategy<Value = Option<Usage>> {
    let days = subsequence(vec![1_u8, 7], 0..=2);
    let hours = (select(vec![0_u8, 8, 22]), select(vec![6_u8, 20, 24]), days).prop_map(|(from, until, days)| Hours {
        from,
        until,
        days,
    });
    let usage =
        (prop::option::of(hours), prop::option::of(select(vec!["compliant".to_owned(), "attested".to_owned()])));
    prop::option::of(usage.prop_map(|(hours, posture)| Usage { hours, posture }))
}

fn renewals() -> impl Strategy<Value = Option<AutoRenewal>> {
    let span = || select(vec![Span::from_mins(5), Span::from_mins(30)]);
    prop::option::of((span(), span(), span()).prop_map(|(window, extend_by, used_within)| AutoRenewal {
        window,
        extend_by,
        used_within,
    }))
}

fn charters() -> impl Strategy<Value = CharterDraft> {
    let task = (select(vec!["t", "u"]), select(vec!["p", "q"]), scopes()).prop_map(|(name, purpose, scope)| Task {
        name: name.to_owned(),
        purpose: purpose.to_owned(),
        scope,
    });
    let delegate = (1_u128..3, scopes(), 0_u8..2).prop_map(|(actor, scope, onward)| Delegate {
        actor: IdentityId::from_u128(actor),
        scope,
        onward,
    });
    let ends = (select(vec![None, Some(5), Some(9)]), conditions(), renewals());
    let credentials = (
        subsequence(vec![CredentialType::AccessToken, CredentialType::ApiKey], 0..=2),
        spans(),
        spans(),
        any::<bool>(),
        any::<bool>(),
    );
    let bounds = (names(&["pii", "card"]), names(&["acme/a", "acme/b"]), any::<bool>(), usages(), any::<bool>());
    let coverage =
        select(vec![None, Some(Coverage::RoleBased), Some(Coverage::Privileged), Some(Coverage::JustInTime)]);
    let tasks = prop::collection::vec(task, 0..3);
    let delegates = prop::collection::vec(delegate, 0..3);
    (scopes(), ends, credentials, bounds, coverage, tasks, delegates).prop_map(
        |(
            scope,
            (expires_at, retirement, renewal),
            (credential_types, credential_ttl, rotation_cadence, sender_constrained, suspension),
            bounds,
            coverage,
            tasks,
            delegates,
        )| {
            let (data_domains, repositories, third_party, usage, shared) = bounds;
            CharterDraft {
                scope,
                expires_at: expires_at.map(Timestamp::from_secs),
                retirement,
                renewal,
                credential_types,
                credential_ttl,
                rotation_cadence,
                sender_constrained,
                auto_revocation: suspension.then_some(RevocationTrigger::Suspension).into_iter().collect(),
                data_domains,
                repositories,
                vendor: third_party.then(|| VendorId::from_u128(1)),
                usage,
                shared: shared.then(|| Shared {
                    consumers: vec!["a".into(), "b".into()],
                    migration_plan: "m".into(),
                    bindings: Vec::new(),
                }),
                coverage,
                tasks,
                delegates,
                ..CharterDraft::default()
            }
        },
    )
}

/// One charter, and another that has some of its fields and else some of a third.
fn pairs() -> impl Strategy<Value = (CharterDraft, CharterDraft)> {
    (charters(), charters(), any::<u32>()).prop_map(|(from, other, fields)| {
        let serde_json::Value::Object(mut mixed) = serde_json::to_value(&from).unwrap() else { unreachable!() };
        let serde_json::Value::Object(other) = serde_json::to_value(&other).unwrap() else { unreachable!() };
        for (n, (field, value)) in other.into_iter().enumerate() {
            // A quarter of the fields changes at most.
            if fields.rotate_left(u32::try_from(n).unwrap()) & 0b11 == 0b11 {
                mixed.insert(field, value);
            }
        }
        (from, serde_json::from_value(mixed.into()).unwrap())
    })
}

/// Something that a charter lets happen, one line each.
fn allowed(charter: &CharterDraft) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut note = |what: String| {
        all.insert(what);
    };
    let types = types_of(&charter.credential_types);
    let unbounded = charter.data_domains.is_empty() && charter.vendor.is_none();
    for action in ["read", "write", "delete"] {
        for n in [1, 2, 3] {
            let id = ResourceId::from_u128(n);
            let covered = |scope: &[Entitlement]| scope.iter().any(|entitlement| entitlement.covers(action, id));
            for delegate in charter.delegates.iter().filter(|delegate| covered(&delegate.scope)) {
                for onward in 0..=delegate.onward {
                    note(format!("{} does {action} on {n} for it, handed on {onward} times", delegate.actor));
                }
            }
            if !covered(&charter.scope) {
                continue;
            }
            for task in charter.tasks.iter().filter(|task| covered(&task.scope)) {
                note(format!("{action} on {n} for {} as {}", task.name, task.purpose));
            }
            if charter.tasks.is_empty() {
                for (name, purpose) in [("t", "p"), ("t", "q"), ("u", "p"), ("u", "q")] {
                    note(format!("{action} on {n} for {name} as {purpose}"));
                }
                note(format!("{action} on {n} for nothing declared"));
            }
            for domain in ["pii", "card", "health"] {
                if unbounded || charter.data_domains.iter().any(|named| named == domain) {
                    note(format!("{action} on {n} in {domain}"));
                }
            }
        }
    }
    for hour in 0..168_i64 {
        let at = Timestamp::from_secs(hour * 3_600);
        for posture in [None, Some("compliant"), Some("attested")] {
            let usage = charter.usage.as_ref();
            if usage.is_none_or(|usage| usage.in_hours(at) && usage.in_posture(posture)) {
                note(format!("use in hour {hour} of the week, posture {posture:?}"));
            }
        }
    }
    for kind in types {
        if !charter.sender_constrained {
            note(format!("{kind:?} without proof of a key"));
        }
        note(format!("{kind:?} at all"));
    }
    for secs in [1, 4, 6, 10, 299, 599, 1_799] {
        let span = Span::from_secs(secs);
        if span < charter.credential_ttl.unwrap_or(DEFAULT_CREDENTIAL_TTL) {
            note(format!("a token is {secs} s old"));
        }
        if charter.rotation_cadence.is_some_and(|cadence| span < cadence) {
            note(format!("a key is {secs} s old"));
        }
        if idle_of(&charter.retirement).is_none_or(|after| span < after) {
            note(format!("it rests for {secs} s"));
        }
        let at = Timestamp::from_secs(secs);
        if charter.expires_at.is_none_or(|end| at < end) {
            note(format!("it lives at {secs} s"));
        }
        if end_of(&charter.retirement).is_none_or(|end| at < end) {
            note(format!("no date ends it by {secs} s"));
        }
        if let Some(renewal) = &charter.renewal {
            for (what, bound) in
                [("window", renewal.window), ("extension", renewal.extend_by), ("last use", renewal.used_within)]
            {
                if span < bound {
                    note(format!("it is renewed with a {what} of {secs} s"));
                }
            }
        }
    }
    if !ends_with_task(&charter.retirement) {
        note("it outlives its task".into());
    }
    if charter.auto_revocation.is_empty() {
        note("its credentials outlive a suspension".into());
    }
    if charter.shared.is_some() {
        note("several use it".into());
    }
    for repository in &charter.repositories {
        note(format!("runs of {repository}"));
    }
    if matches!(charter.coverage, Some(Coverage::RoleBased | Coverage::Privileged)) {
        note("it holds grants at rest".into());
    }
    if charter.coverage == Some(Coverage::RoleBased) {
        note("it holds grants without closer review".into());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 200_000, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn a03_a_narrower_charter_allows_nothing_that_the_other_one_does_not((from, to) in pairs()) {
        prop_assume!(narrows(&from, &to));
        let (before, after) = (allowed(&from), allowed(&to));
        let more: Vec<_> = after.difference(&before).collect();
        prop_assert!(more.is_empty(), "{more:?}");
    }

    #[test]
    fn a03_the_order_is_an_order((a, b) in pairs(), (c, _) in pairs()) {
        prop_assert!(narrows(&a, &a));
        for (x, y, z) in [(&a, &b, &c), (&a, &b, &a), (&b, &a, &b)] {
            prop_assert!(!(narrows(x, y) && narrows(y, z)) || narrows(x, z));
        }
    }

    #[test]
    fn a03_whoever_keeps_a_field_or_gives_it_up_narrows((from, _) in pairs()) {
        let none = CharterDraft { delegates: Vec::new(), repositories: Vec::new(), renewal: None, shared: None, sender_constrained: true, ..from.clone() };
        prop_assert!(narrows(&from, &none));
    }
}

#[test]
fn a03_a_third_party_without_data_domains_gets_none_by_a_narrowing() {
    let from = CharterDraft { vendor: Some(VendorId::from_u128(1)), ..CharterDraft::default() };
    let to = CharterDraft { data_domains: vec!["pii".into()], ..from.clone() };
    assert!(!narrows(&from, &to));
    let unbounded = CharterDraft { vendor: None, ..from };
    assert!(narrows(&unbounded, &CharterDraft { vendor: None, ..to }));
}

#[test]
fn e02_all_or_nothing_narrows_and_a_default_task_does_neither() {
    let plain = CharterDraft::default();
    let exact = CharterDraft { exact_scope: true, ..plain.clone() };
    let default = CharterDraft { default_task: Some("t".into()), ..plain.clone() };
    assert!(narrows(&plain, &exact) && !narrows(&exact, &plain));
    assert!(narrows(&plain, &default) && narrows(&default, &plain));
}
