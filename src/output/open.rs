//! Which frames are done while their documents are sent in any order.
//!
//! Is: how many documents of each frame under way are open. In: documents that are settled: with the server, or dead
//! letters. Out: the last frame that is done. Promises: a frame is done as soon as the last of its documents, and of
//! those of the frames before it, is settled, and not before. On failure: nothing can fail.

use std::sync::Arc;

use crate::frame::Frame;

/// Frames under way.
pub(super) struct Open {
    /// Of each its sequence, and its documents that are not settled.
    frames: Vec<(u64, usize)>,
    /// So many of them are done.
    done: usize,
}

impl Open {
    /// Frames of which an output with this bit has settled nothing yet.
    pub(super) fn new(frames: &[Arc<Frame>], bit: u32) -> Open {
        let ours = |frame: &Frame| frame.routes().filter(|routes| routes & (1 << bit) != 0).count();
        Open { frames: frames.iter().map(|f| (f.sequence(), ours(f))).collect(), done: 0 }
    }

    /// A document of the frame at this place is settled.
    pub(super) fn settle(&mut self, place: usize) {
        if let Some((_, left)) = self.frames.get_mut(place) {
            *left = left.saturating_sub(1);
        }
    }

    /// The last frame that is done now; `None`: none since the last call.
    pub(super) fn done(&mut self) -> Option<u64> {
        let rest = &self.frames[self.done..];
        let now = rest.iter().take_while(|(_, left)| *left == 0).count();
        self.done += now;
        (now > 0).then(|| self.frames[self.done - 1].0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Draft, Head};

    /// A frame with a document for each of these routes.
    fn frame(sequence: u64, routes: &[u32]) -> Arc<Frame> {
        let mut draft = Draft::new(Vec::new());
        let address = draft.string(b"x").unwrap();
        for routes in routes {
            let head = Head { routes: *routes, time_ns: 0, prefix: None, suffix: 0, sub: 0 };
            draft.add(head, std::slice::from_ref(&address));
        }
        Arc::new(draft.seal(7, sequence))
    }

    #[test]
    fn a_frame_is_done_with_its_last_document_when_those_before_it_are() {
        // The second and the last hold nothing for bit 1.
        let frames = [frame(3, &[2, 1, 2]), frame(4, &[1]), frame(6, &[2]), frame(9, &[4])];
        let mut open = Open::new(&frames, 1);
        assert_eq!(open.done(), None);
        open.settle(2);
        open.settle(0);
        assert_eq!(open.done(), None, "a document of the first is open");
        open.settle(0);
        assert_eq!(open.done(), Some(9));
        assert_eq!(open.done(), None);
        let mut open = Open::new(&frames, 1);
        open.settle(0);
        open.settle(0);
        assert_eq!(open.done(), Some(4));
        open.settle(2);
        assert_eq!(open.done(), Some(9));
        assert_eq!(Open::new(&frames[3..], 1).done(), Some(9), "nothing to be waited for");
    }
}
