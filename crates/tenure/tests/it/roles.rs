//! Several processes of one deployment, and what each does of its work (S-17).

use std::time::Duration;

use serde_json::json;

use crate::world::{Server, Store, World, client, tenure};

#[tokio::test]
async fn s17_who_serves_the_api_works_nothing_off_and_who_works_serves_none() {
    let mut world = World::binary(Store::Postgres, &[]).await;
    let root_key = world.server.data().join("root-key").to_str().unwrap().to_owned();
    let database = world.server.database().unwrap().to_owned();
    world.server.stop();
    world.server.restart(&[("TENURE_ROLE", "api")]);
    world.http = client();
    let (id, key) = world.exporter("exporter").await;
    assert!(world.is_live(&world.token(&key, &id, "production").await).await);
    world.post(&world.security, &format!("/v1/identities/{id}/retire"), json!({"reason": "over"})).await.expect(200);
    // Longer than whoever works waits before looking again.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).text("/state"),
        "retiring",
        "nobody works"
    );
    assert_eq!(
        world
            .text("", "/metrics")
            .await
            .lines()
            .find(|line| line.starts_with("tenure_deadlines_worked_total"))
            .unwrap(),
        "tenure_deadlines_worked_total 0"
    );

    let settings = [
        ("TENURE_ROLE", "worker"),
        ("TENURE_STORE", database.as_str()),
        ("TENURE_ROOT_KEY_FILE", root_key.as_str()),
        ("TENURE_PUBLIC_URL", world.server.url.as_str()),
    ];
    let worker = Server::start(Store::Sqlite, &settings);
    world.until_state(&id, "retired").await;
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/v1/identities", 404),
        ("/v1/setup", 404),
        ("/sign-in", 404),
        ("/env/production/.well-known/openid-configuration", 404),
        ("/openapi.json", 404),
    ] {
        let answer = world.http.get(format!("{}{path}", worker.url)).bearer_auth(&world.admin).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    assert!(!worker.data().join("setup-token").exists());
}

#[tokio::test]
async fn what_is_logged_of_postgresql_holds_nothing_about_people() {
    let world = World::binary(Store::Postgres, &[("TENURE_LOG", "trace")]).await;
    let body = json!({"name": "Zorro Personal", "email": "zorro@personal.example"});
    let id = world.post(&world.admin, "/v1/people", body).await.expect(201).text("/id");
    world.get(&world.admin, &format!("/v1/people/{id}")).await.expect(200);
    let logged = async || world.server.said().contains("answered");
    world.until(logged).await;
    let said = world.server.said();
    let bytes = |text: &str| text.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    for text in ["Zorro", "zorro@"] {
        assert!(!said.contains(text) && !said.contains(&bytes(text)), "{text} is in the log");
    }
}

#[test]
fn a_filter_of_the_log_that_is_none_is_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let mut command = tenure();
    command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(data.path()).env("TENURE_LOG", "tenure=loud");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("the variable TENURE_LOG is wrong"), "{said}");
}

#[test]
fn roles_that_cannot_be_are_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let refused = |role: &str, environment: &[(&str, &str)]| {
        let mut command = tenure();
        command.args(["server", "--role", role, "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for role in ["api", "worker"] {
        assert!(refused(role, &[]).contains("an SQLite database is one process's"));
    }
    assert!(refused("worker", &[("TENURE_STORE", "postgres://nobody@127.0.0.1:1/none")]).contains("set `public_url`"));
    assert!(refused("all", &[("TENURE_ROLE", "janitor")]).contains("`role` is all, api or worker"));
    assert!(refused("janitor", &[]).contains("possible values: all, api, worker"));
}
