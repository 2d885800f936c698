//! What people really type and do: names in every script, the most that a record can hold, a server that goes away, and
//! the keyboard alone.

use std::fmt::Write as _;

use serde_json::json;

use super::{is_sound, page, send};
use crate::on_one;
use crate::passkeys::devtools::Chromium;
use crate::world::{Key, ORDERS, Store, World, in_secs};

/// Names as people bear them.
const NAMES: [&str; 12] = [
    "Ólafur Þórðarson",
    "Nguyễn Thị Minh",
    "Мария Ђорђевић",
    "Ελένη Παπαδοπούλου",
    "محمد عبد الله",
    "נעמה בן־דוד",
    "अनुष्का शर्मा",
    "สมชาย ใจดี",
    "王小明",
    "さくら 山田",
    "김민수",
    "Zoë 👩🏽‍🚀 O’Brien-Łuczak",
];
/// What makes a text read otherwise than it is, and where it stands.
const TRICKS: [(&str, char); 10] = [
    ("turned around", '\u{202e}'),
    ("isolated", '\u{2066}'),
    ("a mark of direction", '\u{200f}'),
    ("no width", '\u{200b}'),
    ("a joiner of nothing", '\u{2060}'),
    ("a byte order mark", '\u{feff}'),
    ("a tag", '\u{e0041}'),
    ("a soft hyphen", '\u{ad}'),
    ("a filler that shows nothing", '\u{3164}'),
    ("a bell", '\u{7}'),
];

on_one! {
    async fn names_are_taken_in_every_script_and_in_no_disguise(world: World) {
        for name in NAMES {
            let made = send(&world, &world.admin, "/people/new", &[("name", name)]).await.expect(303);
            let shown = page(&world, &world.admin, made.location.as_ref().unwrap()).await.expect(200);
            is_sound(&shown);
            assert!(shown.text.contains(&format!("<h1>{name}</h1>")), "{name}: {}", shown.text);
            world.until(async || page(&world, &world.admin, &format!("/people?q={}", name.split(' ').next().unwrap())).await.text.contains(name)).await;
        }
        for (what, trick) in TRICKS {
            let (name, kept) = (format!("Eve{trick}lyn"), "eve@example.com");
            let again = send(&world, &world.admin, "/people/new", &[("name", &name), ("email", kept)]).await.expect(422);
            is_sound(&again);
            assert!(again.text.contains(kept) && again.text.contains("Eve\u{fffd}lyn") && !again.text.contains(trick), "{what}: {}", again.text);
        }
    }

    async fn the_most_that_an_identity_holds_is_a_page_of_a_hundred_kilobytes(world: World) {
        let mut charter = world.charter(Key::new().jwk());
        charter["coverage"] = json!("just_in_time");
        charter["purpose"] = json!("p".repeat(1_000));
        let id = world.active("full-exporter", charter).await;
        // Ten thousand grants can't stand on one identity: there is a place for 64.
        let need = "n".repeat(1_000);
        let ask = async || {
            let matter = json!({"type": "access", "identity": id, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "8h"});
            world.ask(&world.owner, matter, &need).await
        };
        for _ in 0..63 {
            let asked = ask().await.expect(201).text("/id");
            world.approve(&world.manager, &asked).await.expect(200);
        }
        let mut held = 63;
        while ask().await.status == 201 {
            let open = world.get(&world.manager, &format!("/v1/requests?state=open&identity={id}")).await.expect(200).text("/items/0/id");
            world.approve(&world.manager, &open).await.expect(200);
            held += 1;
        }
        assert_eq!(held, 64);
        let at = format!("/identities/{id}");
        let (mut next, mut seen) = (Some(at.clone()), 0);
        while let Some(address) = next {
            let shown = page(&world, &world.security, &address).await.expect(200);
            is_sound(&shown);
            assert!(shown.text.len() <= 100 * 1024, "{} bytes", shown.text.len());
            let grants = shown.text.split("id=\"grants\"").nth(1).unwrap().split("</table>").next().unwrap();
            seen += grants.matches("<tr>").count() - 1;
            next = shown.text.split(&format!("href=\"{at}?grants=")).nth(1).map(|rest| format!("{at}?grants={}", rest.split(['#', '"']).next().unwrap()));
        }
        assert_eq!(seen, 64);
        // Past the last of them there is none, and a page all the same.
        page(&world, &world.security, &format!("{at}?grants=18446744073709551615")).await.expect(200);
        page(&world, &world.security, &format!("{at}?grants=-1")).await.expect(422);
        // What is longer than it may be comes back as it was typed.
        let long = "w<".repeat(2_048);
        let again = send(&world, &world.owner, &format!("{at}/access"), &[("resource", ORDERS), ("actions", "read"), ("duration", "1h"), ("reason", &long)]).await.expect(422);
        assert!(again.text.contains(&long.replace('<', "&#60;")), "{}", again.text);
    }

    async fn r97_lineage_is_a_picture_and_a_table(world: World) {
        let helper = world.active("helper", world.charter(Key::new().jwk())).await;
        let key = Key::new();
        let mut charter = world.charter(key.jwk());
        charter["delegates"] = json!([{"actor": helper, "scope": [{"actions": ["read"], "resource": world.orders}]}]);
        let id = world.active("exporter", charter).await;
        world.token(&key, &id, "production").await;
        let shown = page(&world, &world.security, &format!("/identities/{id}")).await.expect(200);
        is_sound(&shown);
        let lineage = shown.text.split("id=\"lineage\"").nth(1).unwrap().split("<h2").next().unwrap();
        let (picture, table) = lineage.split_once("</figure>").unwrap();
        for part in ["registered by", "Olu", "approved by", "Max", "lets act for it", "helper", "1 live credential", "comes back by", "a proof of deployment/exporter"] {
            assert!(picture.contains(part), "{part} is missing in {picture}");
        }
        for part in ["Registered by", ">Olu</a>", "Approved by", ">Max</a>", "Lets act for it", ">helper</a>", "1 live credential", "Comes back by"] {
            assert!(table.contains(part), "{part} is missing in {table}");
        }
        // Who registered it for somebody else sees neither.
        let (_, rex) = world.person("Rex", &["requester"]).await;
        let body = json!({"kind": "workload", "name": "for-olu", "charter": world.charter(Key::new().jwk()), "stage": "pending"});
        let theirs = world.post(&rex, "/v1/identities", body).await.expect(201).text("/id");
        assert!(!page(&world, &rex, &format!("/identities/{theirs}")).await.expect(200).text.contains("id=\"lineage\""));
    }
}

