//! `tenure identity bulk`: what it would come to is shown first, and exactly that is done.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::on_one;
use crate::world::{Key, World};

/// The command with whoever does it.
fn command(world: &World, token: &str) -> Command {
    let mut command = Command::from(crate::world::tenure());
    command.envs([("TENURE_SERVER", world.server.url.as_str()), ("TENURE_TOKEN", token), ("TENURE_OUTPUT", "json")]);
    command
}

async fn bulk(world: &World, token: &str, arguments: &[&str]) -> Output {
    let mut command = command(world, token);
    command.args(["identity", "bulk"]).args(arguments).stdin(Stdio::null()).output().await.unwrap()
}

/// The outcomes that were printed, in the order in which they were asked for.
fn outcomes(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    told["each"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap().to_owned()).collect()
}

on_one! {
    async fn several_identities_are_stopped_by_one_command_as_it_was_shown_and_not_otherwise(world: World) {
        let mut ids = Vec::new();
        for name in ["one", "two", "three"] {
            ids.push(world.active(name, world.charter(Key::new().jwk())).await);
        }
        let state = async |id: &str| world.get(&world.security, &format!("/v1/identities/{id}")).await.expect(200).text("/state");
        let query = format!("application={}&state=active", world.application);
        let suspend = ["suspend", "--query", query.as_str(), "--reason", "incident 42"];

        let (_, dan) = world.person("Dan", &["requester"]).await;
        // A dry run says what it would come to for each, and does nothing; nor does one that nobody said yes to.
        let before = world.changes().await;
        let rehearsed = bulk(&world, &world.security, &[&suspend[..], &["--dry-run"]].concat()).await;
        assert_eq!(outcomes(&rehearsed), ["done"; 3]);
        let told: Value = serde_json::from_slice(&rehearsed.stdout).unwrap();
        assert!(told["digest"].as_str().unwrap().starts_with("sha256:"), "{told}");
        let said = String::from_utf8_lossy(&rehearsed.stderr).into_owned();
        assert!(said.contains("Of 3 it would be done to 3, 0 would be refused. Nothing was done."), "{said}");
        let unasked = bulk(&world, &world.security, &suspend).await;
        assert_eq!(unasked.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&unasked.stderr).ends_with("hint: say --yes\n"));
        // Whoever may do it to none of them does it to none.
        let named: Vec<&str> = ids.iter().map(String::as_str).collect();
        let refused = bulk(&world, &dan, &[&["suspend"], &named[..], &["--reason", "no", "--yes"]].concat()).await;
        assert!(!outcomes(&refused).contains(&"done".to_owned()));
        assert_eq!(world.changes().await, before);

        // What has changed since it was shown is refused, and nothing is done to any.
        let mut typed = Command::new("script");
        let line = format!("'{}' identity bulk suspend {} --reason 'incident 42'", crate::world::tenure().get_program().to_str().unwrap(), named.join(" "));
        typed.args(["-qec", &line, "/dev/null"]).envs([("TENURE_SERVER", world.server.url.as_str()), ("TENURE_TOKEN", world.security.as_str())]);
        let mut shown = typed.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut says, mut hears) = (shown.stdin.take().unwrap(), shown.stdout.take().unwrap());
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains("Go on? [y/N]") {
            assert_ne!(hears.read_buf(&mut heard).await.unwrap(), 0, "{}", String::from_utf8_lossy(&heard));
        }
        let over = serde_json::json!({"reason": "over"});
        world.post(&world.owner, &format!("/v1/identities/{}/retire", ids[1]), over).await.expect(200);
        says.write_all(b"y\n").await.unwrap();
        hears.read_to_end(&mut heard).await.unwrap();
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(!shown.wait().await.unwrap().success(), "{heard}");
        assert!(heard.contains("has changed since it was shown") && heard.contains("look again: --dry-run"), "{heard}");
        assert_eq!((state(&ids[0]).await, state(&ids[2]).await), ("active".to_owned(), "active".to_owned()));

        // Looked at again it is done to those that are left, and once.
        let done = bulk(&world, &world.security, &[&suspend[..], &["--yes"]].concat()).await;
        assert_eq!(outcomes(&done), ["done"; 2]);
        assert_eq!((state(&ids[0]).await, state(&ids[2]).await), ("suspended".to_owned(), "suspended".to_owned()));
        let again = bulk(&world, &world.security, &["suspend", &ids[0], "--reason", "incident 42", "--yes"]).await;
        assert_ne!(outcomes(&again), ["done"]);
    }
}
