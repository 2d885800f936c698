//! Invariant 2: nobody but a store says that a commit is durable.

use tenure_core::base::id::EventId;
use tenure_core::base::time::Timestamp;
use tenure_core::store::port::Committed;
use tenure_core::store::row::Position;

fn main() {
    let _ = Committed {
        id: EventId::from_u128(1),
        position: Position::at(1),
        at: Timestamp::from_secs(1),
        leaf_hashes: vec![],
        counts: vec![],
    };
}
