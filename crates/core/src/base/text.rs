//! Text that people write and read: what may stand in it, and how it is shown.
//!
//! A reader decides by what they see. Characters that steer a terminal, break a line where none is, reorder what
//! follows or don't show at all make a text read otherwise than it is (Unicode TR 36, §3; TR 39, §3.1; CVE-2021-42574).
//! Every door refuses them by [`check_line`] and [`check_lines`]; every surface shows text that came in before, or by a
//! door that isn't ours, through [`line`] and [`lines`].

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::base::problem::FieldProblem;

/// Why a text isn't taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// A line break or a tab where a single line is wanted.
    #[error("it has a line break or a tab (U+{:04X}): write it in one line", u32::from(*.0))]
    Break(char),
    /// A control character.
    #[error("it has a control character (U+{:04X}): leave it out", u32::from(*.0))]
    Control(char),
    /// A character that reorders or hides text.
    #[error("it has a character that reorders or hides text (U+{:04X}): leave it out", u32::from(*.0))]
    Hidden(char),
}

impl BadText {
    /// The stable code in field problems.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Break(_) => "text_has_line_break",
            Self::Control(_) => "text_has_control_character",
            Self::Hidden(_) => "text_has_hidden_character",
        }
    }
}

/// That a text is one line which reads as what it is.
///
/// # Errors
/// The first character that may not stand in it.
pub fn check_line(text: &str) -> Result<(), BadText> {
    match text.chars().find(|c| matches!(c, '\n' | '\r' | '\t')) {
        Some(found) => Err(BadText::Break(found)),
        None => check_lines(text),
    }
}

/// That a text is lines which read as what they are; line feeds, CR LF and tabs may stand in it.
///
/// # Errors
/// The first character that may not stand in it.
pub fn check_lines(text: &str) -> Result<(), BadText> {
    // What is plain ASCII, as nearly everything is, is looked at byte by byte.
    if text.is_ascii() {
        return match text.bytes().find(|b| b.is_ascii_control() && !matches!(b, b'\n' | b'\r' | b'\t')) {
            Some(found) => Err(BadText::Control(char::from(found))),
            None => Ok(()),
        };
    }
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if is_hidden(c) && !is_of_use(before, c, rest.peek().copied()) {
            return Err(BadText::Hidden(c));
        }
        if c.is_control() && !matches!(c, '\n' | '\r' | '\t') {
            return Err(BadText::Control(c));
        }
        before = Some(c);
    }
    Ok(())
}

/// The members of a body that hold more than one line: what people write at length, policies, and certificates in PEM.
const AT_LENGTH: [&str; 13] = [
    "text",
    "ca",
    "certificate",
    "purpose",
    "reason",
    "comment",
    "note",
    "why",
    "outcome",
    "description",
    "migration_plan",
    "evidence",
    "how",
];
/// The most problems that one body is told.
const MAX_PROBLEMS: usize = 16;

/// What in a body doesn't read as what it is: every string, by its path, and every name of a member.
pub fn problems(body: &Map<String, Value>) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    members("", body, &mut problems);
    problems
}

fn members(path: &str, object: &Map<String, Value>, problems: &mut Vec<FieldProblem>) {
    for (name, value) in object {
        let at = if path.is_empty() { line(name).into_owned() } else { format!("{path}.{}", line(name)) };
        if let Err(bad) = check_line(name) {
            tell(at.clone(), bad, problems);
        }
        walk(&at, AT_LENGTH.contains(&name.as_str()), value, problems);
    }
}

fn walk(path: &str, at_length: bool, value: &Value, problems: &mut Vec<FieldProblem>) {
    match value {
        Value::String(text) => {
            if let Err(bad) = if at_length { check_lines(text) } else { check_line(text) } {
                tell(path.to_owned(), bad, problems);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| walk(&format!("{path}[{n}]"), at_length, item, problems))
        }
        Value::Object(object) => members(path, object, problems),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn tell(field: String, bad: BadText, problems: &mut Vec<FieldProblem>) {
    if problems.len() < MAX_PROBLEMS {
        problems.push(FieldProblem::new(field, bad.code(), bad.to_string()));
    }
}

/// Whether a text is an e-mail address as people and HR systems write it: one line without spaces, and one `@` between
/// two parts that mean nothing else in a header (RFC 5322 §3.4.1, without quoted local parts and domain literals).
pub fn is_email(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !"\"<>(),;:[]\\".contains(c);
    let parts =
        text.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    parts.is_some() && check_line(text).is_ok() && text.chars().all(plain)
}

/// A text as one line that is what it looks like: breaks become spaces, and every other character that [`check_line`]
/// refuses becomes U+FFFD, so that a reader sees that something was there.
pub fn line(text: &str) -> Cow<'_, str> {
    match check_line(text) {
        Ok(()) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(shown(&text.replace("\r\n", " "), |c| is_break(c) || c == '\t', ' ')),
    }
}

/// A text as lines that are what they look like: every sort of break becomes a line feed, and every other character
/// that [`check_lines`] refuses becomes U+FFFD.
pub fn lines(text: &str) -> Cow<'_, str> {
    match check_lines(text) {
        Ok(()) if !text.contains('\r') => Cow::Borrowed(text),
        _ => Cow::Owned(shown(&text.replace("\r\n", "\n"), is_break, '\n')),
    }
}

/// Whether a character may only be written escaped where people read the raw bytes, as of JSON on a terminal.
pub fn is_unseen(c: char) -> bool {
    is_hidden(c) || c.is_control()
}

