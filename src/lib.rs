//! logweir: a log-shipping agent that loses nothing.
//!
//! The modules below stand in tier order: a module imports only from tiers above it in this list, and the six
//! rooms of tier 2 never import one another (`tests/structure.rs` reads this file and checks it).

// Tier 0: what everyone may use.
pub mod clock; // time behind an interface
pub mod diagnostic; // what failed, where, why, and what to do
pub mod pulse; // which threads make progress
pub mod health; // what each part says about itself
pub mod limits; // every size, count and time-out, and how they relate
pub mod metrics; // counters and gauges, printed for Prometheus
pub mod storage; // files behind an interface
pub mod budget; // one number bounds the memory of all buffers
pub mod trace; // what happened to a batch, and when
pub mod watermark; // until when nothing that came was passed over

// Tier 1: the data and the languages over it.
pub mod settings; // TOML tables with positions, all errors at once
pub mod names; // names of machines to addresses, without a library of the system
pub mod tls; // certificates and keys into rustls configurations
pub mod timestamp; // instants to text and back
pub mod event; // batches of events over borrowed bytes
pub mod msgpack; // MessagePack and JSON
pub mod chunk; // what an input hands on
pub mod frame; // a batch as the journal keeps it
pub mod delivery; // what an output may ask of the journal
pub mod likeness; // texts that differ only in what varies
pub mod pattern; // regular expressions with the place of their errors
pub mod multiline; // which lines belong together
pub mod grok; // named patterns compiled to a scanner
pub mod condition; // `when`: a typed condition language
pub mod tap; // a look at events on their way
pub mod template; // `{field}` and `{@timestamp:%Y}` in strings

// Tier 2: six rooms in a row; none imports another.
pub mod input;
pub mod decode;
pub mod filter;
pub mod route;
pub mod journal;
pub mod output;

// Tier 3: TOML to a plan, all errors at once.
pub mod config;

// Tier 4: the whole flow on one page.
pub mod pipeline;

// Tier 5: all pipelines, signals; health and metrics.
pub mod admin;
pub mod agent;
pub mod audit; // what outputs say they have against what the journal says they got
pub mod report; // what logs say about the service that wrote them
pub mod import; // Logstash, Fluentd, Fluent Bit: their configurations become pipelines

// Tier 6: arguments in, exit code out.
pub mod cli;

// Not shipped: what the fuzzers in `fuzz/` run, and the tests that replay their inputs.
#[cfg(any(test, fuzzing))]
pub mod fuzz;
