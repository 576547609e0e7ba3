//! The tailer as a simulation steps it, without threads and inotify.

pub(crate) use super::counts::Counts;
pub(crate) use super::discover::Glob;
pub(crate) use super::settings::Settings;
pub(crate) use super::tailer::{Parts, Tailer, Wake};
