//! The contract of the API, for whoever writes a client.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::App;
use crate::contract::api::{self, Api};
use crate::contract::error;
use crate::{approve, console, health, protocols, sign_in, v1};

fn routes(api: Api<App>) -> Api<App> {
    api.page("/openapi.json", get(document)).page("/problems/{code}", get(error::page))
}

/// The document; made when it is first asked for.
async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| contract().to_string());
    ([(header::CONTENT_TYPE, "application/openapi+json")], DOCUMENT.as_str()).into_response()
}

/// The addresses whose answers are bounded in time, and those whose answers are streams.
pub(crate) fn apis(is_described: bool) -> [Api<App>; 2] {
    let rooms =
        [v1::routes, protocols::routes, sign_in::routes, approve::routes, console::routes, health::routes, routes];
    let bounded = rooms.into_iter().fold(Api::new(is_described), |api, routes| routes(api));
    [bounded, [v1::streams, console::streams].into_iter().fold(Api::new(is_described), |api, routes| routes(api))]
}

/// Every address of the server, pages included, as its routes spell them.
pub fn addresses() -> BTreeSet<&'static str> {
    apis(false).iter().flat_map(Api::addresses).collect()
}

/// The contract of every address of the API: a document of OpenAPI 3.1.
pub fn contract() -> serde_json::Value {
    api::document(apis(true), env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Map, Value};

    use super::*;

    fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Map<String, Value>)> {
        let paths = document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, methods)| {
            methods
                .as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path, method, operation.as_object().unwrap()))
        })
    }

    /// `tenure openapi > docs/openapi.json` writes it anew.
    #[test]
    fn the_document_that_is_checked_in_is_the_codes() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let kept: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let made = contract();
        let changed: Vec<_> = operations(&made)
            .filter(|(path, method, operation)| kept["paths"][path][method].as_object() != Some(operation))
            .map(|(path, method, _)| (path, method))
            .collect();
        assert!(
            made == kept,
            "run `tenure openapi > docs/openapi.json` and read what it changes; operations that differ: {changed:?}"
        );
    }

    #[test]
    fn each_operation_says_what_it_is_and_no_reference_leads_nowhere() {
        fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        found.insert(reference);
                    }
                    members.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = contract();
        let mut ids = BTreeSet::new();
        for (path, method, operation) in operations(&document) {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{method} {path}: a second {}",
                operation["operationId"]
            );
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path} has no good answer");
        }
        assert!(ids.len() > 150, "{}", ids.len());
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in found {
            assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_reference_speaks_of_every_address() {
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api.md")).unwrap();
        let document = contract();
        for (path, _, _) in operations(&document) {
            let Some(rest) = path.strip_prefix("/v1/") else { continue };
            let words: Vec<&str> = rest.split('/').filter(|word| !word.starts_with('{')).collect();
            let noun = format!("/v1/{}", words[0]);
            assert!(page.contains(&noun), "docs/reference/api.md doesn't know {noun}");
            for verb in &words[1..] {
                assert!(page.contains(verb), "docs/reference/api.md doesn't know {verb} of {path}");
            }
        }
    }
}
