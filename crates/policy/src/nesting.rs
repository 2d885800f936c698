//! How deep a text of policies may nest: Cedar's parser, its validator and its evaluator recurse over what they read,
//! without a bound of their own.
//!
//! Every level of the trees that they build is owed to a bracket, or to a word or sign that joins two expressions (`a
//! && b && c` is as deep as it has signs). So both are counted on the text itself, in one pass without recursion,
//! before Cedar sees it; what passes is then read on a stack that fits the bounds.
//!
//! A decision's work is bounded here, too. All that Cedar evaluates takes time by the length of what it reads, but
//! `like`: that takes the length of its text times the length of its pattern. So literals are short, and all patterns
//! of a set together.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::problem::{PolicyProblem, Source};

/// Brackets of any kind that may stand in one another.
pub const MAX_BRACKETS: usize = 32;
/// Operators, accesses and conditions that one policy may have.
pub const MAX_OPERATORS: usize = 512;
/// Bytes of a text in quotes, but in an annotation, which nothing evaluates.
pub const MAX_LITERAL: usize = 1_024;
/// Bytes of all patterns of a set together: with what a question holds, a decision compares some millions of characters
/// at most.
pub const MAX_PATTERNS: usize = 4_096;
/// What reading, validating and narrowing a policy at both bounds takes, unoptimised, and as much again.
const STACK: usize = 64 * 1024 * 1024;

const FEWER: &str = "write several policies, or a set: `[…].contains(…)`";

/// Words that join expressions as signs do.
const JOINING: [&str; 6] = ["if", "then", "else", "has", "in", "like"];

/// What the scan is in, so far as a text in quotes needs to know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// An annotation, up to the end of its brackets.
    Annotation,
    /// The word `like`.
    Like,
    /// Anything else.
    Other,
}

/// The first place of each policy that nests too deep or takes too long to evaluate, with what would be read.
pub(crate) fn check(source: Source, text: &str) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    let (mut brackets, mut operators, mut patterns, mut told) = (0_usize, 0_usize, 0_usize, false);
    let mut before = Before::Other;
    let mut rest = text.char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        let (mut literal, mut pattern) = (0, 0);
        let was = before;
        if was == Before::Like && !letter.is_whitespace() {
            before = Before::Other;
        }
        match letter {
            '"' => {
                let bytes = skip_string(&mut rest, text.len()).saturating_sub(at + 2);
                literal = if was == Before::Annotation { 0 } else { bytes };
                pattern = if was == Before::Like { bytes } else { 0 };
                patterns += pattern;
            }
            '/' if rest.next_if(|(_, next)| *next == '/').is_some() => {
                skip_line(&mut rest);
                before = was;
            }
            // Nothing but a policy's end stands outside of strings and comments as a semicolon.
            ';' => (brackets, operators, told, before) = (0, 0, false, Before::Other),
            '(' | '[' | '{' => brackets += 1,
            ')' | ']' | '}' => {
                brackets = brackets.saturating_sub(1);
                before = Before::Other;
            }
            '@' => before = Before::Annotation,
            '&' | '|' | '=' | '<' | '>' => {
                while rest.next_if(|(_, next)| matches!(next, '&' | '|' | '=')).is_some() {}
                operators += 1;
            }
            '!' | '.' | '+' | '-' | '*' => operators += 1,
            _ if letter.is_alphabetic() || letter == '_' => {
                let mut end = at + letter.len_utf8();
                while let Some((start, next)) = rest.next_if(|(_, next)| next.is_alphanumeric() || *next == '_') {
                    end = start + next.len_utf8();
                }
                let word = text.get(at..end).unwrap_or_default();
                operators += usize::from(JOINING.contains(&word));
                if word == "like" && was != Before::Annotation {
                    before = Before::Like;
                }
            }
            _ => {}
        }
        if told {
            continue;
        }
        let (said, hint) = if brackets > MAX_BRACKETS {
            (format!("brackets stand in one another more than {MAX_BRACKETS} times"), FEWER)
        } else if operators > MAX_OPERATORS {
            (format!("a policy has more than {MAX_OPERATORS} operators"), FEWER)
        } else if literal > MAX_LITERAL {
            (format!("a text in quotes has more than {MAX_LITERAL} bytes"), "nothing that a policy reads is as long")
        } else if pattern > 0 && patterns > MAX_PATTERNS {
            (
                format!("the patterns of a set have more than {MAX_PATTERNS} bytes together"),
                "compare with a set: `[…].contains(…)`",
            )
        } else {
            continue;
        };
        told = true;
        problems.push(PolicyProblem::new(source, text, Some(at), said, hint));
    }
    problems
}

/// Skips the rest of a text in quotes, and says where what follows begins.
fn skip_string(rest: &mut Peekable<CharIndices<'_>>, end: usize) -> usize {
    while let Some((at, letter)) = rest.next() {
        match letter {
            '\\' => {
                rest.next();
            }
            '"' => return at + 1,
            _ => {}
        }
    }
    end
}

fn skip_line(rest: &mut Peekable<CharIndices<'_>>) {
    while rest.next_if(|(_, letter)| !matches!(letter, '\n' | '\r')).is_some() {}
}

/// Runs what recurses over a text that [`check`] passed, on a stack that fits it.
pub(crate) fn on_deep_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::grow(STACK, work)
}

/// The same for what waits in between.
#[cfg(feature = "solver")]
pub(crate) async fn await_on_deep_stack<F: Future>(work: F) -> F::Output {
    let mut work = Box::pin(work);
    let done = std::future::poll_fn(|context| on_deep_stack(|| work.as_mut().poll(context))).await;
    on_deep_stack(|| drop(work));
    done
}
