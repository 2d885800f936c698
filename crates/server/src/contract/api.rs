//! The API: each address with its handlers, and the contract that these keep, as OpenAPI 3.1.
//!
//! What a handler takes and gives is read from its own signature ([`Takes`], [`Gives`]), so that the document can't say
//! something else than the code does. It is made only when somebody asks for it: a server that starts pays nothing for
//! it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tenure_api::problem::Problem;

use crate::contract::condition;
use crate::contract::error::{Failure, codes_of};

/// What a handler takes from a request.
pub(crate) trait Takes {
    /// Says so in the operation.
    fn describe(_: &mut Operation<'_>) {}
}

/// What a handler gives.
pub(crate) trait Gives {
    /// Says so in the operation.
    fn describe(operation: &mut Operation<'_>);
}

/// A handler whose contract can be read from its signature.
pub(crate) trait Described<Arguments> {
    /// Says it in the operation.
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! described {
    ($($argument:ident)*) => {
        impl<F, R, $($argument),*> Described<($($argument,)*)> for F
        where
            F: FnOnce($($argument),*) -> R,
            R: Future<Output: Gives>,
            $($argument: Takes,)*
        {
            fn describe(operation: &mut Operation<'_>) {
                $($argument::describe(operation);)*
                R::Output::describe(operation);
            }
        }
    };
}

described!();
described!(A);
described!(A B);
described!(A B C);
described!(A B C D);
described!(A B C D E);
described!(A B C D E G);
described!(A B C D E G H);

impl<T> Takes for State<T> {}
impl Takes for HeaderMap {}
impl Takes for Method {}
// Whoever reads the whole request settles by themselves who asks.
impl Takes for Request {
    fn describe(operation: &mut Operation<'_>) {
        for status in [400, 401, 403, 408, 413, 415] {
            operation.problem(status);
        }
    }
}

/// An operation of the document while it is described.
pub(crate) struct Operation<'a> {
    schemas: &'a mut SchemaGenerator,
    parameters: Vec<Value>,
    body: Option<Value>,
    responses: BTreeMap<u16, Value>,
    problems: BTreeSet<u16>,
    /// Statuses of problems in the whole document.
    answers: &'a mut BTreeSet<u16>,
    is_authenticated: bool,
}

impl Operation<'_> {
    /// The reference to a type's schema.
    pub(crate) fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }

    /// Whoever asks proves who they are.
    pub(crate) fn authenticated(&mut self) {
        self.is_authenticated = true;
        self.problems.extend([400, 401, 403]);
    }

    /// It may be answered with a problem of this status.
    pub(crate) fn problem(&mut self, status: u16) {
        self.problems.insert(status);
    }

    /// A parameter in a place: `query`, `header`.
    pub(crate) fn parameter(&mut self, place: &str, name: &str, says: &str, schema: &Value) {
        self.parameters
            .push(json!({"in": place, "name": name, "description": says, "required": false, "schema": schema}));
    }

