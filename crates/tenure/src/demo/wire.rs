//! The demo's view of the wire: each exchange is sent, printed as far as it matters, and handed back.

use anyhow::Context;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value};

use super::page::say;

/// The longest body that is printed, in bytes.
const SHOWN: usize = 360;

/// A speaker of HTTP who says aloud what is said.
pub struct Wire {
    client: Client,
    url: String,
}

/// Who speaks: the name is printed, the token never.
#[derive(Debug, Clone, Copy)]
pub struct Speaker<'a> {
    /// The name.
    pub name: &'a str,
    /// The bearer token; none if empty.
    pub token: &'a str,
}

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
    /// Speaks to the server at this URL.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().build()?,
            url: url.to_owned(),
        })
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends JSON without a word.
    pub async fn quiet(&self, method: Method, token: &str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request).await
    }

    /// Fetches without a word; anything but success is an error.
    pub async fn get(&self, token: &str, path: &str) -> anyhow::Result<Answer> {
        let answer = self.quiet(Method::GET, token, path, None).await?;
        anyhow::ensure!(answer.status == 200, "GET {path} gave {}: {}", answer.status, answer.body);
        Ok(answer)
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
    pub async fn aloud(&self, who: Speaker<'_>, method: Method, path: &str, body: Option<&Value>, parts: &[&str]) -> anyhow::Result<Answer> {
        self.aloud_in_part(who, method, path, body, &[], parts).await
    }

    /// The same, with only these parts of what is sent.
    pub async fn aloud_in_part(
        &self,
        who: Speaker<'_>,
        method: Method,
        path: &str,
        body: Option<&Value>,
        sent: &[&str],
        parts: &[&str],
    ) -> anyhow::Result<Answer> {
        say!("    {} > {method} {path}", who.name)?;
        if let Some(body) = body {
            say!("      {}{}", picked(body, sent), if sent.is_empty() { "" } else { " and so on" })?;
        }
        let answer = self.quiet(method, who.token, path, body).await?;
        say!("      < {} {}", answer.status, picked(&answer.body, parts))?;
        Ok(answer)
    }

    /// Sends a form, and shows it.
    pub async fn form(&self, who: Speaker<'_>, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        say!("    {} > POST {path}", who.name)?;
        let brief: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", shortened(value))).collect();
        say!("      {}", brief.join("&"))?;
        let answer = self.form_quiet(who.token, path, fields).await?;
        say!("      < {} {}", answer.status, shown(&answer.body))?;
        Ok(answer)
    }

    /// Sends a form without a word: where the time counts.
    pub async fn form_quiet(&self, token: &str, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.url)).form(fields);
        send(if token.is_empty() { request } else { request.bearer_auth(token) }).await
    }

    /// Delivers a webhook, and shows it.
    pub async fn webhook(&self, name: &str, path: &str, headers: &[(&str, &str)], body: String) -> anyhow::Result<Answer> {
        say!("    {name} > POST {path}")?;
        let brief: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {}", shortened(value))).collect();
        say!("      {}", brief.join("  "))?;
        let mut request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(request.body(body)).await?;
        say!("      < {} {}", answer.status, shown(&answer.body))?;
        Ok(answer)
    }

    /// Fetches a document as it is.
    pub async fn bytes(&self, who: Speaker<'_>, path: &str) -> anyhow::Result<Vec<u8>> {
        say!("    {} > GET {path}", who.name)?;
        let response = self.client.get(format!("{}{path}", self.url)).bearer_auth(who.token).send().await?;
        anyhow::ensure!(response.status().is_success(), "GET {path} gave {}", response.status());
        let bytes = response.bytes().await?.to_vec();
        say!("      < 200, {} bytes", bytes.len())?;
        Ok(bytes)
    }
}

async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Answer {
        status,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    })
}

/// What an answer has at these JSON pointers, each under its last segment.
fn picked(body: &Value, parts: &[&str]) -> String {
    if parts.is_empty() {
        return shown(body);
    }
    let mut brief = Map::new();
    for pointer in parts {
        if let Some(value) = body.pointer(pointer).filter(|value| **value != Value::Array(Vec::new())) {
            brief.insert((*pointer).trim_start_matches('/').replace('/', "."), value.clone());
        }
    }
    shown(&Value::Object(brief))
}

/// JSON on one line, with long texts shortened.
fn shown(value: &Value) -> String {
    let mut brief = value.clone();
    shorten(&mut brief);
    let text = brief.to_string();
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end < text.len() {
        format!("{} …", text.get(..end).unwrap_or_default())
    } else {
        text
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => *text = shortened(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn shortened(text: &str) -> String {
    // Of our own secrets nothing but the kind is shown.
    if text.starts_with("tnr_") {
        return text.split_inclusive('_').take(2).chain(["…"]).collect();
    }
    // Sentences are for reading; what has no space is a proof, a key or a hash, and what has lines is a file.
    let text = text.split_once('\n').map_or_else(|| text.to_owned(), |(first, _)| format!("{first} …"));
    if text.len() <= 60 || (text.contains(' ') && text.len() <= 160) {
        text
    } else {
        format!("{}…", text.chars().take(28).collect::<String>())
    }
}
