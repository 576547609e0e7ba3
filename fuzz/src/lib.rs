//! The programs of cargo-fuzz: one for each target of `logweir::fuzz`.

pub use libfuzzer_sys;
pub use logweir;

/// The program of one target.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let target = $crate::logweir::fuzz::target($name);
            target.expect("every program is a target")(data)
        });
    };
}
