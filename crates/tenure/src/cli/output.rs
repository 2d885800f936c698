//! Prints data: JSON as the API gives it, or columns without colour, never wider than the terminal.

use std::io::{IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, presets};
use serde::Serialize;
use serde_json::Value;
use tenure_api::ownership::Edited;
use tenure_api::pages;
use tenure_api::views::{Names, Page};
use tenure_client::{ClientError, ListQuery};
use tenure_core::base::text;

use super::context::Format;

/// A column: its heading and where its values are, as JSON pointer (RFC 6901).
pub type Column = (&'static str, &'static str);

/// The longest value of a record that is printed, in characters; what is longer is for programs, and for `-o json`.
const LONGEST: usize = 1_000;
/// The longest cell of a list where no terminal bounds it, in characters.
const LONGEST_CELL: usize = 120;
/// The narrowest that a column of words is made, in characters, before a whole column is left out.
const NARROWEST: usize = 12;
/// What is between columns.
const GAP: usize = 2;
/// What a change leaves in the log, for programs that check it: a person reads the position.
const FOR_PROGRAMS: [&str; 2] = ["log.promise", "log.leaf_hash"];

/// Paging of a list.
#[derive(Debug, Clone, clap::Args)]
pub struct Paging {
    /// Begin behind the page that ended with this.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    /// At most this many; 50 if not given, never more than 200.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: Option<u16>,
    /// Every page to the end.
    #[arg(long)]
    all: bool,
}

/// What is looked for in a list, and in which order it comes.
#[derive(Debug, Clone, clap::Args)]
pub struct Search {
    /// Only those of which a word begins like each of these: of name, purpose, e-mail address or URI.
    #[arg(long = "search", short = 'q', value_name = "WORDS")]
    words: Option<String>,
    /// In which order: id, name, end, risk or last_use, as far as they have it; with - before it, the other way round.
    #[arg(long, value_name = "ORDER", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Say how many there are on all pages.
    #[arg(long)]
    count: bool,
}

impl Search {
    /// The query narrowed and sorted so.
    pub fn of(&self, mut query: ListQuery) -> ListQuery {
        for (name, value) in [("q", &self.words), ("sort", &self.sort)] {
            if let Some(value) = value {
                query = query.filter(name, value);
            }
        }
        if self.count { query.filter("count", true) } else { query }
    }
}

/// The printer.
pub struct Output {
    /// The server's base URL, under which pages are.
    server: String,
    format: Format,
    /// Whether ids are shown and not the names of what has them.
    ids: bool,
}

impl Output {
    /// Prints like this.
    pub fn new(server: &str, format: Format, ids: bool) -> Self {
        Self { server: server.trim_end_matches('/').to_owned(), format, ids }
    }

