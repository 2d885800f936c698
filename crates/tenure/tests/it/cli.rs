//! The command line: what it prints where, with which exit code, and a whole life of an identity by it.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tenure_core::target::connector::{Mode, TargetKind};
use tenure_log::{Actor, ExportWriter, Frontier, Header, Leaf, LogSigner, leaf_hash};

use crate::on_one;
use crate::world::{Server, Store};

/// Runs `tenure` without the environment's own settings.
fn tenure(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = crate::world::tenure();
    command.args(arguments).envs(environment.iter().copied()).stdin(std::process::Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn what_a_connector_needs_is_told_before_there_is_a_server() {
    let nowhere = [("TENURE_SERVER", "http://127.0.0.1:9"), ("TENURE_TOKEN_FILE", "/nonexistent/token")];
    for kind in TargetKind::ALL {
        for mode in Mode::ALL {
            let told = tenure(&["target", "rights", kind.as_str(), "--mode", mode.as_str()], &nowhere);
            assert_eq!((code(&told), text(&told.stderr)), (0, String::new()), "{kind:?} {mode:?}");
            assert!(told.stdout.len() > 20, "{kind:?} {mode:?}: {}", text(&told.stdout));
        }
    }
}

#[test]
fn help_teaches_and_usage_errors_are_told_apart() {
    for noun in [
        "server",
        "demo",
        "setup",
        "login",
        "invitation",
        "sign-in-provider",
        "person",
        "application",
        "environment",
        "resource",
        "issuer",
        "source",
        "signal",
        "identity",
        "grant",
        "credential",
        "cut",
        "hold",
        "receipt",
        "key",
        "token",
        "access",
        "enrol",
        "exception",
        "finding",
        "need",
        "events",
        "log",
    ] {
        let help = tenure(&[noun, "--help"], &[]);
        assert_eq!(code(&help), 0, "{noun}");
        let words = text(&help.stdout);
        assert!(words.contains("tenure "), "{noun} has no example:\n{words}");
        assert!(!words.contains('\u{1b}'), "{noun} is coloured without a terminal");
    }
    for wrong in [
        &["nonsense"][..],
        &["identity", "nonsense"],
        &["identity", "show", "per_1"],
        &["identity", "list", "--limit", "0"],
        &[],
    ] {
        let output = tenure(wrong, &[]);
        assert_eq!(code(&output), 2, "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
    }
    let completions = tenure(&["completions", "bash"], &[]);
    assert_eq!(code(&completions), 0);
    assert!(text(&completions.stdout).contains("_tenure"));
}

#[test]
fn what_concerns_many_is_never_done_unasked() {
    let output = tenure(
        &["cut", "environment", "prod", "--reason", "x", "--server", "http://127.0.0.1:1"],
        &[("TENURE_TOKEN", "tnr_op_x")],
    );
    assert_eq!(code(&output), 2);
    assert_eq!(text(&output.stderr).lines().last(), Some("hint: say --yes"));
}

#[test]
fn failures_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let without_token = tenure(&["identity", "list", "--data", data], &[]);
    assert_eq!(code(&without_token), 1);
    assert!(text(&without_token.stderr).contains("hint: `tenure login` begins one"), "{}", text(&without_token.stderr));
    let without_server = tenure(&["log", "checkpoint", "--server", "http://127.0.0.1:1"], &[]);
    assert_eq!(code(&without_server), 1);
    assert!(
        text(&without_server.stderr).starts_with("error: can't reach http://127.0.0.1:1"),
        "{}",
        text(&without_server.stderr)
    );
    let in_the_clear = tenure(&["log", "checkpoint", "--server", "http://tenure.example.com"], &[]);
    assert!(text(&in_the_clear.stderr).contains("in the clear"), "{}", text(&in_the_clear.stderr));
}

/// An operator at work: one server, its data folder, and commands that have to succeed.
struct Desk {
    server: Server,
}

impl Desk {
    fn new() -> Self {
        Self { server: Server::start(Store::Sqlite, &[]) }
    }

    fn path(&self, name: &str) -> String {
        self.server.data.path().join(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let data = self.server.data.path().to_str().unwrap();
        tenure(arguments, &[("TENURE_SERVER", &self.server.url), ("TENURE_DATA", data), ("TENURE_OUTPUT", "json")])
    }

    fn does(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| Value::String(text(&output.stdout).trim().to_owned()))
    }

    fn makes(&self, arguments: &[&str]) -> String {
        self.does(arguments)["id"].as_str().unwrap().to_owned()
    }
}

fn mode(path: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn write_registration(desk: &Desk, name: &str, owner: &str, application: &str, resource: &str, jwk: &Value) -> String {
    // The template as it is printed, filled in as its comments say.
    let template = text(&desk.run(&["identity", "charter-template"]).stdout);
    let filled = template
        .replace("billing-exporter\"", &format!("{name}\""))
        .replace("per_OWNER", owner)
        .replace("per_REQUESTER", owner)
        .replace("app_APPLICATION", application)
        .replace("res_RESOURCE", resource)
        .replace("PUBLIC_KEY", jwk["x"].as_str().unwrap());
    let path = desk.path(&format!("{name}.json"));
    std::fs::write(&path, filled).unwrap();
    path
}

#[test]
fn a_life_by_the_command_line() {
    let desk = Desk::new();
    desk.makes(&["setup", "--name", "Ada"]);
    assert_eq!(mode(&desk.path("operator-token")), 0o600);
    let manager = desk.makes(&["person", "create", "--name", "Max", "--role", "manager"]);
    let person = desk.makes(&[
        "person",
        "create",
        "--name",
        "Grace",
        "--role",
        "owner",
        "--role",
        "security",
        "--manager",
        &manager,
    ]);
    desk.does(&["environment", "create", "--name", "production", "--production"]);
    let team = desk.makes(&["team", "create", "removers"]);
    desk.does(&["person", "change", &manager, "--team", &team]);
    let application =
        desk.makes(&["application", "create", "--name", "billing", "--owner", &person, "--removal-group", &team]);
    let uri = "https://ledger.example.com";
    let resource = desk.makes(&[
        "resource",
        "create",
        "--uri",
        uri,
        "--type",
        "api",
        "--action",
        "write",
        "--application",
        &application,
        "--environment",
        "production",
    ]);

    let key = desk.path("exporter.key");
    let jwk = desk.does(&["key", "generate", "--out", &key]);
    assert_eq!(mode(&key), 0o600);
    assert_eq!(code(&desk.run(&["key", "generate", "--out", &key])), 1, "a key is never overwritten");
    assert_eq!(desk.does(&["key", "public", &key]), jwk);

    let incomplete = desk.path("incomplete.json");
    std::fs::write(&incomplete, json!({"kind": "workload", "name": "half", "charter": {"purpose": "x"}}).to_string())
        .unwrap();
    let refused = desk.run(&["identity", "register", "-f", &incomplete]);
    assert_eq!(code(&refused), 1);
    let said = text(&refused.stderr);
    for field in
        ["charter.owner", "charter.scope", "charter.environment", "charter.workload_binding", "charter.expires_at"]
    {
        assert_eq!(
            said.lines().filter(|line| line.trim_start().starts_with(&format!("{field}:"))).count(),
            1,
            "{field}:\n{said}"
        );
    }

    let file = write_registration(&desk, "billing-exporter", &person, &application, &resource, &jwk);
    let identity = desk.makes(&["identity", "register", "-f", &file]);
    let grace = desk.path("grace.token");
    desk.run(&["person", "token", &person, "--out", &grace]);
    assert_eq!(mode(&grace), 0o600);
    let max = desk.path("max.token");
    desk.run(&["person", "token", &manager, "--out", &max]);
    let request =
        desk.does(&["request", "list", "--state", "open", "--all"])["items"][0]["id"].as_str().unwrap().to_owned();
    let read = desk.does(&["request", "show", &request])["content_hash"].as_str().unwrap().to_owned();
    let approve = ["request", "approve", &request, "--content-hash", &read, "--token-file"];
    assert_eq!(code(&desk.run(&[&approve[..], &[&grace]].concat())), 1, "nobody approves for themselves");
    let approved = desk.does(&[&approve[..], &[&max]].concat());
    assert_eq!(approved["state"], "fulfilled");
    assert_eq!(desk.does(&["identity", "list", "--state", "active", "--all"])["items"][0]["id"], identity.as_str());
    assert_eq!(desk.does(&["identity", "access", &identity])["access"][0]["live"], true);

    let get = ["token", "get", "--identity", &identity, "--key", &key, "--environment", "production"];
    let credential = desk.does(&get)["credential"].as_str().unwrap().to_owned();
    assert_eq!(desk.does(&["credential", "show", &credential])["state"], "live");

    let promised = desk.path("promised.json");
    let receipt = desk.does(&["cut", "owner", &person, "--reason", "drill", "--yes", "--token-file", &grace]);
    std::fs::write(&promised, receipt.to_string()).unwrap();
    let receipt = receipt["id"].as_str().unwrap();
    assert_ne!(desk.does(&["credential", "show", &credential])["state"], "live");
    let settled = wait_until_signed(&desk, receipt);
    let jws = desk.path("receipt.json");
    std::fs::write(&jws, settled.to_string()).unwrap();
    assert_eq!(desk.does(&["receipt", "verify", receipt])["id"], receipt);
    assert_eq!(desk.does(&["receipt", "verify", &jws])["id"], receipt);
    assert_eq!(desk.does(&["receipt", "list"])["items"][0]["id"], receipt);

    desk.does(&["identity", "suspend", &identity, "--reason", "drill", "--token-file", &grace]);
    let refused = desk.run(&get);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused.stderr).starts_with("error[identity_suspended]"), "{}", text(&refused.stderr));

    let auditor = desk.makes(&["person", "create", "--name", "Mary", "--role", "auditor"]);
    let mary = desk.path("mary.token");
    desk.run(&["person", "token", &auditor, "--out", &mary]);
    log_of(&desk, &promised, &mary);
}

fn wait_until_signed(desk: &Desk, receipt: &str) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let shown = desk.does(&["receipt", "show", receipt]);
        if shown["signed"].is_string() {
            return shown;
        }
        assert!(std::time::Instant::now() < deadline, "not signed: {shown}");
    }
}

