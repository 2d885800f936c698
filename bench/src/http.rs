//! A minimal HTTP/1.1 client: one request at a time on a connection that stays open. A generator that shares the
//! machine with what it measures must cost little.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tls::Client;

const MAX_HEADERS: usize = 64;
const MAX_REPLY: usize = 4 << 20;
const READ_AHEAD: usize = 16 << 10;

/// A connection that stays open, in the clear or over TLS.
pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    reusable: bool,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
    /// The nonce for the client's next DPoP proof (RFC 9449 §8.2).
    pub dpop_nonce: Option<String>,
}

impl Reply {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Status and body in one line.
    pub fn summary(&self) -> String {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(400).collect();
        format!("{} {}", self.status, body.trim())
    }
}

impl Connection {
    /// Connects in the clear.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        Self::open_as(address, None).await
    }

    /// Connects; over TLS, with its certificate, as a client that has one.
    pub async fn open_as(address: SocketAddr, client: Option<&Client>) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("could not connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: match client {
                Some(client) => Box::new(client.connect(stream, address).await?),
                None => Box::new(stream),
            },
            buffer: Vec::with_capacity(READ_AHEAD),
            reusable: true,
        })
    }

    /// Whether another request may follow.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Sends a whole request and reads its whole reply.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        // Whatever goes wrong from here on, the next reply would be out of step.
        self.reusable = false;
        self.stream.write_all(request).await?;
        // TLS keeps what the socket did not take at once.
        self.stream.flush().await?;
        let head = loop {
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
            self.fill().await?;
        };
        self.buffer.drain(..head.length);
        let body = match head.body {
            Body::Sized(length) => self.take(length).await?,
            Body::Chunked => self.chunks().await?,
        };
        self.reusable = head.stays_open;
        Ok(Reply { status: head.status, body, dpop_nonce: head.dpop_nonce })
    }

    async fn fill(&mut self) -> Result<()> {
        if self.buffer.len() > MAX_REPLY {
            bail!("the reply is longer than {MAX_REPLY} bytes");
        }
        self.buffer.reserve(READ_AHEAD);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection before its reply ended");
        }
        Ok(())
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let (start, size) = loop {
                match httparse::parse_chunk_size(&self.buffer) {
                    Ok(httparse::Status::Complete((start, size))) => break (start, usize::try_from(size)?),
                    Ok(httparse::Status::Partial) => self.fill().await?,
                    Err(_) => bail!("the reply has a malformed chunk"),
                }
            };
            if size > MAX_REPLY {
                bail!("the reply has a chunk longer than {MAX_REPLY} bytes");
            }
            self.buffer.drain(..start);
            let chunk = self.take(size + 2).await?;
            body.extend_from_slice(chunk.strip_suffix(b"\r\n").context("the reply has a malformed chunk")?);
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

struct Head {
    length: usize,
    status: u16,
    body: Body,
    dpop_nonce: Option<String>,
    stays_open: bool,
}

enum Body {
    Sized(usize),
    Chunked,
}

fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).context("the reply is not HTTP/1.1")? else {
        return Ok(None);
    };
    let status = response.code.context("the reply has no status")?;
    let header = |name: &str| {
        response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let body = if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        Body::Chunked
    } else if let Some(length) = header("content-length") {
        Body::Sized(length.trim().parse().context("the reply has a malformed length")?)
    } else if status == 204 || status == 304 {
        Body::Sized(0)
    } else {
        bail!("the reply doesn't say how long it is");
    };
    let stays_open = !header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Head { length, status, body, dpop_nonce: header("dpop-nonce").map(str::to_owned), stays_open }))
}

