//! What the fuzzers run of this room.
//!
//! In: any bytes. Out: nothing. On failure: a panic that says which promise does not hold.

pub(crate) use super::elasticsearch::fuzz::bulk_reply;
pub(crate) use super::kafka::fuzz::kafka_reply;
pub(crate) use super::slack::fuzz::slack;
