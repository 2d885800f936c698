//! Whatever the sets are: what comes of a chain is in each of them, and no credential outlives what it derives from.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base::id::{ApplicationId, PersonId, RequestId};
use crate::credential::Credential;
use crate::identity::CharterDraft;
use crate::identity::delegation::{DELEGATE, Delegate, Task};
use crate::identity::grant::GrantState;
use crate::inventory::entitlement::Entitlement;
use crate::inventory::resource::{Verification, WhenUnreachable};
use crate::people::person::Role;
use crate::policy::{Action, Attributes, PolicyEngine, Question, Value};
use crate::store::epoch::Trust;

const ACTIONS: [&str; 4] = ["read", "write", "drop", "list"];
const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// A part of [`ACTIONS`], by bits.
fn some(bits: u8) -> Vec<String> {
    let chosen = |(n, action): (usize, &&str)| (bits & (1 << n) != 0).then(|| (*action).to_owned());
    ACTIONS.iter().enumerate().filter_map(chosen).collect()
}

/// What is drawn of one identity of a chain.
#[derive(Debug, Clone)]
struct Drawn {
    scope: u8,
    granted: u8,
    delegated: u8,
    named: u8,
    task: Option<u8>,
    onward: u8,
    life: i64,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    // Mostly everything, so that chains come to something often enough.
    let bits = || prop_oneof![3 => Just(15u8), 2 => 0u8..16];
    (bits(), bits(), bits(), bits(), proptest::option::of(bits()), 0u8..4, 1i64..600).prop_map(
        |(scope, granted, delegated, named, task, onward, life)| Drawn {
            scope: scope | 1,
            granted,
            delegated: delegated & (scope | 1),
            named,
            task: task.map(|task| task & (scope | 1)).filter(|task| *task != 0),
            onward,
            life,
        },
    )
}

struct Kept {
    identity: Stored<Identity>,
    grants: Vec<Option<Stored<Grant>>>,
    credential: Stored<Credential>,
}

fn stored<T>(value: T, at: u64) -> Stored<T> {
    Stored { value: std::sync::Arc::new(value), revision: 1, created: Position::at(at), position: Position::at(at) }
}

fn on(actions: Vec<String>, resource: u128) -> Entitlement {
    Entitlement { actions, resource: ResourceId::from_u128(resource).to_string() }
}

fn identity_id(n: usize) -> IdentityId {
    IdentityId::from_u128(100 + n as u128)
}

fn resource(id: u128, actions: Vec<String>) -> Resource {
    Resource {
        id: ResourceId::from_u128(id),
        uri: format!("https://{id}"),
        kind: "service".into(),
        actions,
        application: ApplicationId::from_u128(2),
        environment: "prod".into(),
        data_domains: vec![],
        verification: Verification::Online,
        when_unreachable: WhenUnreachable::Deny,
        signing_algorithm: None,
        logins: None,
        created_at: NOW,
    }
}

fn charter(n: usize, drawn: &Drawn) -> CharterDraft {
    let mut scope = vec![on(some(drawn.scope), 1)];
    scope.push(on(vec![DELEGATE.to_owned()], 2));
    let charter: CharterDraft = serde_json::from_value(json!({
        "owner": PersonId::from_u128(1), "purpose": "p", "environment": "prod", "application": ApplicationId::from_u128(2),
        "trust_boundary": {"type": "trust_domain", "value": "x"}, "scope": scope,
        "workload_binding": {"type": "public_key", "workload": "w", "jwk": {}},
        "expires_at": NOW.plus(Span::from_days(1)), "retirement": [{"type": "task_completed"}], "rotation_cadence": "30d",
        "coverage": "role_based", "parties": {"requester": PersonId::from_u128(1), "operator": "o", "beneficiary": "b"},
    }))
    .unwrap();
    let task = |bits| Task { name: "t".into(), purpose: "p".into(), scope: vec![on(some(bits), 1)] };
    let delegate =
        Delegate { actor: identity_id(n + 1), scope: vec![on(some(drawn.delegated), 1)], onward: drawn.onward };
    CharterDraft {
        tasks: drawn.task.map(task).into_iter().collect(),
        delegates: if drawn.delegated == 0 { vec![] } else { vec![delegate] },
        ..charter
    }
}

