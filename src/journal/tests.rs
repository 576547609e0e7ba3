mod dead_letters;
mod feeds;
mod injury;
mod model;
mod places;
mod pressure;
mod settled;
pub(super) mod support;
mod wounds;