/// The bytes of a request with these extra headers (`Name: value`).
pub fn request(method: &str, path: &str, address: SocketAddr, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n").into_bytes();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A JSON API, for the set-up before a measurement.
pub struct Api {
    /// Where it is.
    pub address: SocketAddr,
    /// The header that authenticates us, once there is one.
    pub authorization: Option<String>,
}

impl Api {
    /// Sends JSON and gives the reply's JSON (null if it has none). A status other than 2xx is an error that quotes the
    /// reply.
    pub async fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let mut headers = vec!["content-type: application/json", "accept: application/json"];
        headers.extend(self.authorization.as_deref());
        // Nobody else is here to have changed it.
        headers.extend((method == "PATCH").then_some("if-match: *"));
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let reply = Connection::open(self.address)
            .await?
            .exchange(&request(method, path, self.address, &headers, &body))
            .await?;
        if !reply.is_success() {
            bail!("{method} {path} answered {}", reply.summary());
        }
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&reply.body)
            .with_context(|| format!("{method} {path} answered something that is not JSON: {}", reply.summary()))
    }
}

/// The text at `pointer` (RFC 6901) of a reply.
pub fn text<'a>(reply: &'a Value, pointer: &str) -> Result<&'a str> {
    reply
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("the reply has no text at {pointer}: {reply}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// A server that answers each request on a connection with the next of `replies`, written in two parts, and starts
    /// over when all are used.
    pub async fn toy(replies: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut request = vec![0; 64 << 10];
                    for reply in replies.iter().cycle() {
                        if stream.read(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let (first, second) = reply.split_at(reply.len() / 2);
                        for part in [first, second] {
                            if stream.write_all(part.as_bytes()).await.is_err() {
                                return;
                            }
                            tokio::task::yield_now().await;
                        }
                        if reply.contains("close") {
                            return;
                        }
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn replies_of_each_form_follow_one_another_on_a_connection() {
        let address = toy(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 201 Created\r\nDPoP-Nonce: n-1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwiki\r\n5\r\npedia\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops",
        ])
        .await;
        let mut connection = Connection::open(address).await.unwrap();
        let request = request("POST", "/", address, &["content-type: text/plain"], b"x");
        let mut next = async || {
            connection
                .exchange(&request)
                .await
                .map(|reply| (reply.status, String::from_utf8(reply.body).unwrap(), reply.dpop_nonce))
                .unwrap()
        };
        assert_eq!(next().await, (200, "hello".to_owned(), None));
        assert_eq!(next().await, (201, "wikipedia".to_owned(), Some("n-1".to_owned())));
        assert_eq!(next().await, (204, String::new(), None));
        assert_eq!(next().await, (500, "oops".to_owned(), None));
        assert!(!connection.is_reusable());
    }

    #[tokio::test]
    async fn a_reply_that_breaks_off_is_an_error_and_spoils_the_connection() {
        let address = toy(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\nx: close\r\n\r\nshort"]).await;
        let mut connection = Connection::open(address).await.unwrap();
        let error = connection.exchange(&request("GET", "/", address, &[], b"")).await.unwrap_err();
        assert!(error.to_string().contains("before its reply ended"), "{error}");
        assert!(!connection.is_reusable());
    }

    #[tokio::test]
    async fn a_reply_without_a_length_is_refused_rather_than_guessed() {
        let address = toy(&["HTTP/1.1 200 OK\r\n\r\n"]).await;
        let error = Connection::open(address)
            .await
            .unwrap()
            .exchange(&request("GET", "/", address, &[], b""))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("how long"), "{error}");
    }

    #[tokio::test]
    async fn a_refusal_of_the_api_is_quoted() {
        let address =
            toy(&["HTTP/1.1 422 Unprocessable Content\r\ncontent-length: 22\r\n\r\n{\"code\":\"owner_needed\"}"]).await;
        let api = Api { address, authorization: Some("authorization: Bearer x".to_owned()) };
        let error = api.call("POST", "/v1/identities", &serde_json::json!({})).await.unwrap_err().to_string();
        assert!(error.contains("POST /v1/identities answered 422 {\"code\":\"owner_needed\""), "{error}");
    }

    #[test]
    fn a_request_carries_its_headers_and_its_length() {
        let address = "127.0.0.1:80".parse().unwrap();
        let bytes = request("POST", "/a", address, &["accept: application/json"], b"xyz");
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "POST /a HTTP/1.1\r\nhost: 127.0.0.1:80\r\naccept: application/json\r\ncontent-length: 3\r\n\r\nxyz"
        );
    }
}
