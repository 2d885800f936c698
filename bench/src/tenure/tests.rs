use super::*;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::bound::MutualTls;
use crate::tls::tests::acceptor;

const OPERATOR: &str = "authorization: Bearer tnr_op_toy";
const NONCE: &str = "toy-nonce";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";

/// What a toy of Tenure answers; it refuses what the real one would refuse for its form.
fn answer(path: &str, head: &str, body: &str, mutual: bool) -> (u16, Value) {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let form =
        || body.contains("client_assertion=ey") && body.contains("&resource=https%3A%2F%2Forders.bench.example%2F");
    let asked_for = |parameter: &str| body.split('&').any(|given| given == parameter);
    // In whichever order its members come: a build of the whole workspace keeps them as they were written.
    let delegates = body.contains("authorization_details=")
        && body.contains("%22actor%22%3A%22idn_workload-")
        && body.contains("tenure_delegation");
    let asked_by_point = head.contains("authorization: Bearer token-of-a-workload");
    match path {
        "/v1/setup" if json["setup_token"] == "once" => (201, json!({ "operator_token": "tnr_op_toy" })),
        "/env/bench/token" if head.contains("dpop: none") => (400, json!({ "error": "use_dpop_nonce" })),
        "/env/bench/token" if head.contains("dpop: ") => match proven(head) && form() {
            true => {
                (200, json!({ "access_token": bearing(&json!({ "cnf": { "jkt": "key" } })), "token_type": "DPoP" }))
            }
            false => (400, json!({ "error": "invalid_dpop_proof" })),
        },
        "/env/bench/token" if mutual && form() => (
            200,
            json!({ "access_token": bearing(&json!({ "cnf": { "x5t#S256": "certificate" } })), "token_type": "Bearer" }),
        ),
        "/env/bench/token" if delegates => (200, json!({ "access_token": "token-of-a-principal" })),
        "/env/bench/token" if asked_for("subject_token=token-of-a-principal") && asked_for(EXCHANGE) => (
            200,
            json!({ "access_token": bearing(&json!({ "act": { "sub": "idn_workload-0" } })), "token_type": "Bearer" }),
        ),
        "/env/bench/token" if form() => (200, json!({ "access_token": "token-of-a-workload", "token_type": "Bearer" })),
        "/env/bench/introspect" if asked_by_point && body == "token=token-of-a-workload" => {
            (200, json!({ "active": true }))
        }
        "/access/v1/evaluation" if asked_by_point => {
            let right = json["subject"]["properties"]["access_token"] == "token-of-a-workload"
                && json["resource"]["id"] == "res_1"
                && json["action"]["name"] == "read";
            (200, json!({ "decision": right }))
        }
        "/signals/bench-ci" if head.contains("x-hub-signature-256: sha256=") && json["action"] == "completed" => {
            (202, json!({ "signals": [{ "id": "sig_1" }], "duplicate": false }))
        }
        _ if !head.contains(OPERATOR) => (401, json!({ "code": "unauthenticated" })),
        "/v1/people" if json["roles"] == json!(["manager"]) => (201, json!({ "id": "per_2" })),
        "/v1/people" if json["roles"] == json!(["requester", "owner"]) && json["manager"] == "per_2" => {
            (201, json!({ "id": "per_1" }))
        }
        "/v1/people/per_1/operator-tokens" => (201, json!({ "operator_token": "tnr_op_toy" })),
        "/v1/people/per_2/operator-tokens" => (201, json!({ "operator_token": "tnr_op_toy_manager" })),
        "/v1/requests/req_1" if head.contains("tnr_op_toy_manager") => (200, json!({ "content_hash": "v2:toy" })),
        path if path.starts_with("/v1/identities/")
            && path.ends_with("/activate")
            && head.contains("tnr_op_toy_manager")
            && json["content_hash"] == "v2:toy" =>
        {
            (200, json!({ "state": "active" }))
        }
        "/v1/teams" if json["name"] == "bench" => (201, json!({ "id": "team_1" })),
        "/v1/people/per_1/change" if json["teams"] == json!(["team_1"]) => (200, json!({ "id": "per_1" })),
        "/v1/applications" if json["owner"] == "per_1" && json["removal_group"] == "team_1" => {
            (201, json!({ "id": "app_1" }))
        }
        "/v1/environments" if json["name"] == "bench" => (201, json!({ "name": "bench" })),
        "/v1/resources" if json["type"] == "tenure" && json["application"] == "app_1" => {
            (201, json!({ "id": "res_2" }))
        }
        "/v1/resources" if json["application"] == "app_1" => (201, json!({ "id": "res_1" })),
        "/v1/identities" => {
            let charter = &json["charter"];
            let facts = [
                "owner",
                "purpose",
                "scope",
                "trust_boundary",
                "environment",
                "application",
                "workload_binding",
                "expires_at",
                "retirement",
                "coverage",
                "parties",
            ];
            let delegates = json!([{ "actions": ["delegate"], "resource": "res_2" }]);
            let hands_on = json["name"].as_str().unwrap().starts_with("principal-");
            let complete = hands_on == (charter["scope"][1] == delegates[0])
                && hands_on == charter["delegates"].is_array()
                && facts.iter().all(|fact| !charter[fact].is_null())
                && charter["scope"][0]["resource"] == "res_1"
                && json["stage"] == "pending";
            if complete {
                (201, json!({ "id": format!("idn_{}", json["name"].as_str().unwrap()), "request": "req_1" }))
            } else {
                (422, json!({ "code": "charter_incomplete" }))
            }
        }
        "/v1/sources" if json["owner"] == "per_1" => {
            (201, json!({ "id": "src_1", "state": "active", "secret": "tnr_whk_toy" }))
        }
        "/v1/signals?source=src_1&state=received&limit=1" => (200, json!({ "items": [] })),
        "/v1/signals?source=src_1&limit=200" => (200, json!({ "items": [run_of("0"), run_of("1")], "next": "sig_2" })),
        "/v1/signals?source=src_1&limit=200&after=sig_2" => (200, json!({ "items": [run_of("2")] })),
        _ => (400, json!({ "code": "unexpected", "path": path, "body": body })),
    }
}

