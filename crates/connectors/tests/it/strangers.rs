//! Servers that are none, or no whole one: nothing that they do is ever taken for a refusal.

use std::sync::{Arc, Mutex};

use tenure_core::base::time::Span;
use tenure_core::target::connector::{Connector, ConnectorError, Endpoint, Mode, Probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::places::{login, other_ca, reach};

/// How long a server that doesn't answer is waited for.
const BRIEF: Span = Span::from_millis(300);

/// What a stranger does with a connection.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It takes it, and says nothing.
    Silent,
    /// It says this, and closes.
    Says(&'static [u8]),
    /// It talks without end.
    Endless(&'static [u8]),
}

/// A stranger's port.
pub async fn stranger(manner: Manner) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            match manner {
                Manner::Silent => open.lock().unwrap().push(stream),
                Manner::Says(bytes) => {
                    let _ = stream.write_all(bytes).await;
                    let _ = stream.read(&mut [0; 1024]).await;
                }
                Manner::Endless(bytes) => {
                    tokio::spawn(async move { while stream.write_all(bytes).await.is_ok() {} });
                }
            }
        }
    });
    port
}

/// The port of a server that answers every request with this, whatever it is asked.
pub async fn answering(body: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut asked, mut part) = (Vec::new(), [0; 1024]);
            while !asked.ends_with(b"\r\n\r\n") {
                match stream.read(&mut part).await {
                    Ok(length) if length > 0 => asked.extend_from_slice(&part[..length]),
                    _ => break,
                }
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    port
}

/// A connector at a dead port, at strangers, and at the real server by another authority.
pub async fn unreachable(
    connector: &dyn Connector,
    real: &Endpoint,
    plain: impl Fn(u16) -> String,
    half: &'static [u8],
    key: &str,
) {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let at = |port| Endpoint { url: plain(port), ca: None, plaintext: true, options: real.options.clone() };
    let mut places = vec![at(closed)];
    for manner in [
        Manner::Silent,
        Manner::Says(b""),
        Manner::Says(half),
        Manner::Says(b"\x15\x03\x03\x00"),
        Manner::Endless(&[0; 4096]),
    ] {
        places.push(at(stranger(manner).await));
    }
    places.push(Endpoint { ca: Some(other_ca()), ..real.clone() });
    // A server without TLS where the endpoint asks for it.
    let silent = stranger(Manner::Says(b"N")).await;
    let url = real.url.rsplit_once(':').map(|(before, rest)| {
        let path = rest.split_once('/').map(|(_, path)| format!("/{path}")).unwrap_or_default();
        format!("{before}:{silent}{path}")
    });
    places.push(Endpoint { url: url.unwrap(), ..real.clone() });
    let us = login("somebody", "a-Secret_0123456789");
    for place in places {
        let probed = connector.probe(&place, &us, BRIEF).await;
        assert!(matches!(probed, Err(ConnectorError::Unreachable(_))), "{place:?}: {probed:?}");
        let asked = tenure_core::target::connector::Reach { patience: BRIEF, ..reach(&place, &us, Mode::End) };
        for said in [
            connector.whoami(&asked).await.map(|_| ()),
            connector.discover(&asked, None).await.map(|_| ()),
            connector.read(&asked, key).await.map(|_| ()),
            connector.revoke(&asked, key).await.map(|_| ()),
        ] {
            assert!(matches!(said, Err(ConnectorError::Unreachable(_))), "{place:?}: {said:?}");
            assert!(!format!("{said:?}").contains("a-Secret"));
        }
    }
    let elsewhere = Endpoint { url: real.url.replace("localhost", "169.254.169.254"), ..real.clone() };
    let probed = connector.probe(&elsewhere, &us, BRIEF).await;
    assert!(
        matches!(&probed, Err(ConnectorError::Unreachable(why)) if why.contains("may not be reached")),
        "{probed:?}"
    );
    assert_ne!(probed, Ok(Probe::Accepted));
}