fn kept(n: usize, drawn: &Drawn) -> Kept {
    let id = identity_id(n);
    let grant = |place: u128, entitlement: Entitlement| {
        Some(stored(
            Grant {
                id: GrantId::from_u128(place),
                identity: id,
                entitlement,
                starts_at: NOW.minus(Span::from_secs(1)),
                ends_at: NOW.plus(Span::from_days(1)),
                state: GrantState::Live,
                request: RequestId::from_u128(1),
                approved_by: vec![],
                policies: vec![],
                purpose: String::new(),
                just_in_time: false,
            },
            1,
        ))
    };
    let grants = vec![grant(1, on(some(drawn.granted), 1)), grant(2, on(vec![DELEGATE.to_owned()], 2))];
    let identity: Identity = serde_json::from_value(json!({
        "id": id, "kind": "workload", "name": "n", "state": "active", "charter": charter(n, drawn), "tier": "low", "suspensions": [],
        "valid_after": null, "bindings": [], "grants": [], "memberships": [], "activation": null, "retirement": null, "template": null,
        "request": null, "transfer": null, "exceptions": [], "registered_by": PersonId::from_u128(1), "created_at": NOW.minus(Span::from_days(1)),
    }))
    .unwrap();
    let credential = Credential {
        id: CredentialId::from_u128(n as u128),
        identity: id,
        kind: CredentialType::AccessToken,
        environment: "prod".into(),
        resource: ResourceId::from_u128(2),
        actions: vec![DELEGATE.to_owned()],
        grants: vec![],
        binding: None,
        issued_at: NOW,
        expires_at: NOW.plus(Span::from_secs(drawn.life)),
        revoked_by: vec![],
        revoked_at: None,
        hash: None,
        confirmation: None,
        task: None,
        delegation: (n > 0).then(|| Delegation {
            chain: (0..=n).map(identity_id).collect(),
            parents: (0..n).map(|n| CredentialId::from_u128(n as u128)).collect(),
            tasks: vec![],
        }),
        may_act: Some(MayAct {
            actor: identity_id(n + 1),
            resource: ResourceId::from_u128(1),
            actions: some(drawn.named),
            task: drawn.task.map(|_| "t".to_owned()),
        }),
    };
    Kept { identity: stored(identity, 1), grants, credential: stored(credential, 2) }
}

/// The facts of one of the chain, with the owner that all of them have.
fn facts<'a>(kept: &'a Kept, owner: &'a Stored<Person>) -> IdentityFacts<'a> {
    IdentityFacts {
        identity: &kept.identity,
        owner: Some(owner),
        scopes: Scopes { cuts: &[], holds: &[], trust: Trust::default() },
        grants: &kept.grants,
        now: NOW,
    }
}

fn owner() -> Stored<Person> {
    stored(Person::new(PersonId::from_u128(1), "Olu".into(), None, vec![Role::Owner], NOW), 1)
}

proptest! {
    #[test]
    fn what_comes_of_a_chain_is_in_each_of_its_sets(drawn in vec(drawn(), 2..7), asked in 0u8..16) {
        let (target, tenure, owner) = (resource(1, some(15)), resource(2, vec![DELEGATE.to_owned()]), owner());
        let all: Vec<Kept> = drawn.iter().enumerate().map(|(n, drawn)| kept(n, drawn)).collect();
        let (actor, before) = all.split_last().unwrap();
        let (own, links_drawn) = drawn.split_last().unwrap();
        let links: Vec<Link<'_>> = before.iter().map(|kept| Link { facts: facts(kept, &owner), credential: &kept.credential, tenure: &tenure }).collect();
        let standing = standing(facts(actor, &owner)).unwrap();
        let task = own.task.map(|_| "t");
        let asked = some(asked);
        let got = delegated(&links, &standing, task, &target, &asked);

        // The same by sets, without a look at the code.
        let each = |drawn: &Drawn| drawn.scope & drawn.granted & drawn.task.unwrap_or(15);
        let expected = links_drawn.iter().fold(each(own), |left, link| left & each(link) & link.delegated & link.named);
        let depth = links.len();
        let onward = links_drawn.iter().enumerate().all(|(place, link)| usize::from(link.onward) + place + 1 >= depth);
        let possible = depth <= MAX_DEPTH && onward && links_drawn.iter().all(|link| link.delegated != 0);
        let actions: Vec<String> = if asked.is_empty() { some(expected) } else { asked.clone() };
        let allowed = possible && !actions.is_empty() && actions.iter().all(|action| some(expected).contains(action));
        prop_assert_eq!(got.is_ok(), allowed, "{:?}", got);
        if let Ok(got) = got {
            prop_assert_eq!(&got.held().actions(), &actions);
            let parents_end = links.iter().map(|link| link.credential.expires_at).min().unwrap();
            prop_assert!(got.until() <= parents_end);
            prop_assert_eq!(got.delegation().depth(), depth);
            // It is still held the moment after, and each link that is taken out of the world takes it along.
            prop_assert_eq!(handed_on(&links, actor.identity.id, &target, &actions, 0).unwrap(), actions.clone());
            for n in 0..links.len() {
                let revoked = stored(Credential { revoked_at: Some(NOW), ..(*before[n].credential.value).clone() }, 2);
                let mut links = links.clone();
                links[n].credential = &revoked;
                prop_assert_eq!(handed_on(&links, actor.identity.id, &target, &actions, 0), Err(Reason::ParentEnded));
                // Neither can a link be left out, nor two of them change places.
                links.remove(n);
                prop_assert!(handed_on(&links, actor.identity.id, &target, &actions, 0).is_err() || links.is_empty());
            }
        }
    }
}

