//! Prints data: JSON as the API gives it, or columns without colour.

use std::io::Write;

use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::Value;
use tenure_api::views::Page;
use tenure_client::{ClientError, ListQuery};

use super::context::Format;

/// A column: its heading and where its values are, as JSON pointer (RFC 6901).
pub type Column = (&'static str, &'static str);

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

/// The printer.
pub struct Output {
    format: Format,
}

impl Output {
    /// Prints like this.
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether JSON is wanted.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a record.
    pub fn record<T: Serialize>(&self, record: &T) -> anyhow::Result<()> {
        if self.is_json() {
            return line(&serde_json::to_string_pretty(record)?);
        }
        let mut rows = Vec::new();
        flatten(String::new(), &serde_json::to_value(record)?, &mut rows);
        let mut table = plain_table();
        for (name, value) in rows {
            table.add_row([clean(&name), clean(&value)]);
        }
        line(&drawn(table))
    }

    /// Prints rows in columns; as JSON, the whole that they are part of.
    pub fn rows<T: Serialize>(&self, whole: &impl Serialize, items: &[T], columns: &[Column]) -> anyhow::Result<()> {
        if self.is_json() {
            return line(&serde_json::to_string_pretty(whole)?);
        }
        self.table(items, columns, true)
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
            if let (Some(next), false) = (&page.next, self.is_json()) {
                eprintln!("hint: there is more: --after {next}, or --all");
            }
            return Ok(());
        }
        let mut first = true;
        if self.is_json() {
            raw(b"{\"items\":[")?;
        }
        loop {
            if self.is_json() {
                for item in &page.items {
                    raw(if first { b"\n" } else { b",\n" })?;
                    raw(&serde_json::to_vec(item)?)?;
                    first = false;
                }
            } else {
                self.table(&page.items, columns, first)?;
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

    fn table<T: Serialize>(&self, items: &[T], columns: &[Column], heading: bool) -> anyhow::Result<()> {
        let mut table = plain_table();
        if heading {
            table.add_row(columns.iter().map(|(heading, _)| *heading));
        }
        for item in items {
            let item = serde_json::to_value(item)?;
            table.add_row(
                columns
                    .iter()
                    .map(|(_, pointer)| item.pointer(pointer).map_or_else(|| "-".to_owned(), |value| clean(&cell(value)))),
            );
        }
        if heading || !items.is_empty() { line(&drawn(table)) } else { Ok(()) }
    }
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
        eprintln!("hint: an operator finds the cause in the server's log; tenure log verify-state names all such records");
    }
}

/// Prints bytes as they are.
pub fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Text of somebody else's, without what would steer the terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
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
    fn nothing_of_a_record_steers_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\nc"), "a\u{fffd}[31mb\u{fffd}c");
    }
}
