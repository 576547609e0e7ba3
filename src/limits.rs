//! Every size, count and time-out of the agent, with its unit last in the name.
//!
//! Promises: the relations between the numbers are asserted when the crate is compiled; each assertion says why.
//! Settings that a user may change take their default from here.

/// Bytes of input that one read asks for, and so the usual size of a chunk.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Longest line kept whole; a longer one is split into flagged pieces of this size.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Hard upper bound that a user may set for a line; spans are 32 bits wide.
pub const LINE_BYTES_CEILING: usize = 64 * 1024 * 1024;
/// Deepest JSON nesting that is accepted; deeper text is kept as a plain string.
pub const JSON_DEPTH_MAX: usize = 128;
/// Most outputs of one pipeline: a route is one bit each.
pub const OUTPUTS_MAX: usize = 32;
/// Bytes of one journal segment.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of the largest frame that the journal accepts.
pub const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Default quota of a journal on disk.
pub const JOURNAL_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Default quota of a journal in memory.
pub const JOURNAL_MEMORY_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of the newest frames that stay in memory, so that an output that keeps up never reads the disk.
pub const JOURNAL_TAIL_BYTES: usize = 8 * 1024 * 1024;
/// Milliseconds between two syncs with `sync = "interval"`.
pub const SYNC_INTERVAL_MS: u64 = 200;
/// Bytes of one bulk request before compression.
pub const BULK_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Milliseconds that a bulk request waits for more documents.
pub const BULK_WAIT_MS: u64 = 20;
/// Bulk requests that one output keeps in flight at most.
pub const BULK_REQUESTS_MAX: usize = 4;
/// Shortest and longest pause between two tries of a failed request, in milliseconds.
pub const RETRY_FIRST_MS: u64 = 100;
/// See [`RETRY_FIRST_MS`].
pub const RETRY_MAX_MS: u64 = 30_000;
/// Connections that a network input holds at once.
pub const CONNECTIONS_MAX: usize = 1024;
/// Milliseconds after which a silent connection is closed.
pub const CONNECTION_IDLE_MS: u64 = 300_000;
/// Milliseconds after which a last line without a line feed is taken as it is.
pub const PARTIAL_LINE_MS: u64 = 5_000;
/// Lines that are joined into one event at most.
pub const MULTILINE_LINES_MAX: i64 = 500;
/// Bytes of one event that was joined from several lines or pieces.
pub const MULTILINE_BYTES_MAX: usize = 1024 * 1024;
/// Milliseconds after which lines that wait for more lines are given out.
pub const MULTILINE_WAIT_MS: u64 = 2_000;
/// Milliseconds after which pieces of a container's line are given out without their end.
pub const CONTAINER_WAIT_MS: u64 = 5_000;
/// Milliseconds that a stop may take before what is left is kept in the journal for the next start.
pub const DRAIN_MS: u64 = 10_000;
/// Worker threads of one pipeline at most, unless the user says otherwise.
pub const WORKERS_MAX: usize = 4;

const _: () = assert!(
    CHUNK_BYTES <= LINE_BYTES_MAX,
    "a line may span chunks, so a chunk is never larger than the longest line"
);
const _: () = assert!(LINE_BYTES_MAX <= LINE_BYTES_CEILING, "the default obeys the ceiling");
const _: () =
    assert!(MULTILINE_BYTES_MAX <= LINE_BYTES_CEILING, "joined lines are bounded as one line is");
const _: () = assert!(LINE_BYTES_CEILING < FRAME_BYTES_MAX, "one line always fits a frame");
const _: () = assert!(
    (JOURNAL_TAIL_BYTES as u64) < JOURNAL_MEMORY_BYTES_MAX,
    "the tail cache is a part of the memory journal"
);
const _: () = assert!(
    SEGMENT_BYTES * 4 <= JOURNAL_BYTES_MAX,
    "a quota holds several segments, or nothing could be deleted"
);
const _: () = assert!(RETRY_FIRST_MS < RETRY_MAX_MS, "back-off grows");
