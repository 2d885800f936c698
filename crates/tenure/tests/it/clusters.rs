//! Kubernetes service accounts whose pods are gone (R14): the cluster is asked about each token before it counts. The
//! cluster is a stand-in (`peers/cluster.py`): which accounts and pods there are, and TokenReviews of them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::on_one;
use crate::peers::{AUDIENCE, Provider, exchange, python, refuses};
use crate::presets::{active, is_refused};
use crate::rows::refusals;
use crate::world::{Answer, World};

const ACCOUNT: &str = "6f2d1c3a-0000-4aaa-8bbb-123456789abc";
const POD: &str = "11111111-0000-4aaa-8bbb-123456789abc";
const REVIEWER: &str = "the-reviewers-own-token";

/// A running stand-in; it ends with the test.
struct Cluster {
    child: Child,
    url: String,
    ca: String,
    http: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("cluster.pem"), folder.path().join("cluster.key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-days", "2", "-subj", "/CN=cluster", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-out"])
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = python("cluster.py");
        let mut child = command.arg(&certificate).arg(&key).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the stand-in started").unwrap();
        let ca = std::fs::read_to_string(&certificate).unwrap();
        let trusted = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
        let cluster = Self { child, url: format!("https://127.0.0.1:{port}"), ca, http, _folder: folder };
        cluster.now(json!({"accounts": [ACCOUNT], "pods": [POD], "reviewer": REVIEWER})).await;
        cluster
    }

