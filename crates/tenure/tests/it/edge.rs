//! The edge of the network: who counts as the source of a request, and what one source can take from the others.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::peers::caddy;
use crate::sender::mutual_tls::Certificates;
use crate::world::{Store, World, client};

/// What one source may begin in a minute.
const BEGINNINGS: usize = 600;
const OF_A_SOURCE: usize = 1_024;
const OF_A_SOURCE_UNDER_WAY: usize = 512;
const BEHIND_A_PROXY: &[(&str, &str)] =
    &[("TENURE_TLS_IN_FRONT", "true"), ("TENURE_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")];

/// Whether a sign-in may be begun with these headers. (Under an address there are no passkeys, which is said after
/// attempts are counted.)
async fn begin(http: &reqwest::Client, url: &str, origin: &str, headers: &[(&str, &str)]) -> bool {
    let mut request = http.post(format!("{url}/sign-in/passkey/start")).header("origin", origin);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let status = request.send().await.unwrap().status();
    assert!(status == 422 || status == 429, "{status}");
    status == 422
}

/// Uses up what a source may begin.
async fn use_up(http: &reqwest::Client, url: &str, origin: &str, headers: &[(&str, &str)]) {
    for _ in 0..BEGINNINGS / 50 {
        assert!(join_all((0..50).map(|_| begin(http, url, origin, headers))).await.into_iter().all(|begun| begun));
    }
    assert!(!begin(http, url, origin, headers).await);
}

/// A connection from an address of this machine.
async fn connected(world: &World, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(world.server.url.trim_start_matches("http://").parse().unwrap()).await.unwrap()
}

/// So many connections from an address of this machine, no more at once than the system queues for the server.
async fn held(world: &World, from: &str, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(join_all((0..(count - held.len()).min(64)).map(|_| connected(world, from))).await);
    }
    held
}

