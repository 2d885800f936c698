//! The demo's view of the wire: each exchange is sent, printed as one line in names, and in full where that is wanted,
//! and handed back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value};

use super::page::{Ink, exchange, inked, say};

/// A speaker of HTTP who says aloud what is said.
pub struct Wire {
    client: Client,
    url: String,
    /// Whether each exchange is printed in full.
    full: bool,
    /// What people call what an id stands for.
    names: RefCell<BTreeMap<String, String>>,
    /// Tokens and proofs in the order in which they were first shown: each keeps its number.
    shown: RefCell<Vec<String>>,
    calls: Cell<usize>,
    /// Codes of what was refused aloud, in the order of their first refusal, with how often.
    refused: RefCell<Vec<(String, usize)>>,
}

/// Who speaks: the name is printed, the token never.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The name.
    pub name: &'a str,
    /// The bearer token; none if empty.
    pub token: &'a str,
}

/// What is shown of an answer of the token endpoint.
pub const TOKEN: &[&str] = &["/access_token", "/expires_in", "/scope", "/auth_req_id", "/error", "/reason_code"];

/// What came back.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body; null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// What the body has at a JSON pointer; null if there is nothing.
    pub fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// A text in the body, by JSON pointer.
    pub fn text(&self, pointer: &str) -> anyhow::Result<String> {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .with_context(|| format!("the answer has no {pointer}: {}", self.body))
    }

    /// The list `items` of a page.
    pub fn items(&self) -> impl Iterator<Item = &Value> {
        self.at("/items").as_array().into_iter().flatten()
    }
}

