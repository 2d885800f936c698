//! What did not work: a page for a browser at a page's address, a problem for everything else.

use reqwest::Method;

use super::{fetch, is_sound, page};
use crate::on_one;
use crate::world::World;

/// A request as a browser makes it.
fn browser(world: &World, method: Method, path: &str) -> reqwest::RequestBuilder {
    let request = world.http.request(method, format!("{}{path}", world.server.url));
    request.header("accept", "text/html,application/xhtml+xml;q=0.9").header("origin", &world.server.url)
}

on_one! {
    async fn a_browser_is_told_by_a_page_whoever_refused_it(world: World) {
        let large = "x".repeat(70 * 1024);
        for (request, status, said) in [
            (browser(&world, Method::GET, "/nowhere"), 404, "route_unknown"),
            (browser(&world, Method::PUT, "/identities"), 405, "method_not_allowed"),
            (browser(&world, Method::GET, "/sign-in?nonsense=1"), 422, "nonsense"),
            (browser(&world, Method::POST, "/sign-in/invitation").form(&[("invitation", &large)]), 413, "body_too_large"),
            (browser(&world, Method::POST, "/identities/new").form(&[("purpose", &large)]), 413, "body_too_large"),
            (browser(&world, Method::POST, "/sign-in/invitation").body("{}"), 400, "body_malformed"),
        ] {
            let told = fetch(&world.owner, request).await.expect(status);
            is_sound(&told);
            assert!(told.text.contains(said), "{said} is missing in {}", told.text);
        }
        let refused = fetch(&world.owner, browser(&world, Method::PUT, "/identities")).await;
        assert_eq!(refused.headers["allow"], "GET,HEAD", "which methods it takes is said all the same");
        // What software asks is answered to software, whatever else it says that it takes.
        for path in ["/v1/nowhere", "/env/production/nowhere", "/.well-known/nowhere", "/v1/identities?nonsense=1"] {
            let told = fetch(&world.owner, browser(&world, Method::GET, path)).await;
            assert_eq!(told.headers["content-type"], "application/problem+json", "{path}");
        }
        let told = fetch(&world.owner, world.http.get(format!("{}/nowhere", world.server.url))).await.expect(404);
        assert_eq!(told.headers["content-type"], "application/problem+json");
    }

    async fn whose_past_one_may_not_read_is_no_more_than_nobodys(world: World) {
        world.exporter("exporter").await;
        let (_, ola) = world.person("Ola", &["owner"]).await;
        let told = async |token: &str, subject: &str| {
            let told = page(&world, token, &format!("/log?subject={subject}")).await;
            let text = told.text.lines().filter(|line| !line.contains("request")).collect::<Vec<_>>().join("\n");
            (told.status, told.location, text)
        };
        let (known, unknown) = (told(&ola, "exporter").await, told(&ola, "nothing").await);
        assert_eq!((known.0, &known), (403, &unknown));
        let id = world.get(&world.auditor, "/v1/identities?name=exporter").await.text("/items/0/id");
        let other = format!("{}{}", &id[..id.len() - 1], if id.ends_with('0') { '1' } else { '0' });
        assert_eq!(told(&ola, &id).await, told(&ola, &other).await);
        // Whoever may read it is led to it, and told where there is none.
        assert_eq!(told(&world.auditor, "exporter").await.1, Some(format!("/log?subject={id}")));
        assert_eq!(told(&world.auditor, "nothing").await.0, 404);
    }

    async fn nobody_is_told_to_set_up_what_is_set_up(world: World) {
        let form = browser(&world, Method::POST, "/set-up").form(&[("setup_token", "x"), ("name", "Eve")]);
        let told = fetch("", form).await.expect(409);
        is_sound(&told);
        assert!(!told.text.contains("tenure setup") && told.text.contains("tenure person invite"), "{}", told.text);
        assert_eq!(fetch("", browser(&world, Method::GET, "/set-up")).await.expect(303).location.as_deref(), Some("/sign-in"));
    }
}
