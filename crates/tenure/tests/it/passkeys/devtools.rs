//! Chromium, headless, by its DevTools protocol: one page and the virtual authenticators of WebAuthn.
//! `cargo xtask peers` installs it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page; it ends with the test.
pub struct Chromium {
    _child: Child,
    _profile: tempfile::TempDir,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    next: u64,
    session: Option<String>,
}

impl Chromium {
    /// Starts the browser, without anything of the user's.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new",
            // As root, and in containers, its own sandbox can't be set up.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-proxy-server",
            "--remote-debugging-pipe",
            "about:blank",
        ];
        // The protocol is spoken over file descriptors 3 and 4: no port that somebody else could use, and the end of
        // the pipe ends the browser.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "chromium"])
            .args(arguments)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut browser = Self {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            _child: child,
            _profile: profile,
            next: 0,
            session: None,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true})).await;
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        browser.call("WebAuthn.enable", json!({})).await;
        browser
    }

    /// One command of the DevTools protocol and its result.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        let said = self.ask(method, params).await;
        said.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The same; the error is Chromium's.
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.next += 1;
        let id = self.next;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.to
            .write_all(format!("{command}\0").as_bytes())
            .await
            .expect("Chromium runs; `cargo xtask peers` installs it");
        tokio::time::timeout(PATIENCE, self.reply(id, method)).await.unwrap_or_else(|_| panic!("{method} did not end"))
    }

    async fn reply(&mut self, id: u64, method: &str) -> Result<Value, Value> {
        loop {
            let mut message = Vec::new();
            self.from.read_until(0, &mut message).await.unwrap();
            assert!(!message.is_empty(), "Chromium ended during {method}; `cargo xtask peers` installs it");
            message.pop();
            let mut message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == id {
                let error = message["error"].take();
                return if error.is_null() { Ok(message["result"].take()) } else { Err(error) };
            }
        }
    }

    /// Goes to an address and waits until the page stands.
    pub async fn open(&mut self, url: &str) {
        // From a page that differs in its fragment alone, nothing would be loaded.
        for url in ["about:blank", url] {
            let went = self.call("Page.navigate", json!({"url": url})).await;
            assert!(went["errorText"].is_null(), "{url}: {went}");
            let there = format!(
                "document.readyState === 'complete' && {url:?}.startsWith(location.protocol + '//' + location.host)"
            );
            let blank = "location.href === 'about:blank'";
            self.until(if url == "about:blank" { blank } else { &there }).await;
        }
    }

    /// What a script says, as JSON; its promise is waited for. What it throws is a failed test.
    pub async fn run(&mut self, script: &str) -> Value {
        let parameters =
            json!({"expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut said = self.call("Runtime.evaluate", parameters).await;
        assert!(said["exceptionDetails"].is_null(), "{script}: {}", said["exceptionDetails"]);
        said["result"]["value"].take()
    }

    /// Waits until a script says `true`; a page that is just being left says nothing.
    pub async fn until(&mut self, script: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            // A page that is left while the script runs answers with an error.
            match self.ask("Runtime.evaluate", json!({"expression": script, "returnByValue": true})).await {
                Ok(said) if said["result"]["value"] == true => return,
                _ => {}
            }
            if Instant::now() > end {
                let page = self.run("location.href + '\\n' + document.body.innerText").await;
                panic!("{script} did not come true on {page}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses what a selector finds, once the page stands: an address changes before its page is there.
    pub async fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({selector:?})");
        self.until(&format!("document.readyState === 'complete' && {found} !== null")).await;
        self.run(&format!("{found}.click()")).await;
    }

    /// A new authenticator of the machine, such as a laptop has; gives its id.
    pub async fn authenticator(&mut self) -> String {
        let options = json!({
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
        });
        let added = self.call("WebAuthn.addVirtualAuthenticator", json!({"options": options})).await;
        added["authenticatorId"].as_str().unwrap().to_owned()
    }

    /// The credentials that an authenticator holds, private keys and all.
    pub async fn credentials(&mut self, authenticator: &str) -> Vec<Value> {
        let held = self.call("WebAuthn.getCredentials", json!({"authenticatorId": authenticator})).await;
        held["credentials"].as_array().unwrap().clone()
    }
}