fn shown(text: &str, broken: impl Fn(char) -> bool, by: char) -> String {
    let mut out = replaced(text, &broken, by);
    // What a joiner stood before may be gone by now.
    while check_lines(&out).is_err() {
        out = replaced(&out, &broken, by);
    }
    out
}

fn replaced(text: &str, broken: impl Fn(char) -> bool, by: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let shown = match c {
            c if broken(c) => by,
            '\t' => '\t',
            c if is_of_use(before, c, rest.peek().copied()) => c,
            c if is_hidden(c) || c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        out.push(shown);
        before = Some(shown);
    }
    out
}

/// Whether a joiner or a selector does what it is for, between its neighbours.
fn is_of_use(before: Option<char>, c: char, after: Option<char>) -> bool {
    is_joiner(c) && joins(before, after) || is_selector(c) && selects(before, after)
}

const fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What reorders text, ends lines unseen, or doesn't show: the property Default_Ignorable_Code_Point of Unicode 16 (UAX
/// #44), the marks of directions and lines, what stands for an object or an annotation, an empty cell of Braille, and
/// what has no meaning that all agree on (private use, non-characters).
const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffc}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}'
    ) || c as u32 & 0xfffe == 0xfffe
}

/// The selectors of how a symbol is drawn: as text, or as a picture.
const fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe0e}' | '\u{fe0f}')
}

/// Whether a selector does what it is for: behind a symbol, or between a digit and the frame of its key. Behind a
/// letter it would be a difference that nobody sees.
const fn selects(before: Option<char>, after: Option<char>) -> bool {
    matches!(
        (before, after),
        (Some('\u{a9}' | '\u{ae}' | '\u{203c}'..='\u{204f}' | '\u{2100}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}'), _)
            | (Some('0'..='9' | '#' | '*'), Some('\u{20e3}'))
    )
}

const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a joiner does what it is for: between letters of scripts that join (Arabic, Persian, the Indic ones), and
/// between the parts of an emoji. Between letters that don't join it would be a difference that nobody sees.
fn joins(before: Option<char>, after: Option<char>) -> bool {
    let joining = |c: char| matches!(c, '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{1aff}' | '\u{2190}'..='\u{2bff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe0f}' | '\u{fe70}'..='\u{fefc}' | '\u{1f000}'..='\u{1faff}');
    before.is_some_and(joining) && after.is_some_and(joining)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d20_text_that_reads_otherwise_is_refused_and_shown_as_what_it_is() {
        for good in [
            "Ada Lovelace",
            "Zoë",
            "می\u{200c}خواهم",
            "👩\u{200d}💻 ❤\u{fe0f} ❤\u{fe0f}\u{200d}🔥 1\u{fe0f}\u{20e3} ©\u{fe0f}",
            "日本語",
            "",
        ] {
            assert_eq!(check_line(good), Ok(()), "{good}");
            assert_eq!(line(good), good);
        }
        for (bad, code, as_line) in [
            ("a@b\r\nBcc: c@d", "text_has_line_break", "a@b Bcc: c@d"),
            ("a\tb", "text_has_line_break", "a b"),
            ("a\u{1b}[31mb", "text_has_control_character", "a\u{fffd}[31mb"),
            ("a\u{85}b", "text_has_control_character", "a b"),
            ("ada\u{202e}ecila", "text_has_hidden_character", "ada\u{fffd}ecila"),
            ("a\u{2066}b\u{2069}", "text_has_hidden_character", "a\u{fffd}b\u{fffd}"),
            ("ad\u{200b}a", "text_has_hidden_character", "ad\u{fffd}a"),
            ("ad\u{200d}a", "text_has_hidden_character", "ad\u{fffd}a"),
            ("\u{feff}ada", "text_has_hidden_character", "\u{fffd}ada"),
            ("ada\u{2028}x", "text_has_hidden_character", "ada x"),
            ("ada\u{e0041}", "text_has_hidden_character", "ada\u{fffd}"),
            ("pay\u{fe0f}ments", "text_has_hidden_character", "pay\u{fffd}ments"),
            ("1\u{fe0f}2", "text_has_hidden_character", "1\u{fffd}2"),
            ("a\u{2800}b", "text_has_hidden_character", "a\u{fffd}b"),
            // What a joiner stands before is shown as another, and a second selector selects nothing.
            ("م\u{200d}\u{61c}", "text_has_hidden_character", "م\u{fffd}\u{fffd}"),
            ("❤\u{fe0f}\u{fe0f}", "text_has_hidden_character", "❤\u{fe0f}\u{fffd}"),
            ("a\u{1d173}\u{fdd0}\u{e000}\u{1fffe}", "text_has_hidden_character", "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(check_line(bad).unwrap_err().code(), code, "{bad:?}");
            assert_eq!(line(bad), as_line);
            assert_eq!(check_line(&line(bad)), Ok(()));
        }
        for (email, good) in [
            ("ada@example.com", true),
            ("zoë@exämple.org", true),
            ("a@b\r\nBcc: c@d", false),
            ("a@b@c", false),
            ("@b", false),
            ("a b@c", false),
            ("a@b,c@d", false),
            ("ad\u{200b}a@b", false),
        ] {
            assert_eq!(is_email(email), good, "{email:?}");
        }
        assert_eq!(check_lines("one\r\n\ttwo\n"), Ok(()));
        assert_eq!(lines("a\r\nb\rc\u{2028}d\u{1b}[0m"), "a\nb\nc\nd\u{fffd}[0m");
    }
}
