//! The real sign-in page in a real browser: Chromium with its virtual authenticator.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::devtools::Chromium;
use super::visitor::Visitor;
use super::{begin, finish, invite, refusals};
use crate::world::{Store, World};

/// Who the page's browser is signed in as.
const ME: &str = "fetch('/v1/me').then((answer) => answer.ok ? answer.json() : null)";

/// Registers a passkey on the page as an invited person does; gives its id.
async fn register(browser: &mut Chromium, world: &World, person: &str) -> String {
    let invitation = invite(world, person).await;
    browser.open(&format!("{}/sign-in#invitation={invitation}", world.server.url)).await;
    browser.until("document.getElementById('invitation').value.startsWith('tnr_inv_')").await;
    // Neither the address bar nor the history keeps it.
    assert_eq!(browser.run("location.href").await, json!(format!("{}/sign-in", world.server.url)));
    browser.click("form[action=\"/sign-in/invitation\"] button").await;
    browser.until("document.getElementById('passkey-register')?.hidden === false").await;
    browser.click("#passkey-register").await;
    browser.until("location.pathname === '/'").await;
    let held = browser.run("fetch('/v1/passkeys').then((answer) => answer.json())").await;
    held["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn sign_out(browser: &mut Chromium, world: &World) {
    browser.open(&format!("{}/sign-in/done", world.server.url)).await;
    browser.click("form[action=\"/sign-out\"] button").await;
    browser
        .until("location.pathname === '/sign-in' && document.getElementById('passkey-sign-in')?.hidden === false")
        .await;
    assert!(browser.run(ME).await.is_null());
}

/// Presses the button and gives what the page says, or nothing once it has gone on.
async fn press_sign_in(browser: &mut Chromium, world: &World) {
    browser.open(&format!("{}/sign-in", world.server.url)).await;
    browser.until("document.getElementById('passkey-sign-in')?.hidden === false").await;
    browser.click("#passkey-sign-in").await;
}

async fn told(browser: &mut Chromium, what: &str) {
    browser.until(&format!("document.getElementById('message').textContent.includes({what:?})")).await;
    assert!(browser.run(ME).await.is_null());
}

#[tokio::test]
async fn s7_a_person_registers_signs_out_and_signs_in_on_the_page() {
    let world = World::binary_on_localhost(Store::Sqlite, &[]).await;
    let mut browser = Chromium::start().await;
    let authenticator = browser.authenticator().await;
    let passkey = register(&mut browser, &world, &world.owner_id).await;
    let me = browser.run(ME).await;
    assert_eq!(
        (&me["person"]["id"], &me["fresh"], &me["assurance"]["phishing_resistant"]),
        (&json!(world.owner_id), &json!(true), &json!(true))
    );
    let held = browser.credentials(&authenticator).await;
    assert_eq!(
        (held.len(), &held[0]["isResidentCredential"], &held[0]["rpId"]),
        (1, &json!(true), &json!("localhost"))
    );

    sign_out(&mut browser, &world).await;
    press_sign_in(&mut browser, &world).await;
    browser.until("location.pathname === '/'").await;
    let me = browser.run(ME).await;
    assert_eq!((&me["person"]["id"], &me["fresh"]), (&json!(world.owner_id), &json!(true)));
    assert_eq!(world.events_of("sign_in.succeeded", &passkey).await.len(), 1);
    // The session's secret is not for scripts.
    assert_eq!(browser.run("document.cookie").await, "");
    // The same device isn't registered twice: the server names it, and the browser refuses.
    browser.open(&format!("{}/sign-in?link=true", world.server.url)).await;
    browser.until("document.getElementById('passkey-register')?.hidden === false").await;
    browser.click("#passkey-register").await;
    browser.until("document.getElementById('message').textContent.length > 40").await;
    assert_eq!(browser.credentials(&authenticator).await.len(), 1);
}

#[tokio::test]
async fn s7_the_page_signs_nobody_in_who_was_not_verified() {
    let world = World::binary_on_localhost(Store::Sqlite, &[]).await;
    let mut browser = Chromium::start().await;
    let authenticator = browser.authenticator().await;
    let passkey = register(&mut browser, &world, &world.owner_id).await;
    sign_out(&mut browser, &world).await;
    let verified = json!({"authenticatorId": authenticator, "isUserVerified": false});
    browser.call("WebAuthn.setUserVerified", verified).await;
    press_sign_in(&mut browser, &world).await;
    told(&mut browser, "No passkey was used").await;
    assert!(refusals(&world, &passkey).await.is_empty(), "the browser itself refused");

    // A page that asks for less than the server did gets an answer, and the server refuses it.
    let lax = "(async () => {
        const post = (path, body) => fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
        const options = await (await post('/sign-in/passkey/start', {})).json();
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({ ...options, userVerification: 'discouraged' });
        return (await post('/sign-in/passkey/finish', (await navigator.credentials.get({ publicKey })).toJSON())).status;
    })()";
    assert_eq!(browser.run(lax).await, 401);
    assert!(browser.run(ME).await.is_null());
    assert_eq!(refusals(&world, &passkey).await, ["webauthn_user_not_verified"]);
}

