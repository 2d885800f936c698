//! What a feed of people says, read strictly: every row is good, or the whole feed is refused with each place that is
//! wrong.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};
use tenure_core::base::problem::FieldProblem;
use tenure_core::base::text;
use tenure_core::base::time::{BadTime, Span, Timestamp};
use tenure_core::people::person::PersonClass;

/// Rows that one feed can have.
pub const MAX_ROWS: usize = 50_000;
/// Wrong places that are named; a feed that is wrong throughout is wrong for one reason.
const MAX_PROBLEMS: usize = 100;
const MAX_TEXT: usize = 200;
const MAX_KEY: usize = 100;
const MAX_TEAMS: usize = 16;
const COLUMNS: &[&str] = &["key", "name", "email", "class", "starts_at", "ends_at", "manager_key", "teams"];

/// What a row says about a value: nothing, that there is none, or what it is.
pub type Told<T> = Option<Option<T>>;

/// A person as a source knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The line, or the place counted from 1.
    pub line: u32,
    /// The key in the source.
    pub key: String,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: Told<String>,
    /// Employee or contractor.
    pub class: Option<PersonClass>,
    /// The start.
    pub starts_at: Told<Timestamp>,
    /// The end.
    pub ends_at: Told<Timestamp>,
    /// The manager's key in the source.
    pub manager_key: Told<String>,
    /// Names of teams.
    pub teams: Told<Vec<String>>,
}

/// A row before its cells are understood.
struct Raw {
    line: u32,
    place: String,
    cells: Vec<(String, Cell)>,
}

enum Cell {
    Nothing,
    Text(String),
    List(Vec<String>),
    Wrong,
}

/// Reads comma-separated values with a heading (RFC 4180).
///
/// # Errors
/// Every place that is wrong, up to a hundred.
pub fn read_csv(text: &str) -> Result<Vec<Row>, Vec<FieldProblem>> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    if let (false, Some(separator)) = (first.contains(','), first.chars().find(|c| matches!(c, ';' | '\t' | '|'))) {
        let hint = format!(
            "the columns are separated by {separator:?}, and a feed takes commas: tenure person import --separator {separator:?} rewrites yours"
        );
        return Err(vec![FieldProblem::new("heading", "separator_unknown", hint)]);
    }
    let mut lines = split(text, ',')?.into_iter();
    let Some((_, heading)) = lines.next() else {
        return Err(vec![FieldProblem::new("heading", "heading_missing", "the first line names the columns")]);
    };
    let heading: Vec<String> = heading.iter().map(|name| name.trim().to_owned()).collect();
    let mut problems = Vec::new();
    // All columns there are, and as many problems as are told: the rest of a longer heading says nothing more.
    for (n, name) in heading.iter().enumerate().take(COLUMNS.len() + MAX_PROBLEMS) {
        if heading.iter().take(n).any(|earlier| earlier == name) {
            problems.push(FieldProblem::new(format!("heading.{name}"), "column_repeated", "name each column once"));
        } else if !COLUMNS.contains(&name.as_str()) {
            problems.push(unknown(format!("heading.{name}")));
        }
    }
    for needed in ["key", "name"] {
        if !heading.iter().any(|name| name == needed) {
            problems.push(FieldProblem::new(
                format!("heading.{needed}"),
                "column_missing",
                "every feed has the columns key and name",
            ));
        }
    }
    if !problems.is_empty() {
        problems.truncate(MAX_PROBLEMS);
        return Err(problems);
    }
    let mut raws = Vec::new();
    for (line, cells) in lines {
        if cells.len() != heading.len() {
            let hint = format!("the heading names {} columns, and this line has {}", heading.len(), cells.len());
            problems.push(FieldProblem::new(format!("lines[{line}]"), "cells_miscounted", hint));
            continue;
        }
        let cell = |text: String| match text.trim() {
            "" => Cell::Nothing,
            trimmed => Cell::Text(trimmed.to_owned()),
        };
        raws.push(Raw {
            line,
            place: format!("lines[{line}]"),
            cells: heading.iter().cloned().zip(cells.into_iter().map(cell)).collect(),
        });
    }
    understand(raws, problems)
}

