//! Invariant 1: a question that was answered gives one permit.

use tenure_core::credential::gate::{Considered, Permit};

fn twice(considered: Considered<'_>) -> [Permit; 2] {
    [considered.permit().unwrap(), considered.permit().unwrap()]
}

fn main() {}
