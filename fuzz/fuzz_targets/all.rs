#![no_main]
//! Every target in one program.

use std::sync::LazyLock;

static TARGET: LazyLock<logweir::fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("LOGWEIR_FUZZ_TARGET").unwrap_or_default();
    let known: Vec<&str> = logweir::fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    let target = logweir::fuzz::target(&name);
    target.unwrap_or_else(|| panic!("LOGWEIR_FUZZ_TARGET is `{name}`; there are {known:?}"))
});

/// Stands before the one of the C library, so that hash maps begin with the same seed in every process and an input does
/// the same each time.
///
/// # Safety
///
/// `buffer` is valid for writes of `length` bytes, as getrandom(2) asks of its caller.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: see above; nothing else is touched.
    unsafe { buffer.write_bytes(42, length) };
    length as isize
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
