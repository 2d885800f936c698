//! Records are found by any word, in any order, and counted.

use serde_json::{Value, json};

use crate::world::{Answer, World, tenure};
use crate::{on_both, on_one};

fn names(answer: &Answer) -> Vec<String> {
    answer.body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

fn problems(answer: &Answer) -> Vec<(String, String)> {
    let field =
        |field: &Value| (field["field"].as_str().unwrap().to_owned(), field["code"].as_str().unwrap().to_owned());
    answer.body["fields"].as_array().unwrap().iter().map(field).collect()
}

impl World {
    async fn found(&self, query: &str) -> Vec<String> {
        names(&self.get(&self.auditor, query).await.expect(200))
    }

    /// The whole list, page by page, and how many it said that there are.
    async fn paged(&self, query: &str) -> (Vec<String>, u64) {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.get(&self.auditor, &format!("{query}&count=true{after}")).await.expect(200);
            all.extend(names(&page));
            match page.body["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return (all, page.body["count"].as_u64().unwrap()),
            }
        }
    }
}

on_both! {
    because "the index of records is asked by statements of each engine";
    async fn what_people_look_for_is_found_by_any_word_in_any_order(world: World) {
        for (name, email) in [("Zoë Quant", "zoe@quant.example"), ("anna Quant", "a.berg@else.example"), ("Berg Quant", "x@else.example")] {
            world.person_as(json!({"name": name, "email": email, "roles": []})).await;
        }
        // By how any word of name or address begins, whatever its case; by several, if each fits.
        let found = async |words: &str| {
            let mut found = world.found(&format!("/v1/people?q={words}")).await;
            found.sort();
            found
        };
        assert_eq!(found("quant").await, ["Berg Quant", "Zoë Quant", "anna Quant"]);
        assert_eq!(found("ZO%C3%8B").await, ["Zoë Quant"]);
        assert_eq!(found("berg%20qua").await, ["Berg Quant", "anna Quant"]);
        assert_eq!(found("else.ex%20an").await, ["anna Quant"]);
        assert!(found("uant").await.is_empty() && found("quant%20nobody").await.is_empty());
        // In their order and the other way round, counted, page by page.
        let ordered = ["anna Quant", "Berg Quant", "Zoë Quant"];
        assert_eq!(world.paged("/v1/people?q=quant&sort=name&limit=1").await, (ordered.map(str::to_owned).to_vec(), 3));
        let (mut turned, count) = world.paged("/v1/people?q=quant&sort=-name&limit=2").await;
        turned.reverse();
        assert_eq!((turned, count), (ordered.map(str::to_owned).to_vec(), 3));
        // With filters, and what is changed is found as it is from then on.
        assert!(world.found("/v1/people?q=quant&state=departed").await.is_empty());
        let first = world.get(&world.auditor, "/v1/people?q=anna%20quant").await.expect(200).text("/items/0/id");
        world.post(&world.admin, &format!("/v1/people/{first}/suspend"), json!({"reason": "test"})).await.expect(200);
        assert_eq!(world.found("/v1/people?q=quant&state=suspended&sort=name").await, ["anna Quant"]);
        assert_eq!(world.found("/v1/people?q=quant&state=active&sort=name").await, ["Berg Quant", "Zoë Quant"]);

        // Identities by purpose as well, and by what only they are sorted by.
        let (id, key) = world.exporter("nightly-quux").await;
        world.exporter("other-quux").await;
        world.token(&key, &id, "production").await;
        assert_eq!(world.found("/v1/identities?q=night").await, ["nightly-quux"]);
        assert_eq!(world.found("/v1/identities?q=quux&sort=-last_use").await, ["nightly-quux", "other-quux"]);
        assert_eq!(world.found("/v1/identities?q=quux&sort=last_use").await, ["other-quux", "nightly-quux"]);
        for sort in ["id", "end", "risk", "-end", "-risk"] {
            assert_eq!(world.found(&format!("/v1/identities?q=quux&sort={sort}")).await.len(), 2, "{sort}");
        }
        let uris = world.get(&world.auditor, "/v1/resources?q=orders").await.expect(200);
        assert!(!uris.body["items"].as_array().unwrap().is_empty(), "{}", uris.body);

        // What it doesn't take, it says.
        for (query, field) in [("q=", "q"), ("q=--", "q"), ("sort=colour", "sort"), ("sort=risk", "sort"), ("count=false", "count")] {
            let answer = world.get(&world.auditor, &format!("/v1/people?{query}")).await.expect(422);
            assert_eq!(problems(&answer), [(field.to_owned(), "value_unknown".to_owned())], "{query}");
        }
        let many = format!("/v1/people?q={}", (0..17).map(|n| n.to_string()).collect::<Vec<_>>().join("%20"));
        world.get(&world.auditor, &many).await.expect(422);
        world.get(&world.auditor, "/v1/templates?q=x").await.expect(422);
        let next = world.get(&world.auditor, "/v1/people?q=quant&sort=name&limit=1").await.expect(200).text("/next");
        for other in ["q=quant&sort=-name", "q=quan&sort=name", "q=quant", "sort=name"] {
            let answer = world.get(&world.auditor, &format!("/v1/people?{other}&limit=1&after={next}")).await.expect(422);
            assert_eq!(problems(&answer), [("after".to_owned(), "cursor_unknown".to_owned())], "{other}");
        }
        // Nor does it tell anybody what they may not read.
        let (_, nobody) = world.person("Una", &[]).await;
        world.get(&nobody, "/v1/people?q=quant").await.expect(403);
    }
}

