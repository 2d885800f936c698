//! Who answers for what isn't an identity, and what becomes of it when they leave (R91, R98); changes of what
//! identities rest on.

use serde_json::{Value, json};

use crate::on_one;
use crate::world::{Key, World};

/// A record that somebody answers for: its address, and its noun on the command line.
struct Record {
    path: String,
    id: String,
    noun: &'static str,
}

impl World {
    /// One of each sort.
    async fn owned_by(&self, owner: &str) -> Vec<Record> {
        let domain = json!({"name": "sales", "sensitivity": "internal"});
        self.post(&self.admin, "/v1/data-domains", domain).await.expect(201);
        let source = json!({"name": "lea-hub", "format": "cloud_events", "owner": owner, "auth": {"type": "hmac"}, "kinds": ["application_retired"], "subjects": ["application:*"]});
        let mut all = Vec::new();
        for (noun, list, body) in [
            ("application", "applications", json!({"name": "lea-app", "owner": owner})),
            (
                "vendor",
                "vendors",
                json!({"name": "lea-vendor", "contact": "x@example.com", "owner": owner, "data_domains": ["sales"]}),
            ),
            (
                "cloud-account",
                "cloud-accounts",
                json!({"provider": "aws", "account": "42", "owner": owner, "environment": "production"}),
            ),
            ("need", "needs", json!({"type": "project", "name": "lea-need", "owner": owner})),
            ("source", "sources", source),
        ] {
            let id = self.post(&self.admin, &format!("/v1/{list}"), body).await.expect(201).text("/id");
            let path = format!("/v1/{list}/{id}");
            all.push(Record { path, id, noun });
        }
        all
    }

    /// How many findings that its owner has left are open about a record.
    async fn without_owner(&self, id: &str) -> usize {
        let path = format!("/v1/findings?subject={id}&rule=owner-left&state=open");
        self.get(&self.security, &path).await.expect(200).body["items"].as_array().unwrap().len()
    }

    async fn has_no_owner(&self, all: &[Record]) {
        for record in all {
            self.until(async || self.without_owner(&record.id).await == 1).await;
        }
    }

    fn update(&self, record: &Record, arguments: &[&str]) -> std::process::Output {
        let mut command = crate::world::tenure();
        command.args(["-o", "json", "--server", &self.server.url, record.noun, "update", &record.id]);
        command.args(arguments).env("TENURE_TOKEN", &self.admin);
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }
}