/// Whether the proof in the head is for this address, with the nonce.
fn proven(head: &str) -> bool {
    let proof = head.split("dpop: ").nth(1).unwrap().split("\r\n").next().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    claims["nonce"] == NONCE && claims["htm"] == "POST" && claims["htu"].as_str().unwrap().ends_with("/env/bench/token")
}

/// What looks like an access token with these claims.
fn bearing(claims: &Value) -> String {
    format!("header.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn run_of(run: &str) -> Value {
    json!({ "word": { "facts": { "run_id": run } } })
}

async fn toy(certificates: Option<&Certificates>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = certificates.map(acceptor);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    Some(acceptor) => serve(acceptor.accept(stream).await.unwrap(), true).await,
                    None => serve(stream, false).await,
                }
            });
        }
    });
    address
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, mutual: bool) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let whole = text
            .split_once("\r\n\r\n")
            .filter(|(head, body)| head.ends_with(&format!("content-length: {}", body.len())));
        let Some((head, body)) = whole else {
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let (status, reply) = answer(head.split(' ').nth(1).unwrap(), head, body, mutual);
        let reply = reply.to_string();
        let head = format!("HTTP/1.1 {status} Toy\r\ndpop-nonce: {NONCE}\r\ncontent-length: {}\r\n\r\n", reply.len());
        stream.write_all(format!("{head}{reply}").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        bytes.clear();
    }
}

/// What is measured once something is answered: in so short a time a machine that has other things to do may answer
/// nothing, or more than its trial promised.
async fn answered(mut measure: impl AsyncFnMut() -> anyhow::Result<Measured>) -> Measured {
    for _ in 0..100 {
        match measure().await {
            Ok(measured) if measured.answers > 0 || measured.errors > 0 => return measured,
            Ok(_) => {}
            Err(why) => assert!(why.to_string().contains("ran out"), "{why:#}"),
        }
    }
    panic!("nothing was answered");
}