    /// The members of a type as parameters of the query.
    pub(crate) fn query<T: JsonSchema>(&mut self) {
        let schema = T::json_schema(self.schemas);
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let says = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let mut parameter =
                json!({"in": "query", "name": name, "schema": schema, "required": required.contains(&name.as_str())});
            if let (Some(object), false) = (parameter.as_object_mut(), says.is_empty()) {
                object.insert("description".into(), says.into());
            }
            self.parameters.push(parameter);
        }
        self.problem(422);
    }

    /// The body, as it may be sent.
    pub(crate) fn body(&mut self, media_type: &str, schema: &Value, required: bool) {
        self.body = Some(json!({"required": required, "content": {media_type: {"schema": schema}}}));
        self.problems.extend([400, 408, 413, 415, 422]);
    }

    /// Another form of the body.
    pub(crate) fn also_body(&mut self, media_type: &str, schema: &Value) {
        if let Some(Value::Object(forms)) = self.body.as_mut().and_then(|body| body.get_mut("content")) {
            forms.insert(media_type.to_owned(), json!({"schema": schema}));
        }
    }

    /// A good answer.
    pub(crate) fn answer(&mut self, status: StatusCode, media_type: &str, schema: &Value) {
        let says = status.canonical_reason().unwrap_or_default();
        self.responses
            .insert(status.as_u16(), json!({"description": says, "content": {media_type: {"schema": schema}}}));
    }

    /// Another form of a good answer.
    pub(crate) fn also_answer(&mut self, status: StatusCode, media_type: &str, schema: &Value) {
        let response = self.responses.get_mut(&status.as_u16());
        if let Some(Value::Object(forms)) = response.and_then(|response| response.get_mut("content")) {
            forms.insert(media_type.to_owned(), json!({"schema": schema}));
        }
    }

    /// A good answer without a body.
    pub(crate) fn silent(&mut self, status: StatusCode) {
        self.responses.insert(status.as_u16(), json!({"description": status.canonical_reason().unwrap_or_default()}));
    }

    /// An answer of another kind than a problem.
    pub(crate) fn failure(&mut self, status: u16, schema: &Value) {
        if let Ok(code) = StatusCode::from_u16(status) {
            self.answer(code, "application/json", schema);
            self.headers(status, waits(status));
        }
    }

    /// A good answer that carries the entity tag of its record.
    pub(crate) fn tagged(&mut self, status: StatusCode) {
        self.headers(status.as_u16(), [ETAG]);
    }

    /// An answer that counts against budgets of its caller's.
    pub(crate) fn counted(&mut self, status: u16) {
        self.headers(status, BUDGETS);
    }

    fn headers(&mut self, status: u16, names: impl IntoIterator<Item = &'static str>) {
        if let Some(Value::Object(response)) = self.responses.get_mut(&status) {
            add_headers(response, names);
        }
    }

    fn written(mut self, method: &str, path: &'static str, says: &str) -> Value {
        // What every request can meet.
        self.problems.extend([429, 500, 503]);
        if path.contains('{') {
            self.problem(404);
        }
        if self.is_authenticated && method != "get" {
            let says = "A key of 1 to 255 visible characters, such as a UUID: sent again with it, the request is not carried out again and gets the first answer, for a day.";
            self.parameter(
                "header",
                "Idempotency-Key",
                says,
                &json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}),
            );
            for status in [409, 422] {
                self.problem(status);
            }
        }
        if self.is_authenticated && method != "get" {
            let good: Vec<u16> = self.responses.keys().copied().filter(|status| *status < 300).collect();
            good.into_iter().for_each(|status| self.counted(status));
        }
        if method != "get" && condition::record_of(path).is_some() {
            condition::heeded(&mut self);
        }
        for status in std::mem::take(&mut self.problems) {
            let response = json!({"$ref": format!("#/components/responses/Problem{status}")});
            self.responses.entry(status).or_insert(response);
            self.answers.insert(status);
        }
        let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<Value> = names
            .map(|name| json!({"in": "path", "name": name.trim_start_matches('*'), "required": true, "schema": {"type": "string"}}))
            .chain(self.parameters)
            .collect();
        let responses: Map<String, Value> =
            self.responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect();
        let id: Vec<&str> = path
            .split(['/', '.'])
            .filter(|segment| !segment.is_empty() && !segment.starts_with('{') && *segment != "v1")
            .collect();
        let mut operation = json!({
            "operationId": format!("{method}-{}{}", id.join("-"), if path.ends_with('}') { "-one" } else { "" }),
            "summary": says,
            "tags": [id.first()],
            "parameters": parameters,
            "responses": responses,
            "security": if self.is_authenticated { json!([{"bearer": []}, {"session": []}]) } else { json!([]) },
        });
        if let (Some(object), Some(body)) = (operation.as_object_mut(), self.body) {
            object.insert("requestBody".into(), body);
        }
        operation
    }
}