/// Reads objects.
///
/// # Errors
/// As [`read_csv`].
pub fn read_json(people: &[Map<String, Value>]) -> Result<Vec<Row>, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let mut raws = Vec::new();
    for (n, object) in people.iter().enumerate() {
        let place = format!("people[{n}]");
        for name in object.keys().filter(|name| !COLUMNS.contains(&name.as_str())) {
            problems.push(unknown(format!("{place}.{name}")));
        }
        let cell = |value: &Value| match value {
            Value::Null => Cell::Nothing,
            Value::String(text) => Cell::Text(text.trim().to_owned()),
            Value::Array(items) => match items.iter().map(|item| item.as_str().map(str::to_owned)).collect() {
                Some(list) => Cell::List(list),
                None => Cell::Wrong,
            },
            _ => Cell::Wrong,
        };
        raws.push(Raw {
            line: u32::try_from(n + 1).unwrap_or(u32::MAX),
            cells: object.iter().map(|(name, value)| (name.clone(), cell(value))).collect(),
            place,
        });
    }
    understand(raws, problems)
}

fn unknown(field: String) -> FieldProblem {
    let name = field.rsplit('.').next().unwrap_or_default();
    let small = name.to_lowercase();
    let hint = if COLUMNS.contains(&small.as_str()) {
        format!(
            "columns are named in small letters: write {small}, or have it rewritten: tenure person import --column {small}={name:?}"
        )
    } else {
        let known = COLUMNS.join(", ");
        format!(
            "leave it out (tenure person import --other-columns ignore), or say which of ours it is (--column name={name:?}): a feed says {known}, and confers no roles"
        )
    };
    FieldProblem::new(field, "column_unknown", hint)
}

/// How an HR system writes its feed, where that is not how ours are written.
#[derive(Debug, Clone, Default)]
pub struct Dialect {
    /// What stands between columns; a comma if none.
    pub separator: Option<char>,
    /// Our columns with what they are called there.
    pub columns: Vec<(String, String)>,
    /// Whether columns that are none of ours are left out.
    pub ignores_others: bool,
}

