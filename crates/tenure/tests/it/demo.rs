//! `tenure demo`: what a newcomer sees first.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::{Browser, Page};
use crate::on_one;
use crate::passkeys::devtools::Chromium;
use crate::world::{WRAPPED, jwts};

/// The steps, in their order.
const STEPS: [&str; 22] = [
    "The organisation is loaded",
    "A charter without an owner is refused",
    "A job of minutes gets its decision and its credential in one call",
    "A production identity waits for its owner's manager",
    "High risk takes two people",
    "A person asks for access, too",
    "The workload proves itself, and its call is allowed",
    "A credential of another environment is denied, and found",
    "A review narrows it to what it used",
    "Why",
    "A login that nobody owns is found in a database, and gets an owner and an end",
    "Somebody leaves, and each of her identities is offered to somebody",
    "Meanwhile, a policy changes by two people",
    "At the deadline, what nobody took is suspended",
    "A repository is archived, and its pipeline ends",
    "An agent asks for more while it runs, and gets it for minutes",
    "Another agent acts for it, and loses that with its parent",
    "What nobody took for long retires, and its login is gone",
    "An application is cut",
    "The receipt",
    "The log is verified offline",
    "One byte of the export is changed, and found",
];

/// `tenure` with a folder for what is temporary, and without the environment's own settings.
fn tenure(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = crate::world::tenure();
    command
        .args(arguments)
        .env("TMPDIR", temporary)
        .current_dir(temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn terminate(child: &Child) {
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
}

/// What it says on standard error when it has ended, its exit code, and that it left nothing behind.
fn ended(mut child: Child, temporary: &Path) -> (i32, String) {
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0, "a folder is left");
    (status.code().unwrap(), said)
}

/// What somebody could use of what was printed: tokens beyond their kind, proofs and tokens of workloads that are not
/// cut off.
fn secrets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let whole = text.replace(WRAPPED, "");
    for (place, _) in whole.match_indices("tnr_") {
        let rest = &whole[place + 4..];
        let shown = rest.split(['"', ' ', '\n', ',']).next().unwrap();
        // Its kind, and not even that where the line ends.
        let (kind, cut) = shown.split_once('…').unwrap_or((shown, "nothing was cut"));
        let is_kind = kind.len() <= 8 && kind.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        if !is_kind || cut.len() > 4 {
            found.push(format!("tnr_{shown}"));
        }
    }
    for token in jwts(text) {
        if !token.ends_with('…') || token.contains('.') {
            found.push(token);
        }
    }
    found
}

#[test]
fn d24_a_token_is_found_wherever_one_can_begin_and_nowhere_else() {
    const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4In0.c2ln";
    for before in ["\"", "=", ":", " ", "Bearer ", "\n", "(", "assertion=", "…", "\u{2028}", "é", ""] {
        assert_eq!(secrets(&format!("x{before} {before}{TOKEN}\" y")), [TOKEN], "{before:?}");
    }
    // Also where it was broken, anywhere; and a part of one.
    for at in 1..TOKEN.len() {
        let (head, tail) = TOKEN.split_at(at);
        assert_eq!(secrets(&format!("\"{head}{WRAPPED}{tail}\"")), [TOKEN], "{at}");
    }
    assert_eq!(secrets("x.eyJpc3MiOiJ4In0 "), ["eyJpc3MiOiJ4In0"]);
    assert_eq!(secrets("tnr_op_abcdefgh "), ["tnr_op_abcdefgh"]);
    assert_eq!(secrets(&format!("tn{WRAPPED}r_op_abcdefgh ")), ["tnr_op_abcdefgh"]);
    // Cut off it may be shown, and random text is none.
    for harmless in
        ["\"eyJhbGciOi…\"", "\"x\": \"4peyJq9-Zk\"", "0_eyJhbGciOiJFZERTQSJ9", "-eyJhbGciOiJFZERTQSJ9", "tnr_op_…f3 "]
    {
        assert_eq!(secrets(harmless), Vec::<String>::new(), "{harmless}");
    }
}

