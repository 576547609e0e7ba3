//! What the translations of Fluentd and Fluent Bit share.

pub mod amazon;
pub mod condition;
pub mod draft;
pub mod handover;
pub mod journald;
pub mod kafka;
pub mod network;
pub mod parse;
pub mod places;
pub mod receivers;
pub mod senders;
pub mod services;
pub mod text;
pub mod tags;