    /// Changes what there is, and tells what there is then.
    async fn now(&self, state: Value) -> Value {
        let asked = self.http.put(format!("{}/stand-in", self.url)).body(state.to_string());
        serde_json::from_slice(&asked.send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    async fn asked(&self) -> u64 {
        self.now(json!({})).await["asked"].as_u64().unwrap()
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a pod of the service account `exporter` is told by its cluster.
fn pod(uid: &str) -> Value {
    json!({
        "sub": "system:serviceaccount:billing:exporter",
        "kubernetes.io": {
            "namespace": "billing",
            "serviceaccount": {"name": "exporter", "uid": ACCOUNT},
            "pod": {"name": "exporter-7", "uid": uid},
        },
    })
}

async fn propose(world: &World, provider: &Provider, with: Value) -> Answer {
    let mut body =
        json!({"preset": "kubernetes", "url": provider.url, "audience": AUDIENCE, "environments": ["production"]});
    body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    world.post(&world.admin, "/v1/issuers", body).await
}

/// A cluster that is asked, and a workload of its.
async fn reviewed(world: &World, provider: &Provider, cluster: &Cluster) -> (String, String) {
    let review = json!({"token_review": {"url": cluster.url, "ca": cluster.ca}});
    let issuer = propose(world, provider, review).await.expect(201).text("/id");
    let mut charter = world.charter(json!({}));
    charter["workload_binding"] = json!({"type": "oidc", "workload": "billing/exporter", "issuer": provider.url,
        "claims": {"kubernetes.io/serviceaccount/uid": ACCOUNT}});
    let id = active(world, "workload", "exporter", &charter).await;
    (issuer, id)
}

async fn hand_in(world: &World, issuer: &str, secret: &str) -> Answer {
    world.post(&world.admin, &format!("/v1/issuers/{issuer}/review-login"), json!({"secret": secret})).await
}

on_one! {
    async fn r14_a_token_whose_pod_is_gone_is_refused_while_its_signature_holds(world: World) {
        let (provider, cluster) = (Provider::start("ES256", "first"), Cluster::start().await);
        let (issuer, id) = reviewed(&world, &provider, &cluster).await;
        // Until somebody hands in a login, the cluster can't be asked, and nothing counts.
        is_refused(&world, &id, &provider.shaped(&pod(POD), AUDIENCE).await, "token_review_unavailable").await;
        assert_eq!(cluster.asked().await, 0);
        let handed = hand_in(&world, &issuer, REVIEWER).await.expect(200);
        assert!(handed.text("/token_review/login/by").starts_with("per_"));
        for shown in [handed, world.get(&world.admin, &format!("/v1/issuers/{issuer}")).await, world.get(&world.admin, "/v1/issuers").await] {
            let shown = shown.expect(200).body.to_string();
            assert!(shown.contains(&cluster.url) && !shown.contains(REVIEWER) && !shown.contains("sealed"), "{shown}");
        }
        assert_eq!(world.events_of("issuer.review_login_set", &issuer).await.len(), 1);

        let issued = exchange(&world, &id, &provider.shaped(&pod(POD), AUDIENCE).await, "production").await.expect(200);
        assert!(world.is_live(&issued.text("/access_token")).await);
        // The pod is gone; what was signed for it is still in its time, and signed by a key that still counts.
        let of_the_gone = provider.shaped(&pod(POD), AUDIENCE).await;
        let other = "22222222-0000-4aaa-8bbb-123456789abc";
        cluster.now(json!({"pods": [other]})).await;
        is_refused(&world, &id, &of_the_gone, "token_review_refused").await;
        let event = refusals(&world, &id, "token_review_refused").await.remove(0);
        assert!(event.to_string().contains("service account token has been invalidated") || event["data"]["detail"].is_null(), "{event}");
        let answer = exchange(&world, &id, &of_the_gone, "production").await.expect(400);
        assert!(answer.body.to_string().contains("service account token has been invalidated"), "{:?}", answer.body);
        // An administrator is told the same; the pod that took its place is taken.
        let tried = json!({"token": of_the_gone, "identity": id});
        let tried = world.post(&world.admin, &format!("/v1/issuers/{issuer}/try"), tried).await.expect(200);
        assert_eq!((&tried.body["accepted"], tried.text("/failed/check")), (&json!(false), "token_review_refused".into()));
        exchange(&world, &id, &provider.shaped(&pod(other), AUDIENCE).await, "production").await.expect(200);
        // The account was made anew under its name: the cluster says so, too.
        cluster.now(json!({"accounts": []})).await;
        is_refused(&world, &id, &provider.shaped(&pod(other), AUDIENCE).await, "token_review_refused").await;
    }

    async fn r14_a_cluster_that_says_nothing_vouches_for_nothing_and_holds_nobody_up(world: World) {
        let (provider, mut cluster) = (Provider::start("ES256", "first"), Cluster::start().await);
        let (issuer, id) = reviewed(&world, &provider, &cluster).await;
        hand_in(&world, &issuer, "another-clusters-token").await.expect(200);
        is_refused(&world, &id, &provider.shaped(&pod(POD), AUDIENCE).await, "token_review_unavailable").await;
        hand_in(&world, &issuer, REVIEWER).await.expect(200);
        exchange(&world, &id, &provider.shaped(&pod(POD), AUDIENCE).await, "production").await.expect(200);
        for manner in ["redirects", "hangs"] {
            cluster.now(json!({"manner": manner})).await;
            let began = Instant::now();
            is_refused(&world, &id, &provider.shaped(&pod(POD), AUDIENCE).await, "token_review_unavailable").await;
            assert!(began.elapsed() < Duration::from_secs(20), "{manner}: {:?}", began.elapsed());
        }
        // Whoever proves nothing by the signature alone has nobody asked.
        cluster.now(json!({"manner": "well"})).await;
        let before = cluster.asked().await;
        let mut stranger = pod(POD);
        stranger["kubernetes.io"]["serviceaccount"]["uid"] = json!("6f2d1c3a-0000-4aaa-8bbb-123456789abd");
        refuses(&world, &id, &provider.shaped(&stranger, AUDIENCE).await, "production").await;
        assert_eq!(cluster.asked().await, before);
        cluster.stop();
        is_refused(&world, &id, &provider.shaped(&pod(POD), AUDIENCE).await, "token_review_unavailable").await;
    }

    async fn r14_only_a_cluster_is_asked_and_only_an_administrator_says_by_which_login(world: World) {
        let provider = Provider::start("ES256", "first");
        let review = json!({"url": "https://127.0.0.1:6443", "ca": "-----BEGIN CERTIFICATE-----"});
        for (with, code) in [
            (json!({"preset": "oidc", "token_review": review}), "token_review_not_supported"),
            (json!({"token_review": {"url": "http://cluster.example.com"}}), "url_malformed"),
            (json!({"token_review": {"url": "https://cluster.example.com?x=1"}}), "url_malformed"),
            (json!({"token_review": {"url": "https://cluster.example.com", "ca": "none"}}), "ca_malformed"),
        ] {
            assert_eq!(propose(&world, &provider, with.clone()).await.expect(422).field_codes(), [code], "{with}");
        }
        // One that names no cluster takes no login, and is as it was.
        let plain = propose(&world, &provider, json!({})).await.expect(201);
        assert!(plain.body.get("token_review").is_none());
        let issuer = plain.text("/id");
        assert_eq!(hand_in(&world, &issuer, REVIEWER).await.expect(409).code(), "illegal_transition");
        assert_eq!(hand_in(&world, &issuer, "a b").await.expect(422).field_codes(), ["secret_malformed"]);
        let login = format!("/v1/issuers/{issuer}/review-login");
        world.post(&world.owner, &login, json!({"secret": REVIEWER})).await.expect(403);
    }
}