#[test]
fn the_demo_tells_its_story() {
    let temporary = tempfile::tempdir().unwrap();
    let output = tenure(temporary.path(), &["demo"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let titles: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start().split_once(". "))
        .filter(|(number, _)| number.parse::<u8>().is_ok())
        .map(|(_, title)| title)
        .collect();
    assert_eq!(titles, STEPS);
    assert!(text.contains("Every step gave what it should"), "{text}");
    for kind in ["agent", "bot", "device", "integration", "pipeline", "service account", "workload"] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(&format!("{kind}  "))), "no {kind} was counted");
    }
    assert_eq!(secrets(&text), Vec::<String>::new());
    // Names and no ids, and nothing wider than a page; it ends with what was seen and what to do next (d24).
    let is_id = |word: &str| word.split_once('_').is_some_and(|(prefix, rest)| prefix.len() == 3 && rest.len() == 26);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    assert_eq!(words.filter(|word| is_id(word)).collect::<Vec<_>>(), Vec::<&str>::new(), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(!text.contains('\u{1b}'), "coloured without a terminal");
    for said in
        ["  refused  ", "  cut      ", "  proven   ", "entry_changed at entry ", "waiting for the deadline", "Next:"]
    {
        assert!(text.contains(said), "{said} is missing in {text}");
    }
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "a folder is left");
}

#[test]
fn d24_on_a_terminal_it_has_its_width_its_colours_and_the_wire_on_demand() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = tenure(temporary.path(), &[]);
    let line = format!("stty cols 60; '{}' demo --wire", command.get_program().to_str().unwrap());
    command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("TMPDIR", temporary.path())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("\u{1b}[32m201\u{1b}[0m") && text.contains("\u{1b}[31m403\u{1b}[0m"), "{text}");
    let plain = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m"]
        .iter()
        .fold(text, |text, code| text.replace(code, ""));
    // A line that counts is written over.
    for line in plain.lines().flat_map(|line| line.split('\r')) {
        assert!(line.chars().count() <= 60, "{line}");
    }
    // What is too long for a line goes on in the next.
    let lines: Vec<&str> = plain.lines().map(str::trim_start).collect();
    assert_eq!(secrets(&lines.join(&WRAPPED.to_string())), Vec::<String>::new());
    let plain = lines.concat();
    // Each token has a number of its own: opposite answers are about different ones.
    let tokens: std::collections::BTreeSet<&str> =
        plain.split("‹token ").skip(1).filter_map(|rest| rest.split([' ', '›']).next()).collect();
    assert!(tokens.len() > 3, "{tokens:?}");
    assert!(plain.contains("\"token_type\""), "the wire is there in full");
}

#[test]
fn a_reader_who_leaves_ends_it_quietly() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = tenure(temporary.path(), &["demo"]).spawn().unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    while first.trim().is_empty() {
        first.clear();
        assert_ne!(output.read_line(&mut first).unwrap(), 0);
    }
    assert_eq!(first.trim(), "A server of its own starts, and a small organisation is loaded.");
    drop(output);
    // Not every step was shown: not a success.
    assert_eq!(ended(child, temporary.path()), (1, String::new()));
}

#[test]
fn it_is_left_running_on_demand_and_cleans_up_when_stopped() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = tenure(temporary.path(), &["demo", "--keep"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let settings = lines.find(|line| line.contains("export TENURE_SERVER=")).unwrap();
    let value = |name: &str| {
        let (_, rest) = settings.split_once(&format!("{name}=")).unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let told = |arguments: &[&str]| -> Value {
        let output = tenure(temporary.path(), arguments)
            .env("TENURE_SERVER", value("TENURE_SERVER"))
            .env("TENURE_TOKEN_FILE", value("TENURE_TOKEN_FILE"))
            .env("TENURE_OUTPUT", "json")
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    // What it says to try, works.
    let identities = told(&["identity", "list", "--all"]);
    assert!(identities["items"].as_array().unwrap().len() >= 24);
    for noun in ["request", "finding", "transfer", "receipt"] {
        assert_ne!(told(&[noun, "list"])["items"].as_array().unwrap().len(), 0, "{noun}");
    }
    // It goes on until it is stopped, and takes its folder with it.
    std::thread::spawn(move || lines.for_each(drop));
    terminate(&child);
    assert_eq!(ended(child, temporary.path()), (0, String::new()));
}

#[test]
fn stopped_in_the_middle_it_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = tenure(temporary.path(), &["demo"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("2. A charter")));
    terminate(&child);
    lines.for_each(drop);
    let (code, said) = ended(child, temporary.path());
    assert_eq!((code, said.as_str()), (1, ""));
}

/// A demo that was left running, with the address of its console and the link to it.
struct Kept {
    child: Option<Child>,
    temporary: tempfile::TempDir,
    url: String,
    link: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
        }
    }
}

