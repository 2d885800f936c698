//! Invariant 1: the gate asks the policy itself; there is no permit for an answer that somebody brings along.

use tenure_core::credential::gate::{Ask, Held, Permit, Standing};

fn brought(standing: &Standing<'_>, ask: Ask<'_>, held: &Held) -> Permit {
    standing.permit(ask, held).unwrap()
}

fn main() {}