/// The auditor's part, with what the server gave.
fn log_of(desk: &Desk, promised: &str, auditor: &str) {
    let (kept, copy, key_file) = (desk.path("kept.checkpoint"), desk.path("copy.ndjson"), desk.path("log.key"));
    std::fs::write(&key_file, desk.does(&["log", "key"]).as_str().unwrap()).unwrap();
    std::fs::write(&kept, text(&desk.run(&["log", "checkpoint"]).stdout)).unwrap();
    assert_eq!(desk.does(&["log", "inclusion", "0"])["index"], 0);
    assert_eq!(desk.does(&["log", "verify-state", "--token-file", auditor])["faults"], json!([]));
    desk.does(&["log", "export", "-f", &copy, "--token-file", auditor]);
    assert_eq!(mode(&copy), 0o600);
    assert!(!Path::new(&format!("{copy}.partial")).exists());
    let verdict = desk.does(&["log", "verify", &copy, "--key-file", &key_file, "--kept", &kept, "--promise", promised]);
    assert_eq!(
        (&verdict["result"], &verdict["key"], &verdict["promises"]["kept"]),
        (&json!("sound"), &json!("given"), &json!(1)),
        "{verdict}"
    );
}

fn export(entries: u64) -> (String, Vec<u8>) {
    let signer = LogSigner::from_seed("tenure.example/log", 0, &[7; 32]).unwrap();
    let leaves: Vec<Vec<u8>> = (0..entries)
        .map(|index| {
            Leaf {
                actor: Actor { id: "per_1".into(), kind: "person".into() },
                at: 1_700_000_000_000_000 + i64::try_from(index).unwrap(),
                control: "issue".into(),
                data: json!({"index": index}).as_object().unwrap().clone(),
                id: format!("evt_{index}"),
                kind: "credential.issued".into(),
                personal: Default::default(),
                rows: Vec::new(),
                subjects: vec!["idn_1".into()],
            }
            .encode()
            .unwrap()
        })
        .collect();
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|leaf| frontier.append(leaf_hash(leaf)));
    let note = signer.checkpoint(entries, frontier.root());
    let mut writer = ExportWriter::new(Vec::new(), &Header::new(signer.verifier_key(), 0, &note).unwrap()).unwrap();
    leaves.iter().for_each(|leaf| writer.entry(leaf, &[]).unwrap());
    (signer.verifier_key().to_string(), writer.finish().unwrap())
}