on_one! { by |store| World::start_with(store, &[("TENURE_TRANSFER_WINDOW", "60s")]);
    async fn d08_whatever_somebody_answers_for_has_a_finding_when_they_leave_until_it_has_another_owner(world: World) {
        let (lea, _) = world.person("Lea", &["owner"]).await;
        let all = world.owned_by(&lea).await;
        let ended = json!({"name": "over", "owner": lea, "type": "project"});
        let ended = world.post(&world.admin, "/v1/needs", ended).await.expect(201).text("/id");
        world.post(&world.admin, &format!("/v1/needs/{ended}/close"), json!({"reason": "done"})).await.expect(200);
        world.post(&world.admin, &format!("/v1/people/{lea}/depart"), json!({"reason": "left"})).await.expect(200);
        world.has_no_owner(&all).await;
        assert_eq!(world.without_owner(&ended).await, 0, "nobody has to answer for what is over");
        let told = &world.events_of("ownership.left_behind", &lea).await[0]["data"];
        assert_eq!(told["records"].as_array().unwrap().len(), all.len());
        assert!(told["notify"]["roles"] == json!(["administrator"]) && told["deadline"].is_string(), "{told}");
        // All but one get another owner in time. Who has left is none.
        for record in &all[1..] {
            let (owner, etag) = (json!({"owner": world.owner_id}), world.etag(&record.path).await);
            let refused = world.patch(&world.admin, &record.path, Some(&etag), &json!({"owner": lea})).await.expect(422);
            assert_eq!(refused.body["fields"][0]["code"], "owner_unknown");
            assert_eq!(world.patch(&world.admin, &record.path, Some(&etag), &owner).await.expect(200).text("/owner"), world.owner_id);
            assert_eq!(world.without_owner(&record.id).await, 0, "{}", record.noun);
        }
        // The other one is told to security, and again, until somebody is named.
        for times in [1, 2] {
            world.pass(61).await;
            world.until(async || world.events_of("ownership.overdue", &lea).await.len() >= times).await;
        }
        let overdue = &world.events_of("ownership.overdue", &lea).await[0]["data"];
        assert!(overdue["records"] == 1 && overdue["notify"]["roles"] == json!(["security", "administrator"]), "{overdue}");
        let done = world.update(&all[0], &["--owner", &world.owner_id]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(world.without_owner(&all[0].id).await, 0);
        world.pass(61).await;
        world.until(async || !world.events_of("deadline.dropped", &format!("{lea}/owned")).await.is_empty()).await;
    }

    async fn d08_who_is_suspended_is_missed_and_who_returns_keeps_what_they_answer_for(world: World) {
        let (lea, _) = world.person("Lea", &["owner"]).await;
        let (_, other) = world.person("Sue", &["security"]).await;
        let all = world.owned_by(&lea).await;
        world.post(&world.security, &format!("/v1/people/{lea}/suspend"), json!({"reason": "lost laptop"})).await.expect(200);
        world.has_no_owner(&all).await;
        world.post(&other, &format!("/v1/people/{lea}/resume"), json!({"reason": "found"})).await.expect(200);
        for record in &all {
            world.until(async || world.without_owner(&record.id).await == 0).await;
            assert_eq!(world.get(&world.admin, &record.path).await.expect(200).text("/owner"), lea);
        }
    }

    async fn d08_a_change_is_meant_for_the_revision_that_was_read(world: World) {
        let all = world.owned_by(&world.owner_id).await;
        let (heir, _) = world.person("Hal", &["owner"]).await;
        let owner = json!({"owner": heir});
        for record in &all {
            let before = world.changes().await.len();
            let etag = world.etag(&record.path).await;
            assert_eq!(etag, "\"1\"");
            // Who may not is told so whatever else is missing.
            world.patch(&world.owner, &record.path, None, &owner).await.expect(403);
            assert_eq!(world.patch(&world.admin, &record.path, None, &owner).await.expect(428).code(), "if_match_required");
            assert_eq!(world.patch(&world.admin, &record.path, Some("\"7\""), &owner).await.expect(412).code(), "revision_changed");
            for other in ["\"x\"", "W/\"1\"", "\"7\", W/\"1\""] {
                world.patch(&world.admin, &record.path, Some(other), &owner).await.expect(412);
            }
            for malformed in ["7", "*, \"1\"", "\"1"] {
                world.patch(&world.admin, &record.path, Some(malformed), &owner).await.expect(400);
            }
            world.patch(&world.admin, &record.path, Some(&etag), &json!({"owner": heir, "standing": "closed"})).await.expect(400);
            world.patch(&world.admin, &record.path, Some(&etag), &json!({"name": "other"})).await.expect(400);
            assert_eq!(world.changes().await.len(), before, "{}: nothing was changed", record.noun);
            let changed = world.patch(&world.admin, &record.path, Some(&format!("\"7\", {etag}")), &owner).await.expect(200);
            assert!(changed.text("/owner") == heir && changed.body["revision"] == 2 && changed.body["log"].is_object());
            let event = format!("{}.updated", record.noun.replace('-', "_"));
            let event = &world.events_of(&event, &record.id).await[0]["data"];
            assert_eq!((&event["before"], &event["after"]), (&json!({"owner": world.owner_id}), &owner));
            world.patch(&world.admin, &record.path, Some(&etag), &owner).await.expect(412);
            let stale = world.update(record, &["--owner", &world.owner_id, "--revision", "1"]);
            let said = String::from_utf8_lossy(&stale.stderr);
            assert!(!stale.status.success() && said.contains("the record is at revision 2 now"), "{said}");
        }
        let (application, vendor) = (&all[0], &all[1]);
        for record in [application, vendor] {
            let refused = world.patch(&world.admin, &record.path, Some("*"), &json!({})).await.expect(422);
            assert_eq!(refused.body["fields"][0]["code"], "nothing_to_change");
        }
        assert_eq!(world.update(application, &[]).status.code(), Some(2));
        assert!(world.update(vendor, &["--contact", "soc@example.com"]).status.success());
        let vendor_is = world.get(&world.admin, &vendor.path).await.expect(200);
        assert_eq!((vendor_is.text("/contact"), vendor_is.text("/owner")), ("soc@example.com".to_owned(), heir));
        world.patch(&world.admin, &vendor.path, Some("*"), &json!({"contact": " "})).await.expect(422);
        world.post(&world.admin, &format!("{}/end", vendor.path), json!({"reason": "over"})).await.expect(200);
        let refused = world.patch(&world.admin, &vendor.path, Some("*"), &json!({"contact": "y"})).await.expect(409);
        assert_eq!(refused.code(), "illegal_transition");
    }
}

on_one! {
    async fn d08_a_resource_is_narrowed_at_once_and_widened_by_another_administrator(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "restricted"})).await.expect(201);
        let body = json!({"uri": "https://ledger.internal", "type": "database", "actions": ["read", "write"], "application": world.application, "environment": "production", "verification": "online"});
        let ledger = world.post(&world.admin, "/v1/resources", body).await.expect(201).text("/id");
        let path = format!("/v1/resources/{ledger}");
        let mut charter = world.charter(Key::new().jwk());
        charter["scope"] = json!([{"actions": ["read"], "resource": ledger}]);
        let reader = world.active("reader", charter).await;
        assert_eq!(world.patch(&world.admin, &path, None, &json!({"actions": ["read"]})).await.expect(428).code(), "if_match_required");
        assert_eq!(world.patch(&world.admin, &path, Some("\"2\""), &json!({"actions": ["read"]})).await.expect(412).code(), "revision_changed");
        for (wrong, code) in [(json!({}), "nothing_to_change"), (json!({"actions": []}), "actions_malformed"), (json!({"data_domains": ["nothing"]}), "data_domain_unknown")] {
            assert_eq!(world.patch(&world.admin, &path, Some("*"), &wrong).await.expect(422).body["fields"][0]["code"], code);
        }
        // A domain more, and with it another tier for whoever reaches it.
        world.patch(&world.admin, &path, Some("*"), &json!({"actions": ["read"], "data_domains": ["sales"]})).await.expect(200);
        world.until(async || world.get(&world.security, &format!("/v1/identities/{reader}")).await.expect(200).text("/tier") == "high").await;
        // Wider, in each way, it takes another administrator, and a need.
        let (_, other) = world.person("Bo", &["administrator"]).await;
        let wider = [
            json!({"actions": ["read", "write"]}),
            json!({"data_domains": []}),
            json!({"verification": "offline"}),
            json!({"when_unreachable": "accept"}),
        ];
        let before = world.changes().await.len();
        for wide in &wider {
            let refused = world.patch(&world.admin, &path, Some("\"2\""), wide).await.expect(422);
            assert_eq!(refused.body["fields"][0]["code"], "purpose_missing");
        }
        let unknown = json!({"actions": ["Write!"], "data_domains": ["nothing"], "purpose": "x"});
        world.patch(&world.admin, &path, Some("\"2\""), &unknown).await.expect(422);
        assert_eq!(world.changes().await.len(), before);
        let mut asked = Vec::new();
        for mut wide in wider {
            wide["purpose"] = json!("the auditors' export");
            let opened = world.patch(&world.admin, &path, Some("\"2\""), &wide).await.expect(201);
            assert_eq!((opened.text("/state"), opened.text("/workflow")), ("open".to_owned(), "administration.inventory".to_owned()));
            asked.push(opened.text("/id"));
        }
        assert_eq!(world.etag(&path).await, "\"2\"");
        // Approved is the change of what was read, and of nothing that became of it since.
        assert_eq!(world.approve(&other, &asked[1]).await.expect(200).text("/state"), "fulfilled");
        assert_eq!(world.get(&world.admin, &path).await.expect(200).body["data_domains"], json!([]));
        let reader_is = format!("/v1/identities/{reader}");
        world.until(async || world.get(&world.security, &reader_is).await.expect(200).text("/tier") == "medium").await;
        let event = &world.events_of("identity.tier_changed", &reader).await[1]["data"];
        assert_eq!((&event["resource"], &event["new"]), (&json!(ledger), &json!("medium")));
        for late in [&asked[0], &asked[2], &asked[3]] {
            assert_eq!(world.approve(&other, late).await.expect(409).code(), "request_changed");
        }
        let stale = json!({"type": "inventory", "revision": 2, "change": {"kind": "resource", "id": ledger, "actions": ["read", "write"], "data_domains": [], "verification": "online", "when_unreachable": "deny"}});
        assert_eq!(world.ask(&world.admin, stale, "write").await.expect(409).code(), "request_changed");
        assert_eq!(world.etag(&path).await, "\"3\"");
        let event = &world.events_of("resource.updated", &ledger).await[0]["data"];
        assert_eq!((&event["before"], &event["after"]), (&json!({"actions": ["read", "write"], "data_domains": []}), &json!({"actions": ["read"], "data_domains": ["sales"]})));
        // A token that is out loses its action in the same moment.
        let (exporter, key) = world.exporter("exporter").await;
        let token = world.token(&key, &exporter, "production").await;
        assert!(world.is_live(&token).await);
        let path = format!("/v1/resources/{}", world.orders);
        let known = world.get(&world.admin, &path).await.expect(200).body["actions"].clone();
        let left: Vec<&Value> = known.as_array().unwrap().iter().filter(|action| **action != "read").collect();
        world.patch(&world.admin, &path, Some("*"), &json!({"actions": left})).await.expect(200);
        assert!(!world.is_live(&token).await);
    }
}

