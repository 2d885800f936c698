//! Lists: what they take is what they say that they take, a cursor goes on where it began, and one record that can't be
//! read spoils itself only.

use std::sync::Arc;

use serde_json::{Value, json};
use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::changeset::{Changeset, Put};
use tenure_core::store::event::{Actor, Event};
use tenure_core::store::event_kind::EventKind;
use tenure_core::store::port::Outcome;
use tenure_core::store::row::{RowKey, RowKind};
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_store::{PostgresStore, SqliteStore};

use crate::on_one;
use crate::world::{Answer, World, now, tenure};

/// The lists that are paged, each with a filter whose values are known; a path's `{}` is an identity.
const LISTS: [(&str, &str); 25] = [
    ("people", "state"),
    ("differences", "state"),
    ("transfers", "state"),
    ("applications", "standing"),
    ("resources", "application"),
    ("vendors", "standing"),
    ("cloud-accounts", "standing"),
    ("needs", "standing"),
    ("identities", "state"),
    ("receipts", "target"),
    ("holds", "kind"),
    ("templates", "kind"),
    ("requests", "state"),
    ("policies", "state"),
    ("reviews", "state"),
    ("exceptions", "type"),
    ("findings", "rule"),
    ("sources", "format"),
    ("signals", "subject"),
    ("removals", "kind"),
    ("log/exceptional", "access"),
    ("teams", ""),
    ("environments", ""),
    ("invitations", ""),
    ("identities/{}/credentials", ""),
];

impl World {
    async fn page_of(&self, path: &str) -> Answer {
        // Who administers reads some of them, security most, the auditor all of the log.
        for token in [&self.security, &self.admin, &self.auditor] {
            let answer = self.get(token, path).await;
            if answer.status != 403 {
                return answer;
            }
        }
        panic!("nobody may read {path}")
    }

    /// Writes a person's row anew as somebody would who has the keys of the deployment; the server stands still
    /// meanwhile.
    async fn rewrite(&mut self, person: &str, change: impl FnOnce(&str) -> String) {
        self.server.stop();
        let root = RootKey::open_file(&self.server.data().join("root-key")).unwrap();
        let sealer = Arc::new(RowMac::new(&root));
        let store: Box<dyn tenure_core::store::port::Store> = match self.server.database() {
            Some(url) => Box::new(PostgresStore::connect(url, sealer).await.unwrap()),
            None => Box::new(SqliteStore::open(self.server.data().join("tenure.db"), sealer).unwrap()),
        };
        let key = RowKey::new(RowKind::Person, person);
        let row = store.load(std::slice::from_ref(&key)).await.unwrap().rows.remove(0).unwrap();
        let event = Event::new(EventId::from_u128(u128::from(row.revision) << 64 | 7), EventKind::PersonChanged)
            .subject(person);
        let mut changeset = Changeset::new(Actor::System { part: "test".into() }, Timestamp::from_secs(now()), event);
        changeset.puts.push(Put {
            key,
            replaces: row.revision,
            body: change(std::str::from_utf8(&row.body).unwrap()).into_bytes(),
            terms: vec!["state=active".into()],
            droppable_after: None,
        });
        let outcome = store.commit(changeset).await;
        assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
        drop(store);
        self.server.restart(&[]);
    }
}

fn fields(answer: &Answer) -> Vec<(&str, &str)> {
    let fields = answer.body["fields"].as_array().unwrap();
    fields.iter().map(|field| (field["field"].as_str().unwrap(), field["code"].as_str().unwrap())).collect()
}

fn problems(answer: &Answer) -> String {
    json!(answer.body["fields"]).to_string()
}

