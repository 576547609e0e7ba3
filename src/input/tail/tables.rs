//! Tables whose order a simulation can repeat.
//!
//! Is: hash tables with a hash that is drawn once a process, and in tests is always the same. In: nothing. Out: the
//! types. Promises: nothing about the order. On failure: nothing can fail.

#[cfg(test)]
type State = foldhash::fast::FixedState;
#[cfg(not(test))]
type State = foldhash::fast::RandomState;

/// As in the standard library.
pub type HashMap<K, V> = std::collections::HashMap<K, V, State>;
/// As in the standard library.
pub type HashSet<K> = std::collections::HashSet<K, State>;
