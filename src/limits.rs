//! Every size, count and time-out of the agent, with its unit last in the name.
//!
//! Promises: the relations between the numbers are asserted when the crate is compiled; each assertion says why.
//! Settings that a user may change take their default from here.

/// Bytes of input that one read asks for, and so the usual size of a chunk.
pub const CHUNK_BYTES: usize = 128 * 1024;
/// Bytes of used text buffers that a pipeline keeps.
pub const SPARE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Lines of one batch, where lines are so short that their fields would take far more memory than their text.
pub const BATCH_LINES_MAX: usize = 8 * 1024;
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
/// Bytes of documents after which a batch goes on in another frame.
pub const FRAME_BYTES_USUAL: usize = 4 * 1024 * 1024;
/// Different strings (addresses) after which a batch goes on in another frame; looking one up takes linear time.
pub const FRAME_STRINGS_USUAL: usize = 1024;
/// Longest document; of a longer one the long values are cut. Elasticsearch takes 100 MB in a request.
pub const DOCUMENT_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Bytes of one value of a document that was too long.
pub const CUT_VALUE_BYTES: usize = 64 * 1024;
/// Default quota of a journal on disk.
pub const JOURNAL_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Default quota of a journal in memory.
pub const JOURNAL_MEMORY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of the newest frames that stay in memory, so that an output that keeps up never reads the disk.
pub const JOURNAL_TAIL_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that a best-effort output may lag behind before it skips.
pub const BEST_EFFORT_LAG_BYTES: u64 = 64 * 1024 * 1024;
/// Milliseconds between two syncs with `sync = "interval"`.
pub const SYNC_INTERVAL_MS: u64 = 200;
/// Milliseconds between two writes of the cursor file while cursors move.
pub const CURSOR_INTERVAL_MS: u64 = 200;
/// Default quota of a dead-letter store.
pub const DEAD_LETTER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of letters after which an output stores them in another call, so that each call is one frame: there or not.
pub const DEAD_LETTERS_CALL_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that the store of dead letters must be allowed at least.
pub const DEAD_LETTER_BYTES_LEAST: u64 = 1024 * 1024;
/// Milliseconds between two looks for requests about dead letters.
pub const REQUEST_LOOK_MS: u64 = 500;
/// Bytes of one journal wound that are copied to the quarantine at most.
pub const QUARANTINE_WOUND_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of the whole quarantine; later wounds are reported, but not copied.
pub const QUARANTINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longest name of an output, in bytes; all names of a pipeline fit one slot of the cursor file.
pub const OUTPUT_NAME_BYTES_MAX: usize = 255;
/// Bytes of one bulk request before compression.
pub const BULK_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Milliseconds that a bulk request waits for more documents.
pub const BULK_WAIT_MS: u64 = 20;
/// Bulk requests that one output keeps in flight at most.
pub const BULK_REQUESTS_MAX: usize = 4;
/// Bytes of documents that one output holds because they were refused and may pass later.
pub const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Shortest and longest pause between two tries of a failed request, in milliseconds.
pub const RETRY_FIRST_MS: u64 = 100;
/// See [`RETRY_FIRST_MS`].
pub const RETRY_MAX_MS: u64 = 30_000;
/// Ids that one request of an audit asks for.
pub const AUDIT_IDS: usize = 1000;
/// Connections that a network input holds at once.
pub const CONNECTIONS_MAX: usize = 1024;
/// Milliseconds after which a silent connection is closed.
pub const CONNECTION_IDLE_MS: u64 = 300_000;
/// Bytes that a connection reads into while it waits; all that a silent one holds.
pub const CONNECTION_READ_BYTES: usize = 4 * 1024;
/// Connections of one input that read a whole chunk, or wait for the pipeline with one, at once.
pub const CONNECTION_READERS_MAX: usize = 16;
/// Bytes of unfinished lines and windows that all connections of one input hold together.
pub const CONNECTION_HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What one connection may still hold when all together hold too much.
pub const CONNECTION_HELD_BYTES_MIN: usize = 16 * 1024;
/// Bytes of an unfinished line or event after which a client counts as sending, though nothing is whole yet.
pub const CONNECTION_PROGRESS_BYTES: usize = 16 * 1024;
/// Milliseconds that a client has for its first whole line when all connections are taken and others wait.
pub const CONNECTION_STRANGER_MS: u64 = 1_000;
/// Connections that are on their way out for others at once.
pub const CONNECTIONS_LEAVING_MAX: usize = 16;
/// Milliseconds between two looks of a client that waits with much in its hands whether others need the room.
pub const CONNECTION_PRESSURE_MS: u64 = 1_000;
/// File descriptors that connections leave to files, outputs and `/health`; a quarter of all where those are few.
pub const DESCRIPTORS_KEPT: u64 = 256;
/// Milliseconds of silence after which TCP asks whether the other end still lives.
pub const CONNECTION_KEEPALIVE_MS: u64 = 60_000;
/// Milliseconds that a TLS handshake may take.
pub const HANDSHAKE_MS: u64 = 10_000;
/// Milliseconds that connections get at a stop to hand on what they read.
pub const CONNECTION_GRACE_MS: u64 = 1_000;
/// Milliseconds between two tries to listen on an address that is taken.
pub const LISTEN_RETRY_MS: u64 = 1_000;
/// Milliseconds between two log lines about the same kind of bad client.
pub const COMPLAINT_MS: u64 = 60_000;
/// Bytes of a beats window after which what is there is handed on and acknowledged in part.
pub const BEATS_PART_BYTES: usize = 2 * 1024 * 1024;
/// Longest beats event kept whole; Filebeat's own largest message has 10 MiB.
pub const BEATS_EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes that one compressed beats frame may inflate to.
pub const BEATS_INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Parts of a beats connection that wait for the journal at once.
pub const BEATS_PARTS_WAITING_MAX: usize = 4;
/// Milliseconds between two signs of life to a beats client that waits; clients give up after 30 s by default.
pub const BEATS_ALIVE_MS: u64 = 5_000;
/// Longest message of the forward protocol; Fluentd sends chunks of 8 MiB unless it is told otherwise.
pub const FORWARD_MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most bytes that the compressed entries of one message may inflate to.
pub const FORWARD_INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longest body of a request to the input `http`, before and after it is inflated.
pub const HTTP_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of documents in one request of the output `http`, before compression.
pub const HTTP_BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that are read of what a collector says about a request that it took.
pub const HTTP_ANSWER_BYTES_MAX: usize = 64 * 1024;
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
/// Keys that a filter remembers at once, unless the user says otherwise.
pub const FILTER_KEYS: usize = 10_000;
/// Bytes that one filter remembers at most.
pub const FILTER_MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest event that `dedupe` keeps to give it out with a count; of a longer one only the key is given out.
pub const FILTER_EVENT_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one event that the filter `multiline` joins; what is held is journaled with each batch that adds to it.
pub const FILTER_JOINED_BYTES_MAX: usize = 256 * 1024;
/// What a user may raise that to.
pub const FILTER_JOINED_BYTES_CEILING: usize = 4 * 1024 * 1024;
/// Windows that one filter closes in one batch, so that their events fit one frame.
pub const WINDOWS_CLOSED_MAX: usize = 256;
/// Series of one derived metric, unless the user says otherwise; further label values share one series.
pub const METRIC_SERIES: usize = 1_000;
/// Bytes of one label value of a derived metric; events with a longer one share one series.
pub const METRIC_LABEL_BYTES_MAX: usize = 256;
/// Milliseconds that `throttle` rests between two looks at the clock while it makes events wait.
pub const THROTTLE_LOOK_MS: u64 = 5;
/// Milliseconds between two looks at journald's files.
pub const JOURNALD_LOOK_MS: u64 = 500;
/// Milliseconds between two looks for new files of journald.
pub const JOURNALD_LIST_MS: u64 = 5_000;
/// Milliseconds between two looks at what a service manager shows as the status.
pub const STATUS_MS: u64 = 5_000;
/// Milliseconds that a stop may take before what is left is kept in the journal for the next start.
pub const DRAIN_MS: u64 = 10_000;
/// Milliseconds between two looks at whether a thread that waits is to stop.
pub const STOP_LOOK_MS: u64 = 200;
/// Milliseconds within which a second stop signal is taken for the first one's twin.
pub const SIGNAL_TWIN_MS: u64 = 300;
/// Default bound of all buffers of the process together; raised where the pipelines need more.
pub const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of buffers that a pipeline can work with at least.
pub const PIPELINE_MEMORY_BYTES_LEAST: u64 = 8 * 1024 * 1024;
/// Bytes of buffers that an output can work with at least.
pub const OUTPUT_MEMORY_BYTES_LEAST: u64 = 4 * 1024 * 1024;
/// Bytes of memory that one byte of input takes up on its way: its text, fields, document and frame.
pub const INPUT_MEMORY_FACTOR: u64 = 4;
/// Worker threads of one pipeline at most, unless the user says otherwise.
pub const WORKERS_MAX: usize = 4;