on_one! {
    async fn d12_every_list_says_what_it_takes(world: World) {
        let gateway = world.gateway_id.clone();
        for (list, filter) in LISTS {
            let path = format!("/v1/{}", list.replace("{}", &gateway));
            world.page_of(&format!("{path}?limit=200")).await.expect(200);
            for (query, code) in [("limit=0", "limit_unfit"), ("limit=201", "limit_unfit"), ("bogus=1", "parameter_unknown"), ("limit=2&limit=2", "parameter_repeated"), ("after=per_x", "cursor_unknown"), ("after=", "cursor_unknown")] {
                let answer = world.page_of(&format!("{path}?{query}")).await.expect(422);
                assert_eq!((answer.field_codes(), answer.code()), (vec![code.to_owned()], "fields_invalid".into()), "{list} {query}");
            }
            if !filter.is_empty() {
                let answer = world.page_of(&format!("{path}?{filter}=bogus")).await.expect(422);
                assert_eq!(fields(&answer), [(filter, "value_unknown")], "{list}");
            }
        }
        // A filter that no record of the list could match was an empty list.
        world.page_of("/v1/environments?owner=per_01arz3ndektsv4rrffq69g5fav").await.expect(422);
        let all = world.page_of("/v1/people?state=bogus&role=king&limit=0&colour=red").await.expect(422);
        assert_eq!(fields(&all), [("state", "value_unknown"), ("role", "value_unknown"), ("limit", "limit_unfit"), ("colour", "parameter_unknown")]);
        assert!(problems(&all).contains("`preboarding`, `active`, `suspended`, `departed`"), "{}", all.body);
        // What is no list says it in the same way.
        for (path, field) in [("/v1/log/inclusion?index=0&size=1&more=1", "more"), ("/v1/log/inclusion?index=0", "size"), ("/v1/log/inclusion?index=x&size=1", "index"), ("/v1/sessions?limit=2", "limit"), ("/v1/refusals?subject=x&limit=201", "limit"), ("/v1/refusals?subject=x&limit=0", "limit")] {
            let answer = world.page_of(path).await.expect(422);
            assert_eq!(answer.text("/fields/0/field"), field, "{path}");
        }
        let leaked = world.get(&world.security, "/v1/people?tnr_op_secret=1&state=tnr_op_secret").await.expect(422);
        assert!(!leaked.body.to_string().contains("secret"), "{}", leaked.body);
        // The command line ends with a failure, and says what is taken.
        let output = tenure().args(["--server", &world.server.url, "person", "list", "--state", "bogus"]).env("TENURE_TOKEN", &world.security).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && output.stdout.is_empty() && said.contains("preboarding"), "{said}");
    }

    async fn d12_a_cursor_goes_on_in_its_list_and_nowhere_else(world: World) {
        let mut seen: Vec<Value> = Vec::new();
        let (mut path, mut cursors) = ("/v1/people?state=active&limit=2".to_owned(), Vec::new());
        loop {
            let page = world.get(&world.security, &path).await.expect(200);
            seen.extend(page.body["items"].as_array().unwrap().iter().map(|person| person["id"].clone()));
            let Some(next) = page.body["next"].as_str() else { break };
            path = format!("/v1/people?limit=2&after={next}&state=active");
            cursors.push(next.to_owned());
        }
        let whole = world.get(&world.security, "/v1/people?state=active").await.expect(200);
        let ids: Vec<Value> = whole.body["items"].as_array().unwrap().iter().map(|person| person["id"].clone()).collect();
        assert_eq!(seen, ids);
        let cursor = &cursors[0];
        let cut = &cursor[..cursor.len() - 1];
        let other = world.get(&world.security, "/v1/identities?limit=1").await.expect(200);
        let mut wrong = vec![format!("/v1/people?after={cursor}"), format!("/v1/people?state=departed&after={cursor}"), format!("/v1/people?state=active&after={cut}"), format!("/v1/people?state=active&after={}", seen[0].as_str().unwrap()), format!("/v1/teams?after={cursor}"), format!("/v1/identities?state=active&after={cursor}")];
        wrong.extend(other.body["next"].as_str().map(|next| format!("/v1/people?after={next}")));
        for path in wrong {
            let answer = world.get(&world.security, &path).await.expect(422);
            assert_eq!(fields(&answer), [("after", "cursor_unknown")], "{path}");
        }
    }

    async fn d09_a_record_that_cannot_be_read_spoils_itself_only(world: World) {
        let mut world = world;
        let feed = |people: Value| json!({"source": "hr", "format": "json", "people": people});
        let people = json!([{"key": "1", "name": "Una"}, {"key": "2", "name": "Bo"}, {"key": "3", "name": "Cy"}]);
        world.post(&world.admin, "/v1/people/import", feed(people.clone())).await.expect(200);
        let id = async |world: &World, name: &str| {
            let page = world.get(&world.admin, "/v1/people?source=hr").await.expect(200);
            let found = page.body["items"].as_array().unwrap().iter().find(|person| person["name"] == name).unwrap();
            found["id"].as_str().unwrap().to_owned()
        };
        let (una, bo) = (id(&world, "Una").await, id(&world, "Bo").await);
        world.rewrite(&una, |body| body.replace("\"ends_at\":null", "\"ends_at\":\"soon\"")).await;
        // The list is there, and says what it lacks.
        let page = world.get(&world.admin, "/v1/people").await.expect(200);
        assert_eq!(page.body["unreadable"], json!([una]));
        assert!(page.body["items"].as_array().unwrap().iter().any(|person| person["id"] == bo));
        world.get(&world.admin, &format!("/v1/people/{una}")).await.expect(500);
        let report = world.post(&world.auditor, "/v1/log/verify-state", json!({})).await.expect(200);
        assert_eq!(report.body["faults"], json!([{"kind": "person", "id": una, "fault": "unreadable"}]));
        // The next feed is followed but for that one, about whom it asks.
        let mut moved = people;
        moved[1]["name"] = json!("Bob");
        let report = world.post(&world.admin, "/v1/people/import", feed(moved)).await.expect(200);
        let outcomes: Vec<_> = report.body["items"].as_array().unwrap().iter().map(|item| (item["key"].as_str().unwrap(), item["outcome"].as_str().unwrap())).collect();
        assert_eq!(outcomes, [("2", "moved"), ("1", "asked")]);
        world.post(&world.admin, &format!("/v1/people/{bo}/suspend"), json!({"reason": "test"})).await.expect(200);
        // As v0.1.0 wrote a time that it could not read, it is the latest that there is, and the person can leave.
        world.rewrite(&una, |body| body.replace("\"soon\"", "\"253402214400000000us\"")).await;
        let healed = world.get(&world.admin, &format!("/v1/people/{una}")).await.expect(200);
        assert_eq!(healed.text("/ends_at"), Timestamp::MAX.to_string());
        world.post(&world.admin, &format!("/v1/people/{una}/depart"), json!({"reason": "test"})).await.expect(200);
    }
}