impl Kept {
    fn start() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = tenure(temporary.path(), &["demo", "--keep"]).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said = String::new();
        let (mut url, mut link) = (None, None);
        while url.is_none() {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}"));
            link = link.or_else(|| line.trim().starts_with("http://127.0.0.1:").then(|| line.trim().to_owned()));
            url = line.split_once("TENURE_SERVER=").map(|(_, rest)| rest.split(' ').next().unwrap().to_owned());
            said.push_str(&line);
            said.push('\n');
        }
        std::thread::spawn(move || lines.for_each(drop));
        assert!(!said.contains("left out of the past"), "{said}");
        Self {
            child: Some(child),
            temporary,
            url: url.unwrap(),
            link: link.unwrap_or_else(|| panic!("no link: {said}")),
        }
    }

    /// Stops it, and demands that it leaves nothing.
    fn stop(mut self) {
        let child = self.child.take().unwrap();
        terminate(&child);
        assert_eq!(ended(child, self.temporary.path()), (0, String::new()));
    }

    fn directory(&self) -> String {
        self.link.split("/enter/").next().unwrap().to_owned()
    }

    /// Chooses somebody of the directory, and follows to where that leads.
    async fn becomes(&self, browser: &Browser, subject: &str) -> Page {
        let page = browser.post(&format!("{}/as", self.directory()), &[("subject", subject)]).await.expect(303);
        browser.follow(page, |_| false).await.expect(200)
    }

    async fn read(&self, browser: &Browser, path: &str) -> Value {
        let page = browser.get(&format!("{}{path}", self.url)).await.expect(200);
        serde_json::from_str(&page.text).unwrap()
    }
}