on_one! {
    // Whether a name or an address is somebody's is not everybody's to learn; nor does a page say whose it was last.
    async fn s7_a_name_tells_nobody_whether_there_is_such_a_person(world: World) {
        world.person_as(json!({"name": "Zoë Quant", "email": "zoe@quant.example", "roles": []})).await;
        world.person_as(json!({"name": "Zoë Second", "roles": []})).await;
        let (_, nobody) = world.person("Una", &[]).await;
        let answer = async |path: &str| {
            let answer = world.get(&nobody, path).await;
            (answer.status, answer.code())
        };
        for rest in ["", "/access", "/grants"] {
            let unknown = answer(&format!("/v1/people/no%20such%20one{rest}")).await;
            for name in ["zoe@quant.example", "Zo%C3%AB%20Quant"] {
                assert_eq!(answer(&format!("/v1/people/{name}{rest}")).await, unknown, "{name}{rest}");
            }
        }
        world.get(&world.auditor, "/v1/people/zoe@quant.example").await.expect(200);
        let page = world.get(&world.auditor, "/v1/people?q=zo%C3%AB&sort=name&limit=1").await.expect(200);
        let carried = page.text("/next").split('.').next().unwrap().to_owned();
        assert_eq!(world.paged("/v1/people?q=zo%C3%AB&sort=-name&limit=1").await.0, ["Zoë Second", "Zoë Quant"]);
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, carried).unwrap();
        assert!(bytes.starts_with(b"per_"), "the cursor names nobody: {}", String::from_utf8_lossy(&bytes));
    }

    async fn people_are_looked_for_on_the_command_line(world: World) {
        world.person_as(json!({"name": "Zoë Quant", "email": "zoe@quant.example", "roles": []})).await;
        world.person_as(json!({"name": "Anna Quant", "roles": []})).await;
        let mut command = tenure();
        command.args(["person", "list", "--search", "quant", "--sort", "-name", "--count"]);
        let told = command.env("TENURE_SERVER", &world.server.url).env("TENURE_TOKEN", &world.auditor).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        assert!(told.status.success(), "{err}");
        assert!(out.find("Zoë Quant").unwrap() < out.find("Anna Quant").unwrap(), "{out}");
        assert!(err.contains("2 in all"), "{err}");
    }
}