impl Wire {
    /// Speaks to the server at this URL; in full: every exchange that is shown, byte for byte but for secrets.
    pub fn new(url: &str, full: bool) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().build()?,
            url: url.to_owned(),
            full,
            names: RefCell::default(),
            shown: RefCell::default(),
            calls: Cell::new(0),
            refused: RefCell::default(),
        })
    }

    /// What an id is called from now on.
    pub fn call(&self, id: &str, name: &str) {
        self.names.borrow_mut().insert(id.to_owned(), name.to_owned());
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// What was refused aloud, with how often.
    pub fn refused(&self) -> Vec<(String, usize)> {
        self.refused.borrow().clone()
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends JSON without a word.
    pub async fn quiet(&self, method: Method, token: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        self.send(self.request(method, token, path, body)).await
    }

    fn request(&self, method: Method, token: &str, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request
    }

    /// Fetches without a word; anything but success is an error.
    pub async fn get(&self, token: &str, path: &str) -> anyhow::Result<Answer> {
        let answer = self.quiet(Method::GET, token, path, None).await?;
        anyhow::ensure!(answer.status == 200, "GET {path} gave {}: {}", answer.status, answer.body);
        Ok(answer)
    }

    /// A text that is everybody's to read.
    pub async fn text(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.client.get(format!("{}{path}", self.url)).send().await?.error_for_status()?.text().await?)
    }

    /// Posts without a word; anything but success is an error.
    pub async fn post(&self, token: &str, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.must(Method::POST, token, path, body).await
    }

    /// Puts without a word; anything but success is an error.
    pub async fn put(&self, token: &str, path: &str, body: Value) -> anyhow::Result<Answer> {
        self.must(Method::PUT, token, path, body).await
    }

    async fn must(&self, method: Method, token: &str, path: &str, body: Value) -> anyhow::Result<Answer> {
        let answer = self.quiet(method.clone(), token, path, Some(&body)).await?;
        anyhow::ensure!(answer.status < 300, "{method} {path} gave {}: {}", answer.status, answer.body);
        Ok(answer)
    }

    /// Sends JSON, and shows it with these parts of what comes back; the whole if none are named.
    pub async fn aloud(
        &self,
        who: Speaker<'_>,
        method: Method,
        path: &str,
        body: Option<&Value>,
        parts: &[&str],
    ) -> anyhow::Result<Answer> {
        let request = self.request(method.clone(), who.token, path, body);
        // Nobody else is at it: whatever it is now is replaced.
        let request = if method == Method::PUT { request.header("If-Match", "*") } else { request };
        let answer = self.send(request).await?;
        let about = body.map(|body| self.about(body)).unwrap_or_default();
        self.show(who.name, &method, path, &about, &answer, parts)?;
        if self.full {
            self.show_whole(&body.map(ToString::to_string).unwrap_or_default(), body, &answer)?;
        }
        Ok(answer)
    }

    /// Sends a form, and shows it.
    pub async fn form(
        &self,
        who: Speaker<'_>,
        path: &str,
        fields: &[(&str, &str)],
        parts: &[&str],
    ) -> anyhow::Result<Answer> {
        let answer = self.form_quiet(who.token, path, fields).await?;
        let value = |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned());
        let grant =
            value("grant_type").and_then(|grant| grant.rsplit(':').next().map(|short| short.replace(['_', '-'], " ")));
        let about = value("binding_message").or(grant).unwrap_or_default();
        self.show(who.name, &Method::POST, path, &about, &answer, parts)?;
        if self.full {
            let brief: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", self.masked(value))).collect();
            self.show_whole(&brief.join("&"), None, &answer)?;
        }
        Ok(answer)
    }

    /// Sends a form without a word: where the time counts.
    pub async fn form_quiet(&self, token: &str, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.url)).form(fields);
        self.send(if token.is_empty() { request } else { request.bearer_auth(token) }).await
    }

    /// Delivers a webhook, and shows it.
    pub async fn webhook(
        &self,
        name: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.send(request.body(body.clone())).await?;
        let event: Vec<&str> =
            headers.iter().filter(|(name, _)| name.ends_with("-event")).map(|(_, value)| *value).collect();
        self.show(name, &Method::POST, path, &event.join(" "), &answer, &["/code", "/duplicate"])?;
        if self.full {
            let brief: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            self.show_whole(&format!("{}\n      {body}", brief.join("\n      ")), None, &answer)?;
        }
        Ok(answer)
    }

    /// Fetches a document as it is.
    pub async fn bytes(&self, who: Speaker<'_>, path: &str) -> anyhow::Result<Vec<u8>> {
        self.calls.set(self.calls.get() + 1);
        let response = self.client.get(format!("{}{path}", self.url)).bearer_auth(who.token).send().await?;
        anyhow::ensure!(response.status().is_success(), "GET {path} gave {}", response.status());
        let bytes = response.bytes().await?.to_vec();
        exchange(&format!("{} GET {path}", who.name), Ink::Green, "200", &format!("{} KB", bytes.len() / 1_024))?;
        Ok(bytes)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        self.calls.set(self.calls.get() + 1);
        let answer = send(request).await?;
        self.learn(&answer.body);
        Ok(answer)
    }

    /// Remembers the names of what an answer is about.
    fn learn(&self, body: &Value) {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        if let (Some(id), Some(name)) = (text("id"), text("name")) {
            self.call(id, name);
            if let Some(request) = text("request") {
                self.call(request, &format!("request:{name}"));
            }
        }
    }

    /// One line: who asked for what, and how it ended.
    fn show(
        &self,
        who: &str,
        method: &Method,
        path: &str,
        about: &str,
        answer: &Answer,
        parts: &[&str],
    ) -> anyhow::Result<()> {
        let decision = answer.at("/decision").as_bool();
        let done = answer.status < 400 && decision != Some(false);
        if !done {
            let code = ["/reason_code", "/context/reason_code", "/fields/0/code", "/code", "/error"]
                .map(|place| answer.at(place).as_str());
            let code = code.into_iter().flatten().next().unwrap_or("refused").to_owned();
            let mut refused = self.refused.borrow_mut();
            match refused.iter_mut().find(|(known, _)| *known == code) {
                Some((_, count)) => *count += 1,
                None => refused.push((code, 1)),
            }
        }
        let about = if about.is_empty() { String::new() } else { format!(" ({})", self.named(about)) };
        let ink = if done { Ink::Green } else { Ink::Red };
        let more = self.brief(&picked(&answer.body, parts));
        match decision {
            Some(allowed) => exchange(&format!("{who} asks:{about}"), ink, if allowed { "yes" } else { "no" }, &more)?,
            None => exchange(
                &format!("{who} {method} {}{about}", self.named(path)),
                ink,
                &answer.status.to_string(),
                &more,
            )?,
        }
        Ok(())
    }

    /// The exchange in full, but for secrets.
    fn show_whole(&self, sent: &str, body: Option<&Value>, answer: &Answer) -> anyhow::Result<()> {
        let sent = match body {
            Some(body) => self.whole(body),
            None => sent.to_owned(),
        };
        if !sent.is_empty() {
            say!("      {} {sent}", inked(Ink::Dim, ">"))?;
        }
        say!("      {} {}", inked(Ink::Dim, "<"), self.whole(&answer.body))?;
        Ok(())
    }

    /// What a body is about, in a few words.
    fn about(&self, body: &Value) -> String {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        match (text("/subject/id"), text("/action/name"), text("/resource/id")) {
            (Some(subject), Some(action), Some(resource)) => return format!("may {subject} {action} {resource}?"),
            (Some(subject), ..) => return subject.to_owned(),
            _ => {}
        }
        if let Some(roles) = body.get("roles") {
            return self.brief(roles);
        }
        let places = ["/name", "/target/id", "/matter/package", "/to", "/reason", "/purpose", "/source", "/decision"];
        places.into_iter().find_map(text).unwrap_or_default().to_owned()
    }

    /// A text with names in place of ids: what has none is called by what it is.
    fn named(&self, text: &str) -> String {
        let names = self.names.borrow();
        let part = |word: &str| match names.get(word) {
            Some(name) => name.clone(),
            None => match word.split_once('_') {
                Some((prefix, rest)) if prefix.len() == 3 && rest.len() == 26 => format!("‹{}›", noun(prefix)),
                _ => word.to_owned(),
            },
        };
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
            match piece.char_indices().next_back() {
                Some((at, last)) if !(last.is_ascii_alphanumeric() || last == '_') => {
                    out.push_str(&part(piece.get(..at).unwrap_or_default()));
                    out.push(last);
                }
                _ => out.push_str(&part(piece)),
            }
        }
        out
    }

    /// JSON in words.
    fn brief(&self, value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => {
                let text = self.masked(text);
                if text.len() > 40 && !text.contains(' ') {
                    text.chars().take(16).chain(['…']).collect()
                } else {
                    self.named(&text)
                }
            }
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(items) => items.iter().map(|item| self.brief(item)).collect::<Vec<_>>().join(", "),
            Value::Object(fields) => {
                let part = |name: &str| fields.get(name).map(|value| self.brief(value));
                match (part("field"), part("code"), part("actions"), part("resource")) {
                    (Some(field), Some(code), ..) => format!("{field}: {code}"),
                    (.., Some(actions), Some(resource)) => format!("{actions} on {resource}"),
                    _ => {
                        let part = |(name, value): (&String, &Value)| match name.as_str() {
                            "state" | "code" | "error" | "fields" | "reason_code" => self.brief(value),
                            name => format!("{} {}", name.replace('_', " "), self.brief(value)),
                        };
                        fields.iter().map(part).collect::<Vec<_>>().join(", ")
                    }
                }
            }
        }
    }

    /// JSON as it is, but for secrets.
    fn whole(&self, value: &Value) -> String {
        let mut copy = value.clone();
        self.mask(&mut copy);
        copy.to_string()
    }

    fn mask(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.masked(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.mask(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A text, if it is no secret. Of our own secrets nothing but the kind is shown; a signed token or proof is told by
    /// a number of its own and by what it says, so that two are never taken for one.
    fn masked(&self, text: &str) -> String {
        if text.starts_with("tnr_") {
            return text.split_inclusive('_').take(2).chain(["…"]).collect();
        }
        let Some(claims) = claims_of(text) else {
            return text.to_owned();
        };
        let mut shown = self.shown.borrow_mut();
        let number = match shown.iter().position(|known| known == text) {
            Some(place) => place + 1,
            None => {
                shown.push(text.to_owned());
                shown.len()
            }
        };
        let claim = |name: &str| claims.get(name).and_then(Value::as_str);
        let of =
            claim("sub").or_else(|| claim("iss")).map(|who| format!(" of {}", self.named(who))).unwrap_or_default();
        let scope = claim("scope").map(|scope| format!(" to {scope}")).unwrap_or_default();
        format!("‹token {number}{of}{scope}›")
    }
}

/// The claims of a compact JWS, if a text is one.
fn claims_of(text: &str) -> Option<Value> {
    let mut parts = text.split('.');
    let (Some(head), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let json = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    json(head).filter(Value::is_object)?;
    json(claims)
}

/// What an id without a name is called.
fn noun(prefix: &str) -> &str {
    match prefix {
        "idn" => "identity",
        "per" => "person",
        "res" => "resource",
        "app" => "application",
        "req" => "request",
        "tra" => "transfer",
        "rct" => "receipt",
        "pol" => "policy set",
        "src" => "source",
        "dif" => "question",
        "gra" | "pgr" => "grant",
        "crd" => "credential",
        "fin" => "finding",
        "rem" => "removal",
        other => other,
    }
}

async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
}

/// What an answer has at these JSON pointers, each under its last segments; the whole if none are named.
fn picked(body: &Value, parts: &[&str]) -> Value {
    if parts.is_empty() {
        return body.clone();
    }
    let mut brief = Map::new();
    for pointer in parts {
        if let Some(value) =
            body.pointer(pointer).filter(|value| !value.is_null() && **value != Value::Array(Vec::new()))
        {
            let words: Vec<&str> =
                pointer.split('/').filter(|part| !part.is_empty() && part.parse::<usize>().is_err()).collect();
            brief.insert(words.last().copied().unwrap_or_default().to_owned(), value.clone());
        }
    }
    Value::Object(brief)
}
