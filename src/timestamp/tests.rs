//! What the date engine promises.

mod formats;
mod properties;
