//! The contract, held against what the server answers: every status is declared, every problem bears a code that its
//! status has, and every body in JSON is what its schema says.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::world::Answer;

/// The document, and the validators that were made of its parts so far.
pub struct Contract {
    document: Value,
    validators: RefCell<BTreeMap<String, Validator>>,
}

impl Contract {
    /// The one that the server gives.
    pub fn new() -> Self {
        Self { document: tenure_server::contract(), validators: RefCell::default() }
    }

    /// What is wrong with an answer to an operation; nothing for a page, which the contract leaves out.
    pub fn complaint(&self, method: &str, route: &str, answer: &Answer) -> Option<String> {
        let operation = self.document["paths"][route.replace("{*", "{")].get(method.to_lowercase())?;
        let status = answer.status.to_string();
        let Some(response) = operation["responses"].get(&status) else {
            return Some(format!("{method} {route}: {status} is not declared: {}", answer.body));
        };
        let response = match response["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => response,
        };
        let media_type =
            answer.headers.get("content-type").map(|kind| kind.to_str().unwrap().split(';').next().unwrap());
        let Some(media_type) = media_type else {
            return response.get("content").map(|_| format!("{method} {route}: {status} has no body"));
        };
        let Some(form) = response["content"].get(media_type) else {
            return Some(format!("{method} {route}: {status} has a body of {media_type}, which is not declared"));
        };
        if !media_type.ends_with("json") || media_type.ends_with("ndjson") {
            return None;
        }
        let schema = &form["schema"];
        let mut validators = self.validators.borrow_mut();
        let validator = validators.entry(schema.to_string()).or_insert_with(|| {
            let whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema], "components": self.document["components"]});
            jsonschema::validator_for(&whole).unwrap()
        });
        let errors: Vec<String> =
            validator.iter_errors(&answer.body).map(|error| format!("{error} at {}", error.instance_path())).collect();
        (!errors.is_empty()).then(|| format!("{method} {route}: {status}: {}: {}", errors.join("; "), answer.body))
    }
}
