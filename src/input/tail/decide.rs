//! What a look at a path means: one pure function over observed facts.
//!
//! In: what is at the path now, what was known there, what is known by that inode, and whose copy it may be.
//! Out: one [`Action`]. Promises: no clock, no files, no state, so that every case can be written as a table and
//! model-tested. On failure: nothing can fail; when in doubt, lines are read rather than left out.

use super::identity::Content;

/// A generation that the path may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Device, inode and birth are the same.
    pub same_file: bool,
    /// Bytes of it that were handed on, or seen of an unfinished line.
    pub offset: u64,
    /// What the content says; [`Content::Same`] where an open descriptor proves it.
    pub content: Content,
}

/// A generation whose copy the path may be, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Original {
    /// The original still holds its own bytes; otherwise it was truncated or removed.
    pub alive: bool,
    /// What the content says: against the original's bytes while it is alive, against its marker afterwards.
    pub content: Content,
    /// So much is equal that it is no accident.
    pub strong: bool,
    /// The path has not changed for the time that a copy may take.
    pub settled: bool,
}

/// What was observed about one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Size of the regular file that is there; `None`: nothing is there.
    pub size: Option<u64>,
    /// The generation that was last seen at this path.
    pub here: Option<Known>,
    /// The generation that is known by the inode found here, under another name.
    pub elsewhere: Option<Known>,
    /// The generation whose name says that this could be its copy.
    pub original: Option<Original>,
}

/// What to do about the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing is there and nothing was.
    Ignore,
    /// The generation known here goes on.
    Continue,
    /// Same file, other content: the old generation left it, a new one starts at 0.
    Truncated,
    /// The generation known here left this path (renamed or removed); decide again without it.
    Left,
    /// The generation known elsewhere is found here (rename or second name).
    Adopt,
    /// The original's bytes are here now: its generation goes on in this file.
    TakeOver,
    /// A copy of a file that is read elsewhere, or too early to tell: do not read it now.
    Hold,
    /// A file never seen before: read it from the start.
    New,
}

/// Decides what a look at a path means.
pub fn decide(seen: &Seen) -> Action {
    let Some(size) = seen.size else {
        return if seen.here.is_some() { Action::Left } else { Action::Ignore };
    };
    if let Some(here) = seen.here {
        return match here {
            Known { same_file: false, .. } => Action::Left,
            Known { offset, .. } if size < offset => Action::Truncated,
            Known { content: Content::Differs, .. } => Action::Truncated,
            Known { .. } => Action::Continue,
        };
    }
    if let Some(Known { same_file: true, offset, content }) = seen.elsewhere
        && size >= offset
        && content != Content::Differs
    {
        return Action::Adopt;
    }
    match seen.original {
        Some(Original { alive: false, content: Content::Same, .. }) => Action::TakeOver,
        Some(Original {
            alive: true,
            content: Content::Same | Content::Short,
            strong,
            settled,
        }) if strong || !settled => Action::Hold,
        _ => Action::New,
    }
}