    /// Says where a request or a receipt is looked at: beside what may be read by a program.
    pub fn tell_page(&self, id: &str) {
        let is_looked_at = ["req_", "rct_"].iter().any(|prefix| id.starts_with(prefix));
        if let (Some(page), true, false) = (pages::page_of(id), is_looked_at, self.is_json()) {
            eprintln!("open: {}{page}", self.server);
        }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a record.
    pub fn record<T: Serialize>(&self, record: &T) -> anyhow::Result<()> {
        if self.is_json() {
            return json(record);
        }
        let mut record = serde_json::to_value(record)?;
        let names = self.names(&mut record);
        let own = record.get("id").map(cell);
        let mut rows = Vec::new();
        flatten(String::new(), &record, &mut rows);
        for (_, value) in rows.iter_mut().filter(|(_, value)| own.as_ref() != Some(value)) {
            if let Some(name) = names.get(value) {
                *value = format!("{name} ({value})");
            }
        }
        line(&paired(rows, width()))?;
        if let Some(id) = own {
            self.tell_page(&id);
        }
        Ok(())
    }

    /// Prints a record that was changed, or the request that was opened about it.
    pub fn edited<T: Serialize>(&self, edited: &Edited<T>) -> anyhow::Result<()> {
        if let Edited::Asked(asked) = edited {
            eprintln!(
                "{} is {}: tenure request show {}",
                asked.request.id,
                asked.request.state.as_str(),
                asked.request.id
            );
        }
        self.record(edited)
    }

    /// Prints rows in columns; as JSON, the whole that they are part of.
    pub fn rows<T: Serialize>(&self, whole: &impl Serialize, items: &[T], columns: &[Column]) -> anyhow::Result<()> {
        if self.is_json() {
            return json(whole);
        }
        let names = self.names(&mut serde_json::to_value(whole)?);
        self.table(items, columns, &names, true)
    }

    /// The names that a reply tells, taken out of it; none if ids are wanted.
    fn names(&self, reply: &mut Value) -> Names {
        let names = reply.as_object_mut().and_then(|reply| reply.remove("names"));
        let names = names.filter(|_| !self.ids);
        names.and_then(|names| serde_json::from_value(names).ok()).unwrap_or_default()
    }

    /// Prints a list, page by page if all of it is wanted.
    pub async fn list<T: Serialize>(
        &self,
        paging: &Paging,
        mut query: ListQuery,
        columns: &[Column],
        fetch: impl AsyncFn(ListQuery) -> Result<Page<T>, ClientError>,
    ) -> anyhow::Result<()> {
        if let Some(after) = &paging.after {
            query = query.after(after);
        }
        match (paging.limit, paging.all) {
            (Some(limit), _) => query = query.limit(limit),
            (None, true) => query = query.limit(200),
            (None, false) => {}
        }
        let mut page = fetch(query.clone()).await?;
        if !paging.all {
            self.rows(&page, &page.items, columns)?;
            warn_of(&page.unreadable);
            self.tell_count(page.count);
            if let (Some(next), false) = (&page.next, self.is_json()) {
                eprintln!("hint: there is more: --after {next}, or --all");
            }
            return Ok(());
        }
        let mut first = true;
        self.tell_count(page.count);
        if self.is_json() {
            raw(b"{\"items\":[")?;
        }
        loop {
            if self.is_json() {
                for item in &page.items {
                    raw(if first { b"\n" } else { b",\n" })?;
                    raw(escaped(&serde_json::to_string(item)?).as_bytes())?;
                    first = false;
                }
            } else {
                let names = if self.ids { Names::new() } else { std::mem::take(&mut page.names) };
                self.table(&page.items, columns, &names, first)?;
                first = false;
            }
            warn_of(&page.unreadable);
            let Some(next) = page.next else { break };
            query = query.after(next);
            page = fetch(query.clone()).await?;
        }
        if self.is_json() {
            raw(b"\n]}\n")?;
        }
        Ok(())
    }

    /// Says how many there are, if that was asked: beside what may be read by a program.
    fn tell_count(&self, count: Option<u64>) {
        if let (Some(count), false) = (count, self.is_json()) {
            eprintln!("{count} in all");
        }
    }

    fn table<T: Serialize>(&self, items: &[T], columns: &[Column], names: &Names, heading: bool) -> anyhow::Result<()> {
        let columns = if self.ids { columns.to_vec() } else { without_own_ids(columns) };
        let mut rows = Vec::with_capacity(items.len() + 1);
        if heading {
            rows.push(columns.iter().map(|(heading, _)| (*heading).to_owned()).collect());
        }
        for item in items {
            let item = serde_json::to_value(item)?;
            rows.push(
                columns
                    .iter()
                    .map(|(_, pointer)| {
                        item.pointer(pointer).map_or_else(|| "-".to_owned(), |value| named(cell(value), names))
                    })
                    .collect(),
            );
        }
        if rows.is_empty() {
            return Ok(());
        }
        let (text, left_out) = columned(&rows, width());
        line(&text)?;
        if heading && left_out > 0 {
            eprintln!("hint: the terminal is too narrow for {left_out} more column(s): widen it, or -o json");
        }
        Ok(())
    }
}

/// The columns without the ids of records that bear a name: that says which one is meant, to people and to the command
/// line.
fn without_own_ids(columns: &[Column]) -> Vec<Column> {
    let is_own_name = |pointer: &str| matches!(pointer, "/name" | "/uri" | "/url" | "/person/name");
    let has_a_name = columns.iter().any(|(_, pointer)| is_own_name(pointer));
    columns.iter().filter(|column| !(has_a_name && **column == ("ID", "/id"))).copied().collect()
}

/// A cell with the names of what its ids, if it holds any, stand for.
fn named(cell: String, names: &Names) -> String {
    if names.is_empty() {
        return cell;
    }
    let name = |part: &str| match part.split_once('/') {
        Some((kind, id)) => names.get(id).map(|name| format!("{kind}/{name}")),
        None => names.get(part).cloned(),
    };
    let parts: Vec<String> = cell.split(", ").map(|part| name(part).unwrap_or_else(|| part.to_owned())).collect();
    parts.join(", ")
}

/// The terminal's width in characters; none if the output goes elsewhere.
pub fn width() -> Option<usize> {
    width_of(std::io::stdout())
}

/// The same of standard error, where a command talks.
pub fn width_of_talk() -> Option<usize> {
    width_of(std::io::stderr())
}

fn width_of(stream: impl IsTerminal + std::os::fd::AsFd) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stream).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { 80 } else { columns })
}

