//! Every page as everybody gets it, over records whose every text is an attack: nothing runs, nothing is loaded from
//! elsewhere, nobody sees what isn't theirs, and no form loses what was typed.

use std::collections::{BTreeMap, BTreeSet};

use html5gum::{Token, Tokenizer};
use reqwest::Method;
use serde_json::json;

use super::{is_guarded, is_sound, page, send};
use crate::browser::{Browser, Page};
use crate::matrix::stage::{Cell, Stage};
use crate::matrix::{ROLES, lines};
use crate::on_one;
use crate::world::{Answer, Key, ORDERS, Store, World, in_secs};

/// Breaks out of text, of a quoted attribute, of a text area, of a script and of a template, if anything lets it.
const HOSTILE: &str = r#"zq7"'></textarea></title><script src=//evil.example></script><img src=//evil.example onerror=alert(1)><a href="javascript:alert(1)" style=x>{{7*7}}"#;
/// The beginning of that.
const MARK: &str = "zq7";
/// The elements that pages are made of.
const ELEMENTS: &str = "html head meta title link script body a header img form label input details summary div p \
    button nav ul li h1 h2 h3 main footer kbd span time dialog dl dt dd ol strong small code table caption thead tbody \
    tr th td scope textarea select option fieldset legend figure figcaption svg text g path rect circle br section \
    meter noscript pre output";
/// Where what people write may stand in markup.
const WRITTEN: &str = "title value aria-label alt content";

/// The addresses of the pages' table: those that lead to the sign-in whoever isn't signed in.
pub(super) fn pages() -> Vec<(String, Vec<char>)> {
    let is_page = |verdicts: &[char]| verdicts[0] == '>';
    let lines = lines().into_iter().filter(|line| line.method == Method::GET && is_page(&line.verdicts));
    // Files and streams are no pages.
    let is_none = |path: &str| path.ends_with(".csv") || path.ends_with("/live");
    lines.filter(|line| !is_none(&line.path)).map(|line| (line.path, line.verdicts)).collect()
}

/// One of everything that an address of a page names, so that lists show it, too.
pub(super) async fn everything(stage: &Stage) -> BTreeMap<String, String> {
    let mut cell = Cell::new(stage, 7, BTreeMap::new());
    for (address, _) in pages() {
        cell.fill(&address).await;
    }
    cell.made
}

/// A form of a page: where it is sent, and its fields that take any text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Form {
    action: String,
    fields: BTreeMap<String, String>,
    typed: BTreeSet<String>,
}

/// What stands on a page, by a tokenizer that reads as browsers do; what it may not hold is told.
#[derive(Default)]
struct Read {
    forms: Vec<Form>,
    complaints: Vec<String>,
    written: usize,
}

fn read(page: &Page) -> Read {
    let mut read = Read::default();
    let elements: BTreeSet<&str> = ELEMENTS.split_whitespace().collect();
    let mut form: Option<Form> = None;
    let mut complain = |what: String| read.complaints.push(format!("{what} on {}", page.url));
    for token in Tokenizer::new(&page.text) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                if !elements.contains(name.as_str()) {
                    complain(format!("<{name}>"));
                }
                let attributes: BTreeMap<String, String> = tag
                    .attributes
                    .iter()
                    .map(|(name, value)| {
                        (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(value).into_owned())
                    })
                    .collect();
                for (attribute, value) in &attributes {
                    let is_address = ["href", "src", "action", "formaction"].contains(&attribute.as_str());
                    let is_ours = value.starts_with('#')
                        || value.starts_with('?')
                        || (value.starts_with('/') && !value.starts_with("//") && !value.starts_with("/\\"));
                    if is_address && !is_ours {
                        complain(format!("{attribute}={value:?}"));
                    }
                    if attribute.starts_with("on") || attribute == "style" || attribute.contains(MARK) {
                        complain(format!("an attribute {attribute}={value:?}"));
                    }
                    if value.contains(MARK) {
                        read.written += 1;
                        if !WRITTEN.split(' ').any(|may| may == attribute) {
                            complain(format!("what somebody wrote in {attribute}={value:?}"));
                        }
                    }
                }
                let attribute = |name: &str| attributes.get(name).cloned().unwrap_or_default();
                if name == "script" && !attribute("src").starts_with("/assets/") {
                    complain("a script of its own".to_owned());
                }
                match (name.as_str(), &mut form) {
                    ("form", _) if attribute("method") == "post" => {
                        form =
                            Some(Form { action: attribute("action"), fields: BTreeMap::new(), typed: BTreeSet::new() });
                    }
                    ("textarea", Some(form)) => {
                        form.fields.insert(attribute("name"), "x".to_owned());
                        form.typed.insert(attribute("name"));
                    }
                    ("input", Some(form)) => {
                        let kind = attribute("type");
                        let is_typed = kind.is_empty() || kind == "text";
                        form.fields
                            .insert(attribute("name"), if is_typed { "x".to_owned() } else { attribute("value") });
                        if is_typed {
                            form.typed.insert(attribute("name"));
                        }
                    }
                    ("button", Some(form)) if !attribute("name").is_empty() => {
                        form.fields.insert(attribute("name"), attribute("value"));
                    }
                    _ => {}
                }
            }
            Token::EndTag(tag) if *tag.name == *b"form" => read.forms.extend(form.take()),
            Token::String(text) if String::from_utf8_lossy(&text).contains(MARK) => read.written += 1,
            Token::Comment(text) => complain(format!("a comment {}", String::from_utf8_lossy(&text))),
            _ => {}
        }
    }
    read
}

