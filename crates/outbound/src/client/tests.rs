use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const SET: &str = r#"{"keys":[]}"#;

/// A server on loopback that answers each connection with these bytes, and then holds it open.
struct Server {
    at: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: tokio::sync::mpsc::UnboundedReceiver<String>,
}

impl Server {
    async fn answering(response: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, requests) = tokio::sync::mpsc::unbounded_channel();
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let mut request = vec![0; 8192];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let _ = seen.send(String::from_utf8_lossy(&request[..length]).into_owned());
                let _ = stream.write_all(response.as_bytes()).await;
                open.push(stream);
            }
        });
        Self { at, connections, requests }
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.at)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn allowing(blocks: &[&str]) -> Outbound {
    Outbound::new(blocks.iter().map(|block| block.parse().unwrap()).collect())
}

fn local() -> Outbound {
    allowing(&["127.0.0.0/8", "::1/128"])
}

async fn get(outbound: &Outbound, url: &str, limit: usize) -> Result<Vec<u8>, OutboundError> {
    outbound.document(&url.parse()?, limit).await
}

async fn refused(outbound: &Outbound, url: &str) -> String {
    get(outbound, url, 1000).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_listed_address_is_reached_by_http() {
    let server = Server::answering(ok(SET)).await;
    assert_eq!(get(&local(), &server.url(), 1000).await.unwrap(), SET.as_bytes());
}

#[tokio::test]
async fn a_name_is_reached_at_the_addresses_that_were_checked() {
    let mut server = Server::answering(ok(SET)).await;
    let url = format!("http://localhost:{}/keys", server.at.port());
    assert_eq!(get(&local(), &url, 1000).await.unwrap(), SET.as_bytes());
    let request = server.requests.recv().await.unwrap();
    assert!(request.contains(&format!("localhost:{}", server.at.port())) && request.contains("tenure/"), "{request}");
}

#[tokio::test]
async fn private_addresses_are_refused_before_a_connection() {
    let server = Server::answering(ok(SET)).await;
    let port = server.at.port();
    let outbound = allowing(&["10.20.0.0/16"]);
    for url in [
        format!("https://localhost:{port}/keys"),
        format!("http://localhost:{port}/keys"),
        format!("https://127.0.0.1:{port}/keys"),
        format!("https://127.1:{port}/keys"),
        format!("https://2130706433:{port}/keys"),
        format!("https://0x7f.0.0.1:{port}/keys"),
        format!("https://[::1]:{port}/keys"),
        format!("https://[::ffff:127.0.0.1]:{port}/keys"),
        format!("https://[::ffff:7f00:1]:{port}/keys"),
        format!("https://0.0.0.0:{port}/keys"),
        format!("https://[::]:{port}/keys"),
    ] {
        let why = refused(&outbound, &url).await;
        assert!(why.contains("may not be reached"), "{url}: {why}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_metadata_services_of_clouds_are_refused() {
    for url in [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://[fd00:ec2::254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://100.100.100.200/latest/meta-data/",
    ] {
        let why = refused(&local(), url).await;
        assert!(why.contains("may not be reached"), "{url}: {why}");
    }
}

#[tokio::test]
async fn http_is_refused_where_the_address_is_not_listed() {
    let why = refused(&local(), "http://8.8.8.8/keys").await;
    assert!(why.contains("may not be reached by http"), "{why}");
    for url in ["ftp://127.0.0.1/keys", "file:///etc/passwd", "http://user:word@127.0.0.1/", "keys", ""] {
        refused(&local(), url).await;
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::answering(ok(SET)).await;
    let server =
        Server::answering(format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url()))
            .await;
    let why = refused(&local(), &server.url()).await;
    assert!(why.contains("302"), "{why}");
    assert_eq!((server.connections(), target.connections()), (1, 0));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_or_without_its_length() {
    let body = format!("\"{}\"", "x".repeat(2000));
    let told = Server::answering(ok(&body)).await;
    let chunked = Server::answering(format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ))
    .await;
    for server in [told, chunked] {
        let why = refused(&local(), &server.url()).await;
        assert!(why.contains("longer than 1000"), "{why}");
        assert_eq!(get(&local(), &server.url(), body.len()).await.unwrap().len(), body.len());
    }
}

#[tokio::test]
async fn a_slow_body_runs_out_of_time() {
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".into()).await;
    let outbound = Outbound { total: Duration::from_millis(200), ..local() };
    let why = refused(&outbound, &server.url()).await;
    assert!(why.contains("took longer"), "{why}");
}

#[tokio::test]
async fn only_json_with_status_200_is_taken() {
    for (response, part) in [
        (ok("<html>"), "not JSON"),
        (ok("{} {}"), "not JSON"),
        (ok(SET).replace("200 OK", "404 Not Found"), "404"),
        (ok(SET).replace("200 OK", "203 Other"), "203"),
    ] {
        let server = Server::answering(response).await;
        let why = refused(&local(), &server.url()).await;
        assert!(why.contains(part), "{why}");
    }
}

#[tokio::test]
async fn https_is_never_spoken_in_the_clear() {
    let mut server = Server::answering(ok(SET)).await;
    refused(&local(), &server.url().replace("http:", "https:")).await;
    let request = server.requests.recv().await.unwrap();
    assert!(!request.contains("GET"), "{request:?}");
}

#[tokio::test]
async fn another_protocol_goes_by_the_same_rule_and_is_bounded() {
    let server = Server::answering("x".repeat(64)).await;
    let port = server.at.port();
    for (outbound, host, encrypted) in [
        (allowing(&[]), "127.0.0.1", true),
        (allowing(&[]), "localhost", false),
        (allowing(&["10.0.0.0/8"]), "[::1]", true),
        (local(), "8.8.8.8", false),
        (local(), "169.254.169.254", true),
    ] {
        let why = outbound.dial(host, port, encrypted, 10).await.unwrap_err().to_string();
        assert!(why.contains("may not be reached"), "{host}: {why}");
    }
    assert_eq!(server.connections(), 0);
    let mut line = local().dial("localhost", port, false, 10).await.unwrap();
    line.write_all(b"?").await.unwrap();
    let mut read = Vec::new();
    let why = line.read_to_end(&mut read).await.unwrap_err().to_string();
    assert!(why.contains("more than is read") && read.len() <= 64, "{why}");
}

#[tokio::test]
async fn a_call_reads_the_whole_answer_in_its_own_time_or_none() {
    let authorities = Authorities::system();
    let call = |limit, patience| Call {
        method: Method::DELETE,
        authorities: &authorities,
        headers: HeaderMap::new(),
        body: None,
        patience: Duration::from_millis(patience),
        limit,
    };
    let server = Server::answering(ok(SET).replace("200 OK", "404 Not Found")).await;
    let to: Destination = server.url().parse().unwrap();
    let answer = local().call(&to, call(1000, 5_000)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_deref()), (StatusCode::NOT_FOUND, Some(SET.as_bytes())));
    assert!(matches!(local().call(&to, call(3, 5_000)).await, Err(OutboundError::TooLong(3))));
    let half = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".into()).await;
    assert!(local().call(&half.url().parse().unwrap(), call(1000, 100)).await.is_err());
    let moved = Server::answering("HTTP/1.1 307 X\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".into()).await;
    let moved = local().call(&moved.url().parse().unwrap(), call(1000, 5_000)).await;
    assert!(matches!(moved, Err(OutboundError::Status(StatusCode::TEMPORARY_REDIRECT))));
}

#[test]
fn what_is_below_a_place_stays_below_it() {
    let base: Destination = "https://vault.example/v1/".parse().unwrap();
    for (segments, path) in [
        (["auth", "a/../b?c#d"], "/v1/auth/a%2F..%2Fb%3Fc%23d"),
        (["%2e%2e", "x"], "/v1/%252e%252e/x"),
        (["ü", ""], "/v1/%C3%BC/"),
    ] {
        assert_eq!(base.below(segments, &[]).unwrap().url().path(), path);
    }
    assert_eq!(base.below(["a"], &[("list", "true&x")]).unwrap().url().query(), Some("list=true%26x"));
    for bad in [".", ".."] {
        assert!(base.below([bad], &[]).is_err());
    }
    let none: Destination = "mailto:someone".parse().unwrap();
    assert!(none.below(["a"], &[]).is_err());
}
