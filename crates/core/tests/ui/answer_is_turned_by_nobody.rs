//! Invariant 1: a denial stays one.

use tenure_core::policy::Answer;

fn turned(answer: Answer) -> Answer {
    Answer { allowed: true, ..answer }
}

fn main() {}
