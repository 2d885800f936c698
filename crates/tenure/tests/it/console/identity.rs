//! An identity's page: the questions that it answers, and what is done from it.

use reqwest::Method;
use serde_json::json;

use super::door::signed_in;
use super::{is_sound, page, send};
use crate::on_one;
use crate::world::{Key, World};

on_one! {
    async fn r97_r115_the_page_answers_for_an_identity(world: World) {
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        let shown = page(&world, &world.owner, &format!("/identities/{id}")).await.expect(200);
        is_sound(&shown);
        for part in [
            "<title>exporter · Tenure</title>", "<h1>exporter</h1>",
            // Still needed, scoped, watched, removable; each with the time of its evidence.
            "Still needed?", "Still scoped?", "Still watched?", "Still removable?", "As of <time",
            // Who owns it, what it is for, what it touches, for how long, what ends it, who approved what.
            "Accountable owner", ">Olu</", "exports invoices", "What it touches", "on https://orders.internal", "Ends at the latest",
            "Approved by", ">Max</", "The need as it then read", "Answers for its removal", "removers",
            // What it may do and why, what it holds, what happened.
            "What it may do, and why", "Live credentials", "access token", "What happened", "Identity activated", "by <a href=",
        ] {
            assert!(shown.text.contains(part), "{part} is missing in {}", shown.text);
        }
        // By its name as well, and the same.
        assert!(page(&world, &world.owner, "/identities/exporter").await.expect(200).text.contains("<h1>exporter</h1>"));
        // Whoever may read it and not the log isn't told the log, and isn't refused anything either.
        let before = world.events().await.len();
        let seen = page(&world, &world.manager, &format!("/identities/{id}")).await.expect(200);
        assert!(!seen.text.contains("What happened"));
        assert!(!world.events().await.iter().skip(before).any(|event| event["kind"] == "access.refused"));
        // Nobody's secret stands on it.
        assert!(!shown.text.contains("eyJ") && !shown.text.contains("tnr_"));
    }

    async fn an_identity_of_others_is_refused_as_the_api_refuses_it(world: World) {
        let (id, _) = world.exporter("secret-exporter").await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        let nobody = format!("/identities/idn_{}", "0".repeat(26));
        for path in [format!("/identities/{id}"), format!("/identities/{id}/suspend"), format!("/stop/identity/{id}")] {
            let refused = page(&world, &ola, &path).await.expect(403);
            is_sound(&refused);
            assert!(!refused.text.contains("exports invoices") && refused.text.contains("data-code=\"not_allowed\""), "{}", refused.text);
        }
        // By its name no more than by its id; whether there is such a name may be nobody's to learn.
        let by_name = page(&world, &ola, "/identities/secret-exporter").await;
        assert!(matches!(by_name.status, 403 | 404) && !by_name.text.contains("exports invoices"), "{}", by_name.text);
        page(&world, &ola, &nobody).await.expect(403);
        for path in ["suspend", "retire", "transfer", "renew", "resume"] {
            let refused = send(&world, &ola, &format!("/identities/{id}/{path}"), &[("reason", "x")]).await.expect(403);
            assert!(!refused.text.contains("exports invoices"), "{}", refused.text);
        }
        page(&world, &world.owner, &format!("/identities/{id}/explode")).await.expect(404);
        assert_eq!(world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).text("/state"), "active");
    }

    async fn s11_it_is_suspended_and_released_from_its_page(world: World) {
        let (id, _) = world.exporter("exporter").await;
        let (at, state) = (format!("/identities/{id}"), async || world.get(&world.owner, &format!("/v1/identities/{id}")).await.expect(200).text("/state"));
        is_sound(&page(&world, &world.owner, &format!("{at}/suspend")).await.expect(200));
        // What is wrong is said above the form, which keeps what was typed.
        let long = format!("{} <b>", "x".repeat(600));
        let again = send(&world, &world.owner, &format!("{at}/suspend"), &[("reason", &long)]).await.expect(422);
        is_sound(&again);
        assert!(again.text.contains("role=\"alert\"") && again.text.contains(&long.replace('<', "&#60;").replace('>', "&#62;")), "{}", again.text);
        assert_eq!(state().await, "active");
        let done = send(&world, &world.owner, &format!("{at}/suspend"), &[("reason", "leaked <key>")]).await.expect(303);
        assert!(done.leads().ends_with(&at));
        let shown = page(&world, &world.owner, &at).await.expect(200);
        assert!(shown.text.contains("leaked &#60;key&#62;") && shown.text.contains("by <span") || shown.text.contains("by <a"), "{}", shown.text);
        assert!(shown.text.contains(&format!("{at}/resume?cause=0")), "{}", shown.text);
        // Who placed it may not release it; somebody of security may.
        let form = page(&world, &world.security, &format!("{at}/resume?cause=0")).await.expect(200);
        assert!(form.text.contains("leaked &#60;key&#62;") && form.text.contains("name=\"revision\""), "{}", form.text);
        send(&world, &world.owner, &format!("{at}/resume"), &[("reason", "fine"), ("cause", "0")]).await.expect(403);
        assert_eq!(state().await, "suspended");
        send(&world, &world.security, &format!("{at}/resume"), &[("reason", "fine"), ("cause", "0")]).await.expect(303);
        assert_eq!(state().await, "active");
    }

    async fn r50_its_renewal_and_its_transfer_begin_on_its_page(world: World) {
        let (id, key) = world.exporter("exporter").await;
        world.token(&key, &id, "production").await;
        let at = format!("/identities/{id}");
        let refused = send(&world, &world.owner, &format!("{at}/renew"), &[("until", "soon"), ("reason", "more <orders>")]).await.expect(422);
        assert!(refused.text.contains("value=\"soon\"") && refused.text.contains("more &#60;orders&#62;"), "{}", refused.text);
        let day = crate::world::in_secs(59 * 86_400)[..10].to_owned();
        let asked = send(&world, &world.owner, &format!("{at}/renew"), &[("until", &day), ("reason", "more orders")]).await.expect(303);
        let sheet = page(&world, &world.owner, asked.location.as_ref().unwrap()).await.expect(200);
        assert!(sheet.text.contains("goes on until") && sheet.text.contains("more orders"), "{}", sheet.text);
        let (_, ola) = world.person("Ola", &["owner"]).await;
        send(&world, &world.owner, &format!("{at}/transfer"), &[("to", "Nobody Known")]).await.expect(422);
        send(&world, &world.security, &format!("{at}/transfer"), &[("to", "Ola")]).await.expect(303);
        assert!(page(&world, &ola, "/").await.expect(200).text.contains("exporter"));
    }
}