/// The addresses of a server, and what is said of them if that is asked for.
pub(crate) struct Api<S> {
    router: Router<S>,
    addresses: Vec<&'static str>,
    operations: Operations,
    document: Option<Document>,
}

/// The methods that addresses take, pages left out.
pub(crate) type Operations = HashSet<(&'static str, Method)>;

struct Document {
    schemas: SchemaGenerator,
    paths: BTreeMap<&'static str, Map<String, Value>>,
    problems: BTreeSet<u16>,
}

impl<S: Clone + Send + Sync + 'static> Api<S> {
    /// No addresses yet; with a document, or without one.
    pub(crate) fn new(is_described: bool) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "#/components/schemas".into();
            settings.meta_schema = None;
        });
        Self {
            router: Router::new(),
            addresses: Vec::new(),
            operations: Operations::new(),
            document: is_described.then(|| Document {
                schemas: settings.into_generator(),
                paths: BTreeMap::new(),
                problems: BTreeSet::new(),
            }),
        }
    }

    fn described<H: Described<Arguments>, Arguments>(
        mut self,
        method: Method,
        path: &'static str,
        says: &str,
        handler: MethodRouter<S>,
    ) -> Self {
        if let Some(document) = &mut self.document {
            let mut operation = Operation {
                schemas: &mut document.schemas,
                parameters: Vec::new(),
                body: None,
                responses: BTreeMap::new(),
                problems: BTreeSet::new(),
                answers: &mut document.problems,
                is_authenticated: false,
            };
            H::describe(&mut operation);
            let name = method.as_str().to_ascii_lowercase();
            let written = operation.written(&name, path, says);
            document.paths.entry(path).or_default().insert(name, written);
        }
        self.operations.insert((path, method));
        self.page(path, handler)
    }

    /// Something that reads.
    pub(crate) fn get<H, T: 'static, Arguments>(self, path: &'static str, says: &str, handler: H) -> Self
    where
        H: Handler<T, S> + Described<Arguments>,
    {
        self.described::<H, _>(Method::GET, path, says, on(MethodFilter::GET, handler))
    }

    /// Something that makes or does.
    pub(crate) fn post<H, T: 'static, Arguments>(self, path: &'static str, says: &str, handler: H) -> Self
    where
        H: Handler<T, S> + Described<Arguments>,
    {
        self.described::<H, _>(Method::POST, path, says, on(MethodFilter::POST, handler))
    }

    /// The same with a bound of its own on the body, in bytes.
    pub(crate) fn post_within<H, T: 'static, Arguments>(
        self,
        path: &'static str,
        says: &str,
        limit: usize,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S> + Described<Arguments>,
    {
        self.described::<H, _>(
            Method::POST,
            path,
            says,
            on(MethodFilter::POST, handler).layer(DefaultBodyLimit::max(limit)),
        )
    }

    /// Something that replaces.
    pub(crate) fn put<H, T: 'static, Arguments>(self, path: &'static str, says: &str, handler: H) -> Self
    where
        H: Handler<T, S> + Described<Arguments>,
    {
        self.described::<H, _>(Method::PUT, path, says, on(MethodFilter::PUT, handler))
    }

    /// Something that changes a part.
    pub(crate) fn patch<H, T: 'static, Arguments>(self, path: &'static str, says: &str, handler: H) -> Self
    where
        H: Handler<T, S> + Described<Arguments>,
    {
        self.described::<H, _>(Method::PATCH, path, says, on(MethodFilter::PATCH, handler))
    }

    /// What people's browsers show, which is no part of the contract.
    pub(crate) fn page(mut self, path: &'static str, handlers: MethodRouter<S>) -> Self {
        self.addresses.push(path);
        self.router = self.router.route(path, handlers);
        self
    }

    /// The routes.
    pub(crate) fn into_router(self) -> Router<S> {
        self.router
    }

    /// What each address takes.
    pub(crate) const fn operations(&self) -> &Operations {
        &self.operations
    }

    /// Every address.
    pub(crate) fn addresses(&self) -> BTreeSet<&'static str> {
        self.addresses.iter().copied().collect()
    }
}