/// Names and values, one a line; inside a width, a long value goes on below its beginning.
pub fn paired(rows: Vec<(String, String)>, width: Option<usize>) -> String {
    let mut table = plain_table();
    for (name, value) in rows {
        table.add_row([clean(&name), whole(&value)]);
    }
    if let Some(width) = width {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(names) = table.column_mut(0) {
            names.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    drawn(table)
}

/// Rows in columns, each row one line, and how many columns had no room. Ids and short words are never cut: half an id
/// is none.
fn columned(rows: &[Vec<String>], width: Option<usize>) -> (String, usize) {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| short(cell, LONGEST_CELL)).collect()).collect();
    let count = rows.first().map_or(0, Vec::len);
    let needs: Vec<(usize, bool)> = (0..count)
        .map(|n| {
            let cells = || rows.iter().filter_map(|row| row.get(n));
            let longest = cells().map(|cell| cell.chars().count()).max().unwrap_or_default();
            let whole = longest <= NARROWEST || cells().all(|cell| !cell.contains(' ') && cell.chars().count() <= 31);
            (longest, whole)
        })
        .collect();
    let least = |columns: &[(usize, bool)]| -> usize {
        columns.iter().map(|(longest, whole)| GAP + if *whole { *longest } else { NARROWEST.min(*longest) }).sum()
    };
    let shown = match width {
        Some(width) => (1..=count)
            .rev()
            .find(|shown| needs.get(..*shown).is_some_and(|columns| least(columns) <= width + GAP))
            .unwrap_or(1),
        None => count,
    };
    let mut table = plain_table();
    table.set_truncation_indicator("…");
    for cells in rows {
        let mut row = Row::from(cells.into_iter().take(shown));
        row.max_height(1);
        table.add_row(row);
    }
    if let Some(width) = width {
        table.set_width(u16::try_from(width + GAP).unwrap_or(u16::MAX));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        for (n, (_, whole)) in needs.iter().take(shown).enumerate() {
            if let (true, Some(column)) = (*whole, table.column_mut(n)) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    (drawn(table), count - shown)
}

/// Prints JSON, in which what doesn't show or steers is written as an escape: the same data, and nothing that a
/// terminal or a reader follows.
fn json(data: &impl Serialize) -> anyhow::Result<()> {
    line(&escaped(&serde_json::to_string_pretty(data)?))
}

/// JSON whose strings hold no character that steers or hides.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && text::is_unseen(c) {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints a line of text as it is.
pub fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Says which records of a list are not shown.
fn warn_of(unreadable: &[String]) {
    if !unreadable.is_empty() {
        eprintln!("warning: {} can't be read, and left out here", unreadable.join(", "));
        eprintln!(
            "hint: an operator finds the cause in the server's log; tenure log verify-state names all such records"
        );
    }
}

/// Prints bytes as they are.
pub fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Text of somebody else's as one line, without what would steer the terminal or its reader.
pub fn clean(text: &str) -> String {
    text::line(text).into_owned()
}

/// A value of a record in one line; of what is longer than anybody reads there, its beginning and its size.
fn whole(value: &str) -> String {
    let lines = value.trim_end().lines().count();
    if lines <= 4 && value.chars().count() <= LONGEST {
        return clean(value);
    }
    let size =
        if value.len() < 1_024 { format!("{} bytes", value.len()) } else { format!("{} KB", value.len() / 1_024) };
    format!("{} ({size} in {lines} line(s): -o json prints all of it)", short(value, 60))
}

/// The beginning of a text, in one line.
fn short(text: &str, longest: usize) -> String {
    let text = clean(text.trim_end());
    if text.chars().count() <= longest {
        return text;
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn drawn(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(object) => match (object.get("type"), object.get("id")) {
            (Some(kind), Some(id)) => format!("{}/{}", cell(kind), cell(id)),
            _ => value.to_string(),
        },
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// A record as lines of a dotted name and a value; what is absent or empty has no line.
fn flatten(name: String, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        _ if FOR_PROGRAMS.contains(&name.as_str()) => {}
        Value::Object(object) => {
            for (key, inner) in object {
                flatten(if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, inner, rows);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (n, inner) in items.iter().enumerate() {
                flatten(format!("{name}[{n}]"), inner, rows);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        scalar => rows.push((name, cell(scalar))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_flatten_to_named_lines() {
        let mut rows = Vec::new();
        let record = json!({"id": "idn_1", "charter": {"scope": [{"actions": ["read", "list"], "resource": "res_1"}], "shared": null}, "grants": []});
        flatten(String::new(), &record, &mut rows);
        rows.sort();
        let rows: Vec<String> = rows.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(rows, ["charter.scope[0].actions=read, list", "charter.scope[0].resource=res_1", "id=idn_1"]);
    }

    #[test]
    fn d20_nothing_of_a_record_steers_the_terminal_or_its_reader() {
        assert_eq!(clean("a\x1b[31mb\nc\u{202e}d"), "a\u{fffd}[31mb c\u{fffd}d");
        let record = json!({"name": "ada\u{202e}x\u{e0041}\u{9b}", "n": 1});
        let text = escaped(&serde_json::to_string_pretty(&record).unwrap());
        assert!(text.contains("ada\\u202ex\\udb40\\udc41\\u009b"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), record);
    }

    #[test]
    fn d25_a_record_is_what_a_person_reads() {
        let mut rows = Vec::new();
        let record = json!({"id": "pol_1", "log": {"position": {"index": 7}, "promise": "eyJ", "leaf_hash": "x"}, "text": "permit (principal);\n".repeat(2_000)});
        flatten(String::new(), &record, &mut rows);
        let text = paired(rows, Some(60));
        assert!(
            text.contains("log.position.index") && !text.contains("promise") && !text.contains("leaf_hash"),
            "{text}"
        );
        assert!(text.contains("(39") && text.contains("2000 line(s)"), "{text}");
        assert!(text.lines().count() < 10 && text.lines().all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn d25_a_table_is_never_wider_than_the_terminal_and_cuts_no_id() {
        let id = format!("idn_{}", "0".repeat(26));
        let rows = vec![
            vec!["ID".to_owned(), "NAME".to_owned(), "PURPOSE".to_owned(), "OWNER".to_owned(), "ENDS".to_owned()],
            vec![
                id.clone(),
                "billing exporter of the north".to_owned(),
                "exports the invoices ".repeat(20),
                id.clone(),
                "2027-01-01T00:00:00Z".to_owned(),
            ],
        ];
        for width in [20, 40, 80, 120, 200, 400] {
            let (text, left_out) = columned(&rows, Some(width));
            assert_eq!(text.lines().count(), 2, "{width}: {text}");
            assert!(text.contains(&id), "{width}: {text}");
            // One id is the least that is shown.
            assert!(text.lines().all(|line| line.chars().count() <= width.max(30)), "{width}: {text}");
            assert_eq!(left_out == 0, width >= 120, "{width}: {left_out}");
        }
        let (free, left_out) = columned(&rows, None);
        assert!(left_out == 0 && free.lines().all(|line| line.chars().count() < 260), "{free}");
    }
}
