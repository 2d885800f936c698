//! A browser as far as sign-in needs one: cookies by origin, redirects one at a time, forms, and what a browser says
//! about where a request comes from.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::{Client, Method, Url};
use serde_json::Value;

use crate::world::{Answer, World};

/// A browser with its own cookies.
pub struct Browser {
    http: Client,
    cookies: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

/// A page, or what stands in its place.
#[derive(Debug)]
pub struct Page {
    pub url: String,
    pub status: u16,
    pub location: Option<String>,
    pub text: String,
    pub headers: reqwest::header::HeaderMap,
}

impl Page {
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {}", self.url, self.text);
        self
    }
    /// Where it leads.
    #[track_caller]
    pub fn leads(&self) -> String {
        let to = self
            .location
            .as_ref()
            .unwrap_or_else(|| panic!("{} leads nowhere: {} {}", self.url, self.status, self.text));
        Url::parse(&self.url).unwrap().join(to).unwrap().to_string()
    }
    /// A parameter of where it leads.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let url = Url::parse(&self.leads()).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Browser {
    pub fn new() -> Self {
        let http = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, cookies: Mutex::default() }
    }

    fn origin(url: &str) -> String {
        Url::parse(url).unwrap().origin().ascii_serialization()
    }

    pub fn cookie(&self, url: &str, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(&Self::origin(url))?.get(name).cloned()
    }

    pub fn set_cookie(&self, url: &str, name: &str, value: &str) {
        let mut cookies = self.cookies.lock().unwrap();
        cookies.entry(Self::origin(url)).or_default().insert(name.to_owned(), value.to_owned());
    }

    /// Forgets everything about an origin, such as who is signed in there.
    pub fn forget(&self, url: &str) {
        self.cookies.lock().unwrap().remove(&Self::origin(url));
    }

    /// A request with this browser's cookies for the address.
    pub fn request(&self, method: Method, url: &str) -> reqwest::RequestBuilder {
        let cookies = self.cookies.lock().unwrap();
        let pairs: Vec<String> = cookies
            .get(&Self::origin(url))
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = self.http.request(method, url);
        if pairs.is_empty() { request } else { request.header("cookie", pairs.join("; ")) }
    }

    async fn send(&self, url: &str, request: reqwest::RequestBuilder) -> Page {
        let response = request.send().await.unwrap();
        for line in response.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            let jar = cookies.entry(Self::origin(url)).or_default();
            if line.contains("Max-Age=0") || value.is_empty() || line.contains("expires=Thu, 01 Jan 1970") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Page {
            url: url.to_owned(),
            status: response.status().as_u16(),
            location: response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    pub async fn get(&self, url: &str) -> Page {
        self.send(url, self.request(Method::GET, url)).await
    }

    /// Submits a form that a page of the same origin showed.
    pub async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Page {
        let request =
            self.request(Method::POST, url).header("origin", Self::origin(url)).header("sec-fetch-site", "same-origin");
        self.send(url, request.form(fields)).await
    }

    /// Follows redirects until a page stands, or until `stop` says that the next address is enough.
    pub async fn follow(&self, mut page: Page, stop: impl Fn(&str) -> bool) -> Page {
        for _ in 0..20 {
            if page.location.is_none() || stop(&page.leads()) {
                return page;
            }
            page = self.get(&page.leads()).await;
        }
        panic!("redirects without end at {}", page.url)
    }

    /// Asks the API as a page's own script does.
    pub async fn api(&self, world: &World, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = format!("{}{path}", world.server.url);
        let request = self.request(method, &url).header("sec-fetch-site", "same-origin");
        World::answer(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }
}
