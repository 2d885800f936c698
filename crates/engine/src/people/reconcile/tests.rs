use std::cell::Cell;

use tenure_core::people::difference::Decided;

use super::*;
use crate::people::feed::read_csv;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// A source whose people are what the feeds before have made of them.
#[derive(Default)]
struct Source {
    known: KnownPeople,
    made: Cell<u128>,
}

impl Source {
    fn plan(&self, text: &str, complete: bool) -> Result<ImportPlan, TooShort> {
        let id = || {
            self.made.set(self.made.get() + 1);
            self.made.get()
        };
        let fresh = Fresh { person: &|| PersonId::from_u128(id()), team: &|| TeamId::from_u128(id()) };
        plan("hr", &read_csv(text).unwrap(), complete, &self.known, &fresh, NOW)
    }

    fn import(&mut self, text: &str, complete: bool) -> ImportPlan {
        let plan = self.plan(text, complete).unwrap();
        self.known.teams.extend(plan.teams.clone());
        let joined = plan.joiners.iter().map(|person| (person.source.clone().unwrap().key, person.clone()));
        let moved: Vec<_> = joined.chain(plan.movers.clone()).collect();
        for (key, person) in moved {
            match person.manager {
                Some(manager) => self.known.managers.insert(person.id, manager),
                None => self.known.managers.remove(&person.id),
            };
            self.known.people.insert(key, person);
        }
        for (key, person) in plan.leavers.clone() {
            let state = PersonState::Departed;
            self.known.people.insert(key, Person { state, ..person });
        }
        self.known.standing.retain(|standing| !plan.settled.contains(&standing.id));
        for question in &plan.questions {
            self.made.set(self.made.get() + 1);
            self.known.standing.push(Difference {
                id: DifferenceId::from_u128(self.made.get()),
                source: "hr".into(),
                source_key: question.key.clone(),
                person: question.person,
                kind: question.kind.clone(),
                found_at: NOW,
                decision: None,
                over_since: None,
            });
        }
        plan
    }

    fn id(&self, key: &str) -> PersonId {
        self.known.people[key].id
    }
}

fn outcomes(plan: &ImportPlan) -> Vec<(&str, ImportOutcome)> {
    plan.items.iter().map(|item| (item.key.as_str(), item.outcome)).collect()
}

#[test]
fn managers_come_first_and_the_same_feed_again_changes_nothing() {
    let mut source = Source::default();
    let feed = "key,name,manager_key,teams\n1,Ada,2,core\n2,Bo,3,core\n3,Cy,,\n";
    let plan = source.import(feed, true);
    let names: Vec<_> = plan.joiners.iter().map(|person| person.name.clone().unwrap()).collect();
    assert_eq!(names, ["Cy", "Bo", "Ada"]);
    assert!(plan.joiners.iter().all(|person| person.roles.is_empty() && person.state == PersonState::Active));
    assert_eq!(plan.teams.len(), 1);
    let again = source.import(feed, true);
    assert_eq!((again.items.len(), again.unchanged), (0, 3));
    let plan = source.import("key,name,manager_key\n1,Ada,3\n", false);
    assert_eq!((plan.movers.len(), &plan.items[0].fields[..]), (1, &["manager".to_owned()][..]));
    assert_eq!(source.known.people["1"].teams.len(), 1, "a column that is not there says nothing");
}

#[test]
fn nobody_manages_themselves_and_a_swap_is_no_circle() {
    let mut source = Source::default();
    let plan = source.import("key,name,manager_key\n1,Ada,1\n2,Bo,3\n3,Cy,4\n4,Di,2\n5,Ed,9\n", true);
    assert_eq!(plan.joiners.len(), 5);
    let asked: Vec<_> = plan.questions.iter().map(|question| question.key.as_str()).collect();
    assert_eq!(asked, ["1", "4", "5"]);
    let plan = source.import("key,name,manager_key\n1,Ada,\n2,Bo,\n3,Cy,2\n4,Di,3\n5,Ed,1\n", true);
    assert!(plan.questions.is_empty());
    assert_eq!((plan.settled.len(), source.known.people["4"].manager), (3, Some(source.id("3"))));
}