/// The document of some addresses; empty if they were not described.
pub(crate) fn document<S>(apis: impl IntoIterator<Item = Api<S>>, version: &str) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut schemas = Map::new();
    let mut responses = Map::new();
    for mut described in apis.into_iter().filter_map(|api| api.document) {
        // What takes the rest of an address is a parameter like any other there.
        paths.extend(
            std::mem::take(&mut described.paths).into_iter().map(|(path, methods)| (path.replace("{*", "{"), methods)),
        );
        let problem = described.schemas.subschema_for::<Problem>().to_value();
        for status in described.problems {
            responses.insert(format!("Problem{status}"), problem_of(status, &problem));
        }
        schemas.append(&mut described.schemas.take_definitions(true));
    }
    let headers: Map<String, Value> = headers()
        .into_iter()
        .map(|(name, says, required, schema)| {
            (name.to_owned(), json!({"description": says, "required": required, "schema": schema}))
        })
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tenure",
            "version": version,
            "summary": "The control plane for non-human identities.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "headers": headers,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An operator token, the session of a command line, or an access token for Tenure itself.",
                },
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-tenure", "description": "The session of a browser."},
            },
        },
    })
}

/// The problem of a status, with the codes that it may bear.
fn problem_of(status: u16, problem: &Value) -> Value {
    let says = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    let schema =
        json!({"allOf": [problem, {"properties": {"status": {"const": status}, "code": {"enum": codes_of(status)}}}]});
    let mut response = Map::from_iter([
        ("description".to_owned(), says.into()),
        ("content".to_owned(), json!({"application/problem+json": {"schema": schema}})),
    ]);
    add_headers(&mut response, waits(status));
    // Whoever wasn't let in is told nothing of what anybody has left.
    if status != 401 && status < 500 {
        add_headers(&mut response, BUDGETS);
    }
    response.into()
}

/// Headers of answers: the name, what it says, whether it always comes, and the schema.
fn headers() -> [(&'static str, &'static str, bool, Value); 4] {
    [
        (
            ETAG,
            "The record's revision, for If-Match (RFC 9110 §8.8.3).",
            true,
            json!({"type": "string", "pattern": "^\"[1-9][0-9]*\"$"}),
        ),
        (
            RETRY_AFTER,
            "In how many seconds it is worth another try (RFC 9110 §10.2.3).",
            true,
            json!({"type": "integer", "minimum": 1}),
        ),
        (
            BUDGETS[0],
            "What is left of each of the caller's budgets that the request counted against, and in how many seconds its window is over (draft-ietf-httpapi-ratelimit-headers).",
            false,
            json!({"type": "string"}),
        ),
        (
            BUDGETS[1],
            "How large each of these budgets is, and how many seconds its window has.",
            false,
            json!({"type": "string"}),
        ),
    ]
}

const ETAG: &str = "ETag";
const RETRY_AFTER: &str = "Retry-After";
/// What a request counted against, where it did.
const BUDGETS: [&str; 2] = ["RateLimit", "RateLimit-Policy"];

fn add_headers(response: &mut Map<String, Value>, names: impl IntoIterator<Item = &'static str>) {
    for name in names {
        if let Value::Object(headers) = response.entry("headers").or_insert_with(|| json!({})) {
            headers.insert(name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
        }
    }
}

/// When what is turned away for the moment may come again.
fn waits(status: u16) -> Option<&'static str> {
    matches!(status, 429 | 503).then_some(RETRY_AFTER)
}

impl<T: Gives> Gives for Result<T, Failure> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        operation.problems.extend([404, 409]);
    }
}

impl Gives for String {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer(StatusCode::OK, "text/plain", &json!({"type": "string"}));
    }
}