#[tokio::test]
async fn it_is_set_up_and_measured_through_the_public_api() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("setup-token"), "once\n").unwrap();
    let mut process = Command::new("sleep");
    process.arg("60");
    let server = Server::spawn("toy", process, &data.path().join("log")).unwrap();
    let launch =
        Launch { program: PathBuf::new(), data: data.path().to_owned(), store: None, public_url: String::new() };
    let mut tenure =
        Tenure::before_set_up(server, launch, toy(None).await, None, Scale { workloads: 64, tokens: 512 }).unwrap();
    tenure.set_up(data.path()).await.unwrap();
    assert_eq!(tenure.workloads.len(), 64);
    assert_eq!(tenure.enforcement_point.id, "idn_enforcement-point");
    let load = Load { connections: 2, warm_up: Duration::from_millis(60), measured: Duration::from_millis(60) };
    for work in [Work::Issuance, Work::Dpop, Work::Exchange, Work::Introspection, Work::Decision] {
        let measured = answered(async || tenure.measure(work, load).await).await;
        assert_eq!(measured.errors, 0, "{work:?}: {measured:?}");
    }
    let burst = tenure.burst(3, 2).await.unwrap();
    assert_eq!((burst.measured.answers, burst.measured.errors), (3, 0));
    let lost = tenure.burst(4, 2).await.err().unwrap().to_string();
    assert!(lost.contains("4 were acknowledged, but 3 are recorded"), "{lost}");
    let certificates = Certificates::make(&data.path().join("certificates")).unwrap();
    let mutual = MutualTls { tenure, address: toy(Some(&certificates)).await, client: certificates.client().unwrap() };
    let measured = answered(async || mutual.issuance(load).await).await;
    assert_eq!(measured.errors, 0, "{measured:?}");
    mutual.stop().await.unwrap();
}

#[tokio::test]
async fn it_is_started_again_with_a_listener_that_asks_for_certificates() {
    use std::os::unix::fs::PermissionsExt;
    let data = tempfile::tempdir().unwrap();
    let program = data.path().join("tenure");
    std::fs::write(
        &program,
        "#!/bin/sh\nif [ $2 = --help ]; then echo TENURE_ISSUANCE_BUDGET; exit; fi\necho $*\nenv\nexec sleep 60\n",
    )
    .unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let launch = Launch {
        program,
        data: data.path().to_owned(),
        store: Some("postgres://bench".to_owned()),
        public_url: "http://127.0.0.1:1".to_owned(),
    };
    let certificates = Certificates::make(&data.path().join("certificates")).unwrap();
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut server = launch.server(address(2), Some((&certificates, address(3)))).unwrap();
    let said = || std::fs::read_to_string(data.path().join("server-tls.log")).unwrap_or_default();
    let expected = [
        "server --listen 127.0.0.1:2 --data",
        "\nTENURE_PUBLIC_URL=http://127.0.0.1:1\n",
        "\nTENURE_STORE=postgres://bench\n",
        "\nTENURE_MTLS_LISTEN=127.0.0.1:3\n",
        "/certificates/server.pem\n",
        "/certificates/server.key\n",
        "\nTENURE_ISSUANCE_BUDGET=1000000000\n",
    ];
    server.until(async || expected.iter().all(|part| said().contains(part))).await.unwrap();
    server.stop(Signal::TERM).await.unwrap();
}

#[test]
fn budgets_are_found_in_the_help() {
    let help = "  --listen <ADDR> [env: TENURE_LISTEN=]\n  --issuance-budget <N>  per identity and minute [env: TENURE_ISSUANCE_BUDGET=]\n TENURE_ISSUANCE_BUDGET";
    assert_eq!(budgets(help), ["TENURE_ISSUANCE_BUDGET"]);
    assert!(budgets("nothing").is_empty());
}
