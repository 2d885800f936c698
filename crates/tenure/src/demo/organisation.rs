//! Loads the organisation from its files, by the same calls that anybody would make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tenure_client::assertion::{WorkloadKey, sign_enrolment};
use tenure_core::base::time::{Clock, Timestamp};
use tenure_credentials::entropy::OsEntropy;

use super::clock::PastClock;
use super::files::{self, Places};
use super::page::say;
use super::wire::{Speaker, Wire};

/// Somebody of the organisation.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their id.
    pub id: String,
    /// Their operator token; empty for who does nothing in the story.
    pub token: String,
}

impl Person {
    /// Them, speaking.
    pub fn speaks(&self) -> Speaker<'_> {
        Speaker { name: self.name.split(' ').next().unwrap_or_default(), token: &self.token }
    }
}

/// The organisation, and the way to its server.
pub struct Organisation {
    /// The wire.
    pub wire: Wire,
    /// The time that its server has.
    pub clock: Arc<PastClock>,
    /// The day from which the files count.
    pub now: Timestamp,
    /// When operator tokens were handed out.
    pub tokens_since: Timestamp,
    /// What the files' places stand for.
    pub places: Places,
    people: BTreeMap<String, Person>,
    keys: BTreeMap<String, WorkloadKey>,
}

impl Organisation {
    /// An empty one: the server's first administrator is made, with the token that it left in its folder.
    pub async fn found(wire: Wire, folder: &Path, clock: Arc<PastClock>) -> anyhow::Result<Self> {
        let setup_token =
            std::fs::read_to_string(folder.join("setup-token")).context("the server left no set-up token")?;
        let name = "Ada Lindqvist";
        let body = json!({"setup_token": setup_token, "name": name, "email": "ada@harbour.example"});
        let issuer = format!("{}/env/production", wire.url());
        let done = wire
            .aloud(Speaker { name: "Ada", token: "" }, Method::POST, "/v1/setup", Some(&body), &["/person/state"])
            .await?;
        ensure!(done.status == 201, "set-up was refused");
        let token = done.text("/operator_token")?;
        crate::server::write_secret(&folder.join("operator-token"), &token)?;
        let id = done.text("/person/id")?;
        let mut this = Self {
            wire,
            now: clock.now(),
            tokens_since: clock.now(),
            clock,
            places: Places::default(),
            people: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        this.places.ids.insert("server:production".into(), issuer);
        this.know("ada", name, &id, token);
        Ok(this)
    }

    fn know(&mut self, handle: &str, name: &str, id: &str, token: String) {
        self.places.ids.insert(format!("person:{handle}"), id.to_owned());
        self.wire.call(id, name.split(' ').next().unwrap_or(name));
        let person = Person { name: name.to_owned(), id: id.to_owned(), token };
        self.people.insert(handle.to_owned(), person);
    }

    /// Somebody, by the name before the @ of their address.
    pub fn person(&self, handle: &str) -> anyhow::Result<&Person> {
        self.people.get(handle).with_context(|| format!("the feed has nobody called {handle}"))
    }

    /// The token of an administrator.
    fn ada(&self) -> anyhow::Result<&str> {
        Ok(&self.person("ada")?.token)
    }

    /// The key of an identity of the files.
    pub fn key(&self, name: &str) -> anyhow::Result<&WorkloadKey> {
        self.keys.get(name).with_context(|| format!("no key of {name} was made"))
    }

    /// People as HR knows them. Ada was there before: whether she is the same is a question, and no address answers it.
    pub async fn hire(&mut self) -> anyhow::Result<()> {
        let ada = self.person("ada")?.clone();
        let content = files::fill_feed(files::PEOPLE, self.now)?;
        let body = json!({"source": "hr", "complete": true, "format": "csv", "content": content});
        let done = self
            .wire
            .aloud(ada.speaks(), Method::POST, "/v1/people/import", Some(&body), &["/rows", "/teams_made"])
            .await?;
        ensure!(done.status == 200, "the feed was refused: {}", done.body);
        say!("    No feed confers a role: they are people, and may do nothing yet.")?;
        let open = self.wire.get(&ada.token, "/v1/differences?state=open").await?;
        let question = open.text("/items/0/id")?;
        ensure!(
            open.items().count() == 1 && open.text("/items/0/kind/type")? == "looks_like",
            "the feed raised other questions"
        );
        say!("    HR lists somebody with Ada's address. No address makes two records one person: it is a question.")?;
        let path = format!("/v1/differences/{question}/decide");
        let body = json!({"decision": "bind"});
        let bound =
            self.wire.aloud(ada.speaks(), Method::POST, &path, Some(&body), &["/kind/type", "/source_key"]).await?;
        ensure!(bound.status == 200, "the question could not be answered: {}", bound.body);
        let teams = self.wire.get(&ada.token, "/v1/teams?limit=200").await?;
        for team in teams.items() {
            let text = |name: &str| team.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            self.places.ids.insert(format!("team:{}", text("name")), text("id"));
        }
        let everybody = self.wire.get(&ada.token, "/v1/people?source=hr&limit=200").await?;
        for person in everybody.items() {
            let text = |name: &str| person.get(name).and_then(Value::as_str).unwrap_or_default();
            let handle = text("email").split('@').next().unwrap_or_default();
            if handle != "ada" {
                self.know(handle, text("name"), text("id"), String::new());
            }
        }
        Ok(())
    }

    /// Roles, each by a request. Ada makes the second administrator alone, and the record says so; from then on it
    /// takes both.
    pub async fn appoint(&mut self, folder: &Path) -> anyhow::Result<()> {
        let ada = self.person("ada")?.clone();
        let file: Value = serde_json::from_str(files::ORGANISATION)?;
        let roles = file.get("roles").and_then(Value::as_object).context("organisation.json has no roles")?;
        for handle in roles.keys().map(String::as_str).chain(["pia"]) {
            let id = self.person(handle)?.id.clone();
            let made = self.wire.post(&ada.token, &format!("/v1/people/{id}/operator-tokens"), json!({})).await?;
            self.hand_out(folder, handle, made.text("/operator_token")?)?;
        }
        let parts = ["/state", "/single_person"];
        say!(
            "    The first administrator makes the second alone, and the record says so. From then on a role takes both."
        )?;
        let bea = self.person("bea")?.clone();
        let body = json!({"roles": roles.get("bea"), "purpose": "so that no administrator acts alone"});
        let path = format!("/v1/people/{}/roles", bea.id);
        let alone = self.wire.aloud(ada.speaks(), Method::POST, &path, Some(&body), &parts).await?;
        ensure!(
            alone.text("/state")? == "fulfilled" && alone.at("/single_person") == &json!(true),
            "Bea is no administrator"
        );
        for (handle, wanted) in roles.iter().filter(|(handle, _)| *handle != "bea") {
            let body = json!({"roles": wanted, "purpose": "the job that they do"});
            let path = format!("/v1/people/{}/roles", self.person(handle)?.id);
            // One of them is shown, and stands for the others.
            if handle == "max" {
                let asked = self.wire.aloud(ada.speaks(), Method::POST, &path, Some(&body), &parts).await?;
                ensure!(asked.text("/state")? == "open", "one administrator was enough");
                let request = asked.text("/id")?;
                self.vote_aloud(&ada, &request, 403, &["/code"]).await?;
                self.vote_aloud(&bea, &request, 200, &parts).await?;
            } else {
                let asked = self.wire.post(&ada.token, &path, body).await?;
                self.vote(&bea, &asked.text("/id")?).await?;
            }
        }
        Ok(())
    }

    /// Hands new operator tokens to everybody who had one, as long as that is, or eight hours; whoever has left gets
    /// none.
    pub async fn renew_tokens(&mut self, folder: &Path, ttl: Option<&str>) -> anyhow::Result<()> {
        let ada = self.ada()?.to_owned();
        let holders = self.people.iter().filter(|(_, person)| !person.token.is_empty());
        let holders: Vec<_> = holders.map(|(handle, person)| (handle.clone(), person.id.clone())).collect();
        for (handle, id) in holders {
            let path = format!("/v1/people/{id}/operator-tokens");
            let made = self.wire.quiet(Method::POST, &ada, &path, Some(&json!({"ttl": ttl}))).await?;
            if made.status == 422 {
                continue;
            }
            ensure!(made.status == 201, "{handle} got no token: {}", made.body);
            self.hand_out(folder, &handle, made.text("/operator_token")?)?;
        }
        self.tokens_since = self.clock.now();
        Ok(())
    }

    /// Leaves somebody's token where whoever looks around finds it.
    fn hand_out(&mut self, folder: &Path, handle: &str, token: String) -> anyhow::Result<()> {
        let place = folder.join("people");
        std::fs::create_dir_all(&place)?;
        crate::server::write_secret(&place.join(format!("{handle}.token")), &token)?;
        if handle == "ada" {
            crate::server::write_secret(&folder.join("operator-token"), &token)?;
        }
        if let Some(person) = self.people.get_mut(handle) {
            person.token = token;
        }
        Ok(())
    }

    /// Knows identities no longer that are none of the story's.
    pub fn forget(&mut self, names: &[String]) {
        for name in names {
            self.places.ids.remove(&format!("identity:{name}"));
            self.keys.remove(name);
        }
    }

    /// Environments, data domains, applications, third parties, resources, standards, templates and packages.
    pub async fn furnish(&mut self) -> anyhow::Result<()> {
        let mut file: Map<String, Value> = serde_json::from_str(files::ORGANISATION)?;
        for (noun, path) in [
            ("environment", "/v1/environments"),
            ("data_domain", "/v1/data-domains"),
            ("application", "/v1/applications"),
            ("vendor", "/v1/vendors"),
            ("cloud_account", "/v1/cloud-accounts"),
            ("resource", "/v1/resources"),
        ] {
            for mut record in listed(&mut file, &format!("{noun}s"))? {
                self.places.fill_value(&mut record, self.now, None)?;
                // A resource is known by its URI; its name is the files' own.
                let (name, record) = match noun {
                    "resource" => without(record, "name")?,
                    "cloud_account" => (record.get("account").cloned().unwrap_or_default(), record),
                    _ => (record.get("name").cloned().unwrap_or_default(), record),
                };
                let made = self.wire.post(self.ada()?, path, record).await?;
                let name = name.as_str().with_context(|| format!("a {noun} has no name"))?;
                if let Some(id) = made.at("/id").as_str() {
                    self.wire.call(id, name);
                    self.places.ids.insert(format!("{noun}:{name}"), id.to_owned());
                }
                if let Some(uri) = made.at("/uri").as_str() {
                    self.places.ids.insert(format!("resource-uri:{name}"), uri.to_owned());
                }
            }
        }
        for (kind, standard) in keyed(&mut file, "naming_standards")? {
            self.wire.put(self.ada()?, &format!("/v1/naming-standards/{kind}"), standard).await?;
        }
        for mut template in listed(&mut file, "templates")? {
            self.places.fill_value(&mut template, self.now, None)?;
            let name = template.get("name").and_then(Value::as_str).context("a template has no name")?.to_owned();
            let body = json!({"template": template, "purpose": "what teams ask for most"});
            let asked = self.wire.put(self.ada()?, &format!("/v1/templates/{name}"), body).await?;
            self.vote(self.person("bea")?, &asked.text("/id")?).await?;
        }
        for (name, mut package) in keyed(&mut file, "packages")? {
            self.places.fill_value(&mut package, self.now, None)?;
            self.wire.put(self.ada()?, &format!("/v1/packages/{name}"), package).await?;
        }
        Ok(())
    }

    /// Every identity of the files: handed in by whom it names as the one who asks, approved by whoever its way of
    /// approval wants.
    pub async fn populate(&mut self) -> anyhow::Result<()> {
        for text in files::IDENTITIES {
            let mut file: Map<String, Value> = serde_json::from_str(text)?;
            let kind = file.get("kind").and_then(Value::as_str).context("a file of identities has no kind")?.to_owned();
            let common = file.get("charter").cloned().unwrap_or_default();
            for entry in listed(&mut file, "identities")? {
                let name = entry.get("name").and_then(Value::as_str).context("an identity has no name")?.to_owned();
                self.register(&kind, &name, &common, &entry).await.with_context(|| format!("{name} of the files"))?;
            }
        }
        Ok(())
    }

    /// Registers an identity as a file describes it, and has it approved as it needs.
    pub async fn register(&mut self, kind: &str, name: &str, common: &Value, entry: &Value) -> anyhow::Result<()> {
        let key = WorkloadKey::generate();
        let jwk = key.public_jwk();
        let template = entry.get("template");
        let mut charter = if template.is_some() { json!({}) } else { common.clone() };
        merge(&mut charter, entry.get("charter"));
        self.places.fill_value(&mut charter, self.now, Some(&jwk))?;
        let owner = match charter.get("owner").and_then(Value::as_str) {
            Some(owner) => owner.to_owned(),
            // A template names its own owner.
            None => self.person("mia")?.id.clone(),
        };
        if let Some(parties) = charter.get_mut("parties").and_then(Value::as_object_mut) {
            parties.entry("requester").or_insert_with(|| json!(owner));
        }
        let asker = charter.pointer("/parties/requester").and_then(Value::as_str).unwrap_or(&owner);
        let asker = self.by_id(asker)?.token.clone();
        let stage = match (template, entry.get("exception")) {
            (Some(_), _) => "active",
            (None, Some(_)) => "draft",
            (None, None) => "pending",
        };
        let mut body = json!({"kind": kind, "name": name, "charter": charter, "stage": stage});
        if let (Some(template), Some(body)) = (template, body.as_object_mut()) {
            body.insert("template".into(), template.clone());
        }
        let made = self.wire.post(&asker, "/v1/identities", body).await?;
        let id = made.text("/id")?;
        let request = match entry.get("exception") {
            Some(exception) => Some(self.except(&asker, &id, exception).await?),
            None => made.at("/request").as_str().map(str::to_owned),
        };
        if let Some(request) = request {
            self.settle(&request).await?;
        }
        if charter.pointer("/workload_binding/type") == Some(&json!("join_token")) {
            self.enrol(&self.by_id(&owner)?.token, &id, &key).await?;
        }
        for grant in entry.get("grants").and_then(Value::as_array).into_iter().flatten() {
            self.grant(&asker, &id, grant).await?;
        }
        self.places.ids.insert(format!("identity:{name}"), id);
        self.keys.insert(name.to_owned(), key);
        Ok(())
    }

    /// Has an exception approved for a draft, and hands that in; its request.
    async fn except(&self, asker: &str, id: &str, exception: &Value) -> anyhow::Result<String> {
        let mut body = exception.clone();
        merge(&mut body, Some(&json!({"subject": {"type": "identity", "id": id}})));
        let proposed = self.wire.post(asker, "/v1/exceptions", body).await?;
        self.settle(&proposed.text("/request")?).await?;
        let handed_in = self.wire.post(asker, &format!("/v1/identities/{id}/submit"), json!({})).await?;
        handed_in.text("/request")
    }

    /// What a device does when it is set up.
    async fn enrol(&self, owner: &str, id: &str, key: &WorkloadKey) -> anyhow::Result<()> {
        let join = self.wire.post(owner, &format!("/v1/identities/{id}/join-tokens"), json!({})).await?;
        let token = join.text("/join_token")?;
        let proof = sign_enrolment(key, &token, &join.text("/audience")?, self.clock.now(), &OsEntropy)?;
        let body = json!({"join_token": token, "jwk": key.public_jwk(), "proof": proof});
        self.wire.post("", "/v1/enrol", body).await.map(drop)
    }

    async fn grant(&self, asker: &str, id: &str, grant: &Value) -> anyhow::Result<()> {
        let mut grant = grant.clone();
        self.places.fill_value(&mut grant, self.now, None)?;
        let part = |name: &str| grant.get(name).cloned().unwrap_or_default();
        let entitlement = json!({"actions": part("actions"), "resource": part("resource")});
        let matter =
            json!({"type": "access", "identity": id, "entitlement": entitlement, "duration": part("duration")});
        let asked =
            self.wire.post(asker, "/v1/requests", json!({"matter": matter, "purpose": part("purpose")})).await?;
        self.settle(&asked.text("/id")?).await
    }

    /// Lets everybody vote whom a request waits for.
    pub async fn settle(&self, request: &str) -> anyhow::Result<()> {
        let sam = self.person("sam")?;
        let path = format!("/v1/requests/{request}");
        // At most as many votes as a route has places.
        for _ in 0..3 {
            let open = self.wire.get(&sam.token, &path).await?;
            if open.text("/state")? != "open" {
                return Ok(());
            }
            let place = open.at("/waits_for/0").to_string();
            let voter = match place.as_str() {
                place if place.contains("manager") => self.by_id(&open.text("/manager")?)?,
                place if place.contains("owner") => self.by_id(&open.text("/owner")?)?,
                _ => sam,
            };
            self.vote(voter, request).await?;
        }
        bail!("{request} is still open after everybody's vote")
    }

    /// Somebody, by id.
    pub fn by_id(&self, id: &str) -> anyhow::Result<&Person> {
        let found = self.people.values().find(|person| person.id == id);
        found.with_context(|| format!("nobody in the organisation is {id}"))
    }

    /// Somebody reads a request and approves what they read.
    async fn vote(&self, voter: &Person, request: &str) -> anyhow::Result<()> {
        let path = format!("/v1/requests/{request}");
        let hash = self.wire.get(&voter.token, &path).await?.text("/content_hash")?;
        self.wire.post(&voter.token, &format!("{path}/approve"), json!({"content_hash": hash})).await.map(drop)
    }

    /// The same aloud, with the status that it has to give.
    pub async fn vote_aloud(
        &self,
        voter: &Person,
        request: &str,
        status: u16,
        parts: &[&str],
    ) -> anyhow::Result<super::wire::Answer> {
        let path = format!("/v1/requests/{request}");
        let hash = self.wire.get(&voter.token, &path).await?.text("/content_hash")?;
        let body = json!({"content_hash": hash});
        let answer =
            self.wire.aloud(voter.speaks(), Method::POST, &format!("{path}/approve"), Some(&body), parts).await?;
        ensure!(answer.status == status, "the vote of {} gave {}: {}", voter.name, answer.status, answer.body);
        Ok(answer)
    }

    /// How many identities there are of each kind and tier.
    pub async fn census(&self) -> anyhow::Result<()> {
        let page = self.wire.get(self.ada()?, "/v1/identities?limit=200&state=active").await?;
        let known = self.places.ids.iter().filter(|(name, _)| name.starts_with("identity:"));
        let known: BTreeSet<&str> = known.map(|(_, id)| id.as_str()).collect();
        let is_known =
            |identity: &&Value| identity.get("id").and_then(Value::as_str).is_some_and(|id| known.contains(id));
        let active = page.items().filter(is_known).count();
        ensure!(active == known.len(), "of {} identities {active} are active", known.len());
        let mut counts: BTreeMap<String, [usize; 3]> = BTreeMap::new();
        for identity in page.items() {
            let text = |name: &str| identity.get(name).and_then(Value::as_str).unwrap_or_default();
            let [low, medium, high] = counts.entry(text("kind").to_owned()).or_default();
            match text("tier") {
                "low" => *low += 1,
                "medium" => *medium += 1,
                "high" => *high += 1,
                other => bail!("{} has the tier {other}", text("name")),
            }
        }
        ensure!(counts.len() == 7, "not every kind of identity is there");
        let heading = ["identities", "low risk", "medium", "high"].map(str::to_owned).to_vec();
        let mut rows = vec![heading];
        let mut sums = [0; 3];
        for (kind, tiers) in &counts {
            rows.push(row(kind, tiers));
            sums.iter_mut().zip(tiers).for_each(|(sum, count)| *sum += count);
        }
        rows.push(row("together", &sums));
        super::page::table(&rows)?;
        let nouns = [
            ("person", "people"),
            ("application", "applications"),
            ("resource", "resources"),
            ("vendor", "vendors"),
            ("cloud_account", "cloud accounts"),
        ];
        let counted = nouns.map(|(noun, many)| {
            let count = self.places.ids.keys().filter(|name| name.split(':').next() == Some(noun)).count();
            format!("{count} {many}")
        });
        say!("    besides {}", counted.join(", "))?;
        Ok(())
    }
}

fn row(name: &str, tiers: &[usize; 3]) -> Vec<String> {
    let shown = |count: &usize| {
        if *count == 0 { "·".to_owned() } else { count.to_string() }
    };
    std::iter::once(name.replace('_', " ")).chain(tiers.iter().map(shown)).collect()
}

/// Puts the fields of one object into another.
pub fn merge(into: &mut Value, from: Option<&Value>) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.and_then(Value::as_object)) {
        into.extend(from.clone());
    }
}

fn listed(file: &mut Map<String, Value>, name: &str) -> anyhow::Result<Vec<Value>> {
    match file.remove(name) {
        Some(Value::Array(items)) => Ok(items),
        _ => bail!("a file of the organisation has no list {name}"),
    }
}

fn keyed(file: &mut Map<String, Value>, name: &str) -> anyhow::Result<Map<String, Value>> {
    match file.remove(name) {
        Some(Value::Object(fields)) => Ok(fields),
        _ => bail!("organisation.json has no {name}"),
    }
}

fn without(mut record: Value, name: &str) -> anyhow::Result<(Value, Value)> {
    let part = record.as_object_mut().and_then(|fields| fields.remove(name));
    Ok((part.with_context(|| format!("a record has no {name}"))?, record))
}
