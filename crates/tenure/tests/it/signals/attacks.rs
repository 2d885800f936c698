//! Attacks on what sources are trusted with (S-12).

use reqwest::Method;
use serde_json::json;
use tenure_core::base::time::Timestamp;
use tenure_credentials::signal::timed_signature;

use super::{Headers, archived, cloud_headers, deliver, event, github_headers, received, registration, source};
use crate::on_one;
use crate::world::{Key, World, now};

/// How many refusals of a source are recorded one by one.
async fn recorded(world: &World, source: &str, reason: &str) -> usize {
    let refusals = world.events_of("access.refused", source).await;
    let by_it = |event: &&serde_json::Value| event["actor"]["id"] == source && event["data"]["reason"] == reason;
    refusals.iter().filter(by_it).count()
}

on_one! {
    async fn s12_a_signature_that_is_not_the_sources_own_is_a_strangers(world: World) {
        let github = source(&world, registration(&world, "github", "github", "hmac")).await;
        let other = source(&world, registration(&world, "other", "github", "hmac")).await;
        let body = archived("acme/payments");
        let good = github_headers(&github.secret, &body);
        let with = |value: String| -> Headers {
            let mut headers = good.clone();
            headers[3].1 = value;
            headers
        };
        let signature = good[3].1.clone();
        let mut twice = good.clone();
        twice.push(("x-hub-signature-256", signature.clone()));
        let mut first_wrong = with(format!("sha256={}", "0".repeat(64)));
        first_wrong.push(("x-hub-signature-256", signature.clone()));
        let mut moved = good.clone();
        moved[3].0 = "x-hub-signature";
        let mut doubled = signature.clone();
        doubled.push_str(&signature["sha256=".len()..]);
        for (what, headers) in [
            ("none", good[..3].to_vec()),
            ("of another source", github_headers(&other.secret, &body)),
            ("over another body", github_headers(&github.secret, &archived("acme/orders"))),
            ("cut off", with(signature[..signature.len() - 1].to_owned())),
            ("cut to nothing", with("sha256=".into())),
            ("without its name", with(signature["sha256=".len()..].to_owned())),
            ("of another algorithm", with(signature.replace("sha256", "sha1"))),
            ("doubled", with(doubled)),
            ("twice", twice),
            ("a wrong one before it", first_wrong),
            ("in another header", moved),
            ("the secret itself", with(github.secret.clone())),
        ] {
            let answer = deliver(&world, &github.name, &headers, &body).await;
            assert_eq!((answer.status, answer.code()), (401, "signal_not_authentic".to_owned()), "{what}");
        }
        // Who is not there reads the same.
        for nobody in ["nobody", "src_00000000000000000000000000", "..", "%00"] {
            let answer = deliver(&world, nobody, &good, &body).await;
            // `..` is the address above, where a page is read.
            assert!(matches!(answer.status, 401 | 404 | 405), "{nobody}: {}", answer.status);
        }
        assert!(received(&world).await.is_empty());
        // Strangers are counted, and never recorded one by one (S-16).
        assert!(!world.events().await.iter().any(|event| event["kind"] == "access.refused" && event["data"]["asked"] == "signal.deliver"));
        deliver(&world, &github.name, &good, &body).await.expect(202);
    }

    async fn d15_a_platforms_names_have_no_case_in_a_sources_subjects(world: World) {
        let mut ours = registration(&world, "github", "github", "hmac");
        ours["subjects"] = json!(["repository:acme/*"]);
        let github = source(&world, ours).await;
        let body = archived("Acme/billing");
        deliver(&world, &github.name, &github_headers(&github.secret, &body), &body).await.expect(202);
        assert_eq!(received(&world).await.len(), 1);
        let other = archived("acme-evil/billing");
        deliver(&world, &github.name, &github_headers(&github.secret, &other), &other).await.expect(403);
    }

    async fn s12_a_captured_delivery_is_good_once(world: World) {
        let github = source(&world, registration(&world, "github", "github", "hmac")).await;
        let body = archived("acme/payments");
        let captured = github_headers(&github.secret, &body);
        let first = deliver(&world, &github.name, &captured, &body).await.expect(202);
        // The delivery's id is not under the signature: another one makes nothing new of it.
        let mut replayed = captured.clone();
        replayed[2].1 = "00000000-0000-4000-8000-000000000000".into();
        let again = deliver(&world, &github.name, &replayed, &body).await.expect(202);
        assert_eq!((&again.body["duplicate"], again.text("/signals/0/id")), (&json!(true), first.text("/signals/0/id")));
        // After a rotation the old signature is nobody's, and the new one makes nothing new of the old body.
        let fresh = world.post(&world.admin, &format!("/v1/sources/{}/rotate-key", github.id), json!({})).await.expect(200).text("/secret");
        assert_eq!(deliver(&world, &github.name, &replayed, &body).await.expect(401).code(), "signal_not_authentic");
        let again = deliver(&world, &github.name, &github_headers(&fresh, &body), &body).await.expect(202);
        assert_eq!(again.body["duplicate"], json!(true));
        assert_eq!(received(&world).await.len(), 1);
    }

    async fn s12_a_signed_time_is_good_for_minutes(world: World) {
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;
        let body = event("1", "application.retired", "application:payments");
        let at = |secs: i64| timed_signature(&assets.secret, body.as_bytes(), Timestamp::from_secs(now() + secs));
        let old = at(-310);
        let moved = format!("t={},{}", now(), old.split_once(',').unwrap().1);
        let unsigned_time = at(0).replacen("t=", "t=0", 1);
        for signature in [old, at(310), moved, unsigned_time] {
            let headers = vec![("content-type", "application/cloudevents+json".to_owned()), ("tenure-signature", signature.clone())];
            assert_eq!(deliver(&world, &assets.name, &headers, &body).await.expect(401).code(), "signal_not_authentic", "{signature}");
        }
        assert!(received(&world).await.is_empty());
        deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
    }

    async fn s12_a_delivery_has_a_size(world: World) {
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;
        let padded = |size: usize| {
            let body = event("1", "application.retired", "application:payments");
            format!("{}{body}", " ".repeat(size - body.len()))
        };
        let body = padded(1024 * 1024 + 1);
        assert_eq!(deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(413).code(), "body_too_large");
        let body = padded(1024 * 1024);
        deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
        // What other addresses take is as small as ever.
        let long = json!({"name": "x".repeat(70_000)});
        assert_eq!(world.post(&world.admin, "/v1/sources", long).await.status, 413);
    }

    async fn s12_a_source_says_nothing_that_it_is_not_registered_for(world: World) {
        let mut narrow = registration(&world, "assets", "cloud_events", "hmac");
        narrow["kinds"] = json!(["application_retired", "repository_archived"]);
        narrow["subjects"] = json!(["repository:acme/*", "application:pay-*", "application:orders"]);
        let assets = source(&world, narrow).await;
        let outside = [
            ("pipeline.deleted", "repository:acme/payments"),
            ("employment.ended", "person:hr/4711"),
            ("repository.archived", "repository:evil/payments"),
            ("repository.archived", "repository:acme-evil/payments"),
            ("repository.archived", "repository:Acme/payments"),
            ("repository.archived", "repository:acme/../evil/payments"),
            ("repository.archived", "repository:acme/"),
            ("repository.archived", "repository:acme//payments"),
            ("repository.archived", "repository: acme/payments"),
            ("application.retired", "application:payroll"),
            ("application.retired", "application:orders-eu"),
            ("application.retired", "application:Orders"),
            ("application.retired", "application:*"),
            ("application.retired", "application:pay-\u{200b}roll"),
        ];
        let mut refused = 0;
        for (n, (kind, subject)) in outside.iter().enumerate() {
            let body = event(&n.to_string(), kind, subject);
            let answer = deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await;
            // What no name can be is malformed; everything else is outside.
            assert!(matches!(answer.status, 400 | 403), "{kind} {subject}: {} {}", answer.status, answer.body);
            if answer.status == 403 {
                assert_eq!(answer.code(), "signal_outside_source");
                refused += 1;
            }
        }
        assert!(refused >= 9, "{refused}");
        assert!(received(&world).await.is_empty());
        assert_eq!(recorded(&world, &assets.id, "signal_outside_source").await, refused);
        for subject in ["repository:acme/payments", "application:pay-roll", "application:orders"] {
            let kind = if subject.starts_with("repo") { "repository.archived" } else { "application.retired" };
            let body = event(subject, kind, subject);
            deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await.expect(202);
        }
    }

    async fn s12_a_source_has_a_rate(world: World) {
        let mut slow = registration(&world, "assets", "cloud_events", "hmac");
        slow["rate_per_minute"] = json!(3);
        let assets = source(&world, slow).await;
        let mut taken = Vec::new();
        let mut refused = 0;
        // More than two minutes' worth: at most one minute can end meanwhile.
        for n in 0..8 {
            let body = event(&n.to_string(), "application.retired", &format!("application:app-{n}"));
            let answer = deliver(&world, &assets.name, &cloud_headers(&assets.secret, &body), &body).await;
            if answer.status == 202 {
                taken.push(answer.text("/signals/0/id"));
            } else {
                assert_eq!((answer.status, answer.code()), (429, "signals_too_fast".to_owned()));
                assert!(answer.retry_after().is_some_and(|wait| (1..=60).contains(&wait)));
                refused += 1;
            }
        }
        assert!(matches!(taken.len(), 3 | 6) && refused == 8 - taken.len(), "{} {refused}", taken.len());
        let logged: Vec<String> = received(&world).await.iter().map(|event| event["subjects"][0].as_str().unwrap().to_owned()).collect();
        assert_eq!(logged, taken);
        assert_eq!(recorded(&world, &assets.id, "signals_too_fast").await, refused);
    }

    async fn s12_what_cannot_be_read_is_refused_and_recorded(world: World) {
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;
        for body in ["", "{", "[]", "{\"specversion\":\"1.0\"}", "{\"type\":1,\"type\":2}"] {
            let answer = deliver(&world, &assets.name, &cloud_headers(&assets.secret, body), body).await.expect(400);
            assert_eq!(answer.code(), "fields_invalid", "{body}");
        }
        assert_eq!(recorded(&world, &assets.id, "invalid").await, 5);
        assert!(received(&world).await.is_empty());
    }

    async fn s12_trust_in_a_source_takes_two_administrators(world: World) {
        let (_, second) = world.person("Dan", &["administrator"]).await;
        let body = registration(&world, "assets", "cloud_events", "hmac");
        let made = world.post(&world.admin, "/v1/sources", body.clone()).await.expect(201);
        let (id, secret) = (made.text("/id"), made.text("/secret"));
        assert_eq!((made.text("/state"), &made.body["single_person"]), ("proposed".into(), &json!(false)));
        let path = |step: &str| format!("/v1/sources/{id}/{step}");
        let said = event("1", "application.retired", "application:payments");
        let say = async || deliver(&world, "assets", &cloud_headers(&secret, &said), &said).await;
        assert_eq!(say().await.expect(401).code(), "signal_not_authentic");

        assert_eq!(world.post(&world.admin, &path("confirm"), json!({})).await.expect(403).code(), "same_person");
        // Nobody else, be it the owner, security, an identity or a source with its own secret.
        let key = Key::new();
        let nhi = world.active("registrar", world.charter(key.jwk())).await;
        let token = world.token(&key, &nhi, "production").await;
        for (who, status) in [(&world.owner, 403), (&world.security, 403), (&world.auditor, 403), (&world.gateway, 401), (&token, 401), (&secret, 401)] {
            assert_eq!(world.post(who, &path("confirm"), json!({})).await.status, status);
            assert_eq!(world.post(who, &path("rotate-key"), json!({})).await.status, status);
            assert_eq!(world.post(who, "/v1/sources", registration(&world, "more", "cloud_events", "hmac")).await.status, status);
            if *who != world.security {
                assert_eq!(world.post(who, &path("remove"), json!({"reason": "test"})).await.status, status);
            }
        }
        assert_eq!(say().await.status, 401);

        let confirmed = world.post(&second, &path("confirm"), json!({})).await.expect(200);
        assert_eq!((confirmed.text("/state"), confirmed.body.get("secret")), ("active".into(), None));
        assert_eq!(world.post(&second, &path("confirm"), json!({})).await.expect(409).code(), "illegal_transition");
        say().await.expect(202);

        // One is enough to take trust away, for ever.
        assert_eq!(world.post(&second, &path("remove"), json!({"reason": ""})).await.expect(422).field_codes(), ["reason_missing"]);
        world.post(&second, &path("remove"), json!({"reason": "the system is gone"})).await.expect(200);
        assert_eq!(say().await.expect(401).code(), "signal_not_authentic");
        for step in ["confirm", "rotate-key"] {
            assert_eq!(world.post(&world.admin, &path(step), json!({})).await.status, if step == "confirm" { 403 } else { 409 });
        }
        assert_eq!(world.post(&world.admin, "/v1/sources", body).await.expect(409).code(), "taken");
        let kinds: Vec<String> = world.events().await.iter().filter(|event| event["subjects"][0] == id.as_str())
            .map(|event| event["kind"].as_str().unwrap().to_owned()).filter(|kind| kind.starts_with("source.")).collect();
        assert_eq!(kinds, ["source.proposed", "source.activated", "source.spoke", "source.removed"]);
    }

    async fn s12_a_source_has_no_other_door(world: World) {
        let assets = source(&world, registration(&world, "assets", "cloud_events", "hmac")).await;
        for (method, path) in [(Method::GET, "/v1/me"), (Method::GET, "/v1/identities"), (Method::POST, "/v1/identities"), (Method::GET, "/v1/signals")] {
            let body = (method == Method::POST).then(|| json!({}));
            assert_eq!(world.call(method, &assets.secret, path, body).await.status, 401, "{path}");
        }
    }
}
