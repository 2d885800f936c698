//! Sources and signals by the command line.

use std::process::{Output, Stdio};

use serde_json::{Value, json};

use super::archived;
use crate::on_one;
use crate::world::World;

/// Runs `tenure` against the world's server.
fn tenure(world: &World, arguments: &[&str]) -> Output {
    let mut command = crate::world::tenure();
    command
        .args(["--output", "json"])
        .args(arguments)
        .env("TENURE_SERVER", &world.server.url)
        .env("TENURE_TOKEN", &world.admin);
    command.stdin(Stdio::null()).output().unwrap()
}

/// What it prints as JSON.
fn said(world: &World, arguments: &[&str]) -> Value {
    let output = tenure(world, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

on_one! {
    async fn a_source_is_registered_and_spoken_for_by_the_command_line(world: World) {
        let data = world.server.data();
        let file = |name: &str| data.join(name).to_str().unwrap().to_owned();
        let secret = file("github.secret");
        let propose = |name: &'static str, format: &'static str, out: String| {
            vec!["source".to_owned(), "propose".into(), "--name".into(), name.into(), "--format".into(), format.into(), "--auth".into(), "hmac".into(),
                "--owner".into(), world.owner_id.clone(), "--kind".into(), "repository_archived".into(), "--kind".into(), "application_retired".into(),
                "--subject".into(), "repository:acme/*".into(), "--subject".into(), "application:*".into(), "--out".into(), out]
        };
        let run = |arguments: Vec<String>| said(&world, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let github = run(propose("github", "github", secret.clone()));
        assert_eq!((&github["state"], &github["delivery_url"]), (&json!("active"), &json!(format!("{}/signals/github", world.server.url))));
        assert!(github.get("secret").is_none());
        assert!(std::fs::read_to_string(&secret).unwrap().starts_with("tnr_whk_"));
        // An existing file is never overwritten, and no source is made that nobody would hold the key of.
        let again = propose("other", "github", secret.clone());
        assert_eq!(tenure(&world, &again.iter().map(String::as_str).collect::<Vec<_>>()).status.code(), Some(1));
        assert_eq!(said(&world, &["source", "list"])["items"].as_array().unwrap().len(), 1);

        let payload = file("payload.json");
        std::fs::write(&payload, archived("acme/payments")).unwrap();
        let send = ["signal", "send", "--source", "github", "--secret-file", &secret, "--format", "github", "--file", &payload, "--header", "X-GitHub-Event: repository"];
        let taken = said(&world, &send);
        assert_eq!((&taken["duplicate"], &taken["signals"][0]["subject"]["id"]), (&json!(false), &json!("acme/payments")));
        assert_eq!(said(&world, &send)["duplicate"], json!(true));
        let shown = said(&world, &["signal", "show", taken["signals"][0]["id"].as_str().unwrap()]);
        assert_eq!(shown["source"], github["id"]);
        assert_eq!(said(&world, &["signal", "list", "--subject", "repository:acme/payments"])["items"][0]["id"], shown["id"]);

        let assets = file("assets.secret");
        run(propose("assets", "cloud_events", assets.clone()));
        let about = ["--kind", "application_retired", "--subject", "application:billing"];
        let plan = said(&world, &[&["signal", "send", "--source", "assets", "--dry-run"], &about[..]].concat());
        assert_eq!(plan["subject"]["type"], json!("application"), "{plan}");
        assert_eq!(said(&world, &["signal", "list", "--kind", "application_retired"])["items"], json!([]));
        let taken = said(&world, &[&["signal", "send", "--source", "assets", "--secret-file", &assets], &about[..]].concat());
        assert_eq!(taken["signals"][0]["kind"], json!("application_retired"));

        let id = github["id"].as_str().unwrap();
        let rotated = file("rotated.secret");
        said(&world, &["source", "rotate-key", id, "--out", &rotated]);
        assert_eq!(tenure(&world, &send).status.code(), Some(1));
        assert_eq!(said(&world, &["source", "remove", id, "--reason", "the organisation moved"])["state"], json!("removed"));
    }
}