#[test]
fn what_is_granted_later_revives_no_link() {
    let all = everything();
    let (target, tenure, owner) = (resource(1, some(15)), resource(2, vec![DELEGATE.to_owned()]), owner());
    let mut subject = kept(0, &all);
    let link = |subject: &Kept| {
        let link = Link { facts: facts(subject, &owner), credential: &subject.credential, tenure: &tenure };
        handed_on(&[link], identity_id(1), &target, &some(1), 0)
    };
    assert_eq!(link(&subject), Ok(some(1)));
    let later = subject.grants[0].clone().map(|grant| Stored { created: Position::at(3), ..grant });
    subject.grants[0] = later;
    assert_eq!(link(&subject), Ok(vec![]));
}

#[test]
fn a_derived_credential_ends_with_the_grants_of_each_link() {
    let all = everything();
    let (target, tenure, owner) = (resource(1, some(15)), resource(2, vec![DELEGATE.to_owned()]), owner());
    let (mut subject, actor) = (kept(0, &all), kept(1, &all));
    let until = |subject: &Kept| {
        let link = Link { facts: facts(subject, &owner), credential: &subject.credential, tenure: &tenure };
        let actor = standing(facts(&actor, &owner)).unwrap();
        delegated(&[link], &actor, None, &target, &some(1)).unwrap().until()
    };
    assert_eq!(until(&subject), NOW.plus(Span::from_secs(60)));
    let grant = subject.grants[0].take().unwrap();
    let shorter = Grant { ends_at: NOW.plus(Span::from_secs(30)), ..(*grant.value).clone() };
    subject.grants[0] = Some(stored(shorter, 1));
    assert_eq!(until(&subject), NOW.plus(Span::from_secs(30)));
}

#[test]
fn no_permit_for_another_holder_or_another_resource() {
    let all = everything();
    let (target, tenure, owner) = (resource(1, some(15)), resource(2, vec![DELEGATE.to_owned()]), owner());
    let (subject, actor, other) = (kept(0, &all), kept(1, &all), kept(2, &all));
    let link = Link { facts: facts(&subject, &owner), credential: &subject.credential, tenure: &tenure };
    let standing_of = |kept| standing(facts(kept, &owner)).unwrap();
    let delegated = delegated(&[link], &standing_of(&actor), None, &target, &some(1)).unwrap();
    let environment = environment();
    let permit = |kept, resource: &Resource| {
        let standing = standing_of(kept);
        // What is held besides counts for nothing here.
        let wide = standing.held(&target, &[]).unwrap();
        let ask = Ask { delegation: Some(&delegated), ..ask(&environment, resource) };
        standing.consider(&Says::allowed(), ask, &wide, Attributes::new()).permit()
    };
    let given = permit(&actor, &target).unwrap();
    assert_eq!((given.actions(), given.expires_at()), (some(1).as_slice(), NOW.plus(Span::from_secs(60))));
    assert_eq!(permit(&other, &target).err(), Some(Reason::DelegationNotAllowed));
    assert_eq!(permit(&actor, &tenure).err(), Some(Reason::DelegationNotAllowed));
}

