//! What the allocator keeps of the large blocks that were freed.
//!
//! Is: one setting of glibc's allocator. In: nothing. Out: nothing. Promises: a block of [`LARGE`] bytes or more (a
//! chunk, a frame, a request, the text of a batch) is a mapping of its own and goes back to the system when it is
//! freed. Without it glibc raises that bound with each such block that is freed, up to 32 MiB, and large blocks of
//! several threads leave holes between small ones, which stay resident: 3 to 8 MB of 35 to 64.
//! On failure: nothing; another C library keeps its own way.

/// Bytes from which on a block is large: what glibc begins with.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: std::ffi::c_int = 128 * 1024;

/// Keeps the bound where it is; to be called before other threads are started.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn settle() {
    // SAFETY: mallopt(3) takes two numbers and no pointer, and changes only what later calls of the allocator do: no
    // memory of ours is touched, freed or moved. Its one demand, that no other thread sets up the allocator meanwhile,
    // holds before threads are started. (Miri and the sanitizers have allocators of their own, so none can see it.)
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Another C library needs no word.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn settle() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Whether a block of so many bytes begins where only the header of a mapping of its own is before it.
    fn is_mapped(bytes: usize) -> bool {
        let block: Vec<u8> = Vec::with_capacity(bytes);
        block.as_ptr().addr() % 4096 == 2 * size_of::<usize>()
    }

    #[test]
    fn a_large_block_is_a_mapping_of_its_own_whatever_was_freed_before() {
        const MIB: usize = 1024 * 1024;
        settle();
        // Without the setting this one, freed, makes all smaller ones parts of the heap. Both are so large that the
        // heap of the tests beside this one has no hole for them.
        drop(Vec::<u8>::with_capacity(31 * MIB));
        assert!(is_mapped(24 * MIB));
    }
}
