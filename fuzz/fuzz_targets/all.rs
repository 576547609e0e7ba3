#![no_main]
//! Every target in one program.

use std::sync::LazyLock;

static TARGET: LazyLock<logweir::fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("LOGWEIR_FUZZ_TARGET").unwrap_or_default();
    let known: Vec<&str> = logweir::fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    let target = logweir::fuzz::target(&name);
    target.unwrap_or_else(|| panic!("LOGWEIR_FUZZ_TARGET is `{name}`; there are {known:?}"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