/// A policy that says one thing to whatever it is asked, and remembers the question.
struct Says(bool, bool, std::sync::Mutex<Option<Question>>);

impl Says {
    fn allowed() -> Self {
        Self(true, false, std::sync::Mutex::default())
    }
}

impl PolicyEngine for Says {
    #[expect(clippy::disallowed_methods, reason = "it is a policy engine")]
    fn decide(&self, question: &Question) -> Answer {
        *self.2.lock().unwrap() = Some(question.clone());
        Answer::by_engine(self.0, self.1, String::new(), vec![])
    }
    fn version(&self) -> String {
        String::new()
    }
    fn recent(&self) -> Vec<(Question, Answer)> {
        vec![]
    }
}

fn environment() -> Environment {
    Environment {
        name: "prod".into(),
        production: true,
        signing_algorithm: crate::trust::signing_key::SigningAlgorithm::EdDsa,
        keys: vec![],
        created_at: NOW,
    }
}

fn ask<'a>(environment: &'a Environment, resource: &'a Resource) -> Ask<'a> {
    Ask {
        credential: CredentialId::from_u128(9),
        kind: CredentialType::AccessToken,
        environment,
        resource,
        binding: None,
        ttl: None,
        confirmation: None,
        task: None,
        delegation: None,
        may_act: None,
    }
}

fn everything() -> Drawn {
    Drawn { scope: 15, granted: 15, delegated: 15, named: 15, task: None, onward: 0, life: 60 }
}

#[test]
fn what_another_holds_or_held_before_gives_no_permit() {
    let (target, tenure, owner, environment) =
        (resource(1, some(15)), resource(2, vec![DELEGATE.to_owned()]), owner(), environment());
    let (mine, other) = (kept(0, &everything()), kept(1, &everything()));
    let standing_of = |kept| standing(facts(kept, &owner)).unwrap();
    let permit = |held: &Held, resource: &Resource| {
        let policy = Says::allowed();
        let given = standing_of(&mine).consider(&policy, ask(&environment, resource), held, Attributes::new()).permit();
        let question = policy.2.into_inner().unwrap().unwrap();
        (given.err(), question.context.get("live_grant").cloned())
    };
    let held = standing_of(&mine).held(&target, &some(1)).unwrap();
    assert_eq!(permit(&held, &target), (None, Some(Value::Bool(true))));
    let theirs = standing_of(&other).held(&target, &some(1)).unwrap();
    assert_eq!(permit(&theirs, &target), (Some(Reason::NoLiveGrant), Some(Value::Bool(false))));
    assert_eq!(permit(&held, &tenure), (Some(Reason::NoLiveGrant), Some(Value::Bool(false))));
    let mut before = kept(0, &everything());
    before.identity.revision += 1;
    let earlier = standing_of(&before).held(&target, &some(1)).unwrap();
    assert_eq!(permit(&earlier, &target), (Some(Reason::NoLiveGrant), Some(Value::Bool(false))));
}

#[test]
fn the_gate_asks_by_itself_and_its_word_on_what_it_knows_counts() {
    let (target, owner, environment) = (resource(1, some(15)), owner(), environment());
    let mine = kept(0, &everything());
    let standing = standing(facts(&mine, &owner)).unwrap();
    let held = standing.held(&target, &some(1)).unwrap();
    // Whoever says otherwise of what the gate knows is not heard.
    let said = Attributes::from([("sender_constrained", Value::Bool(true)), ("method", Value::Text("m".into()))]);
    let policy = Says(true, false, std::sync::Mutex::default());
    standing.consider(&policy, ask(&environment, &target), &held, said).permit().unwrap();
    let question = policy.2.into_inner().unwrap().unwrap();
    assert_eq!(question.principal, identity_entity(&mine.identity));
    assert_eq!((question.action, question.resource), (Action::Issue, resource_entity(&target)));
    assert_eq!(question.context["sender_constrained"], Value::Bool(false));
    assert_eq!(question.context["method"], Value::Text("m".into()));
    for (allowed, errored, refused) in [(false, false, Reason::PolicyDenied), (true, true, Reason::PolicyError)] {
        let policy = Says(allowed, errored, std::sync::Mutex::default());
        let considered = standing.consider(&policy, ask(&environment, &target), &held, Attributes::new());
        assert_eq!(considered.permit().err(), Some(refused));
    }
}
