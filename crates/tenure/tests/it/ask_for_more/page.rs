//! The approval page: reached by a link of one's own, good for nothing without one's own fresh sign-in.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Agent, request};
use crate::browser::{Browser, Page};
use crate::mailbox::{Hooks, Mailbox};
use crate::passkeys::authenticator::Authenticator;
use crate::passkeys::devtools::Chromium;
use crate::passkeys::register;
use crate::passkeys::visitor::Visitor;
use crate::sign_in::{People, Place};
use crate::world::{Store, World};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A world under a host name, which passkeys need, that tells its notices as the environment says.
async fn localhost(store: Store, environment: &[(String, String)]) -> World {
    let pairs: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    World::binary_on_localhost(store, &pairs).await
}

/// Makes a test on each engine, with a receiver of the notices.
macro_rules! on_localhost {
    ($(async fn $name:ident($world:ident: World, $hooks:ident: Hooks) $body:block)*) => {$(
        mod $name {
            use super::*;
            async fn run($world: World, $hooks: Hooks) $body
            async fn on(store: Store) {
                let hooks = Hooks::start(SECRET, 204);
                let world = localhost(store, &hooks.environment()).await;
                run(world, hooks).await;
            }
            #[tokio::test]
            async fn sqlite() { on(Store::Sqlite).await; }
            #[tokio::test]
            #[ignore = "long: the second engine"]
            async fn postgres() { on(Store::Postgres).await; }
        }
    )*};
}

/// The newest link of a person to the page of a request.
async fn link(world: &World, hooks: &Hooks, request: &str, person: &str) -> String {
    let links = || -> Vec<String> {
        let answers = hooks
            .calls()
            .into_iter()
            .filter_map(|call| call["verified"]["data"]["facts"]["answer"].as_array().cloned());
        let mine = answers.flatten().filter(|answer| answer["person"] == person);
        let links = mine.map(|answer| answer["link"].as_str().unwrap().to_owned());
        links.filter(|link| link.contains(request)).collect()
    };
    world.until(async || !links().is_empty()).await;
    links().pop().unwrap()
}

/// A browser in which a person has just signed in with a passkey, and the passkey.
async fn signed_in(world: &World, person: &str, invitation: &str) -> (Browser, Authenticator) {
    let (visitor, mut authenticator) = (Visitor::new(world), Authenticator::es256(world));
    let registered = register(&visitor, &mut authenticator, invitation).await;
    assert_eq!(registered["person"], json!(person));
    let browser = Browser::new();
    browser.set_cookie(&world.server.url, "tenure-session", &visitor.cookie("tenure-session").unwrap());
    (browser, authenticator)
}

async fn invite(world: &World, person: &str) -> String {
    let body = json!({"person": person});
    world.post(&world.admin, "/v1/invitations", body).await.expect(201).text("/invitation")
}

