//! Invariant 2: a secret is out with the proof of its commit, once, and not before.

use tenure_core::store::port::Committed;
use tenure_core::store::secret::{Pending, Secret};

fn shown(pending: &Pending<String>) -> &String {
    pending.expose()
}

fn twice(pending: Pending<String>, committed: &Committed) -> [Option<Secret<String>>; 2] {
    [pending.release(committed), pending.release(committed)]
}

fn main() {}
