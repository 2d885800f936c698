//! `tenure policy`: what it prints where, and with which exit code. `analyse` needs cvc5: `cargo xtask peers` installs
//! it.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

/// Runs `tenure policy` in a folder, without the environment's own settings.
fn policy(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = crate::world::tenure();
    command.current_dir(folder).arg("policy").args(arguments).stdin(std::process::Stdio::null()).output().unwrap()
}

/// The exit code, what is on stdout, and what is on stderr.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = policy(folder, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let (_, out, err) = run(folder, &[arguments, &["-o", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

/// A folder with the built-in set, changed.
fn with_change(from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (code, text, _) = run(folder.path(), &["show"]);
    assert_eq!(code, 0);
    assert_eq!(text.matches(from).count(), 1, "{from}");
    std::fs::write(folder.path().join("new.cedar"), text.replace(from, to)).unwrap();
    folder
}

const HOUR: &str = "context.templated && context.tier == \"low\" && context.duration_secs <= 3600";

#[test]
fn the_help_teaches_by_examples() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["", "check", "test", "diff", "show", "analyse"] {
        let arguments: Vec<&str> = [verb, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let (code, out, _) = run(folder.path(), &arguments);
        assert!(code == 0 && out.contains("tenure policy "), "{verb}: {out}");
    }
    assert_eq!(run(folder.path(), &["check"]).0, 2);
    assert_eq!(run(folder.path(), &["nonsense"]).0, 2);
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let folder = with_change(HOUR, HOUR);
    let (code, out, err) = run(folder.path(), &["check", "new.cedar"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("valid: ") && out.contains(" policies, version sha256:"), "{out}");

    let broken = "@id(\"a\")\npermit (principal, action == Action::\"read\", resource)\nwhen { context.own };\n\npermit (principal, action, resource);\n";
    std::fs::write(folder.path().join("broken.cedar"), broken).unwrap();
    let (code, out, err) = run(folder.path(), &["check", "broken.cedar"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "broken.cedar:3:8: for policy `a`, attribute `own` in context for Action::\"read\" not found\n  \
         hint: did you mean `owns`?\n\
         broken.cedar:5:1: a policy has no name\n  \
         hint: start it with @id(\"…\"): decisions and the record cite it\n\
         error: broken.cedar is refused for 2 problem(s)\n\
         hint: docs/reference/policies.md says what a policy may read\n"
    );
    let found = json_of(folder.path(), &["check", "broken.cedar"]);
    assert_eq!(found["valid"], false);
    assert_eq!(found["problems"][0]["position"], json!([3, 8]));

    std::fs::write(folder.path().join("syntax.cedar"), "@id(\"a\") permit (principal, action resource);").unwrap();
    let (code, _, err) = run(folder.path(), &["check", "syntax.cedar"]);
    assert!(code == 1 && err.starts_with("syntax.cedar:1:36: unexpected token `resource`\n  hint: expected "), "{err}");
    let (code, _, err) = run(folder.path(), &["check", "missing.cedar"]);
    assert!(code == 1 && err.contains("can't read missing.cedar"), "{err}");
}

#[test]
fn test_names_each_case_that_is_answered_otherwise() {
    let folder = with_change(HOUR, &HOUR.replace("3600", "7200"));
    let (code, out, _) = run(folder.path(), &["test", "default"]);
    assert!(code == 0 && out.ends_with(" cases pass\n"), "{out}");
    let (code, out, err) = run(folder.path(), &["test", "new.cedar"]);
    assert_eq!(code, 1);
    assert!(
        out.starts_with(
            "FAILED  more than an hour is approved by somebody\n        \
             wanted: denied, for nothing permits it\n        \
             got:    allowed by auto-approve-ephemeral\n"
        ),
        "{out}"
    );
    assert!(err.starts_with("error: 1 case(s) of the built-in cases fail\nhint: "), "{err}");
    assert_eq!(
        json_of(folder.path(), &["test", "new.cedar"])["failed"][0]["got"]["policies"],
        json!(["auto-approve-ephemeral"])
    );

    let own = json!({
        "entities": {
            "otto": {"type": "Person", "attributes": {"roles": ["auditor"], "active": true, "class": "employee"}},
            "the-log": {"type": "Inventory", "attributes": {"kind": "log", "environment": ""}}
        },
        "contexts": {"audit": {"owns": false}},
        "cases": [{"name": "an auditor reads the log", "principal": "otto", "action": "audit", "resource": "the-log", "expect": "allow", "because": ["audit-log"]}]
    });
    std::fs::write(folder.path().join("own.json"), own.to_string()).unwrap();
    let (code, out, _) = run(folder.path(), &["test", "new.cedar", "--cases", "own.json"]);
    assert_eq!((code, out.as_str()), (0, "1 of 1 cases pass\n"));
    std::fs::write(folder.path().join("own.json"), own.to_string().replace("\"owns\"", "\"own\"")).unwrap();
    let (code, _, err) = run(folder.path(), &["test", "new.cedar", "--cases", "own.json"]);
    assert!(code == 1 && err.contains("context `audit`: `own` is no attribute that Tenure sends"), "{err}");
}

#[test]
fn diff_shows_the_lines_that_differ() {
    let folder = with_change(HOUR, &HOUR.replace("3600", "7200"));
    let (code, out, err) = run(folder.path(), &["diff", "default", "new.cedar"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("changed auto-approve-ephemeral\n    @id(\"auto-approve-ephemeral\")\n"), "{out}");
    assert!(
        out.contains(&format!(
            "  - when {{ {HOUR} }}\n  + when {{ {} }}\n    unless {{\n",
            HOUR.replace("3600", "7200")
        )),
        "{out}"
    );
    let (_, out, _) = run(folder.path(), &["diff", "default", "default"]);
    assert_eq!(out, "no policy differs\n");
    let found = json_of(folder.path(), &["diff", "new.cedar", "default"]);
    assert_eq!(found["changed"][0]["id"], "auto-approve-ephemeral");
}

#[test]
fn show_prints_the_set_or_one_policy() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(folder.path(), &["show", "self-release"]);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "@id(\"self-release\")\n\
         @control(\"NHI1:2025\")\n\
         @doc(\"A suspension or a hold is lifted by someone other than who placed it (S-11).\")\n\
         forbid (principal is Person, action == Action::\"enable\", resource)\n\
         when { context.placed_by_self };\n"
    );
    let found = json_of(folder.path(), &["show", "self-release"]);
    assert_eq!((&found["effect"], &found["actions"]), (&json!("forbid"), &json!(["enable"])));
    assert!(json_of(folder.path(), &["show"])["policies"].as_array().unwrap().len() > 40);
    let (code, out, err) = run(folder.path(), &["show", "nobody"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "error: the built-in set has no policy `nobody`\nhint: `tenure policy show -o json` lists their names\n"
    );
}

#[test]
fn analyse_proves_or_shows_a_request_or_says_that_it_cannot() {
    let stricter = with_change(HOUR, &HOUR.replace("3600", "1800"));
    let (code, out, err) = run(stricter.path(), &["analyse", "default", "new.cedar"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(
        out,
        "proven: the new set allows nothing that the old one denies\n\
         examined: route_auto by Person on Inventory, route_auto by Identity on Inventory\n"
    );

    let wider = with_change(HOUR, &HOUR.replace("3600", "7200"));
    let (code, out, err) = run(wider.path(), &["analyse", "default", "new.cedar"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("newly allowed:\n\n  principal  "), "{out}");
    assert!(
        out.contains("  action     route_auto\n") && out.contains("class: \"non_human\", duration_secs: "),
        "{out}"
    );
    assert!(
        out.contains("  was        denied, for nothing permits it\n  becomes    allowed by auto-approve-ephemeral\n"),
        "{out}"
    );
    assert!(err.starts_with("error: the new set allows what the old one denies\nhint: "), "{err}");
    assert_eq!(json_of(wider.path(), &["analyse", "default", "new.cedar"])["verdict"], "grants_more");

    let (code, out, err) = run(wider.path(), &["analyse", "default", "new.cedar", "--solver", "/nowhere/cvc5"]);
    assert_eq!((code, out.as_str()), (1, "not analysed\n"));
    assert!(err.starts_with("error: /nowhere/cvc5 does not run"), "{err}");
}

/// The command's own thread has a bound too; what is refused is so by the same rule as at the server.
#[test]
fn a01_check_refuses_what_nests_too_deep() {
    let folder = tempfile::tempdir().unwrap();
    for (name, condition) in [
        ("brackets", format!("{}true{}", "(".repeat(33), ")".repeat(33))),
        ("operators", format!("true{}", " && true".repeat(513))),
    ] {
        let text = format!("@id(\"deep\")\npermit (principal, action, resource)\nwhen {{ {condition} }};\n");
        std::fs::write(folder.path().join(name), text).unwrap();
        let (code, out, err) = run(folder.path(), &["check", name]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(
            err.starts_with(&format!("{name}:3:"))
                && err.contains("more than")
                && err.contains("write several policies"),
            "{err}"
        );
    }
}

#[test]
fn a02_check_says_what_would_lock_out() {
    let folder = with_change(HOUR, HOUR);
    let file = folder.path().join("new.cedar");
    let text = std::fs::read_to_string(&file).unwrap()
        + "\n@id(\"locked\")\n@control(\"NHI5:2025\")\n@doc(\"x\")\nforbid (principal, action, resource);\n";
    std::fs::write(&file, text).unwrap();
    let (code, out, err) = run(folder.path(), &["check", "new.cedar"]);
    assert_eq!((code, out.as_str()), (1, ""));
    for told in [
        "security could not suspend",
        "an owner could not revoke",
        "security could not read",
        "nobody could change the policy",
        "is refused for 8 problem(s)",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
    let said = json_of(folder.path(), &["check", "new.cedar"]);
    assert_eq!((&said["valid"], said["problems"].as_array().unwrap().len()), (&json!(false), 8));
}

#[test]
fn d26_the_vocabulary_is_printed_as_the_reference_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, _) = run(folder.path(), &["schema"]);
    assert_eq!(code, 0);
    assert!(out.contains("action route_auto, route_owner_or_manager") && out.ends_with('\n'), "{out}");
    let reference = include_str!("../../../../docs/reference/policies.md");
    for name in ["actions", "resources", "applications", "data_domains", "teams"] {
        assert!(out.contains(&format!("  {name}: Set<String>,")), "{name}");
        assert!(reference.contains(&format!("| `{name}` |")), "{name}");
    }
}