#[tokio::test]
async fn s7_a_copy_of_a_passkey_on_another_device_is_noticed() {
    let world = World::binary_on_localhost(Store::Sqlite, &[]).await;
    let mut browser = Chromium::start().await;
    let authenticator = browser.authenticator().await;
    let passkey = register(&mut browser, &world, &world.owner_id).await;
    let mut copy = browser.credentials(&authenticator).await.remove(0);
    sign_out(&mut browser, &world).await;
    press_sign_in(&mut browser, &world).await;
    browser.until("location.pathname === '/'").await;
    sign_out(&mut browser, &world).await;

    // The private key, as it was before that sign-in, in another authenticator.
    browser.call("WebAuthn.removeVirtualAuthenticator", json!({"authenticatorId": authenticator})).await;
    let other = browser.authenticator().await;
    copy["signCount"] = json!(0);
    browser.call("WebAuthn.addCredential", json!({"authenticatorId": other, "credential": copy})).await;
    press_sign_in(&mut browser, &world).await;
    told(&mut browser, "proof").await;
    assert_eq!(world.events_of("passkey.copy_suspected", &passkey).await.len(), 1);
    assert_eq!(refusals(&world, &passkey).await, ["webauthn_counter_went_back"]);
}

/// Relying parties know hosts, not ports: the browser lets a page on another port of this host use the passkeys. The
/// origin gives it away.
#[tokio::test]
async fn s7_an_answer_made_on_another_origins_page_is_refused() {
    let world = World::binary_on_localhost(Store::Sqlite, &[]).await;
    let mut browser = Chromium::start().await;
    browser.authenticator().await;
    let passkey = register(&mut browser, &world, &world.owner_id).await;
    let victim = Visitor::new(&world);
    let options = begin(&victim).await;
    browser.open(&phishing_page().await).await;
    let lure = format!(
        "navigator.credentials.get({{ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON({options}) }}).then((credential) => credential.toJSON())"
    );
    let answer: Value = browser.run(&lure).await;
    assert!(answer["response"]["signature"].is_string());
    finish(&victim, &answer).await.expect(401);
    assert!(victim.cookie("tenure-session").is_none());
    assert!(world.events_of("sign_in.succeeded", &passkey).await.is_empty());
    // The same passkey on the server's own page does sign in.
    press_sign_in(&mut browser, &world).await;
    browser.until("location.pathname === '/'").await;
}

/// A page on another port of this host; gives its address.
async fn phishing_page() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 21\r\nConnection: close\r\n\r\n<title>Tenure</title>";
            let _ = stream.write_all(page).await;
        }
    });
    url
}