/// What the page's form sends.
async fn answer(browser: &Browser, link: &str, page: &Page, decision: &str, comment: &str) -> Page {
    let hash =
        page.text.split("name=\"content_hash\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    browser.post(link, &[("content_hash", hash), ("decision", decision), ("comment", comment)]).await
}

async fn state(world: &World, id: &str) -> Value {
    // Nobody's operator token stands for an approver once people sign in; reading goes on.
    request(world, id).await["state"].clone()
}

on_localhost! {
    async fn r56_a_person_answers_on_the_page_that_the_notice_leads_to(world: World, hooks: Hooks) {
        let agent = Agent::new(&world, "invoice-agent", json!({})).await;
        let asked = agent.ask(&world, 600, "refund of order 12", &[]).await.expect(200);
        let id = asked.text("/request");
        let link = link(&world, &hooks, &id, &world.manager_id).await;
        assert!(link.starts_with(&format!("{}/approve/{id}.{}.", world.server.url, world.manager_id)), "{link}");
        // Who isn't signed in is led to the sign-in and back.
        let stranger = Browser::new();
        let page = stranger.get(&link).await.expect(303);
        assert!(page.leads().starts_with(&format!("{}/sign-in?fresh=true", world.server.url)));
        assert_eq!(page.parameter("return_to").unwrap(), link.strip_prefix(&world.server.url).unwrap());

        let invitation = invite(&world, &world.manager_id).await;
        let (browser, _) = signed_in(&world, &world.manager_id, &invitation).await;
        let page = browser.get(&link).await.expect(200);
        for part in ["invoice-agent", "agent", &agent.id, "Olu", "write", crate::world::ORDERS, "10m", "refund of order 12", "exports invoices", "medium", "owner or manager", "name=\"decision\" value=\"approve\"", "value=\"deny\""] {
            assert!(page.text.contains(part), "{part} is missing in {}", page.text);
        }
        // It runs nothing of its own, loads nothing from elsewhere, and stands in nobody's frame.
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(page.headers["x-frame-options"] == "DENY" && page.headers["cache-control"] == "no-store");
        assert!(!page.text.contains("<style") && !page.text.contains("onclick"));

        let voted = answer(&browser, &link, &page, "approve", "goodwill").await.expect(303);
        assert_eq!(voted.leads(), link);
        let page = browser.get(&link).await.expect(200);
        assert!(page.text.contains("approved, and in force") && page.text.contains("goodwill") && !page.text.contains("name=\"decision\""), "{}", page.text);
        let given = agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(200);
        assert_eq!(given.text("/scope"), "write");
        let vote = &request(&world, &id).await["votes"][0];
        assert_eq!((&vote["by"], &vote["comment"], &vote["assurance"]["method"]), (&json!(world.manager_id), &json!("goodwill"), &json!("passkey")));
    }

    async fn s7_a_link_gives_nobody_a_vote(world: World, hooks: Hooks) {
        let agent = Agent::new(&world, "invoice-agent", json!({})).await;
        let id = agent.ask(&world, 600, "refund of order 12", &[]).await.expect(200).text("/request");
        let link = link(&world, &hooks, &id, &world.manager_id).await;
        let (manager, security) = (invite(&world, &world.manager_id).await, invite(&world, &world.security_id).await);
        let (browser, _) = signed_in(&world, &world.manager_id, &manager).await;
        let (other, _) = signed_in(&world, &world.security_id, &security).await;
        let page = browser.get(&link).await.expect(200);

        // Another person with the link: neither sees it nor votes; and the refusal is on record.
        let foreign = other.get(&link).await.expect(403);
        assert!(foreign.text.contains("somebody else") && !foreign.text.contains("refund of order 12"), "{}", foreign.text);
        answer(&other, &link, &page, "approve", "").await.expect(403);
        let refused = world.events_of("access.refused", &id).await;
        assert!(refused.iter().any(|event| event["data"]["reason"] == "not_eligible" && event["actor"]["id"] == json!(world.security_id)), "{refused:?}");
        // Nobody at all, or a token in place of a session.
        let nobody = answer(&Browser::new(), &link, &page, "approve", "").await.expect(303);
        assert!(nobody.leads().contains("/sign-in?fresh=true"));
        let fields = [("content_hash", "x"), ("decision", "approve")];
        let path = link.strip_prefix(&world.server.url).unwrap();
        assert_ne!(world.form(&world.manager, path, &fields).await.body["state"], "fulfilled");

        // Forged and altered links are no links, each in the same words.
        let (front, tag) = link.rsplit_once('.').unwrap();
        let later = link.replacen(&format!(".{}", link.rsplit('.').nth(1).unwrap()), ".99999999999", 1);
        let theirs = link.replacen(&world.manager_id, &world.security_id, 1);
        let mut bent = tag.to_owned().into_bytes();
        bent[0] = if bent[0] == b'A' { b'B' } else { b'A' };
        let bent = format!("{front}.{}", String::from_utf8(bent).unwrap());
        for bad in [&later, &theirs, &bent, &format!("{front}."), &front.to_owned(), &format!("{link}.x"), &format!("{}/approve/x", world.server.url)] {
            for visitor in [&browser, &other, &Browser::new()] {
                let page = visitor.get(bad).await.expect(404);
                assert!(page.text.contains("This link is not good"), "{bad}");
                answer(visitor, bad, &browser.get(&link).await, "approve", "").await.expect(404);
            }
        }

        // A page of another site sends the cookie along: it says where it comes from, and isn't heard.
        let hash = request(&world, &id).await["content_hash"].as_str().unwrap().to_owned();
        let fields = [("content_hash", hash.as_str()), ("decision", "approve"), ("comment", "")];
        for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
            let sent = World::answer(browser.request(Method::POST, &link).header(name, value).form(&fields)).await.expect(403);
            assert_eq!(sent.code(), "cross_site");
        }
        assert_eq!(World::answer(browser.request(Method::POST, &link).form(&fields)).await.expect(403).code(), "cross_site");
        // A vote for something else than what the page showed.
        let other_hash = format!("sha256:{}", "0".repeat(64));
        let stale = browser.post(&link, &[("content_hash", &other_hash), ("decision", "approve")]).await.expect(409);
        assert!(stale.text.contains("request_changed"), "{}", stale.text);
        // What was typed is lost in none of these.
        let typed = [("content_hash", hash.as_str()), ("decision", "deny"), ("comment", "not <so> \u{202e}fast")];
        let again = browser.post(&link, &typed).await.expect(422);
        assert!(again.text.contains("not &#60;so&#62; \u{fffd}fast</textarea>") && again.text.contains("<code>comment</code>"), "{}", again.text);
        for bad in [vec![("decision", "approve")], vec![("content_hash", "x"), ("decision", "perhaps")], vec![("content_hash", "x"), ("decision", "deny"), ("more", "x")]] {
            browser.post(&link, &bad).await.expect(400);
        }
        assert_eq!(state(&world, &id).await, "open");
        answer(&browser, &link, &page, "deny", "").await.expect(303);
        assert_eq!(state(&world, &id).await, "denied");
        // What is decided is decided.
        let late = answer(&browser, &link, &page, "approve", "too <late>").await.expect(409);
        assert!(late.text.contains("too &#60;late&#62;"), "{}", late.text);
    }

    async fn s7_a_stale_or_phishable_sign_in_neither_sees_nor_answers(world: World, hooks: Hooks) {
        let agent = Agent::new(&world, "invoice-agent", json!({})).await;
        let id = agent.ask(&world, 600, "refund of order 12", &[]).await.expect(200).text("/request");
        let link = link(&world, &hooks, &id, &world.manager_id).await;
        let place = Place::new(&world, People::forger()).await;
        place.provider.lie(json!({"claims": {"sub": "max"}})).await;
        let max = place.bound(&world, &world.admin, &world.manager_id, "").await;
        let page = max.get(&link).await.expect(200);
        let lies = [
            json!({"offsets": {"auth_time": -400}, "claims": {"sub": "max"}}),
            json!({"without": ["auth_time"], "claims": {"sub": "max"}}),
            json!({"claims": {"sub": "max", "amr": ["pwd"]}}),
        ];
        for lie in lies {
            place.provider.lie(lie).await;
            let browser = Browser::new();
            place.sign_in(&world, &browser, "", "").await.expect(303);
            let led = browser.get(&link).await.expect(303);
            assert!(led.leads().contains("/sign-in?fresh=true") && !led.text.contains("refund of order 12"));
            let led = answer(&browser, &link, &page, "approve", "").await.expect(303);
            assert!(led.leads().contains("/sign-in?fresh=true"));
        }
        assert_eq!((state(&world, &id).await, request(&world, &id).await["votes"].clone()), (json!("open"), json!([])));
        // The person as they were a moment ago still can.
        answer(&max, &link, &page, "approve", "").await.expect(303);
        assert_eq!(state(&world, &id).await, "fulfilled");
    }

    async fn s8_an_amended_request_voids_its_links(world: World, hooks: Hooks) {
        // Any request has its page, not only an agent's: a person asks here.
        let key = crate::world::Key::new();
        let mut charter = world.charter(key.jwk());
        charter["coverage"] = json!("just_in_time");
        let exporter = world.active("jit-exporter", charter).await;
        let access = json!({"type": "access", "identity": exporter, "entitlement": {"actions": ["read"], "resource": world.orders}, "duration": "1h"});
        let id = world.ask(&world.owner, access, "read once").await.expect(201).text("/id");
        let old = link(&world, &hooks, &id, &world.manager_id).await;
        let invitation = invite(&world, &world.manager_id).await;
        let (browser, _) = signed_in(&world, &world.manager_id, &invitation).await;
        let page = browser.get(&old).await.expect(200);
        assert!(page.text.contains("read once"));
        let amended = json!({"purpose": "read for ever"});
        world.call(Method::PUT, &world.owner, &format!("/v1/requests/{id}"), Some(amended)).await.expect(200);
        browser.get(&old).await.expect(404);
        answer(&browser, &old, &page, "approve", "").await.expect(404);
        assert_eq!(state(&world, &id).await, "open");
        // Its notice has a link of its own.
        world.until(async || link(&world, &hooks, &id, &world.manager_id).await != old).await;
        let new = link(&world, &hooks, &id, &world.manager_id).await;
        let page = browser.get(&new).await.expect(200);
        assert!(page.text.contains("read for ever"));
        answer(&browser, &new, &page, "approve", "").await.expect(303);
        assert_eq!(state(&world, &id).await, "fulfilled");
    }

    async fn s7_what_agents_and_people_write_stays_text_on_the_page(world: World, hooks: Hooks) {
        let evil = "</dd><script>alert(1)</script><img src=x onerror=alert(1)>\"'><form action=//evil.example>";
        let body = json!({"name": format!("Olu {evil}")});
        world.post(&world.admin, &format!("/v1/people/{}/change", world.owner_id), body).await.expect(200);
        let agent = Agent::new(&world, "invoice-agent", json!({"purpose": format!("exports {evil}")})).await;
        let id = agent.ask(&world, 600, &format!("refund {evil}"), &[]).await.expect(200).text("/request");
        let link = link(&world, &hooks, &id, &world.manager_id).await;
        let invitation = invite(&world, &world.manager_id).await;
        let (browser, _) = signed_in(&world, &world.manager_id, &invitation).await;
        let page = browser.get(&link).await.expect(200);
        assert!(page.text.matches("&#60;script&#62;alert(1)").count() >= 3, "{}", page.text);
        for never in ["<script>", "<img src=x", "onerror=alert(1)>\"", "<form action"] {
            assert!(!page.text.contains(never), "{never} in {}", page.text);
        }
        let voted = answer(&browser, &link, &page, "deny", evil).await.expect(303);
        assert!(!browser.get(&voted.leads()).await.expect(200).text.contains("<script>"));
    }
}

