//! The agent on real components: Elasticsearch, OpenSearch, nginx, logrotate, Beats' own client, Python's logging.
//!
//! `tests/run.sh` installs what these tests need. Promises: nothing here is skipped; a server that does not come up
//! fails the tests that need it. Everything that was started ends with this process, however it ends.

mod agent;
mod bad_input;
mod beats;
mod crash;
mod disk;
mod elasticsearch;
mod faults;
mod honest;
mod lumberjack;
mod machine;
mod nginx;
mod nodes;
mod python;
mod seed;
mod slack;
mod stop;
mod systemd;
mod tls;