#[test]
fn what_is_missing_is_one_question_and_comes_back_by_itself() {
    let mut source = Source::default();
    source.import("key,name\n1,Ada\n2,Bo\n3,Cy\n", true);
    assert!(
        source.import("key,name\n1,Ada\n", false).items.is_empty(),
        "a feed that is not complete says nothing about others"
    );
    assert_eq!(outcomes(&source.import("key,name\n1,Ada\n2,Bo\n", true)), [("3", ImportOutcome::Asked)]);
    assert!(source.import("key,name\n1,Ada\n2,Bo\n", true).items.is_empty(), "asked once");
    assert_eq!(outcomes(&source.import("key,name\n3,Cy\n", false)), [("3", ImportOutcome::Settled)]);
    assert_eq!(
        outcomes(&source.import("key,name\n1,Ada\n2,Bo\n", true)),
        [("3", ImportOutcome::Asked)],
        "and again when it is new"
    );
    assert!(source.known.people.values().all(|person| person.state == PersonState::Active));
}

#[test]
fn a_short_feed_is_a_failed_read() {
    let mut source = Source::default();
    let all: String = (0..20).map(|n| format!("{n},P{n}\n")).collect();
    source.import(&format!("key,name\n{all}"), true);
    assert_eq!(source.plan("key,name\n", true).unwrap_err(), TooShort { expected: 20, missing: 20 });
    let most: String = (0..15).map(|n| format!("{n},P{n}\n")).collect();
    assert_eq!(source.plan(&format!("key,name\n{most}"), true).unwrap_err().missing, 5);
    assert_eq!(source.plan(&format!("key,name\n{most}15,P15\n"), true).unwrap().questions.len(), 4);
}

#[test]
fn s12_many_feeds_that_end_a_few_end_no_more_than_one_may() {
    let mut source = Source::default();
    let all: String = (0..20).map(|n| format!("{n},P{n},\n")).collect();
    source.import(&format!("key,name,ends_at\n{all}"), false);
    let ends = |range: std::ops::Range<u32>| {
        let rows: String = range.map(|n| format!("{n},P{n},2020-01-01\n")).collect();
        format!("key,name,ends_at\n{rows}")
    };
    assert_eq!(source.plan(&ends(0..5), false).unwrap_err(), TooShort { expected: 20, missing: 5 });
    source.import(&ends(0..3), false);
    source.import(&ends(3..4), false);
    assert_eq!(source.plan(&ends(4..5), false).unwrap_err(), TooShort { expected: 20, missing: 5 });
    assert!(source.plan(&ends(0..4), false).is_ok(), "they have left");
    // A day later it may go on.
    for person in source.known.people.values_mut() {
        person.ended_by_source_at = person.ended_by_source_at.map(|_| Timestamp::from_secs(NOW.as_secs() - 86_400));
    }
    assert_eq!(source.import(&ends(4..7), false).leavers.len(), 3);
}

#[test]
fn nobody_is_recognised_by_an_address_and_nobody_comes_back() {
    let mut source = Source::default();
    let by_hand = PersonId::from_u128(77);
    source.known.by_hand.insert("ada@example.com".into(), by_hand);
    let feed = "key,name,email\n1,Ada,Ada@Example.com\n";
    let plan = source.import(feed, true);
    assert_eq!(plan.questions[0].kind, DifferenceKind::LooksLike { person: by_hand });
    assert!(plan.joiners.is_empty() && source.import(feed, true).items.is_empty());
    source.known.standing[0].decision = Some(Decided { what: Some(DifferenceDecision::Create), by: None, at: NOW });
    let plan = source.import(feed, true);
    assert_eq!((plan.joiners.len(), plan.settled.len()), (1, 1), "they are two");
    let gone = "key,name,email,ends_at\n1,Ada,Ada@Example.com,2020-01-01\n2,Eve,,2020-01-01\n";
    assert_eq!(outcomes(&source.import(gone, true)), [("1", ImportOutcome::Left), ("2", ImportOutcome::Skipped)]);
    assert_eq!(outcomes(&source.import(feed, true)), [("1", ImportOutcome::Asked)], "who comes back is a new record");
}

#[test]
fn a_contract_has_an_end() {
    let mut source = Source::default();
    let plan = source.import("key,name,class\n1,Ada,contractor\n", true);
    assert!(plan.joiners.is_empty() && plan.questions.len() == 1);
    source.import("key,name,class,ends_at\n1,Ada,contractor,2030-01-01\n", true);
    let plan = source.import("key,name,class\n1,Ada,contractor\n", true);
    assert_eq!((plan.items.len(), plan.unchanged), (0, 1));
}
