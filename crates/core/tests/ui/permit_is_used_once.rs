//! Invariant 1: a permit is used up by what it lets sign; nobody keeps a copy.

use tenure_core::credential::gate::Permit;

fn sign(_: Permit) {}

fn twice(permit: Permit) {
    sign(permit);
    sign(permit);
}

fn kept(permit: &Permit) -> Permit {
    permit.clone()
}

fn main() {}
