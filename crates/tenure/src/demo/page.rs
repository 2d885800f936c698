//! What the demo prints. Whoever reads it may leave: a closed pipe is an error like any other, and not a panic.

use std::fmt::Arguments;
use std::io::{self, Write};

use comfy_table::{Table, presets};

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

/// Prints columns, the first line as their headings.
///
/// # Errors
/// Standard output is closed.
pub fn table(rows: &[Vec<String>]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.add_rows(rows);
    for row in table.lines() {
        say!("   {}", row.trim_end())?;
    }
    Ok(())
}
