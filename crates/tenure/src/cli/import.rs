//! Lists of accounts from elsewhere.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value};
use tenure_api::intake::{AccountRow, ImportAccounts, IntakeOutcome};
use tenure_core::base::time::Span;
use tenure_engine::people::feed;

use super::context::{Context, read_input};
use super::failure::Failure;
use super::output::Column;

const ITEMS: &[Column] = &[
    ("LINE", "/line"),
    ("NAME", "/name"),
    ("SYSTEM", "/system"),
    ("OUTCOME", "/outcome"),
    ("IDENTITY", "/identity"),
    ("PROPOSED TO", "/proposed_to"),
    ("HINT", "/hint"),
];
const COLUMNS: [&str; 7] = ["name", "system", "key", "environment", "owner", "seen_at", "evidence"];

/// Brings in a list of accounts that no connector sees: a spreadsheet, an inventory, an export.
///
/// Without --apply nothing is done: it is said what would come of each line. Each becomes an identity that nobody
/// answers for, with the line as evidence; whom the list names as an owner is only proposed. A list that is handed in
/// again, or once more after it was interrupted, changes nothing that was done.
#[derive(Args)]
#[command(after_help = "\
Columns: name and system; and of key, environment, owner (an e-mail address or a name), seen_at and evidence what the list knows. Other
columns are left out. A JSON file is an array of objects with these members.

Where a connector can look for itself, register the system as a target instead: nothing of it is imported.
  tenure target register --kind postgresql …; tenure target scan NAME

Examples:
  tenure import accounts.csv --source cmdb --environment prod
  tenure import accounts.csv --source cmdb --environment prod --apply sha256:…      exactly what was said
  tenure import konten.csv --source cmdb --environment prod --separator ';' --map name=Konto,system=Anlage,owner=Verantwortlich")]
pub struct Import {
    /// The list: comma-separated values, or JSON if its name ends in .json; `-` is standard input.
    file: Option<PathBuf>,
    /// A kind of target that a connector looks through: says how, and imports nothing.
    #[arg(long, value_name = "KIND", conflicts_with = "file", required_unless_present = "file")]
    from: Option<String>,
    /// The list's name, always the same for the same list.
    #[arg(long, required_unless_present = "from")]
    source: Option<String>,
    /// The environment of the lines that name none.
    #[arg(long, required_unless_present = "from")]
    environment: Option<String>,
    /// What our columns are called in the file.
    #[arg(long, value_name = "OURS=THEIRS,…", value_delimiter = ',', value_parser = pair)]
    map: Vec<(String, String)>,
    /// What stands between the columns of the file.
    #[arg(long, value_name = "CHARACTER", default_value = ",")]
    separator: char,
    /// How long each has until somebody claims it; 14d if not given.
    #[arg(long, value_name = "SPAN")]
    claim_within: Option<Span>,
    /// The digest of what was said: do exactly that, or nothing.
    #[arg(long, value_name = "DIGEST")]
    apply: Option<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((ours, theirs)) if COLUMNS.contains(&ours) && !theirs.is_empty() => {
            Ok((ours.to_owned(), theirs.to_owned()))
        }
        _ => Err(format!("write it as OURS=THEIRS, where ours is one of {}", COLUMNS.join(", "))),
    }
}

impl Import {
    /// Does it.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        if let Some(kind) = &self.from {
            let hint = format!(
                "a connector looks for itself, again and again: tenure target register --kind {kind} …, then tenure target \
                 scan NAME; docs/how-to/targets.md"
            );
            return Err(Failure::usage("what a connector sees is not imported").hint(hint).into());
        }
        let (Some(file), Some(source), Some(environment)) = (self.file, self.source, self.environment) else {
            return Err(Failure::usage("name the file, its --source and its --environment").into());
        };
        let text = read_input(&file)?;
        let rows = match file.extension().is_some_and(|extension| extension == "json") {
            true => from_json(&text).with_context(|| format!("{} is no array of objects", file.display()))?,
            false => from_csv(&text, self.separator, &self.map)?,
        };
        let ask = ImportAccounts {
            source,
            environment,
            claim_within: self.claim_within,
            rows,
            dry_run: self.apply.is_none(),
            expect: self.apply,
        };
        let report = context.client()?.import_accounts(&ask).await?;
        let count = |outcome| report.items.iter().filter(|item| item.outcome == outcome).count();
        eprintln!(
            "{}{} lines: {} new, {} known, {} at registered targets",
            if report.dry_run { "nothing was done; would be: " } else { "" },
            report.items.len(),
            count(IntakeOutcome::Discovered),
            count(IntakeOutcome::Known),
            count(IntakeOutcome::AtTarget),
        );
        if report.dry_run {
            eprintln!("hint: exactly this is done with --apply {}", report.digest);
        }
        context.out.rows(&report, &report.items, ITEMS)
    }
}