/// An address with the id of a record that isn't there, of the same sort.
fn nobody(address: &str) -> Option<String> {
    let id = address.split(['/', '?', '=']).find(|part| part.len() == 30 && part.as_bytes()[3] == b'_')?;
    Some(address.replace(id, &format!("{}_{}", &id[..3], "0".repeat(25) + "7")))
}

/// A page without what is of its request alone.
fn said(page: &Page) -> (u16, String) {
    let parts = page.text.split("request <code>");
    let rest: Vec<&str> = parts.map(|part| part.split_once("</code>").map_or(part, |(_, rest)| rest)).collect();
    let text = rest
        .join("")
        .split("datetime=\"")
        .map(|part| part.split_once("</time>").map_or(part, |(_, rest)| rest))
        .collect();
    (page.status, text)
}

#[tokio::test]
async fn no_text_that_anybody_writes_does_anything_on_any_page() {
    let mut stage = Stage::new(Store::Sqlite).await;
    stage.world.ink = Some(HOSTILE);
    let (mut complaints, mut written) = (Vec::new(), BTreeSet::new());
    let mut made = everything(&stage).await;
    let mut forms: BTreeMap<String, (usize, Form)> = BTreeMap::new();
    for (address, verdicts) in pages() {
        for role in (1..ROLES.len()).filter(|role| ['+', '-'].contains(&verdicts[*role])) {
            let mut cell = Cell::new(&stage, role, std::mem::take(&mut made));
            let path = cell.fill(&address).await;
            made = cell.made;
            let shown = page(&stage.world, stage.token(role), &path).await;
            is_guarded(&shown);
            let found = read(&shown);
            complaints.extend(found.complaints.into_iter().map(|what| format!("{what} as {}", ROLES[role])));
            if shown.text.contains("evil.example") && !shown.text.contains("&#60;img src=//evil.example") {
                complaints.push(format!("{path} tells evil.example otherwise than as text"));
            }
            if found.written > 0 {
                written.insert(address.clone());
            }
            if verdicts[role] == '-' {
                // What isn't theirs is as what isn't there.
                if found.written > 0 {
                    complaints.push(format!("{path} shows {} what isn't theirs", ROLES[role]));
                }
                if let Some(nowhere) = nobody(&path) {
                    let none = page(&stage.world, stage.token(role), &nowhere).await;
                    if said(&none) != said(&shown) {
                        complaints.push(format!("{path} tells {} that it is there: {}", ROLES[role], none.status));
                    }
                }
            }
            if verdicts[role] == '+' {
                for form in found.forms.into_iter().filter(|form| form.action != "/sign-out") {
                    forms.entry(address.clone()).or_insert((role, form));
                }
            }
        }
    }
    // It was written into what pages show, or this would show nothing.
    assert!(written.len() >= 20, "{written:?}");
    assert!(forms.len() >= 20, "{:?}", forms.keys());
    for (address, (role, form)) in &forms {
        complaints.extend(is_kept(&stage, *role, form).await.into_iter().map(|what| format!("{address}: {what}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Nothing that was typed into a form is lost: not for a hidden character in any of its fields, and not for a session
/// that has ended meanwhile.
async fn is_kept(stage: &Stage, role: usize, form: &Form) -> Vec<String> {
    let mut complaints = Vec::new();
    let kept = |name: &str| format!("kept <{name}>");
    let shown = |name: &str| format!("kept &#60;{name}&#62;");
    for bad in &form.typed {
        let mut fields = form.fields.clone();
        fields.extend(form.typed.iter().map(|name| (name.clone(), kept(name))));
        fields.insert(bad.clone(), format!("{}\u{202e}", kept(bad)));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let again = send(&stage.world, stage.token(role), &form.action, &fields).await;
        let lost: Vec<&String> = form.typed.iter().filter(|name| !again.text.contains(&shown(name))).collect();
        // Who may not is told so first; what they typed is shown all the same.
        if !lost.is_empty() || ![403, 422].contains(&again.status) || again.text.contains('\u{202e}') {
            complaints.push(format!("{bad} with a hidden character loses {lost:?}: {}", again.status));
        }
        let over = Browser::new().post(&format!("{}{}", stage.world.server.url, form.action), &fields).await;
        let lost: Vec<&String> = form.typed.iter().filter(|name| !over.text.contains(&shown(name))).collect();
        if over.status != 401 || !lost.is_empty() {
            complaints.push(format!("a session that ended loses {lost:?}: {}", over.status));
        }
    }
    complaints
}

/// Somebody with an identity of their own, who reads nothing else: the id of the identity, and the token.
async fn rex(world: &World) -> (String, String) {
    let (rex_id, rex) = world.person("Rex", &["requester", "owner"]).await;
    let mut charter = world.charter(Key::new().jwk());
    charter["owner"] = json!(rex_id);
    charter["parties"]["requester"] = json!(rex_id);
    charter["coverage"] = json!("just_in_time");
    let body = json!({"kind": "workload", "name": "of-rex", "charter": charter, "stage": "pending"});
    let id = world.post(&rex, "/v1/identities", body).await.expect(201).text("/id");
    let manager = world.activate(&world.manager, &id).await;
    if manager.status != 200 {
        world.activate(&world.security, &id).await.expect(200);
    }
    (id, rex)
}

/// A problem without what is of its request alone.
fn told(answer: &Answer) -> serde_json::Value {
    let mut told = answer.body.clone();
    told.as_object_mut().unwrap().remove("request_id");
    told
}

on_one! {
    async fn who_may_not_read_a_record_cannot_tell_whether_its_name_is_there(world: World) {
        let (id, rex) = rex(&world).await;
        world.application("secret-app").await;
        let secret = world.resource("https://secret.internal", "production", "online").await;
        world.post(&world.admin, "/v1/teams", json!({"name": "secret-team"})).await.expect(201);
        // Whether there is one is the same answer, but for the name that was typed.
        let alike = async |path: &str, fields: &[(&str, &str)], field: &str, there: &str, nowhere: &str| {
            let answer = async |name: &str| {
                let fields: Vec<_> = fields.iter().map(|(known, value)| (*known, if *known == field { name } else { *value })).collect();
                let page = send(&world, &rex, path, &fields).await;
                assert!(!page.text.contains(&secret), "{}", page.text);
                (page.status, said(&page).1.replace(name, "NAME"))
            };
            let (known, unknown) = (answer(there).await, answer(nowhere).await);
            assert_eq!(known, unknown, "{path} {field}");
            assert!([403, 404, 422].contains(&known.0), "{path} {field}: {}", known.0);
        };
        let access = [("resource", ""), ("actions", "read"), ("duration", "1h"), ("reason", "x")];
        let at = format!("/identities/{id}/access");
        alike(&at, &access, "resource", "https://secret.internal", "https://nothing.internal").await;
        let (day, jwk) = (in_secs(20 * 86_400)[..10].to_owned(), Key::new().jwk().to_string());
        let form = [
            ("kind", "workload"), ("name", "second"), ("purpose", "x"), ("owner", ""), ("application", "billing"), ("environment", "production"), ("resource", ORDERS),
            ("actions", "read"), ("coverage", "role_based"), ("until", &day), ("idle", "30d"), ("operator", "x"), ("beneficiary", "y"), ("boundary", "prod.example.com"),
            ("workload", "deployment/y"), ("jwk", &jwk),
        ];
        let with_team: Vec<_> = form.iter().copied().chain([("removers", "")]).collect();
        alike("/identities/new", &form, "application", "secret-app", "nothing-app").await;
        alike("/identities/new", &form, "resource", "https://secret.internal", "https://nothing.internal").await;
        alike("/identities/new", &with_team, "removers", "secret-team", "nothing-team").await;
        // An address that names one tells no more.
        for (there, nowhere) in [("applications/secret-app", "applications/nothing-app"), ("teams/secret-team", "teams/nothing-team")] {
            let (known, unknown) = (page(&world, &rex, &format!("/{there}")).await, page(&world, &rex, &format!("/{nowhere}")).await);
            assert_eq!(said(&known), said(&unknown));
            let (known, unknown) = (world.get(&rex, &format!("/v1/{there}")).await, world.get(&rex, &format!("/v1/{nowhere}")).await);
            assert_eq!((known.status, told(&known)), (unknown.status, told(&unknown)));
        }
        // By its id, which nobody guesses, a resource outside the charter is as one that isn't there.
        let ask = async |resource: &str| {
            let matter = json!({"type": "access", "identity": id, "entitlement": {"actions": ["read"], "resource": resource}, "duration": "10m"});
            world.ask(&rex, matter, "x").await.expect(403)
        };
        let nowhere = format!("res_{}7", "0".repeat(25));
        assert_eq!(told(&ask(&secret).await), told(&ask(&nowhere).await));
        // What their own charter names they name, and whoever reads all of it names anything.
        send(&world, &rex, "/identities/new", &form).await.expect(303);
        let asked = [("resource", ORDERS), ("actions", "read"), ("duration", "1h"), ("reason", "x")];
        send(&world, &rex, &at, &asked).await.expect(303);
        page(&world, &world.auditor, "/applications/secret-app").await.expect(200);
    }

    async fn an_id_that_somebody_typed_is_named_to_whoever_may_read_it_alone(world: World) {
        let (sib_id, _) = world.person("Sibylle", &[]).await;
        let (rex_id, rex) = world.person("Rex", &["requester", "owner"]).await;
        let mut charter = world.charter(Key::new().jwk());
        for (name, value) in [("owner", &rex_id), ("purpose", &sib_id)] {
            charter[name] = json!(value);
        }
        charter["parties"] = json!({"requester": rex_id, "operator": sib_id, "beneficiary": sib_id});
        charter["workload_binding"]["workload"] = json!(sib_id);
        let body = json!({"kind": "workload", "name": "of-rex", "charter": charter, "stage": "draft"});
        let id = world.post(&rex, "/v1/identities", body).await.expect(201).text("/id");
        let shown = async |token: &str| world.get(token, &format!("/v1/identities/{id}")).await.expect(200).body["names"].clone();
        let names = shown(&rex).await;
        assert!(names[&sib_id].is_null() && names[&rex_id] == "Rex", "{names}");
        assert_eq!(shown(&world.auditor).await[&sib_id], "Sibylle");
        let at = format!("/identities/{id}");
        let theirs = page(&world, &rex, &at).await.expect(200);
        assert!(theirs.text.contains(&sib_id) && !theirs.text.contains("Sibylle") && theirs.text.contains(">Rex</"), "{}", theirs.text);
        assert!(page(&world, &world.auditor, &at).await.expect(200).text.contains("Sibylle"));
        // A name is told to nobody whom no credential let in.
        let anybody = world.http.post(format!("{}/v1/setup", world.server.url)).bearer_auth("x").json(&json!({"setup_token": sib_id, "name": sib_id}));
        assert!(!World::answer(anybody).await.body.to_string().contains("Sibylle"));
    }

    async fn what_was_typed_is_shown_though_what_it_was_about_has_gone_on(world: World) {
        // Two people on one request: the second sees what the first did, and what they had written.
        let id = world.register("exporter", world.charter(Key::new().jwk()), "pending").await.expect(201);
        let (request, sheet) = (id.text("/request"), format!("/requests/{}", id.text("/request")));
        let shown = page(&world, &world.manager, &sheet).await.expect(200).text;
        let hash = shown.split("name=\"content_hash\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        world.approve(&world.manager, &request).await.expect(200);
        let late = send(&world, &world.manager, &sheet, &[("content_hash", &hash), ("decision", "deny"), ("comment", "not <so> fast")]).await;
        is_sound(&late);
        assert!(late.status == 409 && late.text.contains("not &#60;so&#62; fast") && late.text.contains("role=\"alert\"") && late.text.contains("role=\"status\""), "{} {}", late.status, late.text);
        // A transfer that somebody has accepted meanwhile.
        let identity = id.text("/id");
        let (ola_id, ola) = world.person("Ola", &["owner"]).await;
        let offered = world.post(&world.owner, &format!("/v1/identities/{identity}/transfer"), json!({"to": ola_id})).await.expect(201).text("/id");
        let at = format!("/transfers/{offered}");
        send(&world, &ola, &at, &[("decision", "accept")]).await.expect(303);
        let late = send(&world, &world.security, &at, &[("decision", "offer"), ("comment", "Kim <x>")]).await;
        assert!(late.status >= 400 && late.text.contains("Kim &#60;x&#62;"), "{} {}", late.status, late.text);
        // Nobody is called so.
        let at = format!("/identities/{identity}/transfer");
        let again = send(&world, &ola, &at, &[("to", "Nobody <x>")]).await;
        assert!(again.status >= 400 && again.text.contains("value=\"Nobody &#60;x&#62;\""), "{} {}", again.status, again.text);
    }
}