const _: () = assert!(
    CHUNK_BYTES <= LINE_BYTES_MAX,
    "a line may span chunks, so a chunk is never larger than the longest line"
);
const _: () = assert!(LINE_BYTES_MAX <= LINE_BYTES_CEILING, "the default obeys the ceiling");
const _: () =
    assert!(MULTILINE_BYTES_MAX <= LINE_BYTES_CEILING, "joined lines are bounded as one line is");
const _: () = assert!(
    FILTER_JOINED_BYTES_CEILING < FILTER_MEMORY_BYTES_MAX,
    "an event that is joined fits in what its filter may hold"
);
const _: () = assert!(LINE_BYTES_CEILING < FRAME_BYTES_MAX, "one line always fits a frame");
const _: () = assert!(
    FRAME_BYTES_USUAL + DOCUMENT_BYTES_MAX < FRAME_BYTES_MAX / 2,
    "the last document of a frame fits, with its tables"
);
const _: () = assert!(
    FRAME_STRINGS_USUAL + OUTPUTS_MAX < u16::MAX as usize,
    "the strings of a frame's last document fit"
);
const _: () = assert!(
    (JOURNAL_TAIL_BYTES as u64) < JOURNAL_MEMORY_BYTES_MAX,
    "the tail cache is a part of the memory journal"
);
const _: () = assert!(
    SEGMENT_BYTES * 4 <= JOURNAL_BYTES_MAX,
    "a quota holds several segments, or nothing could be deleted"
);
const _: () = assert!(
    QUARANTINE_WOUND_BYTES_MAX <= QUARANTINE_BYTES_MAX,
    "the first wound can be quarantined"
);
const _: () = assert!(RETRY_FIRST_MS < RETRY_MAX_MS, "back-off grows");
const _: () = assert!(
    CONNECTIONS_MAX * CONNECTION_HELD_BYTES_MIN <= CONNECTION_HELD_BYTES_MAX,
    "what connections may always hold fits in what they may hold together"
);
const _: () = assert!(BEATS_EVENT_BYTES_MAX <= LINE_BYTES_CEILING, "an event becomes a line");
const _: () = assert!(
    CONNECTION_GRACE_MS < DRAIN_MS,
    "a stopping connection leaves time for the rest of the pipeline"
);
