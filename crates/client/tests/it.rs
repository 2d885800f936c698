//! The client against a server that misbehaves.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking as the tests do")]

use serde_json::json;
use tenure_client::{Client, ClientError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one connection after the other with these bytes and gives what each request said.
async fn serve(replies: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for reply in replies {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                connection.read_buf(&mut request).await.unwrap();
            }
            requests.push(String::from_utf8(request).unwrap().to_lowercase());
            connection.write_all(reply.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, served)
}

fn event(index: u64) -> String {
    let event = json!({
        "position": {"shard": 0, "index": index}, "id": "evt_1", "kind": "identity.activated", "control": "approve", "at": "2027-01-01T00:00:00Z",
        "actor": {"type": "stranger", "id": ""}, "subjects": [], "data": {},
    });
    format!("id: {index}\nevent: identity.activated\ndata: {event}\n\n")
}

#[tokio::test]
async fn the_feed_resumes_where_it_broke_off_and_ends_when_refused() {
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n";
    let whole = event(6);
    let (cut_off, _) = whole.split_at(40);
    let problem = json!({"type": "about:blank", "title": "t", "status": 401, "code": "credential_expired"}).to_string();
    let (url, served) = serve(vec![
        // Breaks in the middle of an event.
        format!("{stream}content-length: 9000\r\n\r\n{}{}{cut_off}", event(4), event(5)),
        format!("{stream}\r\n{whole}"),
        format!(
            "HTTP/1.1 401 x\r\ncontent-type: application/problem+json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{problem}",
            problem.len()
        ),
    ])
    .await;
    let mut events = Client::builder(&url).token("tnr_op_x").build().unwrap().events(Some(3));
    for expected in 4..=6 {
        assert_eq!(events.next().await.unwrap().position.index, expected);
    }
    let refused = events.next().await.unwrap_err();
    assert_eq!((refused.status(), refused.code()), (Some(401), Some("credential_expired")));
    let requests = served.await.unwrap();
    let resumed: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.lines().find_map(|line| line.strip_prefix("last-event-id: ")))
        .collect();
    assert_eq!(resumed, ["3", "5", "6"]);
}

#[tokio::test]
async fn a_redirect_takes_no_token_elsewhere() {
    let (url, served) =
        serve(vec!["HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned()]).await;
    let client = Client::builder(&url).token("tnr_op_x").build().unwrap();
    assert!(matches!(client.checkpoint().await, Err(ClientError::Unexpected(_))));
    assert!(served.await.unwrap().concat().contains("authorization: bearer tnr_op_x"));
}