on_one! { by |store| World::on_localhost(store, &[]);
    async fn a_form_of_another_site_does_nothing_and_one_that_came_too_late_is_kept(world: World) {
        let id = world.active("exporter", world.charter(Key::new().jwk())).await;
        let olu = signed_in(&world, &world.owner_id).await;
        let url = format!("{}/identities/{id}/suspend", world.server.url);
        let fields = [("reason", "because <of> \"that\"")];
        for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("x-nothing", "x")] {
            let sent = olu.request(Method::POST, &url).header(name, value).form(&fields);
            assert_eq!(sent.send().await.unwrap().status(), 403, "{name}: {value}");
        }
        let stop = format!("{}/stop/identity/{id}", world.server.url);
        let sent = olu.request(Method::POST, &stop).header("sec-fetch-site", "cross-site").form(&fields);
        assert_eq!(sent.send().await.unwrap().status(), 403);
        assert_eq!(world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).text("/state"), "active");
        // The session ends in the middle of a form: what was typed comes back, to be sent again.
        let session = olu.cookie(&world.server.url, "tenure-session").unwrap();
        olu.forget(&world.server.url);
        let late = olu.post(&url, &fields).await.expect(401);
        is_sound(&late);
        assert!(late.text.contains("value=\"because &#60;of&#62; &#34;that&#34;\"") && late.text.contains(&format!("action=\"/identities/{id}/suspend\"")), "{}", late.text);
        olu.post(&url, &[("a", "b"); 225]).await.expect(400);
        // What another site sent is not shown here.
        let planted = olu.request(Method::POST, &url).header("sec-fetch-site", "cross-site").form(&[("reason", "planted")]);
        let planted = planted.send().await.unwrap();
        assert_eq!(planted.status(), 401);
        assert!(!planted.text().await.unwrap().contains("planted"));
        olu.set_cookie(&world.server.url, "tenure-session", &session);
        olu.post(&url, &fields).await.expect(303);
        let suspensions = world.get(&world.auditor, &format!("/v1/identities/{id}")).await.expect(200).body["suspensions"].clone();
        assert_eq!((&suspensions[0]["placed_by"], &suspensions[0]["reason"]), (&json!(world.owner_id), &json!(fields[0].1)));
        assert_eq!(suspensions.as_array().unwrap().len(), 1);
    }
}