fn from_json(text: &str) -> anyhow::Result<Vec<AccountRow>> {
    let objects: Vec<Map<String, Value>> = serde_json::from_str(text)?;
    let numbered = objects.into_iter().zip(1_u32..).map(|(mut object, line)| {
        object.insert("line".to_owned(), line.into());
        serde_json::from_value(Value::Object(object)).with_context(|| format!("the object {line}"))
    });
    numbered.collect()
}

/// The lines of comma-separated values with a heading (RFC 4180).
fn from_csv(text: &str, separator: char, map: &[(String, String)]) -> anyhow::Result<Vec<AccountRow>> {
    let lines = feed::split(text.trim_start_matches('\u{feff}'), separator).map_err(|problems| {
        let first = problems.first().map(|problem| format!("{}: {}", problem.field, problem.hint));
        Failure::new(format!("the list can't be read: {}", first.unwrap_or_default()))
    })?;
    let mut lines = lines.into_iter();
    let heading = lines.next().map(|(_, heading)| heading).unwrap_or_default();
    let heading: Vec<&str> = heading.iter().map(|name| name.trim()).collect();
    let place = |ours: &str| {
        let theirs = map.iter().find(|(mapped, _)| mapped == ours).map_or(ours, |(_, theirs)| theirs.as_str());
        heading.iter().position(|name| *name == theirs)
    };
    if let Some((_, theirs)) = map.iter().find(|(_, theirs)| !heading.contains(&theirs.as_str())) {
        let hint = format!("the heading names {}", heading.join(", "));
        return Err(Failure::usage(format!("--map: the file has no column {theirs:?}")).hint(hint).into());
    }
    let (Some(name), Some(system)) = (place("name"), place("system")) else {
        let hint = format!(
            "say which they are, e.g. --map name=Account,system=Host; the heading names {}",
            heading.join(", ")
        );
        return Err(Failure::usage("the list has no columns name and system").hint(hint).into());
    };
    let others = ["key", "environment", "owner", "seen_at", "evidence"].map(place);
    let mut rows = Vec::new();
    for (line, cells) in lines {
        if cells.len() != heading.len() {
            let told =
                format!("line {line}: the heading names {} columns, and this line has {}", heading.len(), cells.len());
            return Err(Failure::new(told).into());
        }
        let cell = |at: usize| cells.get(at).map(|cell| cell.trim().to_owned()).unwrap_or_default();
        let [key, environment, owner, seen_at, evidence] =
            others.map(|at| at.map(cell).filter(|cell| !cell.is_empty()));
        let (name, system) = (cell(name), cell(system));
        rows.push(AccountRow { line, name, system, key, environment, owner_name: owner, seen_at, evidence });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_what_its_columns_are_called() {
        let map = vec![("name".to_owned(), "Konto".to_owned()), ("owner".to_owned(), "Wer".to_owned())];
        let text = "Konto;system;Wer;Egal\nBATCH01;mainframe;ada@acme.example;x\n\"B;2\";mainframe;;y\n";
        let rows = from_csv(text, ';', &map).unwrap();
        assert_eq!(
            (rows[0].line, rows[0].name.as_str(), rows[0].owner_name.as_deref()),
            (2, "BATCH01", Some("ada@acme.example"))
        );
        assert_eq!((rows[1].name.as_str(), rows[1].owner_name.as_deref()), ("B;2", None));
        assert!(from_csv(text, ',', &map).is_err());
        assert!(from_csv("a,b\n1,2\n", ',', &[]).unwrap_err().to_string().contains("name and system"));
        assert!(from_csv("name,system\nx\n", ',', &[]).unwrap_err().to_string().contains("line 2"));
        assert_eq!(from_json(r#"[{"name": "a", "system": "b"}]"#).unwrap()[0].line, 1);
    }
}
