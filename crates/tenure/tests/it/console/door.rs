//! Before the console: a new server, the sign-in, sessions that end, the files of pages.

use reqwest::Method;
use serde_json::json;

use super::{is_sound, page};
use crate::browser::Browser;
use crate::on_one;
use crate::passkeys::authenticator::Authenticator;
use crate::passkeys::register;
use crate::passkeys::visitor::Visitor;
use crate::world::World;
use crate::world::server::{Host, Server};

/// A browser in which a person has just signed in with a passkey.
pub(super) async fn signed_in(world: &World, person: &str) -> Browser {
    let body = json!({"person": person});
    let invitation = world.post(&world.admin, "/v1/invitations", body).await.expect(201).text("/invitation");
    let (visitor, mut authenticator) = (Visitor::new(world), Authenticator::es256(world));
    register(&visitor, &mut authenticator, &invitation).await;
    let browser = Browser::new();
    browser.set_cookie(&world.server.url, "tenure-session", &visitor.cookie("tenure-session").unwrap());
    browser
}

#[tokio::test]
async fn s10_a_new_server_is_set_up_in_a_browser() {
    let host = Host::inside();
    host.is_of_this_thread();
    let server = Server::on(&host, tempfile::tempdir().unwrap(), None, &[]);
    let (url, browser) = (server.url.clone(), Browser::new());
    let first = browser.get(&format!("{url}/")).await.expect(303);
    assert_eq!(first.leads(), format!("{url}/set-up"));
    let form = browser.get(&first.leads()).await.expect(200);
    is_sound(&form);
    let token = std::fs::read_to_string(server.data.path().join("setup-token")).unwrap();
    let token = token.trim();

    // A page of another site doesn't set it up, whatever it knows.
    let fields = [("setup_token", token), ("name", "Eve")];
    let sent = browser.request(Method::POST, &format!("{url}/set-up")).header("sec-fetch-site", "cross-site");
    assert_eq!(World::answer(sent.form(&fields)).await.expect(403).code(), "cross_site");
    // What is wrong comes back with what was typed, but for the token.
    let typed = "Ada <b>";
    let wrong = format!("{}x", token);
    let again =
        browser.post(&format!("{url}/set-up"), &[("setup_token", &wrong), ("name", typed), ("email", "")]).await;
    let again = again.expect(401);
    assert!(again.text.contains("value=\"Ada &#60;b&#62;\"") && !again.text.contains(token), "{}", again.text);
    is_sound(&again);
    let nameless = browser.post(&format!("{url}/set-up"), &[("setup_token", token), ("name", " ")]).await.expect(422);
    assert!(nameless.text.contains("<code>name</code>"), "{}", nameless.text);

    let done = browser.post(&format!("{url}/set-up"), &[("setup_token", token), ("name", "Ada"), ("email", "")]).await;
    assert_eq!(done.expect(303).leads(), format!("{url}/sign-in"));
    let invited = browser.get(&format!("{url}/sign-in")).await.expect(200);
    assert!(invited.text.contains("You are invited") && invited.text.contains("passkey-register"), "{}", invited.text);
    assert!(!invited.text.contains("tnr_"));
    // Once, and from then on the first page is the sign-in.
    browser.post(&format!("{url}/set-up"), &[("setup_token", token), ("name", "Eve"), ("email", "")]).await.expect(409);
    assert_eq!(browser.get(&format!("{url}/set-up")).await.expect(303).leads(), format!("{url}/sign-in"));
    assert_eq!(browser.get(&format!("{url}/")).await.expect(303).leads(), format!("{url}/sign-in"));
}

on_one! { by |store| World::on_localhost(store, &[]);
    async fn a_page_leads_through_the_sign_in_and_back(world: World) {
        let url = &world.server.url;
        let stranger = Browser::new();
        assert_eq!(stranger.get(&format!("{url}/")).await.expect(303).leads(), format!("{url}/sign-in"));
        is_sound(&stranger.get(&format!("{url}/sign-in")).await.expect(200));
        // Only to a page of this server.
        for elsewhere in ["https://evil.example/", "//evil.example/", "/\\evil.example"] {
            let page = stranger.get(&format!("{url}/sign-in?return_to={elsewhere}")).await.expect(200);
            assert!(!page.text.contains("evil.example"), "{}", page.text);
        }
        let olu = signed_in(&world, &world.owner_id).await;
        let home = olu.get(&format!("{url}/")).await.expect(200);
        is_sound(&home);
        assert!(home.text.contains("<summary>Olu</summary>"), "{}", home.text);
        is_sound(&olu.get(&format!("{url}/sign-in/done")).await.expect(200));
        // A page of another site signs nobody out.
        let sent = olu.request(Method::POST, &format!("{url}/sign-out")).header("sec-fetch-site", "cross-site");
        World::answer(sent).await.expect(403);
        assert_eq!(olu.post(&format!("{url}/sign-out"), &[]).await.expect(303).leads(), format!("{url}/sign-in"));
        olu.get(&format!("{url}/")).await.expect(303);
        // Once more is no error.
        assert_eq!(olu.post(&format!("{url}/sign-out"), &[]).await.expect(303).leads(), format!("{url}/sign-in"));
        // What there isn't is said as whoever asks reads it.
        let nowhere = olu.request(Method::GET, &format!("{url}/nowhere"));
        assert_eq!(World::answer(nowhere).await.expect(404).code(), "route_unknown");
        let nowhere = olu.request(Method::GET, &format!("{url}/nowhere")).header("accept", "text/html,*/*;q=0.8").send().await.unwrap();
        assert_eq!((nowhere.status().as_u16(), nowhere.headers()["content-type"].to_str().unwrap()), (404, "text/html; charset=utf-8"));
    }

    async fn files_of_pages_are_kept_for_ever_under_the_digest_of_their_bytes(world: World) {
        let door = page(&world, &world.owner, "/sign-in").await.expect(200);
        let files: Vec<&str> = door.text.split('"').filter(|text| text.starts_with("/assets/")).collect();
        assert!(files.len() >= 4, "{files:?}");
        for file in files {
            let kept = page(&world, "", file).await.expect(200);
            assert_eq!(kept.headers["cache-control"], "public, max-age=31536000, immutable");
            let (front, name) = file.rsplit_once('/').unwrap();
            page(&world, "", &format!("{front}0/{name}")).await.expect(404);
        }
        page(&world, "", "/assets/x/../../etc/passwd").await.expect(404);
    }
}
