//! Whole requests to the server, over a store in memory.

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tenure_core::base::entropy::SeededEntropy;
use tenure_core::base::time::{Clock, Span, Timestamp};
use tenure_core::store::port::BoxFuture;
use tenure_credentials::root::RootKey;
use tenure_credentials::row_sealer::RowMac;
use tenure_engine::kernel::outbound::{Answered, Fetch, FetchError, Form};
use tenure_engine::people::setup;
use tenure_engine::{Kernel, Ports, Settings};
use tenure_policy::{CedarPolicy, Loader};
use tenure_store::MemoryStore;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// Requests after which the deployment is made anew.
const REQUESTS: u32 = 500;
/// In the place of the administrator's token.
const TOKEN: &str = "TOKEN";

/// A deployment with one administrator.
struct Deployment {
    runtime: Runtime,
    router: Router,
    token: String,
    left: u32,
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }
    fn monotonic(&self) -> Span {
        Span::from_secs(0)
    }
}

/// There is nothing outside.
struct Nowhere;

impl Nowhere {
    fn fails<T: Send + 'static>(url: &str) -> BoxFuture<'static, Result<T, FetchError>> {
        let error = FetchError { url: url.to_owned(), why: "there is nothing outside".to_owned() };
        Box::pin(std::future::ready(Err(error)))
    }
}

impl Fetch for Nowhere {
    fn get<'a>(&'a self, url: &'a str, _limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Self::fails(url)
    }
    fn post_form<'a>(&'a self, form: Form<'a>, _limit: usize) -> BoxFuture<'a, Result<Answered, FetchError>> {
        Self::fails(form.url)
    }
    fn post_json<'a>(
        &'a self,
        url: &'a str,
        _bearer: &'a str,
        _body: &'a str,
    ) -> BoxFuture<'a, Result<u16, FetchError>> {
        Self::fails(url)
    }
}

impl Deployment {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let root = RootKey::from_text(&"5e".repeat(32)).unwrap();
        let ports = Ports {
            connectors: Arc::new(tenure_core::target::connector::NoConnectors),
            store: Arc::new(MemoryStore::new(Arc::new(RowMac::new(&root)))),
            policy: policy(),
            policies: Arc::new(Loader),
            clock: Arc::new(Still),
            entropy: Arc::new(SeededEntropy::new(7)),
            fetch: Arc::new(Nowhere),
            root,
        };
        // Budgets are not what is looked for.
        let settings = Settings {
            write_budget: u32::MAX,
            write_budget_kib: u32::MAX,
            refusal_budget: u32::MAX,
            ..Settings::default()
        };
        let kernel = Arc::new(Kernel::new(ports, settings));
        let router = tenure_server::router(Arc::clone(&kernel));
        let setup_token = runtime.block_on(setup::offer_setup(&kernel)).unwrap().unwrap();
        let mut made = Self { runtime, router, token: String::new(), left: REQUESTS };
        let body = serde_json::json!({"setup_token": setup_token.expose(), "name": "Ada"}).to_string();
        let request = Request::post("/v1/setup").header("content-type", "application/json").body(Body::from(body));
        let (status, answer) = made.answer(request.unwrap());
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        made.token = answer["operator_token"].as_str().unwrap().to_owned();
        made
    }

    fn answer(&mut self, request: Request<Body>) -> (StatusCode, String) {
        let router = self.router.clone();
        self.runtime.block_on(async {
            let answer = router.oneshot(request).await.unwrap();
            let (status, body) = (answer.status(), answer.into_body());
            // A stream has no end.
            let streams = body.size_hint().upper().is_none();
            let bytes = if streams { Default::default() } else { body.collect().await.unwrap().to_bytes() };
            (status, String::from_utf8_lossy(&bytes).into_owned())
        })
    }
}

/// Parsing the policies takes longer than a thousand requests.
fn policy() -> Arc<CedarPolicy> {
    static POLICY: std::sync::LazyLock<Arc<CedarPolicy>> =
        std::sync::LazyLock::new(|| Arc::new(CedarPolicy::default_set().unwrap()));
    Arc::clone(&POLICY)
}

thread_local! {
    static DEPLOYMENT: RefCell<Option<Deployment>> = const { RefCell::new(None) };
}

/// A request as it is written: `METHOD /path?query`, headers by lines, an empty line, the body. `TOKEN` in a header is
/// the administrator's token. The server answers whatever is asked: nothing is its own fault, and without a token
/// nothing is made or shown of what is kept.
pub(crate) fn request(bytes: &[u8]) {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let Ok(head) = std::str::from_utf8(head) else { return };
    DEPLOYMENT.with_borrow_mut(|kept| {
        let deployment = kept.get_or_insert_with(Deployment::new);
        let mut lines = head.lines();
        let Some((method, path)) = lines.next().and_then(|line| line.split_once(' ')) else {
            return;
        };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value.replace(TOKEN, &deployment.token));
        }
        let Ok(request) = request.body(Body::from(body.to_vec())) else {
            return;
        };
        let (status, answer) = deployment.answer(request);
        assert!(!status.is_server_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {answer}");
        let is_known = head.contains(TOKEN);
        let is_kept = ["/v1/people", "/v1/identities", "/v1/applications", "/v1/requests"]
            .iter()
            .any(|kept| path.starts_with(kept));
        assert!(is_known || !is_kept || !status.is_success(), "{status} without a token: {answer}");
        deployment.left -= 1;
        if deployment.left == 0 {
            *kept = None;
        }
    });
}
