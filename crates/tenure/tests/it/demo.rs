//! `tenure demo`: what a newcomer sees first.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::world::{WRAPPED, jwts};

/// The steps, in their order.
const STEPS: [&str; 20] = [
    "The organisation is loaded",
    "A charter without an owner is refused",
    "A job of minutes gets its decision and its credential in one call",
    "A production identity waits for its owner's manager",
    "High risk takes two people",
    "A person asks for access, too",
    "The workload proves itself, and its call is allowed",
    "A credential of another environment is denied, and found",
    "A narrower charter works at once",
    "Why",
    "Somebody leaves, and each of her identities is offered to somebody",
    "Meanwhile, a policy changes by two people",
    "At the deadline, what nobody took is suspended",
    "A repository is archived, and its pipeline ends",
    "An agent asks for more while it runs, and gets it for minutes",
    "Another agent acts for it, and loses that with its parent",
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
