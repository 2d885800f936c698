//! What the demo prints. Whoever reads it may leave: a closed pipe is an error like any other, and not a panic.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line.
macro_rules! say {
    ($($words:tt)*) => { $crate::demo::page::line(format_args!($($words)*)) };
}
pub(super) use say;

/// Prints a line.
///
/// # Errors
/// Standard output is closed.
pub fn line(words: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{words}")
}

/// Begins a step.
///
/// # Errors
/// Standard output is closed.
pub fn step(number: u8, title: &str, what: &str) -> io::Result<()> {
    say!("\n{number:>2}. {title}\n    {what}")
}

/// Prints columns, the first row being their headings.
///
/// # Errors
/// Standard output is closed.
pub fn table(rows: &[Vec<String>]) -> io::Result<()> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        say!("    {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