on_one! {
    async fn d08_a_contract_allows_less_at_once_and_more_by_another_administrator(world: World) {
        for domain in ["sales", "orders"] {
            world.post(&world.admin, "/v1/data-domains", json!({"name": domain, "sensitivity": "internal"})).await.expect(201);
        }
        let end = crate::world::in_secs(60 * 86_400);
        let body = json!({"name": "acme", "contact": "soc@acme.example", "owner": world.owner_id, "data_domains": ["sales", "orders"], "ends_at": end});
        let vendor = world.post(&world.admin, "/v1/vendors", body).await.expect(201).text("/id");
        let path = format!("/v1/vendors/{vendor}");
        let (rae, requester) = world.person("Rae", &["requester"]).await;
        let integration = async |name: &str, domains: Value| {
            let mut charter = world.charter(Key::new().jwk());
            (charter["vendor"], charter["data_domains"]) = (json!(vendor), domains);
            charter["parties"]["requester"] = json!(rae);
            let body = json!({"kind": "integration", "name": name, "charter": charter, "stage": "pending"});
            let made = world.post(&requester, "/v1/identities", body).await.expect(201);
            for token in [&world.owner, &world.security] {
                world.approve(token, &made.text("/request")).await.expect(200);
            }
            made.text("/id")
        };
        let (both, one) = (integration("both", json!(["sales", "orders"])).await, integration("one", json!(["sales"])).await);
        let charter = async |id: &str| world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).body.clone();
        assert_eq!((&charter(&both).await["state"], &charter(&one).await["state"]), (&json!("active"), &json!("active")));
        for (wrong, code) in [
            (json!({}), "nothing_to_change"),
            (json!({"data_domains": []}), "data_domains_missing"),
            (json!({"data_domains": ["nothing"]}), "data_domain_unknown"),
            (json!({"ends_at": "2020-01-01T00:00:00Z"}), "end_past"),
            (json!({"ends_at": null}), "purpose_missing"),
        ] {
            assert_eq!(world.patch(&world.admin, &path, Some("*"), &wrong).await.expect(422).body["fields"][0]["code"], code);
        }
        // Less: the charters keep to it, and what nothing is left of stops.
        let sooner = crate::world::in_secs(7 * 86_400);
        world.patch(&world.admin, &path, Some("*"), &json!({"data_domains": ["orders"], "ends_at": sooner})).await.expect(200);
        world.until(async || charter(&both).await["charter"]["data_domains"] == json!(["orders"])).await;
        assert_eq!(charter(&both).await["charter"]["expires_at"], json!(sooner));
        assert_eq!(charter(&both).await["state"], "active");
        world.until(async || charter(&one).await["state"] == "suspended").await;
        let resume = json!({"reason": "it may"});
        assert_eq!(world.post(&world.security, &format!("/v1/identities/{one}/resume"), resume).await.expect(403).code(), "need_ended");
        // More: another administrator, of what was read.
        let (_, other) = world.person("Bo", &["administrator"]).await;
        let more = json!({"data_domains": ["orders", "sales"], "ends_at": null, "contact": "desk@acme.example", "purpose": "a year more"});
        let asked = world.patch(&world.admin, &path, Some("\"2\""), &more).await.expect(201);
        assert_eq!((asked.text("/state"), asked.text("/route")), ("open".to_owned(), "administrator".to_owned()));
        assert_eq!(world.get(&world.admin, &path).await.expect(200).body["data_domains"], json!(["orders"]));
        let asked = asked.text("/id");
        let brief = world.get(&other, &format!("/v1/requests/{asked}")).await.expect(200).body["brief"].to_string();
        assert!(brief.contains("sales") && brief.contains("desk@acme.example"), "{brief}");
        assert_eq!(world.approve(&world.admin, &asked).await.expect(403).code(), "self_approval");
        assert_eq!(world.approve(&other, &asked).await.expect(200).text("/state"), "fulfilled");
        let now = world.get(&world.admin, &path).await.expect(200).body;
        assert_eq!((&now["data_domains"], &now["ends_at"], &now["contact"]), (&json!(["orders", "sales"]), &Value::Null, &json!("desk@acme.example")));
        let event = &world.events_of("vendor.updated", &vendor).await[1]["data"];
        assert!(event["request"] == json!(asked) && event["approved_by"].as_array().unwrap().len() == 1, "{event}");
        // What was narrowed stays so until somebody asks for more.
        assert_eq!(charter(&both).await["charter"]["data_domains"], json!(["orders"]));
    }

    async fn d08_a_package_gives_less_at_once_and_more_by_another_administrator(world: World) {
        let path = "/v1/packages/clerk";
        let package = |actions: Value, at_most: &str| json!({"description": "clerk", "max_duration": at_most, "entitlements": [{"actions": actions, "resource": world.orders}]});
        let put = async |if_match: Option<&str>, body: Value| world.at(reqwest::Method::PUT, &world.admin, path, if_match, &body).await;
        assert_eq!(put(Some("*"), package(json!(["read"]), "90d")).await.expect(412).code(), "revision_changed");
        put(None, package(json!(["read"]), "90d")).await.expect(200);
        assert_eq!(put(None, package(json!(["read"]), "90d")).await.expect(428).code(), "if_match_required");
        let (_, other) = world.person("Bo", &["administrator"]).await;
        put(Some(&world.etag(path).await), package(json!(["read"]), "30d")).await.expect(200);
        let later = |after: &str| {
            let mut stepwise = package(json!(["read"]), "30d");
            stepwise["steps"] = json!([{"after": after, "entitlements": [{"actions": ["write"], "resource": world.orders}]}]);
            stepwise
        };
        for mut wider in [package(json!(["read", "write"]), "30d"), package(json!(["read"]), "31d"), later("10d")] {
            assert_eq!(put(Some("\"2\""), wider.clone()).await.expect(422).field_codes(), ["purpose_missing"]);
            wider["purpose"] = json!("clerks book, too");
            assert_eq!(put(Some("\"2\""), wider).await.expect(201).text("/state"), "open");
        }
        assert_eq!(world.etag(path).await, "\"2\"");
        let mut wider = later("10d");
        wider["purpose"] = json!("clerks book, too");
        let asked = put(Some("\"2\""), wider).await.expect(201).text("/id");
        assert_eq!(world.approve(&world.admin, &asked).await.expect(403).code(), "self_approval");
        assert_eq!(world.approve(&other, &asked).await.expect(200).text("/state"), "fulfilled");
        assert_eq!(world.get(&world.admin, path).await.expect(200).body["steps"][0]["after"], "10d");
        // Earlier is more, later is less.
        assert_eq!(put(Some("\"3\""), later("9d")).await.expect(422).field_codes(), ["purpose_missing"]);
        put(Some("\"3\""), later("11d")).await.expect(200);
    }
}

