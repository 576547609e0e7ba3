//! Codec `container`: placeholder until it lands.

use super::{Codec, PerLine, plain::Plain};
use crate::event::Keys;
use crate::settings::Section;

pub(super) fn load(_: &Section<'_>, _: &mut Keys) -> Option<Codec> {
    Some(Codec { ordered: false, make: Box::new(|| Box::new(PerLine::new(Plain))) })
}
