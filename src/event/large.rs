//! The names of one large object, so that a text with very many fields takes no time in their square.
//!
//! In: an object's fields, again and again while fields are added to it. Out: the place of a name. Promises: of equal
//! names the first one counts; only what was added since the last time is looked at. On failure: nothing can fail, but
//! who changes an object in another way must say so ([`Large::forget`]).

use hashbrown::HashMap;

use super::{Field, Keys, NodeId};

/// Objects up to this size are looked through, which is faster.
pub(super) const LARGE: usize = 64;

/// See the module; it knows one object at a time.
#[derive(Default)]
pub(super) struct Large {
    node: Option<NodeId>,
    seen: usize,
    places: HashMap<Vec<u8>, usize>,
}

impl Large {
    /// What is known may no longer be true.
    pub(super) fn forget(&mut self) {
        self.node = None;
    }

    /// The place of a name among the fields of an object.
    pub(super) fn place(
        &mut self,
        (node, fields): (NodeId, &[Field]),
        name: &[u8],
        (text, keys): (&[u8], &Keys),
    ) -> Option<usize> {
        if self.node != Some(node) {
            self.node = Some(node);
            self.seen = 0;
            self.places.clear();
        }
        for (at, field) in fields.iter().enumerate().skip(self.seen) {
            let own = match (field.key.number(), field.key.span()) {
                (Some(number), _) => keys.name(number).as_bytes(),
                (None, Some(span)) => &text[span.range()],
                (None, None) => b"",
            };
            self.places.entry_ref(own).or_insert(at);
        }
        self.seen = fields.len();
        self.places.get(name).copied()
    }
}
