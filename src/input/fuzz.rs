//! What the fuzzers run of this room.
//!
//! In: any bytes. Out: nothing. On failure: a panic that says which promise does not hold.

pub(crate) use super::beats::fuzz::beats_frames;
pub(crate) use super::forward::fuzz::forward_message;
pub(crate) use super::http::http_body;
pub(crate) use super::syslog::syslog_stream;
pub(crate) use super::tail::fuzz::{gzip, tail_lines};
pub(crate) use super::tcp::fuzz::tcp_lines;