/// The keyboard of a browser.
struct Keyboard {
    browser: Chromium,
    url: String,
}

impl Keyboard {
    async fn of(url: &str) -> Self {
        let mut browser = Chromium::start().await;
        browser.authenticator().await;
        Self { browser, url: url.to_owned() }
    }

    async fn key(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.browser.call("Input.dispatchKeyEvent", event).await;
        }
    }

    async fn press(&mut self, keys: &str) {
        for key in keys.chars().map(String::from) {
            self.key(&key, 0, &key).await;
        }
    }

    async fn enter(&mut self) {
        self.key("Enter", 13, "\r").await;
    }

    /// Goes on by the tabulator until what a selector finds has the focus, which shows.
    async fn to(&mut self, selector: &str) {
        self.browser
            .until(&format!("document.readyState === 'complete' && document.querySelector({selector:?}) !== null"))
            .await;
        for _ in 0..80 {
            if self.browser.run(&format!("document.activeElement.matches({selector:?})")).await == json!(true) {
                let outline = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
                assert_eq!(self.browser.run(outline).await, json!(true), "the focus on {selector} doesn't show");
                return;
            }
            self.key("Tab", 9, "").await;
        }
        panic!("{selector} is not reached by the tabulator");
    }

    async fn write(&mut self, selector: &str, text: &str) {
        self.to(selector).await;
        self.browser.call("Input.insertText", json!({"text": text})).await;
    }

    async fn stands(&mut self, path: &str) {
        self.browser
            .until(&format!("location.pathname.startsWith({path:?}) && document.readyState === 'complete'"))
            .await;
    }

    /// Signs in by an invitation, with a new passkey.
    async fn sign_in(&mut self, invitation: &str) {
        let url = format!("{}/sign-in#invitation={invitation}", self.url);
        self.browser.open(&url).await;
        self.to("#invited button").await;
        self.enter().await;
        self.to("#passkey-register").await;
        self.enter().await;
        self.stands("/").await;
        self.browser.until("document.querySelector('.account') !== null").await;
    }
}

