//! How deep a text of policies may nest: Cedar's parser, its validator and its evaluator recurse over what they read, without a bound of
//! their own.
//!
//! Every level of the trees that they build is owed to a bracket, or to a word or sign that joins two expressions (`a && b && c` is
//! as deep as it has signs). So both are counted on the text itself, in one pass without recursion, before Cedar sees it; what
//! passes is then read on a stack that fits the bounds.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::problem::{PolicyProblem, Source};

/// Brackets of any kind that may stand in one another.
pub const MAX_BRACKETS: usize = 32;
/// Operators, accesses and conditions that one policy may have.
pub const MAX_OPERATORS: usize = 512;
/// What reading, validating and narrowing a policy at both bounds takes, unoptimised, and as much again.
const STACK: usize = 64 * 1024 * 1024;

/// Words that join expressions as signs do.
const JOINING: [&str; 6] = ["if", "then", "else", "has", "in", "like"];

/// The first place of each policy that nests too deep, with what would be read.
pub(crate) fn check(source: Source, text: &str) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    let (mut brackets, mut operators, mut told) = (0_usize, 0_usize, false);
    let mut rest = text.char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        match letter {
            '"' => skip_string(&mut rest),
            '/' if rest.next_if(|(_, next)| *next == '/').is_some() => skip_line(&mut rest),
            // Nothing but a policy's end stands outside of strings and comments as a semicolon.
            ';' => (brackets, operators, told) = (0, 0, false),
            '(' | '[' | '{' => brackets += 1,
            ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
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
                operators += usize::from(text.get(at..end).is_some_and(|word| JOINING.contains(&word)));
            }
            _ => {}
        }
        let said = match (brackets > MAX_BRACKETS, operators > MAX_OPERATORS) {
            _ if told => continue,
            (true, _) => format!("brackets stand in one another more than {MAX_BRACKETS} times"),
            (_, true) => format!("a policy has more than {MAX_OPERATORS} operators"),
            _ => continue,
        };
        told = true;
        problems.push(PolicyProblem::new(
            source,
            text,
            Some(at),
            said,
            "write several policies, or a set: `[…].contains(…)`",
        ));
    }
    problems
}

fn skip_string(rest: &mut Peekable<CharIndices<'_>>) {
    while let Some((_, letter)) = rest.next() {
        match letter {
            '\\' => {
                rest.next();
            }
            '"' => return,
            _ => {}
        }
    }
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
