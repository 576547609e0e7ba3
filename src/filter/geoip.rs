//! Placeholder.
use super::{FilterLoad, Make};
use crate::settings::Section;
pub(super) fn load(_: &Section<'_>, _: &mut FilterLoad<'_>) -> Option<Make> {
    None
}
