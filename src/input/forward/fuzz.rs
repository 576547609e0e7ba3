//! Messages of the forward protocol under the fuzzer.
//!
//! In: any bytes: a step, then a message. Promises: the end of a message is found wherever it is cut; the lines are
//! JSON objects; what is held is bounded. On failure: a panic.

use super::message::Entries;
use crate::msgpack::Extent;

/// Most bytes that compressed entries inflate to here.
const INFLATED_MAX: u64 = 1 << 20;

/// See the module.
pub(crate) fn forward_message(data: &[u8]) {
    let [step, message @ ..] = data else { return };
    let whole = Extent::next().of(message);
    let mut stepped = Extent::next();
    let mut end = 0;
    let cut = loop {
        end = (end + usize::from(*step).max(1)).min(message.len());
        match stepped.of(&message[..end]) {
            Ok(None) if end < message.len() => {}
            result => break result,
        }
    };
    assert_eq!(whole, cut, "the end of a message depends on the cuts");
    let Ok(Some(length)) = whole else { return };
    let Ok(mut entries) = Entries::of(&message[..length], INFLATED_MAX) else { return };
    loop {
        let part = entries.next_part().expect("a message comes in as a whole");
        if part.is_empty() {
            return;
        }
        let most = 4 * length + 2 * INFLATED_MAX as usize + (1 << 20);
        assert!(entries.held() <= most, "{} bytes are held", entries.held());
        for line in part.split_inclusive(|b| *b == b'\n') {
            assert!(line.starts_with(b"{\"@metadata\":{\"tag\":") && line.ends_with(b"}\n"));
        }
    }
}
