//! Notices by mail and webhook, to receivers by other people.

use std::time::Duration;

use serde_json::{Value, json};

use crate::mailbox::{Certificate, Hooks, Mailbox, Tls};
use crate::world::{Server, Store, World};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SUBJECT: &str = "An administrator was recovered with the root key";

/// Makes a test on each engine.
macro_rules! on_each {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn sqlite() { super::$name(crate::world::Store::Sqlite).await; }
            #[tokio::test]
            async fn postgres() { super::$name(crate::world::Store::Postgres).await; }
        }
    )*};
}

on_each!(
    a_notice_reaches_the_mailboxes_of_those_it_is_for,
    what_was_committed_before_a_crash_is_delivered_after_it_once_each,
    a_webhook_gets_signed_cloud_events,
    a_request_that_nobody_answers_is_reminded_of_escalated_and_lapses,
);

fn pairs(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// A world that notifies as the environment says.
async fn world_with(store: Store, environment: &[(String, String)]) -> World {
    World::binary(store, &pairs(environment)).await
}

fn restart(world: &mut World, environment: &[(String, String)]) {
    world.server.restart(&pairs(environment));
    world.http = reqwest::Client::builder().no_proxy().build().unwrap();
}

async fn administrator(world: &World, name: &str, email: &str) -> String {
    let body = json!({"name": name, "email": email, "roles": ["administrator"]});
    world.post(&world.admin, "/v1/people", body).await.expect(201).text("/id")
}

/// Lets something happen of which every administrator is told; the server is stopped for it, and stays so.
fn happen(world: &World) {
    world.server.stop();
    let mut command = crate::world::tenure();
    command.args(["recover", "--data"]).arg(world.server.data());
    command.env("TENURE_PUBLIC_URL", &world.server.url).env_remove("TENURE_ROOT_KEY");
    match world.server.database() {
        Some(database) => command.env("TENURE_STORE", database),
        None => command.env_remove("TENURE_STORE"),
    };
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

async fn channel(world: &World, name: &str) -> Value {
    let answer = world.get(&world.security, "/v1/notifications").await.expect(200);
    let channels = answer.body["items"].as_array().unwrap().clone();
    channels.into_iter().find(|channel| channel["channel"] == name).unwrap_or_default()
}

async fn nothing_pending(world: &World, name: &str) -> bool {
    let channel = channel(world, name).await;
    channel["pending"] == 0 && world.events().await.iter().any(|event| event["kind"] == "notices.settled")
}

async fn a_notice_reaches_the_mailboxes_of_those_it_is_for(store: Store) {
    let mailbox = Mailbox::start();
    let mut world = world_with(store, &mailbox.environment()).await;
    let zoe = administrator(&world, "Zoë \"Z\" O'Neil, <eve@example.com>", "zoe@example.com").await;
    happen(&world);
    restart(&mut world, &mailbox.environment());
    // Earlier notices may be settled before this one is taken.
    world.until(async || !mailbox.messages().is_empty() && nothing_pending(&world, "mail").await).await;

    // The other administrator has no address.
    assert_eq!(mailbox.messages().len(), 1);
    let message = mailbox.messages_to("zoe@example.com", SUBJECT).remove(0);
    let parsed = &message["parsed"];
    assert_eq!((&message["from"], &parsed["subject"]), (&json!("tenure@example.com"), &json!(SUBJECT)));
    assert_eq!(parsed["from"], json!({"name": "Tenure", "address": "tenure@example.com"}));
    assert_eq!(parsed["to"], json!([{"name": "Zoë \"Z\" O'Neil, <eve@example.com>", "address": "zoe@example.com"}]));
    let event = world.events().await.into_iter().find(|event| event["kind"] == "deployment.recovered").unwrap();
    let (recovered, id) = (event["subjects"][0].as_str().unwrap(), event["id"].as_str().unwrap());
    let text = parsed["text"].as_str().unwrap();
    for part in [recovered, id, "tenure recover", &format!("\n{}/people/{recovered}\n", world.server.url)] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(parsed.get("html").is_none_or(Value::is_null), "{parsed}");
    assert_eq!(parsed["messageId"], json!(format!("<{id}.{zoe}@example.com>")));

    // The record says who was told, and names nobody.
    let settled: Vec<Value> =
        world.events().await.into_iter().filter(|event| event["kind"] == "notices.settled").collect();
    assert!(settled.iter().any(|event| event["data"]["delivered"].to_string().contains(&zoe)));
    assert!(!world.events().await.iter().any(|event| event.to_string().contains("zoe@example.com")));
    let metrics = world.text("", "/metrics").await;
    assert!(metrics.contains("tenure_notices_pending{channel=\"mail\"} 0\n"), "{metrics}");
    // A restart tells nothing again.
    let about_notices = async |world: &World| -> Vec<Value> {
        let events = world.events().await;
        events.into_iter().filter(|event| event["kind"].as_str().unwrap().starts_with("notices.")).collect()
    };
    let (told, got) = (about_notices(&world).await, mailbox.messages().len());
    world.server.stop();
    restart(&mut world, &mailbox.environment());
    world.until(async || channel(&world, "mail").await["pending"] == 0).await;
    assert_eq!((about_notices(&world).await, mailbox.messages().len()), (told, got));
}

async fn what_was_committed_before_a_crash_is_delivered_after_it_once_each(store: Store) {
    let mut mailbox = Mailbox::start();
    let environment = mailbox.environment();
    let mut world = world_with(store, &environment).await;
    administrator(&world, "Zoe", "zoe@example.com").await;
    happen(&world);
    mailbox.stop();
    restart(&mut world, &environment);
    world.until(async || channel(&world, "mail").await["failures"].as_u64() > Some(0)).await;
    let view = channel(&world, "mail").await;
    assert_eq!(view["pending"], 1, "{view}");
    assert_eq!(view["deliveries"][0]["kind"], "deployment.recovered");
    assert!(view["deliveries"][0]["why"].as_str().unwrap().contains("can't be reached"), "{view}");
    assert!(world.text("", "/metrics").await.contains("tenure_notices_pending{channel=\"mail\"} 1\n"));
    for nobody in [&world.owner, &String::new()] {
        let status = world.get(nobody, "/v1/notifications").await.status;
        assert!([401, 403].contains(&status), "{status}");
    }
    // Between the commit and the delivery.
    world.server.kill();
    mailbox.restart();
    restart(&mut world, &environment);
    world
        .until_within(Duration::from_secs(60), async || {
            !mailbox.messages().is_empty() && nothing_pending(&world, "mail").await
        })
        .await;
    assert_eq!(mailbox.messages_to("zoe@example.com", SUBJECT).len(), 1);
    assert_eq!(mailbox.messages().len(), 1);
}

async fn a_webhook_gets_signed_cloud_events(store: Store) {
    let hooks = Hooks::start(SECRET, 204);
    let mut world = world_with(store, &hooks.environment()).await;
    administrator(&world, "Zoe", "zoe@example.com").await;
    happen(&world);
    restart(&mut world, &hooks.environment());
    // Others are told of other things.
    let about_it = || {
        let calls = hooks.calls().into_iter();
        calls.filter(|call| call["verified"].to_string().contains(SUBJECT)).collect::<Vec<Value>>()
    };
    world.until(async || !about_it().is_empty() && nothing_pending(&world, "webhook").await).await;
    let calls = about_it();
    assert_eq!(calls.len(), 1);
    let (call, event) = (&calls[0], &calls[0]["verified"]);
    assert_eq!((&call["method"], &call["path"]), (&json!("POST"), &json!(hooks.path)));
    assert_eq!(call["headers"]["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(call["headers"]["webhook-id"], event["id"]);
    let logged = world.events().await.into_iter().find(|event| event["kind"] == "deployment.recovered").unwrap();
    assert_eq!(
        (&event["specversion"], &event["type"], &event["id"], &event["subject"], &event["source"]),
        (
            &json!("1.0"),
            &json!("tenure.deployment.recovered"),
            &logged["id"],
            &logged["subjects"][0],
            &json!(world.server.url)
        )
    );
    assert_eq!(event["data"]["title"], SUBJECT);
    assert_eq!((&event["data"]["roles"], &event["data"]["to"]), (&json!(["administrator"]), &json!([])));
    assert_eq!(event["data"]["facts"]["role_given"], false);
    assert!(
        !event.to_string().contains("example.com")
            && event.to_string().split(|c: char| !c.is_alphanumeric()).all(|word| word != "Zoe")
    );
}

#[tokio::test]
async fn a_receiver_that_redirects_is_not_followed_and_one_that_is_not_allowed_is_not_called() {
    let hooks = Hooks::start(SECRET, 302);
    let mut environment = hooks.environment();
    let mut world = world_with(Store::Sqlite, &environment).await;
    happen(&world);
    restart(&mut world, &environment);
    world.until(async || channel(&world, "webhook").await["failures"].as_u64() > Some(0)).await;
    assert!(hooks.calls().iter().all(|call| call["path"] == hooks.path && !call["verified"].is_null()));
    world.server.stop();
    let before = hooks.calls().len();
    environment.push(("TENURE_OUTBOUND_ALLOW".to_owned(), "10.0.0.0/8".to_owned()));
    restart(&mut world, &environment);
    let refused =
        async || channel(&world, "webhook").await["deliveries"][0]["why"].to_string().contains("may not be reached");
    world.until_within(Duration::from_secs(60), refused).await;
    assert_eq!(hooks.calls().len(), before);
    // Receivers have their secrets in the path and the query.
    assert!(!channel(&world, "webhook").await.to_string().contains("word"));
    assert!(!world.server.said().contains("token=word"));
}

/// Mail over TLS, which the server speaks in this way.
async fn mail_is_encrypted(tls: fn(Certificate) -> Tls) {
    let certificate = Certificate::new();
    let login = json!({"user": "tenure", "password": "a long password"});
    let mailbox = Mailbox::start_with(&tls(certificate.clone()), login);
    let mut environment = mailbox.environment();
    let password = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(password.path(), "a long password\n").unwrap();
    environment.push(("TENURE_MAIL_PASSWORD_FILE".to_owned(), password.path().to_str().unwrap().to_owned()));
    let mut world = world_with(Store::Sqlite, &environment).await;
    administrator(&world, "Zoe", "zoe@example.com").await;
    happen(&world);
    restart(&mut world, &environment);
    world.until(async || channel(&world, "mail").await["failures"].as_u64() > Some(0)).await;
    let why = channel(&world, "mail").await["deliveries"][0]["why"].to_string();
    assert!(why.contains("no trusted TLS"), "{why}");
    assert!(mailbox.messages().is_empty());
    // The certificate is trusted now, but the password is wrong; then it is right.
    environment.push(("SSL_CERT_FILE".to_owned(), certificate.file().to_str().unwrap().to_owned()));
    environment.push(("TENURE_MAIL_PASSWORD".to_owned(), "a wrong password".to_owned()));
    world.server.stop();
    restart(&mut world, &environment);
    let denied = async || channel(&world, "mail").await["deliveries"][0]["why"].to_string().contains("535");
    world.until_within(Duration::from_secs(60), denied).await;
    assert!(mailbox.messages().is_empty());
    environment.pop();
    world.server.stop();
    restart(&mut world, &environment);
    world.until_within(Duration::from_secs(60), async || !mailbox.messages().is_empty()).await;
    let message = &mailbox.messages_to("zoe@example.com", SUBJECT)[0];
    assert_eq!((&message["secure"], &message["user"]), (&json!(true), &json!("tenure")));
    assert!(!world.server.said().contains("a long password"));
}

#[tokio::test]
async fn mail_by_starttls_is_encrypted_and_goes_to_no_server_that_cannot_prove_itself() {
    mail_is_encrypted(Tls::Starttls).await;
}

#[tokio::test]
async fn mail_by_implicit_tls_is_encrypted_and_goes_to_no_server_that_cannot_prove_itself() {
    mail_is_encrypted(Tls::Implicit).await;
}

#[tokio::test]
async fn an_address_that_the_mail_server_refuses_is_tried_again_and_not_shown() {
    let mailbox = Mailbox::start_with(&Tls::None, json!({"refuse": ["old@example.com"]}));
    let mut world = world_with(Store::Sqlite, &mailbox.environment()).await;
    let old = administrator(&world, "Old", "old@example.com").await;
    happen(&world);
    restart(&mut world, &mailbox.environment());
    world.until(async || channel(&world, "mail").await["deliveries"][0]["attempts"].as_u64() > Some(1)).await;
    let view = channel(&world, "mail").await;
    let delivery = &view["deliveries"][0];
    assert_eq!((&delivery["person"], &delivery["why"]), (&json!(old), &json!("refused: the mail server answered 550")));
    assert_eq!((&view["failures"], mailbox.messages().len()), (&json!(0), 0));
    assert!(!world.server.said().contains("old@example.com"));
}

/// PostgreSQL alone takes several servers.
#[tokio::test]
async fn several_replicas_tell_once() {
    let mailbox = Mailbox::start();
    let mut environment = mailbox.environment();
    let mut world = world_with(Store::Postgres, &environment).await;
    administrator(&world, "Zoe", "zoe@example.com").await;
    happen(&world);
    let root_key = world.server.data().join("root-key").to_str().unwrap().to_owned();
    let database = world.server.database().unwrap().to_owned();
    for (name, value) in
        [("TENURE_STORE", &database), ("TENURE_ROOT_KEY_FILE", &root_key), ("TENURE_PUBLIC_URL", &world.server.url)]
    {
        environment.push((name.to_owned(), value.clone()));
    }
    let others: Vec<Server> = (0..2).map(|_| Server::start(Store::Sqlite, &pairs(&environment))).collect();
    restart(&mut world, &environment);
    world.until(async || nothing_pending(&world, "mail").await).await;
    assert_eq!(mailbox.messages().len(), 1);
    drop(others);
}

#[test]
fn settings_that_would_send_in_the_clear_or_unsigned_are_refused_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let refused = |environment: &[(&str, &str)]| {
        let mut command = crate::world::tenure();
        command.args(["server", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        command.env_remove("TENURE_STORE").envs(environment.iter().copied());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let mail =
        [("TENURE_MAIL_HOST", "mail.example.com"), ("TENURE_MAIL_FROM", "a@example.com"), ("TENURE_MAIL_TLS", "none")];
    assert!(refused(&mail).contains("is not this machine"));
    assert!(refused(&mail[..1]).contains("`host` and `from`"));
    let hook =
        [("TENURE_WEBHOOK_URL", "https://hooks.example/in"), ("TENURE_WEBHOOK_SECRET", "no-secret-of-a-webhook")];
    assert!(refused(&hook[..1]).contains("what it posts is signed"));
    let said = refused(&hook);
    assert!(said.contains("whsec_") && !said.contains("no-secret"), "{said}");
}

async fn a_request_that_nobody_answers_is_reminded_of_escalated_and_lapses(store: Store) {
    let mailbox = Mailbox::start();
    let mut environment = mailbox.environment();
    for (name, span) in [
        ("TENURE_REQUEST_OPEN_FOR", "8s"),
        ("TENURE_REQUEST_REMIND_AFTER", "2s"),
        ("TENURE_REQUEST_ESCALATE_AFTER", "4s"),
    ] {
        environment.push((name.to_owned(), span.to_owned()));
    }
    let world = world_with(store, &environment).await;
    for (person, email) in [
        (&world.manager_id, "max@example.com"),
        (&world.owner_id, "olu@example.com"),
        (&world.security_id, "sam@example.com"),
    ] {
        world.post(&world.admin, &format!("/v1/people/{person}/change"), json!({"email": email})).await.expect(200);
    }
    let pending =
        world.register("exporter", world.charter(crate::world::Key::new().jwk()), "pending").await.expect(201);
    let request = pending.text("/request");
    let mails = |to: &str, subject: &str| {
        let mails = mailbox.messages_to(to, subject);
        mails.into_iter().filter(|mail| mail.to_string().contains(&request)).count()
    };
    world
        .until(async || {
            mails("max@example.com", "A request waits for your answer") == 1
                && mails("max@example.com", "A request still waits for your answer") >= 1
                && mails("sam@example.com", "Nobody has answered a request") >= 1
                && mails("olu@example.com", "Your request has lapsed") == 1
        })
        .await;
    let lapsed = world.get(&world.owner, &format!("/v1/requests/{request}")).await.expect(200);
    assert_eq!(
        (lapsed.text("/state"), lapsed.text("/ended_because")),
        ("lapsed".into(), "nobody answered in time".into())
    );
    // A vote comes too late, nobody gained a vote by the escalation, and the identity can be handed in again.
    assert_eq!(world.approve(&world.manager, &request).await.expect(409).code(), "illegal_transition");
    assert_eq!(mails("sam@example.com", "A request waits for your answer"), 0);
    world.hand_in(&pending.text("/id")).await;
}
