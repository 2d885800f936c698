//! The demo's view of the wire: each exchange is sent, printed and handed back.

use anyhow::Context;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

/// A speaker of HTTP who says aloud what is said.
pub struct Wire {
    client: Client,
    url: String,
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

    /// Sends JSON as a person, silently: for what only prepares the scene.
    pub async fn quiet(&self, token: &str, path: &str, body: Value) -> anyhow::Result<Answer> {
        let answer = self
            .send(self.client.post(format!("{}{path}", self.url)).bearer_auth(token).json(&body))
            .await?;
        anyhow::ensure!(answer.status < 300, "POST {path} gave {}: {}", answer.status, answer.body);
        Ok(answer)
    }

    /// Sends JSON with a bearer token, and shows it.
    pub async fn json(&self, method: Method, token: Option<&str>, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        println!("    > {method} {path}");
        if let Some(body) = body {
            println!("    > {}", shown(body));
        }
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.send(request).await?;
        println!("    < {} {}", answer.status, shown(&answer.body));
        Ok(answer)
    }

    /// Sends a form, and shows it.
    pub async fn form(&self, token: Option<&str>, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        println!("    > POST {path}");
        let brief: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", shortened(value))).collect();
        println!("    > {}", brief.join("&"));
        let mut request = self.client.post(format!("{}{path}", self.url)).form(fields);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = self.send(request).await?;
        println!("    < {} {}", answer.status, shown(&answer.body));
        Ok(answer)
    }

    /// Sends a form without a word: where the time counts.
    pub async fn form_quiet(&self, token: Option<&str>, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let request = self.client.post(format!("{}{path}", self.url)).form(fields);
        self.send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
    }

    /// Fetches a document as it is.
    pub async fn bytes(&self, token: &str, path: &str) -> anyhow::Result<Vec<u8>> {
        println!("    > GET {path}");
        let response = self.client.get(format!("{}{path}", self.url)).bearer_auth(token).send().await?;
        anyhow::ensure!(response.status().is_success(), "GET {path} gave {}", response.status());
        let bytes = response.bytes().await?.to_vec();
        println!("    < 200, {} bytes", bytes.len());
        Ok(bytes)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok(Answer {
            status,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        })
    }
}

/// JSON on one line, with long texts shortened.
fn shown(value: &Value) -> String {
    let mut brief = value.clone();
    shorten(&mut brief);
    let text = brief.to_string();
    let mut end = text.len().min(600);
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
    // Sentences are for reading; what has no space is a token, a key or a hash.
    if text.len() <= 60 || text.contains(' ') {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(28).collect::<String>())
    }
}