#[tokio::test]
async fn its_link_opens_the_console_as_whom_one_likes_once_and_it_looks_lived_in() {
    let demo = Kept::start();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    // Under another name, from another site, from another machine, and without the link, it is shut.
    assert_eq!(status(http.get(&demo.link).header("host", "evil.example")).await, 421);
    assert_eq!(status(http.get(demo.directory())).await, 403);
    assert_eq!(status(http.get(format!("{}/enter/{}", demo.directory(), "A".repeat(43)))).await, 403);
    let choice = format!("{}/as", demo.directory());
    assert_eq!(status(http.post(&choice).header("origin", demo.directory()).form(&[("subject", "ada")])).await, 403);
    let port: u16 = demo.directory().rsplit(':').next().unwrap().parse().unwrap();
    let route = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if route.connect("192.0.2.1:9").is_ok() {
        let own = route.local_addr().unwrap().ip();
        let outside = std::net::TcpStream::connect_timeout(&(own, port).into(), std::time::Duration::from_secs(2));
        assert!(own.is_loopback() || outside.is_err(), "it listens on {own}");
    }

    let browser = Browser::new();
    let who = browser.get(&demo.link).await.expect(303);
    let who = browser.get(&who.leads()).await.expect(200);
    assert!(who.text.contains(">Sam Rivera<") && who.text.contains("security: "), "{}", who.text);
    assert!(who.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    // The link is good once; whoever used it finds the way back by it.
    assert!(Browser::new().get(&demo.link).await.expect(403).text.contains("This link was used"));
    assert_eq!(browser.get(&demo.link).await.expect(303).location.as_deref(), Some("/"));
    let cookie = browser.cookie(&demo.directory(), "tenure-demo-directory").unwrap();
    let foreign = http.post(&choice).header("cookie", format!("tenure-demo-directory={cookie}"));
    assert_eq!(status(foreign.header("origin", "https://evil.example").form(&[("subject", "ada")])).await, 403);

    let home = demo.becomes(&browser, "sam").await;
    assert!(home.url.starts_with(&demo.url) && home.text.contains("Sam Rivera"), "{}", home.text);
    // What it is, the log says: a sign-in by that provider.
    let me = demo.read(&browser, "/v1/me").await;
    assert_eq!((&me["assurance"]["method"], &me["fresh"]), (&json!("oidc"), &json!(true)), "{me}");
    let sam = me["person"]["id"].as_str().unwrap();
    let told = demo.read(&browser, &format!("/v1/log/timeline?subject={sam}&limit=50")).await;
    let kinds: Vec<&str> =
        told["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"sign_in.bound") && kinds.contains(&"session.started"), "{kinds:?}");

    // Months of it, and something of everything that waits.
    let items = async |path: &str| demo.read(&browser, path).await["items"].as_array().unwrap().clone();
    let findings = items("/v1/findings?state=open").await;
    for severity in ["medium", "high", "critical"] {
        assert!(findings.iter().any(|finding| finding["severity"] == severity), "no {severity} finding: {findings:?}");
    }
    assert!(items("/v1/requests?state=open").await.len() >= 4);
    assert_eq!(items("/v1/removals?state=held").await.len(), 1);
    assert!(
        !items("/v1/exceptions?state=active").await.is_empty()
            && !items("/v1/transfers?state=offered").await.is_empty()
    );
    let states: std::collections::BTreeSet<String> =
        items("/v1/identities?limit=200").await.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect();
    assert!(["active", "pending", "retired", "suspended"].iter().all(|state| states.contains(*state)), "{states:?}");
    let log = browser.get(&format!("{}/log/0", demo.url)).await.expect(200).text;
    let began = log.split("datetime=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let months_ago = crate::world::in_secs(-100 * 86_400);
    assert!(began < months_ago, "{began} is not before {months_ago}");

    // Somebody else votes, in the same browser: what waits for a manager, Max approves.
    let home = demo.becomes(&browser, "max").await;
    assert!(home.text.contains("Max Brandt"), "{}", home.text);
    let request = items("/v1/requests?state=open").await.into_iter().find(|one| one["matter"]["type"] == "activation");
    let request = request.unwrap()["id"].as_str().unwrap().to_owned();
    let shown = demo.read(&browser, &format!("/v1/requests/{request}")).await;
    let vote = [("content_hash", shown["content_hash"].as_str().unwrap()), ("decision", "approve"), ("comment", "")];
    browser.post(&format!("{}/requests/{request}", demo.url), &vote).await.expect(303);

    demo.stop();
}

#[tokio::test]
async fn its_link_works_in_a_real_browser() {
    let demo = Kept::start();
    let mut browser = Chromium::start().await;
    for (subject, name) in [("sam", "Sam Rivera"), ("max", "Max Brandt")] {
        browser.open(if subject == "sam" { demo.link.clone() } else { demo.directory() }.as_str()).await;
        browser.click(&format!("button[value=\"{subject}\"]")).await;
        let is_home = format!(
            "location.pathname === '/' && document.querySelector('.account > summary')?.textContent === {name:?}"
        );
        browser.until(&is_home).await;
    }
    demo.stop();
}

on_one! {
    async fn no_other_server_has_the_demos_way_in(world: World) {
        for path in ["/enter/x", "/as", "/authorize", "/token", "/jwks", "/demo", "/.well-known/openid-configuration"] {
            for method in [Method::GET, Method::POST] {
                let request = world.http.request(method, format!("{}{path}", world.server.url));
                let request = request.header("x-tenure-demo", "1").header("cookie", "tenure-demo-directory=x").bearer_auth(&world.admin);
                assert_eq!(request.send().await.unwrap().status(), 404, "{path}");
            }
        }
        assert!(world.get(&world.admin, "/v1/sign-in-providers").await.expect(200).body["items"].as_array().unwrap().is_empty());
        assert!(!tenure_server::addresses().iter().any(|address| address.contains("demo") || address.contains("enter")));
        for arguments in [&["server", "--keep"][..], &["server", "--demo"]] {
            let output = crate::world::tenure().args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        }
    }
}
