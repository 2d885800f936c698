//! The console, over HTTP against the server: every page as somebody's browser gets it.

mod axe;
mod chromium;
mod directory;
mod door;
mod home;
mod hostile;
mod identity;
mod input;
mod inventory;
mod live;
mod log;
mod making;
mod people;
mod policy;
mod problems;
mod requests;
mod several;
mod signals;
mod stop;
mod targets;
mod views;
mod watch;

use reqwest::Method;

use crate::browser::Page;
use crate::world::World;

/// A page as whoever holds a token gets it; a page is read by anybody whom the API knows.
pub(crate) async fn page(world: &World, token: &str, path: &str) -> Page {
    fetch(token, world.http.get(format!("{}{path}", world.server.url))).await
}

/// Sends a form of a page.
async fn send(world: &World, token: &str, path: &str, fields: &[(&str, &str)]) -> Page {
    fetch(token, world.http.request(Method::POST, format!("{}{path}", world.server.url)).form(fields)).await
}

async fn fetch(token: &str, request: reqwest::RequestBuilder) -> Page {
    let (_, request) = request.bearer_auth(token).build_split();
    let request = request.unwrap();
    let url = request.url().to_string();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let response = http.execute(request).await.unwrap();
    Page {
        url,
        status: response.status().as_u16(),
        location: response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

/// Demands what holds of every page: it is HTML of ours, runs nothing but our files, and stands in nobody's frame.
#[track_caller]
fn is_sound(page: &Page) {
    is_guarded(page);
    for tag in page.text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()) {
        let handles = tag.split_whitespace().skip(1).any(|word| word.starts_with("on") && word.contains('='));
        let inline = handles
            || tag.contains(" style=")
            || tag.starts_with("style")
            || tag == "script"
            || tag.contains("javascript:");
        assert!(!inline, "<{tag}> in {}: {}", page.url, page.text);
    }
}

/// The same but for what stands in its tags, which its own test reads more exactly.
#[track_caller]
fn is_guarded(page: &Page) {
    let header = |name: &str| page.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default();
    assert!(header("content-type").starts_with("text/html"), "{}: {}", page.url, page.text);
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!((header("x-frame-options"), header("cache-control")), ("DENY", "no-store"), "{}", page.url);
    assert_eq!((header("referrer-policy"), header("x-content-type-options")), ("same-origin", "nosniff"));
    for needed in ["<html lang=\"en\">", "<main", "<h1>", "<title>", "name=\"viewport\""] {
        assert!(page.text.contains(needed), "{needed} is missing in {}", page.url);
    }
    assert_eq!(page.text.matches("<h1").count(), 1, "{}", page.url);
}
