//! Addresses that requests go to.

use tenure_outbound::{Cidr, Destination};

/// Blocks of addresses and destinations: one text for a block, and no secret in what is shown of a destination.
pub(crate) fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(block) = text.parse::<Cidr>() {
        let written = block.to_string();
        assert_eq!(written.parse(), Ok(block));
        let network = written.split('/').next().unwrap().parse().unwrap();
        assert!(block.contains(network), "{text} doesn't hold its own network");
    }
    if let Ok(destination) = text.parse::<Destination>() {
        let origin = destination.origin();
        assert!(!origin.contains(['@', '?', '#']), "{origin} of {text}");
        if let Ok(again) = origin.parse::<Destination>() {
            assert_eq!(again.origin(), origin);
        }
    }
}
