//! The inventory: searched, narrowed, sorted and exported by its address.

use serde_json::json;

use super::{is_sound, page};
use crate::on_one;
use crate::world::{Key, World};

/// Registers an identity with a purpose.
async fn with_purpose(world: &World, name: &str, purpose: &str) -> String {
    let mut charter = world.charter(Key::new().jwk());
    charter["purpose"] = json!(purpose);
    world.active(name, charter).await
}

on_one! {
    async fn r10_the_inventory_is_narrowed_and_sorted_by_its_address(world: World) {
        for (name, purpose) in [("alpha-export", "moves invoices"), ("beta-export", "moves orders"), ("gamma-sync", "moves people")] {
            with_purpose(&world, name, purpose).await;
        }
        world.until(async || page(&world, &world.auditor, "/identities?q=moves").await.status == 200).await;
        let shown = async |query: &str| {
            let page = page(&world, &world.auditor, &format!("/identities{query}")).await.expect(200);
            is_sound(&page);
            page
        };
        let names = |text: &str| -> Vec<String> {
            let known = ["alpha-export", "beta-export", "gamma-sync", "gateway"];
            let mut at: Vec<(usize, &str)> = known.iter().filter_map(|name| Some((text.find(&format!(">{name}</a>"))?, *name))).collect();
            at.sort_unstable();
            at.into_iter().map(|(_, name)| name.to_owned()).collect()
        };
        let all = shown("").await;
        assert_eq!(names(&all.text).len(), 4, "{}", all.text);
        assert!(all.text.contains("4 in all") && all.text.contains(">Olu</"), "{}", all.text);
        assert_eq!(names(&shown("?q=mov").await.text).len(), 3);
        assert_eq!(names(&shown("?q=moves+inv").await.text), ["alpha-export"]);
        assert_eq!(names(&shown("?sort=-name&q=moves").await.text), ["gamma-sync", "beta-export", "alpha-export"]);
        // Each column's head leads to its order, and the way back.
        assert!(shown("?sort=name").await.text.contains("aria-sort=\"ascending\"><a href=\"/identities?sort=-name\">Name"));
        let owned = shown(&format!("?owner={}&state=active", world.owner_id)).await;
        assert!(owned.text.contains("Owner: Olu") && owned.text.contains("selected>active"), "{}", owned.text);
        // One page after the other.
        let first = shown("?limit=2&sort=name").await;
        assert!(first.text.contains("4 in all, 2 on this page") && names(&first.text) == ["alpha-export", "beta-export"], "{}", first.text);
        let next = first.text.split("href=\"").find(|part| part.contains("after=")).unwrap().split('"').next().unwrap().replace("&#38;", "&");
        assert_eq!(names(&page(&world, &world.auditor, &next).await.expect(200).text), ["gamma-sync", "gateway"]);
        // A form sends what was left empty; the address that it leads to doesn't have it.
        let sent = page(&world, &world.auditor, "/identities?q=&state=active&kind=").await.expect(303);
        assert!(sent.leads().ends_with("/identities?state=active"));
        let none = shown("?q=nothing-like-this").await;
        assert!(none.text.contains("Nothing fits."), "{}", none.text);
        for bad in ["?state=bogus", "?nobody=1", "?after=x", "?limit=0", "?q=%00"] {
            let refused = page(&world, &world.auditor, &format!("/identities{bad}")).await.expect(422);
            is_sound(&refused);
        }
    }

    async fn what_somebody_may_not_read_is_in_no_list(world: World) {
        with_purpose(&world, "secret-exporter", "secret invoices").await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        for path in ["/identities", "/identities?q=secret", "/identities?state=active&sort=name", "/identities.csv", "/stop?q=secret"] {
            let list = page(&world, &ola, path).await.expect(200);
            assert!(!list.text.contains("secret-exporter") && !list.text.contains("secret invoices"), "{path}: {}", list.text);
        }
        assert!(page(&world, &world.owner, "/identities").await.expect(200).text.contains("secret-exporter"));
        // A filter is told by name to whoever may read whom it names; to others it is the id that they typed.
        let (other, _) = world.person("Ottilie Geheim", &["owner"]).await;
        for (token, told) in [(&ola, false), (&world.auditor, true)] {
            for path in [format!("/identities?owner={other}"), format!("/requests?requester={other}")] {
                let list = page(&world, token, &path).await.expect(200);
                assert_eq!(list.text.contains("Ottilie Geheim"), told, "{path}: {}", list.text);
            }
        }
    }

    async fn d20_names_and_purposes_stay_text(world: World) {
        let evil = "</td><script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
        with_purpose(&world, "evil", evil).await;
        let long = "ö".repeat(500);
        with_purpose(&world, "long", &long).await;
        let list = page(&world, &world.auditor, "/identities").await.expect(200);
        is_sound(&list);
        assert!(list.text.contains("&#60;/td&#62;&#60;script&#62;alert(1)") && list.text.contains(&long), "{}", list.text);
        for place in ["?q=%3Cscript%3Ealert(1)%3C/script%3E", "?owner=%22%3E%3Cscript%3E", "?sort=%22%3E%3Cscript%3E"] {
            let answered = page(&world, &world.auditor, &format!("/identities{place}")).await;
            is_sound(&answered);
        }
    }

    async fn an_export_is_no_formula(world: World) {
        let evil = [("equals", "=cmd|' /C calc'!A0"), ("plus", "+1+1"), ("minus", "-1"), ("at", "@SUM(A1)"), ("quote", "a\",=1+1,\"b"), ("semicolon", "x;=1+1;")];
        for (name, purpose) in evil {
            with_purpose(&world, name, purpose).await;
        }
        let file = page(&world, &world.auditor, "/identities.csv?state=active").await.expect(200);
        assert!(file.headers["content-type"].to_str().unwrap().starts_with("text/csv"));
        assert!(file.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
        let lines: Vec<&str> = file.text.trim_end().split("\r\n").collect();
        assert_eq!(lines.len(), 1 + 7, "{}", file.text);
        assert!(lines[0].starts_with("\"name\",\"kind\",\"state\",\"owner\""));
        for cell in ["\"'=cmd|' /C calc'!A0\"", "\"'+1+1\"", "\"'-1\"", "\"'@SUM(A1)\"", "\"a\"\",=1+1,\"\"b\"", "\"x;'=1+1;\""] {
            assert!(file.text.contains(cell), "{cell} is missing in {}", file.text);
        }
        assert!(file.text.contains("\"Olu\"") && file.text.contains("\"billing\""), "{}", file.text);
    }
}
