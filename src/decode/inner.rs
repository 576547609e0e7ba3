//! Setting `inner`: what a text means that another codec joined or unwrapped.
//!
//! In: the word `plain`, `json` or `auto`. Out: a shape. Promises: with `auto` a text that is a
//! JSON object gives its fields, and any other one is an ordinary `message`. On failure: an unknown
//! word is reported with its place.

use super::{Shape, json::Json, plain::Plain};
use crate::settings::Section;

/// The last step of a codec that joins or unwraps lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    Plain,
    Json,
    Auto,
}

impl Inner {
    /// Reads `inner`; `plain` where it is not written.
    pub(super) fn load(section: &Section<'_>) -> Inner {
        let choices = [("plain", Inner::Plain), ("json", Inner::Json), ("auto", Inner::Auto)];
        section.choice_or("inner", &choices, Inner::Plain)
    }

    pub(super) fn shape(self) -> Box<dyn Shape> {
        match self {
            Inner::Plain => Box::new(Plain),
            Inner::Json => Box::new(Json::default()),
            Inner::Auto => Box::new(Json::lenient()),
        }
    }
}
