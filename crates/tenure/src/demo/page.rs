//! What the demo prints: never wider than the terminal, coloured only on one, and in lines that a stranger can read.
//! Whoever reads it may leave: a closed pipe is an error like any other, and not a panic.

use std::ffi::OsString;
use std::fmt::Arguments;
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;

/// The width where no terminal says one, in characters.
const WIDTH: usize = 100;
/// The narrowest that is printed in; a terminal that is narrower breaks lines itself.
const NARROWEST: usize = 40;
/// What stands before the lines of a step.
const INDENT: &str = "    ";

/// Prints a line.
macro_rules! say {
    ($($words:tt)*) => { $crate::demo::page::line(format_args!($($words)*)) };
}
pub(super) use say;

/// How the page looks.
struct Look {
    width: usize,
    /// Whether it is a terminal, on which a line can be written over.
    live: bool,
    colour: bool,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo is a client at the edge: it measures and reads its environment"
)]
fn look() -> &'static Look {
    static LOOK: OnceLock<Look> = OnceLock::new();
    LOOK.get_or_init(|| {
        let live = io::stdout().is_terminal();
        Look {
            width: crate::cli::terminal_width().unwrap_or(WIDTH).max(NARROWEST),
            live,
            colour: live && wants_colour(|name| std::env::var_os(name)),
        }
    })
}

/// Whether a terminal's reader wants colours: <https://no-color.org>, where set and not empty says no.
fn wants_colour(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty()) && variable("TERM").is_none_or(|term| term != "dumb")
}

/// A colour of the page.
#[derive(Debug, Clone, Copy)]
pub enum Ink {
    /// For titles.
    Bold,
    /// For what explains.
    Dim,
    /// For what was done.
    Green,
    /// For what was refused.
    Red,
}

/// Words in a colour, where there are colours.
pub fn inked(ink: Ink, words: &str) -> String {
    if !look().colour {
        return words.to_owned();
    }
    let code = match ink {
        Ink::Bold => 1,
        Ink::Dim => 2,
        Ink::Green => 32,
        Ink::Red => 31,
    };
    format!("\u{1b}[{code}m{words}\u{1b}[0m")
}

/// Prints lines; one that is too long goes on below, as far in as it began.
///
/// # Errors
/// Standard output is closed.
pub fn line(words: Arguments<'_>) -> io::Result<()> {
    print(&words.to_string(), None)
}

/// Prints lines as they are: what is copied must not be broken.
///
/// # Errors
/// Standard output is closed.
pub fn verbatim(words: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{words}")
}

fn print(words: &str, ink: Option<Ink>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in words.split('\n') {
        for part in wrapped(line, look().width) {
            writeln!(out, "{}", ink.map_or_else(|| part.clone(), |ink| inked(ink, &part)))?;
        }
    }
    Ok(())
}

/// Begins a step.
///
/// # Errors
/// Standard output is closed.
pub fn step(number: u8, title: &str, what: &str) -> io::Result<()> {
    print(&format!("\n{number:>2}. {title}"), Some(Ink::Bold))?;
    print(&format!("{INDENT}{what}"), Some(Ink::Dim))
}

/// Prints one line of a step, cut at the terminal's edge: what is said, and how it ended in a colour.
///
/// # Errors
/// Standard output is closed.
pub fn exchange(said: &str, ink: Ink, ended: &str, more: &str) -> io::Result<()> {
    let width = look().width.saturating_sub(INDENT.len());
    // What came of it is what is read: the call is cut before it.
    let room = width.saturating_sub(ended.chars().count() + 4);
    let said = cut(said, room.saturating_sub(more.chars().count().min(room / 2)));
    let rest = room.saturating_sub(said.chars().count());
    let more = cut(more, rest);
    let mut out = io::stdout().lock();
    writeln!(out, "{INDENT}{said} → {} {more}", inked(ink, ended))
}

/// Something that is waited for, a line that counts on a terminal.
pub struct Wait {
    what: String,
    told: Option<u64>,
}

impl Wait {
    /// Waits for this.
    pub fn of(what: &str) -> Self {
        Self { what: what.to_owned(), told: None }
    }

    /// Says that it has waited for so many seconds.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn tick(&mut self, secs: u64) -> io::Result<()> {
        let first = self.told.is_none();
        if self.told == Some(secs) {
            return Ok(());
        }
        self.told = Some(secs);
        let words = cut(&format!("{INDENT}waiting for {} …", self.what), look().width.saturating_sub(6));
        let mut out = io::stdout().lock();
        if look().live {
            write!(out, "\r{} {secs} s", inked(Ink::Dim, &words))?;
        } else if first {
            writeln!(out, "{words}")?;
        }
        out.flush()
    }

    /// Ends the line.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn end(self) -> io::Result<()> {
        match self.told {
            Some(_) if look().live => writeln!(io::stdout().lock()),
            _ => Ok(()),
        }
    }
}

/// Prints columns, the first row being their headings; the widest are cut until they fit.
///
/// # Errors
/// Standard output is closed.
pub fn table(rows: &[Vec<String>]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (n, row) in columned(rows, look().width.saturating_sub(INDENT.len())).iter().enumerate() {
        writeln!(out, "{INDENT}{}", if n == 0 { inked(Ink::Dim, row) } else { row.clone() })?;
    }
    Ok(())
}

fn columned(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let longest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let mut widths: Vec<usize> = (0..count).map(|column| longest(column).unwrap_or_default()).collect();
    while widths.iter().sum::<usize>() + 2 * count.saturating_sub(1) > width {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 4 => *widest -= 1,
            _ => break,
        }
    }
    rows.iter()
        .map(|row| {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", cut(cell, *width))).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// The beginning of a text that has no more than this many characters.
fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

/// A line in parts that fit, broken at spaces where there are some.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| *c == ' ').take(width / 2).collect();
    let mut parts = Vec::new();
    let mut rest = line;
    loop {
        let lead = if parts.is_empty() { "" } else { indent.as_str() };
        let room = width.saturating_sub(lead.len());
        let Some((end, _)) = rest.char_indices().nth(room) else {
            parts.push(format!("{lead}{rest}"));
            return parts;
        };
        let head = rest.get(..end).unwrap_or(rest);
        let at =
            head.rfind(' ').filter(|at| head.get(..*at).is_some_and(|before| !before.trim().is_empty())).unwrap_or(end);
        let (part, after) = rest.split_at(at);
        parts.push(format!("{lead}{part}"));
        rest = after.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d24_colours_are_left_out_where_the_reader_says_so() {
        for (no_color, term, wanted) in
            [(None, "xterm", true), (Some(""), "xterm", true), (Some("1"), "xterm", false), (None, "dumb", false)]
        {
            let variable = |name: &str| {
                if name == "NO_COLOR" { no_color.map(OsString::from) } else { Some(OsString::from(term)) }
            };
            assert_eq!(wants_colour(variable), wanted, "{no_color:?} {term}");
        }
    }

    #[test]
    fn d24_no_line_is_wider_than_the_page() {
        let line = format!("      {{\"a\": \"{}\"}} and words that follow it after a while", "x".repeat(150));
        for width in [40, 60, 100] {
            let parts = wrapped(&line, width);
            assert!(parts.iter().all(|part| part.chars().count() <= width), "{width}: {parts:?}");
            let squeezed = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            assert_eq!(squeezed(&parts.concat()), squeezed(&line), "nothing is lost");
            let rows = vec![vec!["name".to_owned(), "state".to_owned()], vec!["n".repeat(90), "suspended".to_owned()]];
            assert!(columned(&rows, width).iter().all(|row| row.chars().count() <= width));
        }
    }
}