#[tokio::test]
async fn the_main_paths_are_gone_by_keyboard_alone() {
    let world = World::binary_on_localhost(Store::Sqlite, &[]).await;
    let mut invited = Vec::new();
    for person in [&world.owner_id, &world.manager_id] {
        let made = world.post(&world.admin, "/v1/invitations", json!({"person": person})).await.expect(201);
        invited.push(made.text("/invitation"));
    }
    let (mut olu, mut max) = (Keyboard::of(&world.server.url).await, Keyboard::of(&world.server.url).await);
    olu.sign_in(&invited[0]).await;
    max.sign_in(&invited[1]).await;

    // A new charter.
    olu.press("?").await;
    olu.browser.until("document.getElementById('keys').open").await;
    olu.enter().await;
    olu.browser.until("!document.getElementById('keys').open").await;
    olu.press("gi").await;
    olu.stands("/identities").await;
    olu.to("main a[href=\"/identities/new\"]").await;
    olu.enter().await;
    olu.stands("/identities/new").await;
    let (day, jwk) = (in_secs(20 * 86_400)[..10].to_owned(), Key::new().jwk().to_string());
    olu.to("#kind").await;
    for (field, text) in [
        ("#name", "typed-exporter"),
        ("#purpose", "exports invoices"),
        ("#application", "billing"),
        ("#environment", "production"),
        ("#resource", ORDERS),
        ("#actions", "read"),
    ] {
        olu.write(field, text).await;
    }
    // A day is typed part by part, month first.
    olu.to("#until").await;
    let mut typed = String::new();
    write!(typed, "{}{}{}", &day[5..7], &day[8..10], &day[..4]).unwrap();
    olu.press(&typed).await;
    for (field, text) in [
        ("#idle", "30d"),
        ("#operator", "billing"),
        ("#beneficiary", "finance"),
        ("#boundary", "prod.example.com"),
        ("#workload", "deployment/x"),
        ("#jwk", &jwk),
    ] {
        olu.write(field, text).await;
    }
    olu.to("main form button").await;
    olu.enter().await;
    olu.browser.until("location.pathname.startsWith('/identities/idn_')").await;

    // A vote.
    max.browser.open(&format!("{}/", world.server.url)).await;
    max.press("j").await;
    max.browser.until("document.activeElement.getAttribute('href')?.startsWith('/requests/req_')").await;
    max.enter().await;
    max.stands("/requests/req_").await;
    max.write("#comment", "looks right").await;
    max.to("button[value=approve]").await;
    max.enter().await;
    max.browser.until("document.querySelector('.outcome') !== null").await;

    // Found by a word, and stopped.
    olu.press("/").await;
    olu.browser.until("document.activeElement.id === 'search'").await;
    olu.browser.call("Input.insertText", json!({"text": "typed"})).await;
    olu.enter().await;
    olu.browser.until("location.search === '?q=typed' && document.readyState === 'complete'").await;
    olu.press("j").await;
    olu.browser.until("document.activeElement.textContent === 'typed-exporter'").await;
    olu.press("!").await;
    olu.browser.until("location.pathname === '/stop' && document.activeElement.id === 'words'").await;
    olu.browser.call("Input.insertText", json!({"text": "typed"})).await;
    olu.enter().await;
    olu.browser.until("location.search === '?q=typed' && document.readyState === 'complete'").await;
    olu.to("main .work a.button").await;
    olu.enter().await;
    olu.stands("/stop/identity/").await;
    olu.write("#reason", "enough").await;
    olu.to("main form button").await;
    olu.enter().await;
    olu.browser.until("location.search.startsWith('?receipt=rct_') && document.readyState === 'complete'").await;
}
