//! The fourth room: which outputs get an event, and where each puts it.
//!
//! In: a filtered event. Out: route bits and addresses. Promises: an event that matches no output is counted as
//! dropped with the reason `no_output`. On failure: see `Router`.
