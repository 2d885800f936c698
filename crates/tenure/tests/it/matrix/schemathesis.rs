//! Schemathesis, which is other people's, reads the contract and tries what it says: no request, however odd, is
//! answered by an error of the server or by what isn't declared.
//!
//! It is given what the matrix knows of each operation: a call that is carried out, and the id of something that is
//! there. Otherwise all that it makes up would end at an address that names nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::stage::{Cell, Stage};
use super::{Line, ROLES, check_coverage, lines};
use crate::peers;
use crate::world::Store;

/// The seed of all that is made up.
const SEED: &str = "20261129";
/// What each answer is held against. What of it isn't is said where it is left out.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,\
                      negative_data_rejection,unsupported_method,allow_header_conformance,ignored_auth,use_after_free";
/// An answer without end is no case for it.
const ENDLESS: &str = "/v1/events";

/// What a run is.
struct Run {
    role: &'static str,
    phases: &'static str,
    examples: u32,
}

/// The contract with what was prepared, and the settings that go with it.
async fn prepared(stage: &Stage, table: &[Line], role: usize) -> (Value, String) {
    let mut document = tenure_server::contract();
    let mut settings = String::new();
    // Once people sign in, operator tokens do less.
    for line in table.iter().filter(|line| !line.path.contains("<session>") && !line.path.contains("<passkey>")) {
        let mut cell = Cell::new(stage, role, BTreeMap::new());
        let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let route = line.route.replace("{*", "{");
        let methods = document["paths"].as_object_mut().unwrap().get_mut(&route);
        let Some(operation) = methods.and_then(|methods| methods.get_mut(line.method.as_str().to_lowercase())) else {
            continue;
        };
        let mut named = line.route.split('/').zip(path.split('/')).filter(|(part, _)| part.starts_with('{'));
        let queried: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let parameters = operation["parameters"].as_array_mut().unwrap();
        // Under one key, everything after the first would be answered without being looked at.
        parameters.retain(|parameter| parameter["name"] != "Idempotency-Key");
        for parameter in parameters {
            if parameter["name"] == "If-Match" {
                parameter["example"] = json!("*");
            }
            let value = match parameter["in"].as_str() {
                Some("path") => named.next().map(|(_, value)| value.to_owned()),
                _ => queried.get(parameter["name"].as_str().unwrap()).map(|value| (*value).to_owned()),
            };
            if let Some(value) = value {
                let is_number = parameter["schema"]["type"] == "integer";
                parameter["example"] = if is_number { json!(value.parse::<u64>().unwrap()) } else { json!(value) };
            }
        }
        let ids: Vec<String> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("\"path.{}\" = {}", parameter["name"].as_str().unwrap(), parameter["example"]))
            .collect();
        if !ids.is_empty() {
            write!(
                settings,
                "[[operations]]\ninclude-name = \"{} {route}\"\nparameters = {{ {} }}\n",
                line.method,
                ids.join(", ")
            )
            .unwrap();
        }
        if let Some(form) = operation.pointer_mut("/requestBody/content/application~1json") {
            form["example"] = serde_json::from_str(&body).unwrap_or(json!({}));
        }
    }
    (document, settings)
}

async fn tried(run: Run) {
    let (stage, mut table) = (Stage::new(Store::Sqlite).await, lines());
    check_coverage(&stage, &mut table, &mut Vec::new()).await;
    let role = ROLES.iter().position(|role| *role == run.role).unwrap();
    let (document, settings) = prepared(&stage, &table, role).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), settings).unwrap();
    let me = async || stage.world.get(stage.token(role), "/v1/me").await.status;
    let known = me().await;
    let (said, passed) = schemathesis(&stage, &run, stage.token(role), folder.path()).await;
    assert!(passed, "{said}");
    println!("{said}");
    assert_eq!(me().await, known, "whoever it was all asked as is let in as before: otherwise little was tried");
}

async fn schemathesis(stage: &Stage, run: &Run, token: &str, folder: &Path) -> (String, bool) {
    let mut command = tokio::process::Command::new(peers::folder().join("venv-tests/bin/schemathesis"));
    command.current_dir(folder).kill_on_drop(true);
    command.args(["--no-color", "run", "openapi.json", "--url", &stage.world.server.url]);
    command.args(["--checks", CHECKS, "--seed", SEED, "--generation-database", "none"]);
    command.args(["--phases", run.phases, "--max-examples", &run.examples.to_string()]);
    command.args(["--exclude-path", ENDLESS, "--continue-on-failure", "--no-shrink", "--warnings", "off"]);
    if !token.is_empty() {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (text.join("\n"), output.status.success())
}

/// A few examples of each operation, by an administrator.
#[tokio::test]
async fn what_schemathesis_makes_up_is_answered_as_declared() {
    tried(Run { role: "administrator", phases: "examples,fuzzing", examples: 2 }).await;
}

/// The same with many, all that follows from the schemas, and by other callers.
mod many {
    use super::{Run, tried};

    macro_rules! by {
        ($($name:ident: $role:literal, $examples:literal;)*) => {$(
            #[tokio::test]
            #[ignore = "long: many examples"]
            async fn $name() {
                tried(Run { role: $role, phases: "examples,coverage,fuzzing", examples: $examples }).await;
            }
        )*};
    }

    by! {
        by_an_administrator: "administrator", 60;
        by_security: "security", 20;
        by_the_accountable_owner: "accountable owner", 20;
        by_who_holds_every_role: "auditor with every other role", 20;
        by_an_enforcement_point: "enforcement point", 20;
        by_nobody: "nobody", 20;
    }
}
