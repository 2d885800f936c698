//! `If-Match` at every change: where an address names a record at a revision, one that doesn't hold changes nothing;
//! anywhere else a condition is refused.
//!
//! Which operations these are is read from the contract, and that each has a line is the matrix's own check: a new one
//! can't be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use super::attacks::who;
use super::stage::{Cell, Stage};
use super::{Line, check_coverage, lines};
use crate::world::{Answer, Store};

/// A revision that no record of a test comes to.
const STALE: &str = "\"999999999\"";
/// Of these records nobody is told a revision: a condition can't be about them.
const UNREVISED: &[&str] = &[
    "/v1/operator-tokens/{id}/revoke",
    "/v1/passkeys/{id}/remove",
    "/v1/sessions/{id}/revoke",
    "/v1/views/{id}/change",
    "/v1/views/{id}/delete",
];

/// A call that would be carried out.
struct Call<'a> {
    line: &'a Line,
    role: usize,
    path: String,
    body: String,
}

impl Call<'_> {
    async fn under(&self, stage: &Stage, if_match: &str) -> Answer {
        let mut request = stage.request(self.line.method.clone(), &self.path, &self.body).header("if-match", if_match);
        if !stage.token(self.role).is_empty() {
            request = request.bearer_auth(stage.token(self.role));
        }
        Stage::head_of(request).await
    }

    /// What is wrong with the answer to a condition that is about nothing.
    async fn unfit(&self, stage: &Stage) -> Option<String> {
        let answer = self.under(stage, "*").await;
        (answer.status != 400 || answer.body["code"] != "if_match_unfit").then(|| self.says(&answer))
    }

    fn says(&self, answer: &Answer) -> String {
        format!("{} {}: {} {}", self.line.method, self.path, answer.status, answer.body)
    }
}

/// Whether the contract says that an operation heeds a condition.
fn heeds(contract: &Value, line: &Line) -> bool {
    let operation = &contract["paths"][&line.route][line.method.as_str().to_lowercase()];
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let declared = parameters.filter(|parameter| parameter["name"] == "If-Match").count() == 1;
    assert_eq!(declared, operation["responses"].get("412").is_some(), "{} {}", line.method, line.route);
    declared
}

/// The revision that a problem tells, if there is such a record.
fn told(answer: &Answer) -> Option<String> {
    let detail = answer.body["detail"].as_str()?.strip_prefix("the record is at revision ")?;
    Some(format!("\"{}\"", detail.split(' ').next()?))
}

#[tokio::test]
async fn a_condition_that_does_not_hold_changes_nothing_anywhere() {
    let (stage, mut table) = (Stage::new(Store::Sqlite).await, lines());
    let mut complaints = Vec::new();
    check_coverage(&stage, &mut table, &mut complaints).await;
    let contract = tenure_server::contract();
    let (mut heeding, mut other) = (Vec::new(), Vec::new());
    let changes = || table.iter().filter(|line| line.method != Method::GET && line.route.starts_with("/v1/"));
    // Once people sign in, operator tokens do less: what needs a sign-in comes last.
    let needs_a_sign_in = |line: &&Line| line.path.contains("<session>") || line.path.contains("<passkey>");
    for line in changes().filter(|line| !needs_a_sign_in(line)) {
        // Where nobody is let in, whoever is known will do: a condition that is about nothing is told to them all the
        // same.
        let heeds = heeds(&contract, line);
        let role = match who(line) {
            None if heeds => continue,
            role => role.unwrap_or(1),
        };
        let mut cell = Cell::new(&stage, role, BTreeMap::new());
        let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
        let call = Call { line, role, path, body };
        if heeds { heeding.push(call) } else { other.push(call) }
    }
    let routes = |calls: &[Call<'_>]| calls.iter().map(|call| call.line.route.clone()).collect::<BTreeSet<_>>();
    assert_eq!(
        routes(&heeding),
        table
            .iter()
            .filter(|line| heeds(&contract, line) && who(line).is_some())
            .map(|line| line.route.clone())
            .collect()
    );
    assert!(routes(&heeding).len() > 55, "{}", routes(&heeding).len());
    let unrevised = routes(&other).into_iter().chain(changes().filter(needs_a_sign_in).map(|line| line.route.clone()));
    let unrevised: BTreeSet<String> = unrevised.filter(|route| route.contains('{')).collect();
    assert_eq!(unrevised, UNREVISED.iter().map(ToString::to_string).collect());

    let before = stage.world.changes().await;
    for call in &heeding {
        let answer = call.under(&stage, STALE).await;
        if answer.status != 412 || answer.body["code"] != "revision_changed" {
            complaints.push(call.says(&answer));
        }
    }
    for call in &other {
        complaints.extend(call.unfit(&stage).await);
    }
    let after = stage.world.changes().await;
    assert_eq!(before.len(), after.len(), "{:?}", &after[before.len()..]);

    // The revision that is told is the one that holds, unless a worker wrote the record in between.
    for call in &heeding {
        let mut answer = call.under(&stage, STALE).await;
        for _ in 0..5 {
            let Some(current) = told(&answer) else { break };
            answer = call.under(&stage, &current).await;
        }
        let is_new = answer.body["detail"] == "If-Match is about a record that is there";
        if !(200..300).contains(&answer.status) && !is_new {
            complaints.push(format!("as it is now: {}", call.says(&answer)));
        }
    }
    for line in changes().filter(needs_a_sign_in) {
        let role = who(line).unwrap_or(1);
        let mut cell = Cell::new(&stage, role, BTreeMap::new());
        let (path, body) = (cell.fill(&line.path).await, cell.fill(&line.body).await);
        complaints.extend(Call { line, role, path, body }.unfit(&stage).await);
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