/// Rewrites comma-separated values of another dialect as [`read_csv`] takes them.
///
/// # Errors
/// The quotes don't close, a mapping names no column of ours or none of theirs, or there are columns that nothing says
/// what to do with.
pub fn rewritten(text: &str, dialect: &Dialect) -> Result<String, Vec<FieldProblem>> {
    let lines = split(text.trim_start_matches('\u{feff}'), dialect.separator.unwrap_or(','))?;
    let Some((_, heading)) = lines.first() else {
        return Err(vec![FieldProblem::new("heading", "heading_missing", "the first line names the columns")]);
    };
    let heading: Vec<&str> = heading.iter().map(|name| name.trim()).collect();
    let mut problems = Vec::new();
    for (ours, theirs) in &dialect.columns {
        if !COLUMNS.contains(&ours.as_str()) {
            problems.push(FieldProblem::new(
                format!("column.{ours}"),
                "column_unknown",
                format!("a feed says {}", COLUMNS.join(", ")),
            ));
        } else if !heading.contains(&theirs.as_str()) {
            let hint = format!("the file has no column {theirs:?}: it has {}", heading.join(", "));
            problems.push(FieldProblem::new(format!("column.{ours}"), "column_missing", hint));
        }
    }
    // What each of their columns is here: as said, or by our own name where nothing else is said to be that.
    let meant = |theirs: &str| {
        let said = dialect.columns.iter().find(|(_, name)| name == theirs).map(|(ours, _)| ours.as_str());
        let own = || {
            COLUMNS
                .iter()
                .copied()
                .find(|ours| *ours == theirs && !dialect.columns.iter().any(|(taken, _)| taken == ours))
        };
        said.or_else(own)
    };
    let columns: Vec<Option<&str>> = heading.iter().map(|theirs| meant(theirs)).collect();
    for (theirs, _) in heading.iter().zip(&columns).filter(|(_, ours)| ours.is_none() && !dialect.ignores_others) {
        problems.push(unknown(format!("heading.{theirs}")));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut out = String::with_capacity(text.len());
    let kept = |cells: &[String]| -> Vec<String> {
        let cells = cells.iter().zip(&columns).filter(|(_, ours)| ours.is_some());
        cells.map(|(cell, _)| format!("\"{}\"", cell.replace('"', "\"\""))).collect()
    };
    out.push_str(&columns.iter().flatten().copied().collect::<Vec<_>>().join(","));
    out.push('\n');
    for (line, cells) in lines.iter().skip(1) {
        if cells.len() != heading.len() {
            let hint = format!("the heading names {} columns, and this line has {}", heading.len(), cells.len());
            problems.push(FieldProblem::new(format!("lines[{line}]"), "cells_miscounted", hint));
            continue;
        }
        out.push_str(&kept(cells).join(","));
        out.push('\n');
    }
    if problems.is_empty() {
        Ok(out)
    } else {
        problems.truncate(MAX_PROBLEMS);
        Err(problems)
    }
}

fn understand(raws: Vec<Raw>, mut problems: Vec<FieldProblem>) -> Result<Vec<Row>, Vec<FieldProblem>> {
    if raws.len() > MAX_ROWS {
        return Err(vec![FieldProblem::new("rows", "rows_too_many", format!("a feed has at most {MAX_ROWS} rows"))]);
    }
    let mut keys = BTreeSet::new();
    let mut rows = Vec::with_capacity(raws.len());
    for raw in raws {
        let mut reader = Reader { raw: &raw, problems: &mut problems };
        let row = reader.row();
        if !row.key.is_empty() && !keys.insert(row.key.clone()) {
            reader.wrong("key", "key_repeated", "a key names one record: it stands here a second time");
        }
        rows.push(row);
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    problems.truncate(MAX_PROBLEMS);
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

struct Reader<'a> {
    raw: &'a Raw,
    problems: &'a mut Vec<FieldProblem>,
}

impl Reader<'_> {
    fn row(&mut self) -> Row {
        let key = self.needed("key", MAX_KEY);
        let name = self.needed("name", MAX_TEXT);
        let email = self.text("email", MAX_TEXT);
        if email.iter().flatten().any(|email| !text::is_email(email)) {
            self.wrong("email", "email_malformed", "give an address such as ada@example.com, or nothing");
        }
        let class = match self.text("class", MAX_TEXT).flatten().as_deref() {
            None => None,
            Some("employee") => Some(PersonClass::Employee),
            Some("contractor") => Some(PersonClass::Contractor),
            Some(_) => {
                self.wrong("class", "class_unknown", "a person is an employee or a contractor");
                None
            }
        };
        let row = Row {
            line: self.raw.line,
            key,
            name,
            email,
            class,
            starts_at: self.time("starts_at", Span::default()),
            ends_at: self.end(class),
            manager_key: self.text("manager_key", MAX_KEY),
            teams: self.teams(),
        };
        if let (Some(Some(start)), Some(Some(end))) = (row.starts_at, row.ends_at)
            && end <= start
        {
            self.wrong("ends_at", "end_before_start", "the end comes after the start");
        }
        if row.class == Some(PersonClass::Contractor) && row.ends_at == Some(None) {
            self.wrong("ends_at", "end_missing", "a contract has an end");
        }
        row
    }

    /// Names what is wrong with a cell; what else follows from that is not said of the same cell.
    fn wrong(&mut self, column: &str, code: &str, hint: &str) {
        let field = format!("{}.{column}", self.raw.place);
        if !self.problems.iter().any(|problem| problem.field == field) {
            self.problems.push(FieldProblem::new(field, code, hint));
        }
    }

    fn cell(&self, column: &str) -> Option<&Cell> {
        self.raw.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell)
    }

    fn text(&mut self, column: &str, longest: usize) -> Told<String> {
        match self.cell(column) {
            None => None,
            Some(Cell::Nothing) => Some(None),
            Some(Cell::Text(text)) if is_plain(text, longest) => Some(Some(text.clone())),
            Some(_) => {
                self.wrong(
                    column,
                    "text_malformed",
                    &format!(
                        "give a text of 1 to {longest} bytes, in one line and without control or hidden characters"
                    ),
                );
                Some(None)
            }
        }
    }

    fn needed(&mut self, column: &str, longest: usize) -> String {
        match self.text(column, longest) {
            Some(Some(text)) => text,
            _ => {
                self.wrong(column, "value_missing", "every row has a key and a name");
                String::new()
            }
        }
    }

    /// The end; the last day belongs to the contract. The year 9999 is how systems that need a date write that there is
    /// none.
    fn end(&mut self, class: Option<PersonClass>) -> Told<Timestamp> {
        let column = "ends_at";
        let is_endless = |text: &str| {
            text.starts_with("9999-") && !matches!(read_time(text, Span::default()), Err(TimeProblem::Malformed))
        };
        match self.cell(column) {
            Some(Cell::Text(text)) if is_endless(text) => {
                if class == Some(PersonClass::Contractor) {
                    self.too_far(column);
                }
                Some(None)
            }
            _ => self.time(column, Span::from_days(1)),
        }
    }

    fn time(&mut self, column: &str, day: Span) -> Told<Timestamp> {
        let text = match self.text(column, MAX_TEXT)? {
            None => return Some(None),
            Some(text) => text,
        };
        match read_time(&text, day) {
            Ok(at) => return Some(Some(at)),
            Err(TimeProblem::Malformed) => {
                self.wrong(column, "time_malformed", "give a date such as 2027-03-31, or an RFC 3339 time")
            }
            Err(TimeProblem::TooFar) => self.too_far(column),
        }
        Some(None)
    }

    fn too_far(&mut self, column: &str) {
        self.wrong(
            column,
            "time_too_far",
            "this is too far from now: give the real date; an employee without an end has an empty ends_at",
        );
    }

    fn teams(&mut self) -> Told<Vec<String>> {
        let mut names: Vec<String> = match self.cell("teams")? {
            Cell::Nothing => return Some(Some(Vec::new())),
            Cell::Text(text) => {
                text.split(';').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
            }
            Cell::List(names) => names.iter().map(|name| name.trim().to_owned()).collect(),
            Cell::Wrong => vec![String::new()],
        };
        names.sort_unstable();
        names.dedup();
        if names.len() > MAX_TEAMS || names.iter().any(|name| !is_plain(name, MAX_KEY)) {
            self.wrong("teams", "teams_malformed", "name at most 16 teams, in CSV with semicolons between them");
        }
        Some(Some(names))
    }
}

