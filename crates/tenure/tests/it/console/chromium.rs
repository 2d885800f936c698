//! The console in a real browser: the first minute of a new server, keys, and a proof that the page computes.

use std::net::TcpListener;

use serde_json::json;

use crate::passkeys::devtools::Chromium;
use crate::world::server::{Host, Server};

/// Presses a key that writes a character.
async fn press(browser: &mut Chromium, key: &str) {
    for kind in ["keyDown", "keyUp"] {
        browser.call("Input.dispatchKeyEvent", json!({"type": kind, "key": key, "text": key})).await;
    }
}

#[tokio::test]
async fn s10_a_new_server_is_set_up_and_gone_around_in_by_keyboard() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, url) = (format!("127.0.0.1:{port}"), format!("http://localhost:{port}"));
    let host = Host::inside();
    host.is_of_this_thread();
    let environment = [("TENURE_LISTEN", listen.as_str()), ("TENURE_PUBLIC_URL", url.as_str())];
    let server = Server::on(&host, tempfile::tempdir().unwrap(), None, &environment);
    let token = std::fs::read_to_string(server.data.path().join("setup-token")).unwrap();

    let mut browser = Chromium::start().await;
    browser.authenticator().await;
    browser.open(&format!("{url}/")).await;
    browser.until("location.pathname === '/set-up' && document.readyState === 'complete'").await;
    let fill = format!(
        "document.getElementById('setup_token').value = {:?}; document.getElementById('name').value = 'Ada'",
        token.trim()
    );
    browser.run(&fill).await;
    browser.click("form[action=\"/set-up\"] button").await;
    browser.until("document.getElementById('passkey-register')?.hidden === false").await;
    browser.click("#passkey-register").await;
    browser.until("location.pathname === '/' && document.readyState === 'complete'").await;
    assert_eq!(browser.run("document.querySelector('h1').textContent").await, "A new deployment");
    assert_eq!(browser.run("document.querySelector('.account > summary').textContent").await, "Ada");
    // Its own files are let in by its own policy: the look is there, and times are in the reader's zone.
    assert_eq!(browser.run("getComputedStyle(document.querySelector('.top')).display").await, "flex");
    browser.until("document.getElementById('show-keys').hidden === false").await;

    press(&mut browser, "?").await;
    browser.until("document.getElementById('keys').open").await;
    browser.click("#keys button").await;
    browser.until("!document.getElementById('keys').open").await;
    press(&mut browser, "/").await;
    browser.until("document.activeElement.id === 'search'").await;
    browser.run("document.activeElement.blur()").await;
    press(&mut browser, "g").await;
    press(&mut browser, "s").await;
    browser.until("location.pathname === '/stop' && document.activeElement.id === 'words'").await;

    // The proof of the first entry, computed by the page.
    browser.open(&format!("{url}/log/0")).await;
    browser.until("document.readyState === 'complete'").await;
    for _ in 0..50 {
        if browser.run("document.getElementById('proof') !== null").await == json!(true) {
            break;
        }
        // It is sealed in a moment.
        browser.open(&format!("{url}/log/0")).await;
    }
    browser.until("document.getElementById('verdict').textContent.startsWith('Computed here, just now')").await;
    // A path that was altered is noticed.
    browser
        .run("document.getElementById('leaf').textContent = 'A'.repeat(43); const again = document.createElement('script'); again.src = [...document.scripts].find((script) => script.src.endsWith('proof.js')).src + '?again'; document.head.append(again)")
        .await;
    browser.until("document.getElementById('verdict').className === 'problem'").await;
}
