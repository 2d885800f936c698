//! Any one of the targets under libFuzzer: the one that `TENURE_FUZZ_TARGET` names. `cargo xtask fuzz` sets it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tenure_fuzz::{TARGETS, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name =
        std::env::var("TENURE_FUZZ_TARGET").expect("TENURE_FUZZ_TARGET names the target; `cargo xtask fuzz` sets it");
    TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("there is no target {name}; cargo xtask fuzz --list"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
