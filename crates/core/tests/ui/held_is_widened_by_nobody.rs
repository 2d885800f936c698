//! Invariant 1: what an identity holds is what its standing says.

use tenure_core::credential::gate::Held;

fn widened(mut held: Held) -> Held {
    held.actions.push("drop".to_owned());
    held
}

fn main() {}
