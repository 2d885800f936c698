//! A mail server and a receiver of webhooks by other people, which keep what they get.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::peers::node;

/// A script that says where it listens and then a line for each thing that it gets.
struct Script {
    child: Child,
    _stdin: ChildStdin,
    port: u64,
    got: Arc<Mutex<Vec<Value>>>,
}

impl Script {
    fn start(script: &str, arguments: &[String], got: Arc<Mutex<Vec<Value>>>) -> Self {
        Self::run(node(script), arguments, got)
    }

    fn run(mut command: Command, arguments: &[String], got: Arc<Mutex<Vec<Value>>>) -> Self {
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = lines.map_while(Result::ok).map(|line| serde_json::from_str::<Value>(&line).unwrap());
        let port = said.next().expect("the script listens")["port"].as_u64().unwrap();
        let inbox = Arc::clone(&got);
        std::thread::spawn(move || said.for_each(|thing| inbox.lock().unwrap().push(thing)));
        Self { _stdin: child.stdin.take().unwrap(), child, port, got }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How the mail server is spoken to.
#[derive(Clone)]
pub enum Tls {
    None,
    Starttls(Certificate),
    Implicit(Certificate),
}

/// A certificate for `localhost` that nobody trusts unless told to.
#[derive(Clone)]
pub struct Certificate {
    folder: Arc<tempfile::TempDir>,
}

impl Certificate {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("openssl")
            .current_dir(folder.path())
            .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"])
            .args(["-keyout", "key.pem", "-out", "certificate.pem", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self { folder: Arc::new(folder) }
    }
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

/// A real mail server (npm `smtp-server`); it ends with the test.
pub struct Mailbox {
    script: Option<Script>,
    options: Value,
    got: Arc<Mutex<Vec<Value>>>,
}

impl Mailbox {
    /// A server without TLS that takes everything.
    pub fn start() -> Self {
        Self::start_with(&Tls::None, json!({}))
    }

    /// A server with more options: `user` and `password`, `refuse` (addresses).
    pub fn start_with(tls: &Tls, mut options: Value) -> Self {
        let (name, certificate) = match tls {
            Tls::None => ("none", None),
            Tls::Starttls(certificate) => ("starttls", Some(certificate)),
            Tls::Implicit(certificate) => ("implicit", Some(certificate)),
        };
        options["tls"] = json!(name);
        if let Some(certificate) = certificate {
            options["certificate"] = json!(certificate.file());
            options["key"] = json!(certificate.folder.path().join("key.pem"));
        }
        let mut mailbox = Self { script: None, options, got: Arc::default() };
        mailbox.restart();
        mailbox
    }

    /// Starts again on the same port after [`Mailbox::stop`]; what was got before is kept.
    pub fn restart(&mut self) {
        let script = Script::start("mailbox.mjs", &[self.options.to_string()], Arc::clone(&self.got));
        self.options["port"] = json!(script.port);
        self.script = Some(script);
    }

    pub fn stop(&mut self) {
        self.script = None;
    }

    /// The variables by which Tenure sends its mail here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let tls = self.options["tls"].as_str().unwrap();
        let mut environment = vec![
            ("TENURE_MAIL_HOST".to_owned(), "localhost".to_owned()),
            ("TENURE_MAIL_PORT".to_owned(), self.options["port"].to_string()),
            ("TENURE_MAIL_FROM".to_owned(), "tenure@example.com".to_owned()),
            ("TENURE_MAIL_TLS".to_owned(), tls.to_owned()),
        ];
        if let Some(user) = self.options["user"].as_str() {
            environment.push(("TENURE_MAIL_USERNAME".to_owned(), user.to_owned()));
        }
        environment
    }

    /// Every message so far: `from`, `to`, `secure`, `user` of the envelope and the session, `raw`, and what was
    /// `parsed` (`subject`, `text`, `html`, `headers`, …).
    pub fn messages(&self) -> Vec<Value> {
        self.got.lock().unwrap().clone()
    }

    /// The messages to an address whose subject has these words.
    pub fn messages_to(&self, address: &str, subject: &str) -> Vec<Value> {
        let fits = |message: &Value| {
            message["to"] == json!([address])
                && message["parsed"]["subject"].as_str().unwrap_or_default().contains(subject)
        };
        self.messages().into_iter().filter(fits).collect()
    }
}

/// A receiver of webhooks that checks signatures (npm `standardwebhooks`); it ends with the test.
pub struct Hooks {
    script: Script,
    secret: String,
    pub path: &'static str,
}

impl Hooks {
    /// Answers calls that are signed with the secret with this status.
    pub fn start(secret: &str, status: u16) -> Self {
        let arguments = ["0".to_owned(), secret.to_owned(), status.to_string()];
        Self {
            script: Script::start("hooks.mjs", &arguments, Arc::default()),
            secret: secret.to_owned(),
            path: "/in?token=word",
        }
    }

    /// The variables by which Tenure calls it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let url = format!("http://127.0.0.1:{}{}", self.script.port, self.path);
        vec![("TENURE_WEBHOOK_URL".to_owned(), url), ("TENURE_WEBHOOK_SECRET".to_owned(), self.secret.clone())]
    }

    /// Every call so far: `method`, `path`, `headers`, and the body as `verified`, null if its signature is wrong.
    pub fn calls(&self) -> Vec<Value> {
        self.script.got.lock().unwrap().clone()
    }
}

/// An endpoint that is called back; it ends with the test.
pub struct Pings {
    script: Script,
}

impl Pings {
    /// Answers the first call with the first status, and so on; the last one stays, and 0 is no answer.
    pub fn start(statuses: &[u16]) -> Self {
        let arguments: Vec<String> = statuses.iter().map(u16::to_string).collect();
        Self { script: Script::start("pings.mjs", &arguments, Arc::default()) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/called", self.script.port)
    }

    /// Every call so far: `method`, `path`, `headers`, `body`.
    pub fn calls(&self) -> Vec<Value> {
        self.script.got.lock().unwrap().clone()
    }
}

/// A receiver of spans (PyPI `opentelemetry-proto`); it ends with the test.
#[cfg(feature = "otlp")]
pub struct Collector {
    script: Script,
}

#[cfg(feature = "otlp")]
impl Collector {
    pub fn start() -> Self {
        Self { script: Script::run(crate::peers::python("collector.py"), &[], Arc::default()) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.script.port)
    }

    /// Every span so far, as the script says it.
    pub fn spans(&self) -> Vec<Value> {
        self.script.got.lock().unwrap().clone()
    }
}
