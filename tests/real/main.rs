//! The agent on real components: Elasticsearch, OpenSearch, Kafka, nginx, logrotate, Beats' own client, Python's logging.
//!
//! `tests/run.sh` installs what these tests need. Promises: nothing here is skipped; a server that does not come up
//! fails the tests that need it. Everything that was started ends with this process, however it ends.

mod agent;
mod bad_input;
mod beats;
mod bulk_server;
mod cluster;
mod crash;
mod disk;
mod dlq;
mod elasticsearch;
mod faults;
mod honest;
mod hostile;
mod kafka;
mod lumberjack;
mod machine;
mod memory;
mod nginx;
mod nodes;
mod proxy;
mod python;
mod refusals;
mod sandbox;
mod seed;
mod server_faults;
mod slack;
mod stop;
mod systemd;
mod tls;