enum TimeProblem {
    Malformed,
    TooFar,
}

/// Reads a date, to whose midnight `day` is added, or a time as it is. Both stay before the year 9999, which stands for
/// no time.
fn read_time(text: &str, day: Span) -> Result<Timestamp, TimeProblem> {
    let read = |text: &str| text.parse::<Timestamp>();
    let problem = |error: BadTime| {
        if error.is_out_of_range() { TimeProblem::TooFar } else { TimeProblem::Malformed }
    };
    let at = match read(&format!("{text}T00:00:00Z")) {
        Ok(date) => date.checked_plus(day).ok_or(TimeProblem::TooFar)?,
        Err(error) if error.is_out_of_range() => return Err(TimeProblem::TooFar),
        Err(_) => read(text).map_err(problem)?,
    };
    if at.year() < 9_999 { Ok(at) } else { Err(TimeProblem::TooFar) }
}

/// Whether it is a short text of one line that reads as what it is.
pub fn is_plain(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.len() <= longest && text::check_line(text).is_ok()
}

/// Splits text into lines of cells, each with the number of the line where it begins.
pub fn split(text: &str, separator: char) -> Result<Vec<(u32, Vec<String>)>, Vec<FieldProblem>> {
    let wrong = |line: u32, hint: &str| vec![FieldProblem::new(format!("lines[{line}]"), "quotes_malformed", hint)];
    let mut records = Vec::new();
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut line, mut began) = (1u32, 1u32);
    let (mut quoted, mut closed) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => (quoted, closed) = (false, true),
            '"' if cell.is_empty() && !closed => quoted = true,
            '"' => return Err(wrong(line, "a quote inside a cell is doubled, and the cell quoted")),
            c if c == separator && !quoted => {
                cells.push(std::mem::take(&mut cell));
                closed = false;
            }
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                closed = false;
                keep(&mut records, began, std::mem::take(&mut cells));
                line += 1;
                began = line;
                if records.len() > MAX_ROWS + 1 {
                    break;
                }
            }
            _ if closed => {
                return Err(wrong(line, "after a closing quote comes the next column or the end of the line"));
            }
            c => {
                line += u32::from(c == '\n');
                cell.push(c);
            }
        }
    }
    if quoted {
        return Err(wrong(began, "a quote that opens here is never closed"));
    }
    cells.push(cell);
    keep(&mut records, began, cells);
    Ok(records)
}

