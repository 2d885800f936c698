//! People, teams, applications, vendors, resources, environments, cloud accounts: read, each with what is theirs.

use serde_json::json;

use super::{is_sound, page};
use crate::on_one;
use crate::world::Key;

on_one! {
    async fn r120_an_owner_is_measured_by_what_is_theirs(world: World) {
        world.active("exporter", world.charter(Key::new().jwk())).await;
        let at = format!("/people/{}", world.owner_id);
        let olu = page(&world, &world.auditor, &at).await.expect(200);
        is_sound(&olu);
        for part in ["<h1>Olu</h1>", ">exporter</a>", "identities", ">Max</a>", "requester", "Stop everything of theirs"] {
            assert!(olu.text.contains(part), "{part} is missing in {}", olu.text);
        }
        for path in ["/people?q=olu", "/people?role=owner&state=active", "/people?sort=-name"] {
            let list = page(&world, &world.auditor, path).await.expect(200);
            is_sound(&list);
            assert!(list.text.contains(&format!("href=\"{at}\"")), "{path}: {}", list.text);
        }
        // Oneself, and nobody else.
        page(&world, &world.owner, &at).await.expect(200);
        page(&world, &world.owner, &format!("/people/{}", world.manager_id)).await.expect(403);
        page(&world, &world.owner, "/people").await.expect(403);
    }

    async fn what_there_is_leads_to_what_belongs_to_it(world: World) {
        world.active("exporter", world.charter(Key::new().jwk())).await;
        let read = async |path: &str| {
            let page = page(&world, &world.auditor, path).await.expect(200);
            is_sound(&page);
            page.text
        };
        let application = read(&format!("/applications/{}", world.application)).await;
        for part in ["<h1>billing</h1>", ">exporter</a>", ">Olu</a>", &format!("/stop/application/{}", world.application), &format!("/resources?application={}", world.application)] {
            assert!(application.contains(part), "{part} is missing in {application}");
        }
        // By its name as well.
        assert!(read("/applications/billing").await.contains("<h1>billing</h1>"));
        assert!(read(&format!("/resources?application={}", world.application)).await.contains("Application: billing"));
        assert!(read(&format!("/resources/{}", world.orders)).await.contains("by asking Tenure"));
        // The same as a picture, whose nodes lead where the table does.
        assert!(application.contains("<svg viewBox=") && application.contains("1 owner, touching 1 resource."), "{application}");
        let environment = read("/environments/production").await;
        assert!(environment.contains(">exporter</a>") && environment.contains("/stop/environment/production"), "{environment}");
        for list in ["/teams", "/applications", "/vendors", "/resources", "/environments", "/cloud-accounts"] {
            read(list).await;
            page(&world, &world.owner, list).await.expect(403);
        }
        assert!(read("/vendors").await.contains("There are no vendors yet."));
        is_sound(&page(&world, &world.owner, "/later").await.expect(200));
    }

    async fn d20_names_of_people_and_things_stay_text(world: World) {
        let evil = "</a><script>alert(1)</script>\"'";
        world.post(&world.admin, &format!("/v1/people/{}/change", world.owner_id), json!({"name": evil})).await.expect(200);
        for path in ["/people".to_owned(), format!("/people/{}", world.owner_id), "/applications".to_owned(), format!("/applications/{}", world.application)] {
            let shown = page(&world, &world.auditor, &path).await.expect(200);
            is_sound(&shown);
            assert!(shown.text.contains("&#60;script&#62;alert(1)"), "{path}: {}", shown.text);
        }
        // In one's own frame as well.
        assert!(page(&world, &world.owner, "/").await.expect(200).text.contains("<summary>&#60;/a&#62;&#60;script&#62;"));
    }
}