#[test]
fn an_export_is_verified_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let (key, sound) = export(5);
    let path = folder.path().join("copy.ndjson");
    let file = path.to_str().unwrap();
    std::fs::write(&path, &sound).unwrap();

    let pinned = tenure(&["log", "verify", file, "--key", &key], &[]);
    assert_eq!(code(&pinned), 0, "{}", text(&pinned.stderr));
    assert!(pinned.stderr.is_empty());
    assert!(
        text(&pinned.stdout).lines().any(|line| line.split_whitespace().eq(["entries", "5"])),
        "{}",
        text(&pinned.stdout)
    );

    let unpinned = tenure(&["log", "verify", file], &[]);
    assert_eq!(code(&unpinned), 0);
    assert!(text(&unpinned.stderr).contains("the key was taken from the export itself"));

    let mut lines: Vec<Vec<u8>> = sound.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.remove(3);
    std::fs::write(&path, lines.concat()).unwrap();
    let tampered = tenure(&["log", "verify", file, "--key", &key], &[]);
    assert_eq!(code(&tampered), 1);
    assert!(text(&tampered.stdout).starts_with("entry_removed at entry 2"), "{}", text(&tampered.stdout));
    assert!(text(&tampered.stderr).contains("hint: "));

    let listed = tenure(&["log", "verify", file, "--key", &key, "-o", "json"], &[]);
    let faults: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(
        (&faults["result"], &faults["faults"][0]["code"], &faults["faults"][0]["entries"]["from"]),
        (&json!("unsound"), &json!("entry_removed"), &json!(2))
    );

    let wrong_key = tenure(&["log", "verify", file, "--key", "nonsense"], &[]);
    assert_eq!(code(&wrong_key), 2);
}