on_one! {
    async fn d08_that_data_counts_as_less_sensitive_is_said_by_two(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "restricted"})).await.expect(201);
        let (path, key) = ("/v1/data-domains/sales", Key::new());
        let mut charter = world.charter(key.jwk());
        charter["data_domains"] = json!(["sales"]);
        charter["expires_at"] = json!(crate::world::in_secs(20 * 86_400));
        let id = world.register("reader", charter, "pending").await.expect(201).text("/id");
        let (_, other) = world.person("Bo", &["administrator"]).await;
        let put = async |token: &str, body: Value| world.put(token, path, body).await;
        let before = world.changes().await.len();
        assert_eq!(put(&world.admin, json!({"sensitivity": "public"})).await.expect(422).body["fields"][0]["code"], "purpose_missing");
        put(&world.security, json!({"sensitivity": "public", "purpose": "x"})).await.expect(403);
        assert_eq!(world.changes().await.len(), before);
        let lower = json!({"sensitivity": "public", "purpose": "it was published"});
        let first = put(&world.admin, lower.clone()).await.expect(201);
        let asked = first.text("/id");
        assert_eq!((first.text("/state"), first.text("/route")), ("open".to_owned(), "administrator".to_owned()));
        let brief = world.get(&other, &format!("/v1/requests/{asked}")).await.expect(200).body["brief"].clone();
        let fact = json!({"field": "sensitivity", "value": "public", "before": "restricted"});
        assert!(brief["facts"].as_array().unwrap().contains(&fact), "{brief}");
        for (token, code) in [(&world.admin, "self_approval"), (&world.security, "not_eligible")] {
            assert_eq!(world.approve(token, &asked).await.expect(403).code(), code);
        }
        assert_eq!(world.get(&world.admin, path).await.expect(200).text("/sensitivity"), "restricted");
        // Whatever is said of it meanwhile, the change that was asked for is of what was read.
        put(&other, json!({"sensitivity": "restricted"})).await.expect(200);
        assert_eq!(world.approve(&other, &asked).await.expect(409).code(), "request_changed");
        let again = put(&world.admin, lower).await.expect(201).text("/id");
        assert_eq!(world.approve(&other, &again).await.expect(200).text("/state"), "fulfilled");
        assert_eq!(world.get(&world.admin, path).await.expect(200).text("/sensitivity"), "public");
        world.until(async || world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).text("/tier") == "medium").await;
        let lowered = world.events_of("data_domain.classified", "sales").await.pop().unwrap()["data"].clone();
        assert!(lowered["request"] == json!(again) && lowered["approved_by"].as_array().unwrap().len() == 1, "{lowered}");
        assert_eq!(lowered["notify"]["roles"], json!(["security", "administrator"]));
    }

    async fn d08_a_policy_set_from_before_says_what_it_lacks(world: World) {
        world.post(&world.admin, "/v1/data-domains", json!({"name": "sales", "sensitivity": "restricted"})).await.expect(201);
        let text = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
        let before = text.replace(", \"inventory\"]", "]");
        assert_ne!(before, text);
        world.post(&world.admin, "/v1/policies", json!({"text": before, "purpose": "ours"})).await.expect(201);
        let put = async |body: Value| world.put(&world.admin, "/v1/data-domains/sales", body).await;
        let refused = put(json!({"sensitivity": "public", "purpose": "x"})).await.expect(403);
        assert_eq!(refused.code(), "no_route");
        assert!(refused.text("/detail").contains("route_administrator for the matter inventory"), "{}", refused.body);
        assert_eq!(world.get(&world.admin, "/v1/data-domains/sales").await.expect(200).text("/sensitivity"), "restricted");
    }

    async fn d08_an_environment_becomes_production_at_once_and_stops_being_it_by_two(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let path = "/v1/environments/production";
        let tier = async || world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).text("/tier");
        let (_, other) = world.person("Bo", &["administrator"]).await;
        let away = json!({"production": false, "purpose": "a stage from now on"});
        assert_eq!(world.patch(&world.admin, path, None, &away).await.expect(428).code(), "if_match_required");
        for (wrong, code) in [(json!({}), "nothing_to_change"), (json!({"production": false}), "purpose_missing")] {
            assert_eq!(world.patch(&world.admin, path, Some("*"), &wrong).await.expect(422).body["fields"][0]["code"], code);
        }
        world.patch(&world.owner, path, Some("*"), &away).await.expect(403);
        let asked = world.patch(&world.admin, path, Some("*"), &away).await.expect(201).text("/id");
        assert!(world.get(&world.admin, path).await.expect(200).body["production"] == true && tier().await == "medium");
        world.approve(&world.admin, &asked).await.expect(403);
        assert_eq!(world.approve(&other, &asked).await.expect(200).text("/state"), "fulfilled");
        world.until(async || tier().await == "low").await;
        let event = &world.events_of("environment.updated", "production").await[0]["data"];
        assert_eq!((&event["before"], &event["after"], &event["request"]), (&json!({"production": true}), &json!({"production": false}), &json!(asked)));
        // Back, without asking anybody.
        world.patch(&world.admin, path, Some("*"), &json!({"production": true})).await.expect(200);
        world.until(async || tier().await == "medium").await;
        // What signs is what verifiers had time to fetch.
        let signed_with = async || {
            use base64::Engine as _;
            let token = world.token(&key, &id, "production").await;
            let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&header).unwrap()["alg"].as_str().unwrap().to_owned()
        };
        world.patch(&world.admin, path, Some("*"), &json!({"signing_algorithm": "ES256"})).await.expect(200);
        assert_eq!(signed_with().await, "EdDSA");
        world.pass(3).await;
        assert_eq!(signed_with().await, "ES256");
    }
}

impl World {
    /// A record's revision, as a change of it sends it back.
    async fn etag(&self, path: &str) -> String {
        let read = self.get(&self.admin, path).await.expect(200);
        read.headers["etag"].to_str().unwrap().to_owned()
    }
}
