//! Somebody with a browser, as far as HTTP is concerned: keeps cookies, and says which page a request comes from.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::{Method, RequestBuilder, header};
use serde_json::Value;

use crate::world::{Answer, World};

pub struct Visitor {
    http: reqwest::Client,
    url: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    pub fn new(world: &World) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            url: world.server.url.clone(),
            cookies: Mutex::default(),
        }
    }

    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    pub fn keep(&self, name: &str, value: &str) {
        self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    pub fn forget(&self, name: &str) {
        self.cookies.lock().unwrap().remove(name);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.request(Method::GET, format!("{}{path}", self.url))).await
    }

    /// What a page of the server sends.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_from(&self.url, path, body).await
    }

    /// What a page of another site makes this browser send.
    pub async fn post_from(&self, origin: &str, path: &str, body: &Value) -> Answer {
        let request = self.http.request(Method::POST, format!("{}{path}", self.url));
        self.send(request.header(header::ORIGIN, origin).json(body)).await
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let pairs: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if pairs.is_empty() { request } else { request.header(header::COOKIE, pairs.join("; ")) };
        let answer = World::answer(request).await;
        for line in answer.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(line.contains("HttpOnly") && line.contains("SameSite="), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            match line.contains("Max-Age=0") {
                true => self.forget(name),
                false => self.keep(name, value),
            }
        }
        answer
    }
}
