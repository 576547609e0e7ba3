//! Codec `plain`: a line is an event's `message`.
//!
//! In: lines. Out: events with `message` and the source's fields. Promises: blank lines are events too.
//! On failure: nothing can fail.

use super::{Codec, Line, PerLine, Shape, message_event};
use crate::event::{Batch, Field, Keys};
use crate::settings::Section;

pub(super) struct Plain;

impl Shape for Plain {
    #[inline]
    fn event(&mut self, batch: &mut Batch, line: Line, common: &[Field]) {
        message_event(batch, line, common);
    }
}

pub(super) fn load(_: &Section<'_>, _: &mut Keys) -> Option<Codec> {
    Some(Codec { ordered: false, make: Box::new(|| Box::new(PerLine::new(Plain))) })
}
