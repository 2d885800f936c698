//! The text of every kind's terms: it stands in the index of stores and beside their rows, and an index that was
//! written by another release has to be found by this one. Where a line of this changes, a migration has to write what
//! stands in stores anew.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tenure_core::base::id::EventId;
use tenure_core::base::time::{Span, Timestamp};
use tenure_core::credential::Credential;
use tenure_core::credential::receipt::Receipt;
use tenure_core::finding::Finding;
use tenure_core::finding::exceptional::ExceptionalAccess;
use tenure_core::identity::Identity;
use tenure_core::identity::binding::{Binding, JoinToken};
use tenure_core::identity::grant::Grant;
use tenure_core::identity::scope::Hold;
use tenure_core::identity::template::Template;
use tenure_core::identity::transfer::Transfer;
use tenure_core::inventory::application::Application;
use tenure_core::inventory::deprecation::Deprecation;
use tenure_core::inventory::resource::Resource;
use tenure_core::inventory::third_party::{CloudAccount, Need, Vendor};
use tenure_core::people::difference::Difference;
use tenure_core::people::person::{OperatorToken, Person};
use tenure_core::people::person_grant::PersonGrant;
use tenure_core::people::sign_in::{Invitation, Passkey, Session, SignInBinding, SignInProvider};
use tenure_core::people::team::Team;
use tenure_core::people::view::SavedViews;
use tenure_core::policy::set::PolicySet;
use tenure_core::request::Request;
use tenure_core::request::backchannel::Backchannel;
use tenure_core::request::break_glass::BreakGlass;
use tenure_core::request::campaign::Campaign;
use tenure_core::request::exception::Exception;
use tenure_core::request::review::Review;
use tenure_core::signal::removal::Removal;
use tenure_core::signal::{Signal, Source};
use tenure_core::store::changeset::Changeset;
use tenure_core::store::event::{Actor, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::row::{Record, RowKind};
use tenure_core::target::account::Account;
use tenure_core::target::drift::Drift;
use tenure_core::target::login::Login;
use tenure_core::target::sighting::Sighting;
use tenure_core::target::system::TargetSystem;
use tenure_core::trust::issuer::Issuer;
use tenure_core::trust::signing_key::SigningKey;

/// An id of this prefix that ends in this digit.
fn id(prefix: &str, n: u8) -> String {
    format!("{prefix}_{n:0>26}")
}

/// The ids in a text, by `prefix#n`.
fn with_ids(text: &str) -> String {
    let word = |word: &str| match word.split_once('#') {
        Some((prefix, n)) => n.parse().map_or_else(|_| word.to_owned(), |n| id(prefix, n)),
        None => word.to_owned(),
    };
    let of_value = |value: &str| value.split('/').map(word).collect::<Vec<_>>().join("/");
    let of_term = |term: &str| term.split('=').map(of_value).collect::<Vec<_>>().join("=");
    text.split(' ').map(of_term).collect::<Vec<_>>().join(" ")
}

/// Ids for `prefix#n` all over a value.
fn filled(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(with_ids(&text)),
        Value::Array(items) => items.into_iter().map(filled).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, filled(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// What stands in the index of a store for records of a kind.
#[derive(Default)]
struct Index {
    looked_at: BTreeSet<RowKind>,
}

impl Index {
    fn check<T: Record>(&mut self, record: Value, terms: &[&str]) {
        let at = json!(Timestamp::from_secs(0));
        let mut fields = Map::new();
        // What every kind has, unless the record says otherwise.
        for name in ["created_at", "opened_at", "starts_at", "ends_at", "expires_at", "in_force_at", "asked_at"] {
            fields.insert(name.to_owned(), at.clone());
        }
        let own = filled(record).as_object().cloned().unwrap_or_default();
        // A field that the kind doesn't know is left out: it says so.
        let record = loop {
            let mut all = fields.clone();
            all.extend(own.clone());
            match serde_json::from_value::<T>(all.into()) {
                Ok(record) => break record,
                Err(error) => {
                    let error = error.to_string();
                    let unknown = error.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
                    let gone = unknown.and_then(|name| fields.remove(name));
                    assert!(gone.is_some(), "{}: {error}", T::KIND.as_str());
                }
            }
        };
        let event = Event::new(EventId::from_u128(1), EventKind::PersonChanged);
        let mut changeset = Changeset::new(Actor::System { part: "test".into() }, Timestamp::from_secs(0), event);
        changeset.insert(&record);
        assert_eq!(changeset.unwritable(), None);
        let mut wanted: Vec<String> = terms.iter().map(|term| with_ids(term)).collect();
        wanted.sort_unstable();
        let written = changeset.puts.first().map(|put| put.terms.as_slice());
        assert_eq!(written, Some(wanted.as_slice()), "{}", T::KIND.as_str());
        self.looked_at.insert(T::KIND);
    }
}

fn day() -> Value {
    json!(Span::from_days(1))
}

fn identity(charter: Value) -> Value {
    json!({
        "id": "idn#1", "kind": "agent", "name": "payments-bot", "state": "active", "charter": charter, "tier": "low", "suspensions": [], "bindings": [],
        "grants": [], "memberships": [], "exceptions": [], "registered_by": "per#1", "created_at": Timestamp::from_secs(0),
    })
}

fn removal(identities: u8, count: u32) -> Value {
    let named: Vec<String> = (0..identities).map(|n| id("idn", n)).collect();
    json!({
        "id": "rem#1", "kind": "repository_archived", "subject": {"type": "repository", "id": "Acme/Pay"}, "because": {"type": "person", "id": "per#1"},
        "reason": "", "blast": {"identities": named, "count": count}, "digest": "", "state": "held", "retired": 0,
    })
}

#[test]
fn the_text_of_every_kinds_terms_stays() {
    let mut index = Index::default();
    index.check::<Identity>(identity(json!({})), &["kind=agent", "name=payments-bot", "state=active"]);
    let all = json!({
        "owner": "per#2", "application": "app#1", "environment": "production", "vendor": "ven#1", "cloud_account": "cla#1", "need": "nee#1",
        "removal_group": "tea#1", "shared": {"consumers": [], "migration_plan": ""},
        "scope": [{"actions": ["enforce"], "resource": "res#1"}, {"actions": ["*"], "resource": "*"}, {"actions": ["read"], "resource": "res#2"}],
        "workload_binding": {"type": "certificate", "workload": "pods/pay = 1", "certificate": ""}, "repositories": ["Acme/Pay", "acme/pay", "Ärger/X"],
    });
    index.check::<Identity>(
        identity(all),
        &[
            "application=app#1",
            "cloud_account=cla#1",
            "enforces=*",
            "enforces=res#1",
            "environment=production",
            "kind=agent",
            "name=payments-bot",
            "need=nee#1",
            "owner=per#2",
            "removal_group=tea#1",
            "repository=acme/pay",
            "repository=ärger/x",
            "shared=true",
            "state=active",
            "vendor=ven#1",
            "workload=pods/pay = 1",
        ],
    );
    let entitlement = json!({"actions": ["read"], "resource": "res#1"});
    let grant = json!({
        "id": "gra#1", "identity": "idn#1", "entitlement": entitlement, "state": "live", "request": "req#1", "approved_by": [], "policies": [],
        "purpose": "", "just_in_time": false,
    });
    index.check::<Grant>(grant, &["identity=idn#1"]);
    let binding = |matches: Value| json!({"id": "bnd#1", "identity": "idn#1", "workload": "w", "match": matches, "state": "live"});
    index.check::<Binding>(
        binding(json!({"type": "public_key", "jwk": {}, "thumbprint": "a-b_c"})),
        &["identity=idn#1", "key=a-b_c"],
    );
    index
        .check::<Binding>(binding(json!({"type": "certificate", "thumbprint": "c=d"})), &["identity=idn#1", "key=c=d"]);
    let long = "ä".repeat(101);
    let claims = json!({"sub": format!("repo:acme/pay {long}"), "repository_id": 7, "other": "x"});
    let cut = format!("claim=sub repo:acme/pay {}", "ä".repeat(86));
    index.check::<Binding>(
        binding(json!({"type": "oidc", "issuer": "iss#1", "claims": claims})),
        &["claim=repository_id 7", &cut, "identity=idn#1"],
    );
    index.check::<JoinToken>(json!({"id": "jnt#1", "identity": "idn#1", "hash": ""}), &["identity=idn#1"]);
    let hold = json!({"scope": {"type": "owner", "id": "per#1"}, "releasable_by": "security", "reason": "", "at": Timestamp::from_secs(0)});
    index.check::<Hold>(hold.clone(), &["kind=owner", "state=released"]);
    let mut held = hold;
    held["placed_by"] = json!("per#2");
    held["also"] = json!([{"by": "per#1", "reason": "", "at": Timestamp::from_secs(0)}]);
    index.check::<Hold>(held, &["kind=owner", "placed_by=per#1", "placed_by=per#2", "state=held"]);
    let template = json!({"name": "t", "kind": "pipeline", "description": "", "default_life": day(), "max_life": day(), "max_tier": "low"});
    index.check::<Template>(template, &["kind=pipeline"]);
    let mut transfer = json!({
        "id": "tra#1", "identity": "idn#1", "from": "per#1", "declined_by": [], "state": "open", "because": "", "deadline": Timestamp::from_secs(0),
    });
    index.check::<Transfer>(transfer.clone(), &["from=per#1", "identity=idn#1", "state=open"]);
    transfer["offered_to"] = json!("per#2");
    index.check::<Transfer>(transfer, &["from=per#1", "identity=idn#1", "offered_to=per#2", "state=open"]);
    let credential = json!({
        "id": "crd#1", "identity": "idn#1", "type": "access_token", "environment": "production", "resource": "res#1", "actions": [], "grants": [],
        "issued_at": Timestamp::from_secs(0), "revoked_by": [],
    });
    index.check::<Credential>(credential, &["identity=idn#1"]);
    let receipt = |target: Value| {
        let by = Actor::System { part: "test".into() };
        json!({"id": "rct#1", "target": target, "reason": "", "requested_by": by, "points": [], "attempts": 0})
    };
    index.check::<Receipt>(receipt(json!({"type": "person", "target": "per#1"})), &["target=person/per#1"]);
    index.check::<Receipt>(receipt(json!({"type": "credential", "target": "crd#1"})), &["target=credential/crd#1"]);
    let scope = json!({"type": "scope", "target": {"type": "environment", "id": "production"}});
    index.check::<Receipt>(receipt(scope), &["target=environment/production"]);

    let application =
        json!({"id": "app#1", "name": "payments", "owner": "per#1", "standing": "closed", "removal_group": "tea#1"});
    index
        .check::<Application>(application, &["name=payments", "owner=per#1", "removal_group=tea#1", "standing=closed"]);
    let resource = |uri: &str| {
        json!({
            "id": "res#1", "uri": uri, "type": "database", "actions": [], "application": "app#1", "environment": "production", "data_domains": [],
            "verification": "online", "when_unreachable": "deny",
        })
    };
    let rest = ["application=app#1", "environment=production", "type=database"];
    index.check::<Resource>(resource("db:orders"), &[rest[0], rest[1], rest[2], "uri=db:orders"]);
    let spelt = ["uri=HTTPS://H:443/", "uri=https://h", "uri=https://h/"];
    index.check::<Resource>(resource("HTTPS://H:443/"), &[rest[0], rest[1], rest[2], spelt[0], spelt[1], spelt[2]]);
    let vendor = json!({"id": "ven#1", "name": "Acme Ltd", "contact": "", "owner": "per#1", "data_domains": [], "standing": "open"});
    index.check::<Vendor>(vendor, &["name=Acme Ltd", "owner=per#1", "standing=open"]);
    let account = json!({"id": "cla#1", "provider": "aws", "account": "0123", "owner": "per#1", "environment": "production", "standing": "open"});
    index.check::<CloudAccount>(
        account,
        &["account=0123", "environment=production", "owner=per#1", "provider=aws", "standing=open"],
    );
    let access = json!({"id": "bgl#1", "identity": "idn#1", "entitlement": {"actions": [], "resource": ""}, "grant": "gra#1", "exception": "exc#1",
        "reason": "", "started_by": "per#1", "started_at": Timestamp::from_secs(0), "ends_at": Timestamp::from_secs(1), "review_by": Timestamp::from_secs(2), "state": "unreviewed"});
    index.check::<BreakGlass>(access, &["identity=idn#1", "state=unreviewed"]);
    let deprecation = json!({"of": {"type": "need", "id": "nee#1"}, "deprecated_since": Timestamp::from_secs(0), "sunset": Timestamp::from_secs(1), "reason": "", "declared_by": "per#1",
        "state": "announced"});
    index.check::<Deprecation>(deprecation, &["state=announced", "type=need"]);
    let need = json!({"id": "nee#1", "type": "project", "name": "atlas", "owner": "per#1", "standing": "open"});
    index.check::<Need>(need, &["name=atlas", "owner=per#1", "standing=open"]);

    let mut person = json!({"id": "per#1", "state": "preboarding", "roles": [], "class": "contractor", "teams": []});
    index.check::<Person>(person.clone(), &["class=contractor", "state=preboarding"]);
    person["roles"] = json!(["security", "administrator"]);
    person["manager"] = json!("per#2");
    person["teams"] = json!(["tea#2", "tea#1"]);
    person["source"] = json!({"source": "hr", "key": "e/1"});
    person["stand_in"] = json!({"person": "per#3", "from": Timestamp::from_secs(0), "until": Timestamp::from_secs(1), "named_at": Timestamp::from_secs(0)});
    index.check::<Person>(
        person,
        &[
            "class=contractor",
            "manager=per#2",
            "role=administrator",
            "role=security",
            "source=hr",
            "source_key=hr/e/1",
            "stand_in=per#3",
            "state=preboarding",
            "team=tea#1",
            "team=tea#2",
        ],
    );
    index.check::<OperatorToken>(json!({"id": "opt#1", "person": "per#1", "hash": ""}), &["person=per#1"]);
    index.check::<Team>(json!({"id": "tea#1", "name": "Payments Operations"}), &["name=Payments Operations"]);
    let mut difference = json!({"id": "dif#1", "source": "hr", "source_key": "e/1", "kind": {"type": "missing_in_source"}, "found_at": Timestamp::from_secs(0)});
    index.check::<Difference>(difference.clone(), &["key=hr/e/1", "source=hr", "standing=hr", "state=open"]);
    difference["person"] = json!("per#1");
    difference["over_since"] = json!(Timestamp::from_secs(0));
    difference["decision"] = json!({"by": "per#2", "at": Timestamp::from_secs(0), "what": null});
    index.check::<Difference>(difference, &["key=hr/e/1", "person=per#1", "source=hr", "state=decided"]);
    let person_grant = json!({
        "id": "pgr#1", "person": "per#1", "entitlement": entitlement, "review_by": Timestamp::from_secs(0), "reviewed": false, "state": "scheduled",
        "request": "req#1", "approved_by": [], "policies": [], "policy_version": "", "purpose": "",
    });
    index.check::<PersonGrant>(person_grant, &["person=per#1", "resource=res#1", "state=scheduled"]);
    let assurance = json!({"method": "passkey", "phishing_resistant": true, "at": Timestamp::from_secs(0)});
    index.check::<Session>(
        json!({"id": "ses#1", "person": "per#1", "hash": "", "assurance": assurance, "browser": true}),
        &["person=per#1"],
    );
    let provider = json!({
        "id": "sip#1", "name": "", "issuer": "https://id.example/", "client_id": "", "secret_in_form": false, "phishing_resistant": [], "acr_values": [],
        "authorization_endpoint": "", "token_endpoint": "", "jwks_uri": "", "algorithms": [], "names_itself": false, "state": "active",
        "proposed_by": "per#1", "single_person": false,
    });
    index.check::<SignInProvider>(provider, &["issuer=https://id.example/"]);
    let sign_in = json!({"provider": "sip#1", "subject": "", "subject_hash": "h", "person": "per#1"});
    index.check::<SignInBinding>(sign_in, &["person=per#1"]);
    let passkey = json!({
        "id": "pky#1", "person": "per#1", "credential": "", "credential_hash": "h", "public_key": "", "counter": 0, "backup_eligible": false, "name": "",
    });
    index.check::<Passkey>(passkey, &["credential=h", "person=per#1"]);
    let invitation = json!({"id": "inv#1", "person": "per#1", "hash": "", "proposed_by": "per#2", "single_person": false, "replaces": false});
    index.check::<Invitation>(invitation, &["person=per#1"]);

    let request = |matter: Value, by: Value| {
        json!({
            "id": "req#1", "class": "non_human", "matter": matter, "purpose": "", "clipped": [], "requested_by": by, "interested": [], "route": "security",
            "policies": [], "policy_version": "", "content_hash": "", "votes": [], "state": "open", "lapses_at": Timestamp::from_secs(0), "reminders": 0,
            "single_person": false, "outcome": {"grants": [], "person_grants": []},
        })
    };
    index.check::<Request>(
        request(json!({"type": "activation", "identity": "idn#1"}), json!({"type": "identity", "id": "idn#2"})),
        &[
            "class=non_human",
            "identity=idn#1",
            "requester=idn#2",
            "state=open",
            "type=activation",
            "waits_for=security",
        ],
    );
    index.check::<Request>(
        request(json!({"type": "roles", "person": "per#1", "roles": []}), json!({"type": "person", "id": "per#2"})),
        &["class=non_human", "person=per#1", "requester=per#2", "state=open", "type=roles", "waits_for=security"],
    );
    let mut asked =
        request(json!({"type": "activation", "identity": "idn#1"}), json!({"type": "person", "id": "per#2"}));
    asked["route"] = json!("owner_or_manager");
    asked["owner"] = json!("per#3");
    asked["manager"] = json!("per#4");
    asked["interested"] = json!(["per#2", "per#3"]);
    let plain = ["class=non_human", "identity=idn#1", "requester=per#2", "type=activation"];
    let while_open = ["keeps_out=per#2", "keeps_out=per#3", "state=open", "waits_for=per#4"];
    index.check::<Request>(asked.clone(), &[&plain[..], &while_open].concat());
    asked["state"] = json!("lapsed");
    index.check::<Request>(asked.clone(), &[&plain[..], &["state=lapsed"]].concat());
    asked["state"] = json!("open");
    asked["route"] = json!("administrator");
    asked["interested"] = (1..=9).map(|n| json!(format!("per#{n}"))).collect();
    asked["single_person"] = json!(true);
    index.check::<Request>(asked, &[&plain[..], &["state=open", "waits_for=administrator"]].concat());
    let backchannel = json!({"request": "req#1", "identity": "idn#1", "environment": "production", "interval": day()});
    index.check::<Backchannel>(backchannel, &["identity=idn#1"]);
    let exception = |subject: Value, kind: &str| {
        json!({
            "id": "exc#1", "type": kind, "subject": subject, "reason": "", "compensating": [], "proposed_by": "per#1", "request": "req#1",
            "approved_by": [], "duration": day(), "renewals": 0, "state": "breached",
        })
    };
    index.check::<Exception>(
        exception(json!({"type": "person", "id": "per#1"}), "fast_onboarding"),
        &["person=per#1", "state=breached", "type=fast_onboarding"],
    );
    index.check::<Exception>(
        exception(json!({"type": "identity", "id": "idn#1"}), "weaker_credential"),
        &["identity=idn#1", "state=breached", "type=weaker_credential"],
    );
    let mut review = json!({
        "id": "rvw#1", "subject": {"type": "identity", "id": "idn#1"}, "trigger": "cadence", "due_at": Timestamp::from_secs(0), "state": "open",
    });
    index.check::<Review>(review.clone(), &["identity=idn#1", "state=open", "trigger=cadence"]);
    review["subject"] = json!({"type": "person_grant", "id": "pgr#1"});
    review["reviewer"] = json!("per#1");
    review["campaign"] = json!("cmp#1");
    index.check::<Review>(
        review.clone(),
        &["campaign=cmp#1", "person_grant=pgr#1", "reviewer=per#1", "state=open", "trigger=cadence"],
    );
    review["state"] = json!("answered");
    review["answer"] = json!({"answer": "keep", "by": "per#2", "at": Timestamp::from_secs(0), "comment": ""});
    index.check::<Review>(
        review.clone(),
        &[
            "answered_by=per#2",
            "campaign=cmp#1",
            "person_grant=pgr#1",
            "reviewer=per#1",
            "state=answered",
            "trigger=cadence",
        ],
    );
    review["campaign"] = json!(null);
    index.check::<Review>(review, &["person_grant=pgr#1", "reviewer=per#1", "state=answered", "trigger=cadence"]);
    let campaign = json!({
        "id": "cmp#1", "name": "", "cause": "cadence_high", "scope": "tier=high", "filters": [], "reason": "", "state": "waiting",
        "opened_at": Timestamp::from_secs(0), "due_at": Timestamp::from_secs(0), "no_answer": "suspend", "cap": 1,
        "tally": {"opened": 0, "passed_over": 0, "open": {}, "kept": 0, "narrowed": 0, "revoked": 0, "lapsed": 0, "closed": 0, "late": 0},
        "progress": {},
    });
    index.check::<Campaign>(campaign, &["cause=cadence_high", "state=waiting"]);
    let set = json!({"id": "pol#1", "text": "", "version": "v=1", "based_on": "", "author": "per#1", "purpose": "", "request": "req#1", "state": "in_force"});
    index.check::<PolicySet>(set, &["sort=set", "state=in_force", "version=v=1"]);

    let finding = json!({
        "id": "fin#1", "rule": "key-shared", "subject": "idn#1", "detail": "", "evidence": {}, "severity": "critical", "state": "resolved", "seen": 1,
        "last_seen_at": Timestamp::from_secs(0),
    });
    index.check::<Finding>(finding, &["rule=key-shared", "severity=critical", "state=resolved", "subject=idn#1"]);
    let access = json!({
        "id": "exa#1", "access": "epoch_begun", "actor": Actor::System { part: "test".into() }, "with": "2", "event": EventId::from_u128(1),
        "at": Timestamp::from_secs(0), "identity": "idn#1",
    });
    index.check::<ExceptionalAccess>(access, &["access=epoch_begun", "identity=idn#1", "with=2"]);

    let source = json!({
        "id": "src#1", "name": "github", "format": "github", "owner": "per#1", "kinds": [], "subjects": [], "rate_per_minute": 1, "blast_cap": 1,
        "key": {"type": "hmac", "sealed": ""}, "state": "active", "proposed_by": "per#1", "single_person": false,
    });
    index.check::<Source>(source, &["format=github", "name=github", "owner=per#1", "state=active"]);
    let word = json!({"kind": "run_ended", "subject": {"type": "workload", "id": "a=b c"}});
    let signal = json!({
        "id": "sig#1", "source": "src#1", "word": word, "digest": "d", "received_at": Timestamp::from_secs(0), "state": "done", "outcome": {"what": ""},
    });
    index.check::<Signal>(
        signal,
        &["digest=d", "kind=run_ended", "source=src#1", "state=done", "subject=workload:a=b c"],
    );
    let rest = ["kind=repository_archived", "state=held", "subject=repository:Acme/Pay"];
    index.check::<Removal>(removal(2, 2), &["identity=idn#0", "identity=idn#1", rest[0], rest[1], rest[2]]);
    // Up to sixty-four by name; of more, the first, and that there are more: also where the record counts more than it
    // names.
    for (named, count, borne, more) in [(64, 64, 64, false), (65, 65, 64, true), (64, 65, 64, true), (2, 65, 2, true)] {
        let identities = (0..borne).map(|n| format!("identity=idn#{n}"));
        let more = more.then(|| "identities=more".to_owned());
        let terms: BTreeSet<String> =
            identities.chain(more).chain(rest.map(str::to_owned)).map(|term| with_ids(&term)).collect();
        index.check::<Removal>(removal(named, count), &terms.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let mut scoped = removal(0, 0);
    scoped["scope"] = json!({"type": "vendor", "id": "ven#1"});
    index.check::<Removal>(scoped, &[rest[0], "scope=vendor/ven#1", rest[1], rest[2]]);

    let issuer = json!({
        "id": "iss#1", "url": "https://token.example", "jwks_uri": "", "algorithms": [], "audience": "", "environments": [], "required_claims": [],
        "state": "active", "proposed_by": "per#1", "single_person": false,
    });
    index.check::<Issuer>(issuer, &["url=https://token.example"]);
    let key = |key_use: Value| json!({"id": "key#1", "key_use": key_use, "public": "", "sealed": ""});
    index.check::<SigningKey>(
        key(json!({"use": "access_token", "environment": "production"})),
        &["use=access_token/production"],
    );
    index.check::<SigningKey>(key(json!({"use": "receipt"})), &["use=receipt"]);
    index.check::<SigningKey>(key(json!({"use": "log"})), &["use=log"]);

    let target = json!({
        "id": "tgt#1", "name": "orders-db", "kind": "postgresql", "endpoint": {"url": "postgres://db"}, "mode": "end", "identity": "idn#1", "owner": "per#1",
        "environment": "production", "scan_every": "1d", "claim_within": "14d", "blast_cap": 25, "state": "active", "proposed_by": "per#1",
        "single_person": false, "created_at": Timestamp::from_secs(0),
    });
    index.check::<TargetSystem>(
        target,
        &["identity=idn#1", "kind=postgresql", "name=orders-db", "owner=per#1", "state=active"],
    );
    let at = Timestamp::from_secs(0);
    let account = json!({
        "id": "acc#1", "target": "tgt#1", "identity": "idn#1", "seen": {"key": "16384", "name": "billing", "sort": "login", "enabled": true},
        "found_at": at, "seen_at": at, "claim_by": at, "state": "held", "proposed": {"owner": "per#1", "by": "per#1", "at": at, "reason": ""},
    });
    index.check::<Account>(
        account,
        &["identity=idn#1", "key=tgt#1 16384", "name=billing", "proposed=per#1", "state=held", "target=tgt#1"],
    );
    let drift = json!({
        "id": "drf#1", "kind": "grants_gained", "account": "acc#1", "name": "billing", "identity": "idn#1", "target": "tgt#1",
        "grants": ["DELETE ON TABLE ledger"], "state": "open", "found_at": at,
    });
    index.check::<Drift>(
        drift,
        &["account=acc#1", "identity=idn#1", "kind=grants_gained", "state=open", "target=tgt#1"],
    );
    let sighting = json!({
        "id": "sgt#1", "identity": "idn#1", "source": "cmdb", "key": "42", "system": "mainframe", "name": "BATCH01", "line": 2,
        "proposed": {"owner": "per#1", "by": "per#1", "at": at, "reason": ""}, "claim_by": at, "import": "sha256:0", "by": "per#1", "at": at,
    });
    index.check::<Sighting>(sighting, &["identity=idn#1", "key=cmdb/42", "proposed=per#1", "source=cmdb"]);

    let view = |id: &str, team: Option<&str>| json!({"id": id, "name": id, "query": "state=active", "team": team, "saved_at": at});
    let views = json!({"person": "per#1", "views": [view("viw#1", Some("tea#1")), view("viw#2", None), view("viw#3", Some("tea#1"))]});
    index.check::<SavedViews>(views, &["team=tea#1"]);
    let login = json!({
        "id": "crd#1", "purpose": "work", "target": "tgt#1", "identity": "idn#1", "resource": "res#1", "request_id": "r", "asked_at": at,
        "ends_at": at, "state": "standing", "tries": 0,
    });
    index.check::<Login>(
        login.clone(),
        &["identity=idn#1", "left=idn#1", "left_at=res#1", "question=idn#1 r", "state=standing", "target=tgt#1"],
    );
    let mut canary = login;
    canary["purpose"] = json!("canary");
    canary.as_object_mut().unwrap().retain(|name, _| name != "resource" && name != "request_id");
    index.check::<Login>(canary, &["canary=tgt#1", "identity=idn#1", "left=idn#1", "state=standing", "target=tgt#1"]);

    // What is found by its id alone.
    let unlisted = BTreeSet::from([
        RowKind::Environment,
        RowKind::Cut,
        RowKind::Idempotency,
        RowKind::Deployment,
        RowKind::DataDomain,
        RowKind::NamingStandard,
        RowKind::Package,
        RowKind::Cursor,
        RowKind::Heard,
        RowKind::Rhythm,
        RowKind::DebtTrend,
        RowKind::Drill,
        RowKind::Blast,
        RowKind::Epoch,
        RowKind::Contradiction,
        RowKind::Floor,
        RowKind::StateDigest,
    ]);
    let all: BTreeSet<RowKind> = index.looked_at.union(&unlisted).copied().collect();
    assert_eq!(all, RowKind::ALL.iter().copied().collect(), "a kind is missing here");
    assert!(index.looked_at.is_disjoint(&unlisted));
}