/// Keeps what is no empty line.
fn keep(records: &mut Vec<(u32, Vec<String>)>, line: u32, cells: Vec<String>) {
    if cells.len() > 1 || cells.iter().any(|cell| !cell.trim().is_empty()) {
        records.push((line, cells));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(result: Result<Vec<Row>, Vec<FieldProblem>>) -> Vec<(String, String)> {
        result.unwrap_err().into_iter().map(|problem| (problem.field, problem.code)).collect()
    }

    #[test]
    fn quotes_line_ends_and_what_is_not_said() {
        let text = "\u{feff}key,name,teams,ends_at\r\n1,\"Lovelace, \"\"Ada\"\"\",a; b,\r\n\n2,\"tw\no\",,2027-01-31\n";
        assert_eq!(codes(read_csv(text)), [("lines[4].name".into(), "text_malformed".into())]);
        let rows = read_csv(&text.replace("\"tw\no\"", "Bo")).unwrap();
        assert_eq!(rows[0].name, "Lovelace, \"Ada\"");
        assert_eq!(
            (rows[0].email.clone(), rows[0].ends_at),
            (None, Some(None)),
            "no column says nothing, an empty cell says none"
        );
        assert_eq!(rows[0].teams, Some(Some(vec!["a".into(), "b".into()])));
        assert_eq!(
            rows[1].ends_at.flatten().unwrap().to_string(),
            "2027-02-01T00:00:00Z",
            "the last day belongs to it"
        );
    }

    #[test]
    fn a_bad_place_is_named_and_all_of_them_are() {
        assert_eq!(
            codes(read_csv("key,name,roles\n1,Eve,administrator\n")),
            [("heading.roles".into(), "column_unknown".into())]
        );
        let text = "key,name,email,class,starts_at\n1,Ada,nowhere,king,soon\n1,,a@b,employee,2027-01-01\n3,x\n";
        let found: Vec<String> = codes(read_csv(text)).into_iter().map(|(field, _)| field).collect();
        assert_eq!(
            found,
            ["lines[4]", "lines[2].email", "lines[2].class", "lines[2].starts_at", "lines[3].name", "lines[3].key"]
        );
        for broken in [
            "key,name\n1,\"Ada",
            "key,name\n1,A\"da\n",
            "key,name\n1,\"Ada\"x\n",
            "",
            "name\nAda\n",
            "key,key,name\n1,1,A\n",
        ] {
            assert!(read_csv(broken).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn d09_no_date_is_one_that_cannot_be_written() {
        let read = |class: &str, end: &str| read_csv(&format!("key,name,class,ends_at\n1,Ada,{class},{end}\n"));
        let last = read("contractor", "9998-12-30").unwrap()[0].ends_at.flatten().unwrap();
        assert_eq!(last.to_string(), "9998-12-31T00:00:00Z");
        for far in
            ["9998-12-31", "9999-12-30", "9999-12-31", "9999-12-30T22:00:00Z", "9999-12-31T23:59:59Z", "-000001-01-01"]
        {
            let found = codes(read("contractor", far));
            assert_eq!(found, [("lines[2].ends_at".into(), "time_too_far".into())], "{far}");
        }
        let start = read_csv("key,name,starts_at\n1,Ada,9999-12-31\n");
        assert_eq!(codes(start), [("lines[2].starts_at".into(), "time_too_far".into())]);
    }

    #[test]
    fn d10_the_year_9999_is_no_end_where_there_may_be_none_and_one_problem_elsewhere() {
        let read = |class: &str, end: &str| read_csv(&format!("key,name,class,ends_at\n1,Ada,{class},{end}\n"));
        for end in ["9999-12-31", "9999-12-30", "9999-01-01", "9999-12-31T23:59:59Z", "9999-12-31T00:00:00+02:00"] {
            for class in ["employee", ""] {
                assert_eq!(read(class, end).unwrap()[0].ends_at, Some(None), "{class} {end}");
            }
            assert_eq!(codes(read("contractor", end)).len(), 1, "{end}");
        }
        for bad in ["9999-13-01", "9999-12-31x", "31.12.9999", "soon"] {
            for class in ["employee", "contractor"] {
                assert_eq!(codes(read(class, bad)), [("lines[2].ends_at".into(), "time_malformed".into())], "{bad}");
            }
        }
        assert_eq!(codes(read("contractor", "")), [("lines[2].ends_at".into(), "end_missing".into())]);
    }

    #[test]
    fn objects_say_the_same() {
        let people = serde_json::json!([{"key": "1", "name": "Ada", "teams": ["b", "a"], "manager_key": null}, {"key": "2", "name": 7, "role": "administrator"}]);
        let people: Vec<Map<String, Value>> = serde_json::from_value(people).unwrap();
        assert_eq!(
            codes(read_json(&people)),
            [("people[1].role".into(), "column_unknown".into()), ("people[1].name".into(), "text_malformed".into())]
        );
        let row = read_json(&people[..1]).unwrap().remove(0);
        assert_eq!((row.manager_key, row.teams.flatten().unwrap().join(" ")), (Some(None), "a b".to_owned()));
    }

    #[test]
    fn d18_a_feed_of_another_dialect_is_named_or_rewritten() {
        let text = "\u{feff}Personalnummer;Name;E-Mail;Kostenstelle\n1;\"Lovelace; Ada\";ada@example.com;77\n2;\"Grace \"\"G\"\" Hopper\";;78\n";
        let wrong = read_csv(text).unwrap_err();
        assert_eq!(
            (wrong[0].code.as_str(), wrong[0].hint.contains("--separator ';'")),
            ("separator_unknown", true),
            "{wrong:?}"
        );
        let wrong = read_csv("key,Name\n1,Ada\n").unwrap_err();
        assert!(wrong[0].hint.contains("small letters") && wrong[0].hint.contains("--column name="), "{wrong:?}");
        let mut dialect = Dialect {
            separator: Some(';'),
            columns: [("key", "Personalnummer"), ("name", "Name"), ("email", "E-Mail")]
                .map(|(ours, theirs)| (ours.into(), theirs.into()))
                .into(),
            ignores_others: false,
        };
        let wrong = rewritten(text, &dialect).unwrap_err();
        assert_eq!(
            (wrong.len(), wrong[0].field.as_str(), wrong[0].code.as_str()),
            (1, "heading.Kostenstelle", "column_unknown")
        );
        dialect.ignores_others = true;
        let rows = read_csv(&rewritten(text, &dialect).unwrap()).unwrap();
        let read: Vec<(&str, &str)> = rows.iter().map(|row| (row.key.as_str(), row.name.as_str())).collect();
        assert_eq!(read, [("1", "Lovelace; Ada"), ("2", "Grace \"G\" Hopper")]);
        assert_eq!((rows[0].email.clone(), rows[1].email.clone()), (Some(Some("ada@example.com".into())), Some(None)));
        dialect.columns.push(("manager_key".into(), "Chef".into()));
        dialect.columns.push(("boss".into(), "Name".into()));
        let wrong: Vec<String> =
            rewritten(text, &dialect).unwrap_err().into_iter().map(|problem| problem.field).collect();
        assert_eq!(wrong, ["column.manager_key", "column.boss"]);
    }
}
