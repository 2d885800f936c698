//! Signing the command line in (RFC 8252): the browser, where the person signs in, brings a one-time code to a port of
//! this machine, and only this process knows the verifier that turns it into a session.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tenure_api::sign_in::CliExchange;
use tenure_core::base::entropy::Entropy;
use tenure_core::store::event::Via;
use tenure_credentials::entropy::OsEntropy;
use tenure_credentials::id_token::sha256_text;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::context::Context;
use super::directory::make_parent;
use super::failure::Failure;
use super::open::browser;
use crate::server::write_secret;

/// How long the browser may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long one connection may take for its request.
const REQUEST: Duration = Duration::from_secs(5);
const MAX_HEAD: usize = 16 * 1024;
const DONE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tenure</title><p>The command line goes on. You can close this window.</p></html>";
const NOT_HERE: &str =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tenure</title><p>Nothing is here.</p></html>";

/// Signs the command line in, by way of a browser.
///
/// The session replaces what stands in DATA/operator-token, where the other commands find it, and ends after 8 hours.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tenure login
  tenure login --fresh                      to approve or enable within the next minutes
  tenure login --no-browser                 prints the address; open it in a browser on this machine
  ssh -L 7777:127.0.0.1:7777 host           for a machine without a browser; there: tenure login --no-browser --port 7777")]
pub struct Login {
    /// Sign in anew, even if the browser is signed in.
    #[arg(long)]
    fresh: bool,
    /// Open no browser.
    #[arg(long)]
    no_browser: bool,
    /// The port on 127.0.0.1 to which the browser comes back; a free one if not given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
}

impl Login {
    /// Signs in.
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line is at the edge: it reads its environment and measures"
    )]
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.anonymous()?;
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.context("can't listen on 127.0.0.1")?;
        let port = listener.local_addr()?.port();
        let verifier = verifier();
        let fresh = if self.fresh { "&fresh=true" } else { "" };
        let url = format!("{}/sign-in/cli?port={port}&challenge={}{fresh}", client.base(), sha256_text(&verifier));
        eprintln!("sign in with a browser on this machine:\n{url}");
        if !self.no_browser {
            browser(&url);
        }
        let code = tokio::time::timeout(PATIENCE, code(&listener))
            .await
            .map_err(|_| Failure::new("nobody signed in within 10 minutes").hint("run `tenure login` again"))??;
        let signed_in = client.redeem_cli_code(&CliExchange { code, verifier }).await?;
        let target = context.token_path();
        make_parent(&target)?;
        write_secret(&target, &signed_in.session_token)?;
        eprintln!("signed in until {}; the session is in {}", signed_in.session.expires_at, target.display());
        if std::env::var_os("TENURE_TOKEN").is_some() {
            eprintln!("warning: TENURE_TOKEN is set, and the other commands use that");
        }
        context.out.record(&signed_in.session)
    }
}

/// Ends the command line's session.
#[derive(Args)]
pub struct Logout {}

impl Logout {
    /// Signs out.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        let client = context.client()?;
        if !matches!(client.me().await?.via, Some(Via::Session(_))) {
            return Err(Failure::new("there is no session to end")
                .hint("an operator token ends by `tenure person revoke-token`")
                .into());
        }
        client.sign_out().await?;
        let target = context.token_path();
        if target.exists() {
            std::fs::remove_file(&target).with_context(|| format!("can't remove {}", target.display()))?;
        }
        eprintln!("signed out");
        Ok(())
    }
}

/// Says who the command line acts for, by what, and whether it can approve now.
#[derive(Args)]
pub struct Whoami {}

impl Whoami {
    /// Asks.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        context.out.record(&context.client()?.me().await?)
    }
}

/// 256 bits as text (RFC 7636 §4.1).
fn verifier() -> String {
    let mut bytes = [0u8; 32];
    OsEntropy.fill(&mut bytes);
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// The code, from the first request that brings one.
async fn code(listener: &TcpListener) -> anyhow::Result<String> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        // Browsers open connections without using them, and ask for icons: neither ends the wait.
        let head = tokio::time::timeout(REQUEST, head(&mut stream)).await;
        let Ok(Ok(head)) = head else { continue };
        let code = code_in(&head);
        let (status, body) = if code.is_some() { ("200 OK", DONE) } else { ("404 Not Found", NOT_HERE) };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
        if let Some(code) = code {
            return Ok(code);
        }
    }
}

async fn head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    let mut piece = [0u8; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut piece).await?;
        head.extend_from_slice(piece.get(..length).unwrap_or_default());
        if length == 0 || head.len() > MAX_HEAD {
            bail!("no request");
        }
    }
    Ok(String::from_utf8(head)?)
}

/// The code in `GET /?code=… HTTP/1.1`.
fn code_in(head: &str) -> Option<String> {
    let target = head.lines().next()?.strip_prefix("GET /?")?.split(' ').next()?;
    let code = target.split('&').find_map(|pair| pair.strip_prefix("code="))?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!code.is_empty() && code.bytes().all(plain)).then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_with_a_code_brings_one() {
        assert_eq!(code_in("GET /?code=v1.ab-_ HTTP/1.1\r\n\r\n"), Some("v1.ab-_".to_owned()));
        for other in [
            "GET /favicon.ico HTTP/1.1\r\n\r\n",
            "POST /?code=x HTTP/1.1\r\n\r\n",
            "GET /?code= HTTP/1.1\r\n\r\n",
            "GET /?code=<a> HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(code_in(other), None, "{other}");
        }
    }
}