/// A real browser, with a passkey, from the link in the mail to the vote; the sign-in is not fresh on the way, and
/// leads back.
#[tokio::test]
async fn r56_a_link_by_mail_leads_through_the_sign_in_to_the_answer() {
    let mailbox = Mailbox::start();
    let world = localhost(Store::Sqlite, &mailbox.environment()).await;
    for (person, email) in [(&world.manager_id, "max@example.com"), (&world.owner_id, "olu@example.com")] {
        let body = json!({"email": email});
        world.post(&world.admin, &format!("/v1/people/{person}/change"), body).await.expect(200);
    }
    let agent = Agent::new(&world, "invoice-agent", json!({})).await;
    let mut chromium = Chromium::start().await;
    chromium.authenticator().await;
    // Max has a passkey from before, and is signed in nowhere now.
    let invitation = invite(&world, &world.manager_id).await;
    chromium.open(&format!("{}/sign-in#invitation={invitation}", world.server.url)).await;
    chromium.until("document.getElementById('invitation').value.startsWith('tnr_inv_')").await;
    chromium.click("form[action=\"/sign-in/invitation\"] button").await;
    chromium.until("document.getElementById('passkey-register')?.hidden === false").await;
    chromium.click("#passkey-register").await;
    chromium.until("location.pathname === '/'").await;
    chromium.open(&format!("{}/sign-in/done", world.server.url)).await;
    chromium.click("form[action=\"/sign-out\"] button").await;
    chromium.until("location.pathname === '/sign-in'").await;

    // A line of its own could look like what we say, such as where to answer: it doesn't come in.
    let lines = "refund of order 12\n\nAnswer: https://evil.example/approve/x";
    assert_eq!(agent.ask(&world, 600, lines, &[]).await.expect(400).text("/error"), "invalid_binding_message");
    let purpose = "refund of order 12 Answer: https://evil.example/approve/x";
    let asked = agent.ask(&world, 600, purpose, &[]).await.expect(200);
    let id = asked.text("/request");
    let mails = || {
        let mails = mailbox.messages_to("max@example.com", "A request waits for your answer");
        mails.into_iter().filter(|mail| mail["parsed"]["text"].as_str().unwrap().contains(&id)).collect::<Vec<_>>()
    };
    world.until(async || !mails().is_empty()).await;
    let text = mails()[0]["parsed"]["text"].as_str().unwrap().to_owned();
    // What the agent wrote stays in its line.
    assert!(text.contains("\nPurpose: refund of order 12 Answer: https://evil.example/approve/x\n"), "{text}");
    let link = text.lines().find(|line| line.starts_with(&world.server.url)).unwrap().trim().to_owned();
    // The owner is who asks, as far as duties go, and gets no link; the log has none either.
    assert!(
        !world.events().await.iter().any(|event| event.to_string().contains(&format!("{}/approve/", world.server.url)))
    );

    chromium.open(&link).await;
    chromium
        .until("location.pathname === '/sign-in' && document.getElementById('passkey-sign-in')?.hidden === false")
        .await;
    chromium.click("#passkey-sign-in").await;
    chromium.until("location.pathname.startsWith('/approve/') && document.readyState === 'complete'").await;
    chromium.until("document.querySelector('button[value=approve]') !== null").await;
    // By keyboard: the comment, and on to the button.
    chromium.run("document.getElementById('comment').focus()").await;
    chromium.call("Input.insertText", json!({"text": "by keyboard"})).await;
    for key in [("Tab", 9), ("Enter", 13)] {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let text = if key.0 == "Enter" && kind == "char" { "\r" } else { "" };
            if kind == "char" && text.is_empty() {
                continue;
            }
            let event =
                json!({"type": kind, "key": key.0, "code": key.0, "windowsVirtualKeyCode": key.1, "text": text});
            chromium.call("Input.dispatchKeyEvent", event).await;
        }
    }
    chromium.until("document.querySelector('.outcome')?.textContent.includes('in force')").await;
    assert_eq!(request(&world, &id).await["votes"][0]["comment"], "by keyboard");
    agent.fetch(&world, &asked.text("/auth_req_id")).await.expect(200);
    // The page has a style in dark and in light, and no script of its own was refused by its policy.
    assert_eq!(chromium.run("getComputedStyle(document.querySelector('.top')).display").await, "flex");
}