#[test]
fn a_verification_goes_on_where_it_was_left_off() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (key, sound) = export(3000);
    let path = folder.path().join("copy.ndjson");
    let state = folder.path().join("copy.state");
    let (file, state_file) = (path.to_str().unwrap(), state.to_str().unwrap());
    std::fs::write(&path, &sound).unwrap();
    let arguments = ["log", "verify", file, "--key", &key, "--resume", state_file];

    let whole = tenure(&arguments, &[]);
    assert_eq!(code(&whole), 0, "{}", text(&whole.stderr));
    assert!(whole.stderr.is_empty(), "no terminal is told how far it is");
    assert!(!state.exists(), "nothing is left to go on from");

    let keys = [tenure_log::VerifierKey::parse(&key).unwrap()];
    let mut left = None;
    let mut watch = |progress: &tenure_log::Progress<'_>| {
        left = progress.bookmark();
        if progress.entries < 1000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let run = tenure_log::Run { threads: 2, from: None, bookmarks: true, watch: &mut watch };
    let expected = tenure_log::Expectations { keys: &keys, ..Default::default() };
    tenure_log::verify_export_with(&sound[..], &expected, run).unwrap_err();
    let left = left.unwrap().to_text();
    let leave = |text: &str, mode: u32| {
        std::fs::write(&state, text).unwrap();
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
    };

    leave(&left, 0o600);
    let further = tenure(&arguments, &[]);
    assert_eq!((code(&further), &further.stdout), (0, &whole.stdout), "{}", text(&further.stderr));
    assert!(text(&further.stderr).starts_with("going on behind entry 1"), "{}", text(&further.stderr));
    assert!(!state.exists());

    let refused = |arguments: &[&str], why: &str| {
        let output = tenure(arguments, &[]);
        assert_eq!(code(&output), 2, "{why}");
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "there is no verdict");
    };
    leave(&left, 0o622);
    refused(&arguments, "others than you may have written");
    leave(&left[..left.len() - 9], 0o600);
    refused(&arguments, "cut, damaged, or none at all");
    leave("\u{fffd}", 0o600);
    refused(&arguments, "cut, damaged, or none at all");
    leave(&left, 0o600);
    refused(&["log", "verify", file, "--resume", state_file], "other keys");
    refused(&["log", "verify", "-", "--resume", state_file], "standard input");
    let mut changed = sound.clone();
    let at = sound.len() / 6;
    changed[at] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    refused(&arguments, "of another export, or the export was changed since");
    assert!(state.exists());
}

on_one! {
    async fn d25_what_a_person_cannot_use_is_not_shown_by_default(world: World) {
        let folder = tempfile::tempdir().unwrap();
        let narrow = |arguments: &[&str]| {
            let output = world.by_hand(&world.admin, folder.path(), arguments, Some(""));
            let shown = text(&output.stdout);
            assert_eq!(code(&output), 0, "{shown}");
            assert!(shown.lines().all(|line| line.trim_end().chars().count() <= 80), "{arguments:?}: {shown}");
            shown
        };
        world.post(&world.admin, "/v1/people", json!({"name": "Ada ".repeat(40).trim(), "email": "ada@example.com"})).await.expect(201);
        assert!(narrow(&["person", "list", "--ids"]).contains(&world.owner_id), "an id is never cut");
        assert!(!narrow(&["person", "list"]).contains("per_"), "people read names");
        let made = narrow(&["person", "create", "--name", "Grace"]);
        assert!(made.contains("Grace") && made.contains("log.position") && !made.contains("promise"), "{made}");
        // Where a program reads, everything is there.
        let whole = world.by_hand(&world.admin, folder.path(), &["person", "create", "--name", "Mary", "-o", "json"], None);
        let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
        assert!(whole["log"]["promise"].as_str().unwrap().len() > 100, "{whole}");
        let text_of_set = world.get(&world.admin, "/v1/policy").await.expect(200).text("/text");
        let proposed = world.post(&world.admin, "/v1/policies", json!({"text": format!("{text_of_set}\n"), "purpose": "test"})).await.expect(201);
        let set = proposed.text("/matter/policy");
        let review = narrow(&["policy", "review", &set]);
        assert!(review.contains(" KB in ") && review.lines().count() < 60, "{review}");
    }
}