/// Whether the server has closed a connection without a word.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut [0; 1])).await;
    matches!(read, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn a06_behind_a_trusted_proxy_each_client_has_budgets_of_its_own() {
    let world = World::start_with(Store::Sqlite, BEHIND_A_PROXY).await;
    let url = world.server.url.clone();
    let forwarded = async |list: &str| begin(&world.http, &url, &url, &[("x-forwarded-for", list)]).await;
    use_up(&world.http, &url, &url, &[("x-forwarded-for", "203.0.113.7")]).await;
    assert!(forwarded("203.0.113.8").await, "a neighbour has a budget of their own");
    // What a client claims stands left of what the proxy adds, and of several proxies the trusted ones are passed over.
    assert!(!forwarded("203.0.113.9, 203.0.113.7").await);
    assert!(forwarded("203.0.113.7, 203.0.113.9").await);
    assert!(!forwarded("203.0.113.7, 10.1.2.3").await);
    // Another form, which this proxy isn't known to write, is the client's own invention.
    let invented = [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.10")];
    assert!(!begin(&world.http, &url, &url, &invented).await);
    // One customer's IPv6 addresses are one source, whatever stands in their last 64 bits.
    for n in 0..BEGINNINGS / 50 {
        let list = format!("2001:db8:0:7::{n:x}");
        let begun = join_all((0..50).map(|_| forwarded(&list))).await;
        assert!(begun.into_iter().all(|begun| begun));
    }
    assert!(!forwarded("2001:db8:0:7:ffff::1").await);
    assert!(forwarded("2001:db8:0:8::1").await);
}

#[tokio::test]
async fn a06_nobody_elses_word_on_where_they_come_from_counts() {
    let world = World::start_with(Store::Sqlite, &[("TENURE_TRUSTED_PROXIES", "192.0.2.0/24")]).await;
    let url = world.server.url.clone();
    for n in 0..BEGINNINGS / 50 {
        let list = format!("203.0.113.{n}");
        let headers = [("x-forwarded-for", &*list), ("forwarded", "for=203.0.113.200")];
        let begun = join_all((0..50).map(|_| begin(&world.http, &url, &url, &headers))).await;
        assert!(begun.into_iter().all(|begun| begun));
    }
    assert!(!begin(&world.http, &url, &url, &[("x-forwarded-for", "203.0.113.250")]).await);
    // What the sign-ins used up is no other way in, and no link's.
    let origin =
        world.http.post(format!("{url}/sign-in/invitation")).header("origin", &url).form(&[("invitation", "none")]);
    assert_eq!(origin.send().await.unwrap().status(), 401);
    assert_eq!(world.http.get(format!("{url}/approve/none")).send().await.unwrap().status(), 404);
}

/// Where the proxy listens: at an address of its own, so that no connection that another test opens meanwhile takes its
/// port.
const PROXY: &str = "127.0.0.3";

/// A running proxy; it ends with the test.
struct Proxy {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Proxy {
    async fn start(world: &World, how: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind((PROXY, 0)).unwrap().local_addr().unwrap().port();
        let upstream = world.server.url.trim_start_matches("http://");
        let config = format!(
            "{{\n admin off\n auto_https off\n persist_config off\n servers {{\n  trusted_proxies static 127.0.0.2/32\n }}\n}}\nhttp://{PROXY}:{port} {{\n bind {PROXY}\n reverse_proxy {upstream} {{\n  {how}\n }}\n}}\n"
        );
        std::fs::write(folder.path().join("Caddyfile"), config).unwrap();
        let mut command = caddy();
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.path().join("Caddyfile"));
        command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let proxy = Self { child, url: format!("http://{PROXY}:{port}"), _folder: folder };
        world
            .until(async || {
                client().get(format!("{}/livez", proxy.url)).send().await.is_ok_and(|answer| answer.status() == 200)
            })
            .await;
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a06_a_real_proxy_says_whom_it_forwards_in_each_of_three_forms() {
    let behind = |source| {
        [("TENURE_TLS_IN_FRONT", "true"), ("TENURE_TRUSTED_PROXIES", "127.0.0.1"), ("TENURE_PROXY_SOURCE", source)]
    };
    for (source, how) in [
        ("x-forwarded-for", ""),
        ("forwarded", "header_up Forwarded \"for={http.request.remote.host}\""),
        ("proxy-protocol", "transport http {\n   proxy_protocol v2\n  }"),
    ] {
        let mut world = World::start(Store::Sqlite).await;
        // It was set up directly; from now on its server is behind the proxy.
        world.server.stop();
        world.server.restart(&behind(source));
        world.http = client();
        let proxy = Proxy::start(&world, how).await;
        let [eve, bob] = ["127.0.0.9", "127.0.0.8"].map(|address| client_at(address).build().unwrap());
        let forged = [("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.1")];
        use_up(&eve, &proxy.url, &world.server.url, &forged).await;
        assert!(begin(&bob, &proxy.url, &world.server.url, &[]).await, "{source}");
        if source == "proxy-protocol" {
            // A connection of the proxy that doesn't introduce itself is closed; nobody else's is expected to.
            let mut rude = connected(&world, "127.0.0.1").await;
            rude.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            assert!(is_closed(&mut rude).await);
            assert_eq!(bob.get(format!("{}/livez", world.server.url)).send().await.unwrap().status(), 200);
        }
    }
}

/// A client at an address of this machine.
fn client_at(address: &str) -> reqwest::ClientBuilder {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().local_address(Some(address.parse().unwrap()))
}

/// Revokes an identity, from an address.
async fn revoke_from(world: &World, address: &str, id: &str) -> u16 {
    let body = json!({"target": {"type": "identity", "id": id}, "reason": "test"});
    let request = client_at(address).build().unwrap().post(format!("{}/v1/revocations", world.server.url));
    request.bearer_auth(&world.security).json(&body).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a06_one_address_has_its_share_of_connections_and_who_is_new_there_the_oldest_strangers() {
    let world = World::binary(Store::Sqlite, &[]).await;
    let (id, _) = world.exporter("exporter").await;
    let mut silent = held(&world, "127.0.0.2", OF_A_SOURCE).await;
    let mut probe = connected(&world, "127.0.0.2").await;
    assert!(is_closed(&mut silent[0]).await);
    // Whoever revokes may be behind the same address as those who crowd it.
    assert_eq!(revoke_from(&world, "127.0.0.2", &id).await, 201);
    probe.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut status = [0; 12];
    probe.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a06_an_unfinished_body_holds_a_place_for_seconds_and_keeps_nobody_out() {
    let world = World::binary(Store::Sqlite, &[]).await;
    let (id, _) = world.exporter("exporter").await;
    let head = "POST /env/production/token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\n";
    let mut open = held(&world, "127.0.0.2", OF_A_SOURCE_UNDER_WAY).await;
    for stream in &mut open {
        stream.write_all(head.as_bytes()).await.unwrap();
    }
    let refused = async |stream: &mut TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close") && answer.contains("too slowly"), "{answer}");
    };
    // Whoever comes from the same address is served, and one that only waits makes room.
    let mut beyond = connected(&world, "127.0.0.2").await;
    beyond.write_all(head.as_bytes()).await.unwrap();
    tokio::time::timeout(
        Duration::from_secs(3),
        futures_util::future::select_all(open.iter_mut().map(|stream| Box::pin(refused(stream)))),
    )
    .await
    .expect("before its time is over");
    assert_eq!(revoke_from(&world, "127.0.0.2", &id).await, 201);
    refused(&mut beyond).await;
}

#[tokio::test]
async fn a06_answers_that_nobody_reads_make_room_and_silence_has_an_end() {
    let certificates = Certificates::new();
    let world = certificates.world().await;
    let address = world.server.url.trim_start_matches("https://").to_owned();
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-quiet", "-alpn", "h2", "-connect", &address]);
    let mut silent = openssl.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();

    let metadata = format!("{}/.well-known/oauth-authorization-server/env/production", world.server.url);
    let mut unread = Vec::new();
    // A connection carries a hundred at once.
    for _ in 0..OF_A_SOURCE_UNDER_WAY / 64 + 1 {
        let client = certificates.trusting(client_at("127.0.0.2").http2_initial_stream_window_size(1));
        let answers = join_all((0..64).map(|_| client.get(&metadata).send())).await;
        unread.extend(answers.into_iter().map(|answer| answer.unwrap()));
    }
    assert_eq!(unread[0].version(), reqwest::Version::HTTP_2);
    let neighbour = certificates.trusting(client_at("127.0.0.2"));
    assert_eq!(neighbour.get(&metadata).send().await.unwrap().status(), 200);
    let last = unread.pop().unwrap();
    assert!(last.text().await.unwrap().contains("token_endpoint"), "who reads at last gets it");
    assert!(unread.remove(0).text().await.is_err(), "the oldest has made room");

    world.until(async || silent.try_wait().unwrap().is_some()).await;
}

#[tokio::test]
async fn a06_feeds_are_bounded_and_tell_all_their_readers_the_same() {
    let world = World::start(Store::Sqlite).await;
    join_all((0..20).map(|n| {
        let world = &world;
        async move { world.person(&format!("Person {n}"), &[]).await }
    }))
    .await;
    let count = world.events().await.len();
    assert!(count > 64, "more than one step: {count}");
    let feed = async |token: &str| {
        world.http.get(format!("{}/v1/events", world.server.url)).bearer_auth(token).send().await.unwrap()
    };
    let mut feeds = join_all((0..16).map(|_| feed(&world.auditor))).await;
    assert!(feeds.iter().all(|feed| feed.status() == 200 && feed.headers()["content-type"] == "text/event-stream"));
    let refused = world.get(&world.auditor, "/v1/events").await.expect(429);
    assert_eq!(refused.code(), "budget_spent");
    assert!(refused.text("/detail").contains("16"), "{}", refused.body);
    assert_eq!(feed(&world.security).await.status(), 200, "others have their own");
    // Each reads every event that there is, from the first.
    let mut told = Vec::new();
    for feed in &mut feeds {
        let mut text = String::new();
        while text.matches("\nevent: ").count() < count {
            text.push_str(std::str::from_utf8(&feed.chunk().await.unwrap().unwrap()).unwrap());
        }
        told.push(text.split("\n\n").take(count).map(str::to_owned).collect::<Vec<_>>());
    }
    assert!(told.iter().all(|text| *text == told[0]));
    drop(feeds);
    world.until(async || feed(&world.auditor).await.status() == 200).await;
}
