//! Stop: found by any name, stopped, and proven line by line.

use super::{is_sound, page, send};
use crate::on_one;

on_one! {
    async fn r72_anything_is_found_stopped_and_proven(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let home = page(&world, &world.security, "/stop").await.expect(200);
        is_sound(&home);
        let found = async |words: &str| page(&world, &world.security, &format!("/stop?q={words}")).await.expect(200).text;
        world.until(async || found("expo").await.contains(&format!("href=\"/stop/identity/{id}\""))).await;
        // By any name of whatever can be stopped.
        let texts = [found("olu").await, found("bill").await, found("prod").await];
        for (text, part) in texts.iter().zip([format!("href=\"/stop/owner/{}\"", world.owner_id), format!("href=\"/stop/application/{}\"", world.application), "href=\"/stop/environment/production\"".to_owned()]) {
            assert!(text.contains(&part), "{part} is missing in {text}");
        }
        assert!(found("%3Cscript%3E").await.contains("&#60;script&#62;"));
        // What stops with an application, whom it hits, and what would come back.
        let plan = page(&world, &world.security, &format!("/stop/application/{}", world.application)).await.expect(200);
        is_sound(&plan);
        for part in ["<h1>Stop application billing</h1>", "1 active identity.", ">exporter</a>", ">Olu</", "would get new credentials at once"] {
            assert!(plan.text.contains(part), "{part} is missing in {}", plan.text);
        }
        let at = format!("/stop/identity/{id}");
        let again = send(&world, &world.security, &at, &[("reason", ""), ("how", "cut")]).await.expect(422);
        assert!(again.text.contains("value=\"cut\" checked"), "{}", again.text);
        assert!(world.is_live(&token).await);
        let stopped = send(&world, &world.security, &at, &[("reason", "leaked"), ("how", "hold")]).await.expect(303);
        assert!(!world.is_live(&token).await);
        let proof = stopped.location.unwrap();
        world.until(async || page(&world, &world.security, &proof).await.text.contains("refused, verified")).await;
        // It stands on the page that it was stopped on, and as a receipt; of something else it is no proof.
        let receipt = proof.split_once("?receipt=").unwrap().1.to_owned();
        assert_eq!(proof, format!("/stop/identity/{id}?receipt={receipt}"));
        let elsewhere = format!("/stop/application/{}?receipt={receipt}", world.application);
        page(&world, &world.security, &elsewhere).await.expect(404);
        assert!(page(&world, &world.security, &format!("/receipts/{receipt}")).await.expect(200).text.contains("refused, verified"));
        let proof = page(&world, &world.security, &proof).await.expect(200);
        is_sound(&proof);
        for part in ["<h1>Stopped: exporter</h1>", "leaked", "https://orders.internal", "In force at the centre", "a live credential was accepted there in the same moment", "the signed receipt", "What could come back by itself", ">Nothing: what was stopped", "Stop something else"] {
            assert!(proof.text.contains(part), "{part} is missing in {}", proof.text);
        }
        assert!(!proof.text.contains("data-live"));
        let shown = page(&world, &world.owner, &format!("/identities/{id}")).await.expect(200);
        assert!(shown.text.contains("leaked") && shown.text.contains("state bad\">suspended"), "{}", shown.text);
        assert!(page(&world, &world.auditor, "/receipts").await.expect(200).text.contains("Identity exporter"));
        // What is still removable is answered by what was removed (R97).
        let shown = page(&world, &world.security, &format!("/identities/{id}")).await.expect(200);
        assert!(shown.text.contains("Last stopped <time") && shown.text.contains("Requests about it"), "{}", shown.text);
    }

    async fn nobody_stops_what_the_api_would_not_let_them_stop(world: World) {
        let (id, key) = world.exporter("exporter").await;
        let token = world.token(&key, &id, "production").await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        for (who, path) in [(&ola, format!("/stop/identity/{id}")), (&world.auditor, format!("/stop/identity/{id}")), (&world.owner, "/stop/environment/production".to_owned())] {
            let refused = send(&world, who, &path, &[("reason", "x"), ("how", "hold")]).await.expect(403);
            is_sound(&refused);
        }
        page(&world, &world.security, "/stop/planet/x").await.expect(404);
        page(&world, &world.security, "/stop/application/nothing").await.expect(404);
        assert!(world.is_live(&token).await);
        // An owner stops what is theirs.
        let landed = send(&world, &world.owner, &format!("/stop/identity/{id}"), &[("reason", "x"), ("how", "cut")]).await.expect(303);
        let landed = page(&world, &world.owner, &landed.location.unwrap()).await.expect(200);
        assert!(landed.text.contains("What could come back by itself") && landed.text.contains(">exporter</a>"), "{}", landed.text);
        assert!(!world.is_live(&token).await);
    }
}
