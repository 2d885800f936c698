//! Feeds of people.

use serde_json::{Map, Value, json};
use tenure_core::base::problem::FieldProblem;
use tenure_engine::people::feed::{MAX_ROWS, Row, is_plain, read_csv, read_json};

/// Wrong places that are named at most.
const MAX_PROBLEMS: usize = 100;

fn check(read: &Result<Vec<Row>, Vec<FieldProblem>>) {
    match read {
        Ok(rows) => {
            assert!(rows.len() <= MAX_ROWS);
            for (n, row) in rows.iter().enumerate() {
                assert!(is_plain(&row.key, 100) && is_plain(&row.name, 200), "{row:?}");
                assert!(n > 1_000 || rows[..n].iter().all(|earlier| earlier.key != row.key), "a key twice: {row:?}");
            }
        }
        Err(problems) => assert!((1..=MAX_PROBLEMS).contains(&problems.len()), "{} problems", problems.len()),
    }
}

/// Comma-separated values: what is read says the same when it is handed in as objects.
pub(crate) fn csv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = read_csv(text);
    check(&read);
    let Ok(rows) = read else { return };
    let people: Vec<Map<String, Value>> = rows.iter().map(object).collect();
    let again = read_json(&people).unwrap_or_else(|problems| panic!("{rows:?} isn't taken again: {problems:?}"));
    for (row, again) in rows.into_iter().zip(again) {
        assert_eq!(Row { line: again.line, ..row }, again);
    }
}

/// A row as the object that says the same: a member for all that is told, be it that there is none.
fn object(row: &Row) -> Map<String, Value> {
    let told = [
        ("email", row.email.as_ref().map(|email| json!(email))),
        ("starts_at", row.starts_at.map(|at| json!(at))),
        ("ends_at", row.ends_at.map(|at| json!(at))),
        ("manager_key", row.manager_key.as_ref().map(|key| json!(key))),
        ("teams", row.teams.as_ref().map(|teams| json!(teams))),
        ("class", row.class.map(|class| json!(class))),
        ("key", Some(json!(row.key))),
        ("name", Some(json!(row.name))),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Objects.
pub(crate) fn json(bytes: &[u8]) {
    let Ok(people) = serde_json::from_slice::<Vec<Map<String, Value>>>(bytes) else {
        return;
    };
    check(&read_json(&people));
}
