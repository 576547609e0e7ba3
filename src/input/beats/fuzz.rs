//! Lumberjack frames under the fuzzer.
//!
//! In: any bytes: how they are cut, whether they are wrapped in a compressed frame, the stream.
//! Promises: parts and errors do not depend on the cuts; what is held is bounded; every acknowledged window ends.
//! On failure: a panic.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::frame::{Bounds, Decoder, Part, ProtocolError};

const SMALL: Bounds = Bounds { part_bytes: 64, event_bytes_max: 32, inflated_bytes_max: 100_000 };

/// What one call inflates at most.
const STEP_BYTES: usize = 16 * 1024;

struct Decoded {
    parts: Vec<Part>,
    error: Option<ProtocolError>,
    held_most: usize,
    /// Calls of the decoder, each of which inflates [`STEP_BYTES`] at most.
    steps: usize,
}

/// See the module.
pub(crate) fn beats_frames(data: &[u8]) {
    let [mode, step, rest @ ..] = data else { return };
    let stream = if mode & 1 == 0 { rest.to_vec() } else { compressed(rest) };
    let bounds = if mode & 2 == 0 { SMALL } else { Bounds::USUAL };
    let whole = decode(bounds, &[&stream]);
    let usual = 4 * (SMALL.part_bytes + SMALL.event_bytes_max);
    let most = usual + 8 * (stream.len() + STEP_BYTES);
    // With room for long events all that came, inflated, may be held; its buffer has up to twice the length.
    let room = if mode & 2 == 0 { most } else { most + 2 * STEP_BYTES * whole.steps };
    assert!(whole.held_most <= room, "{} bytes are held, at most {room} may be", whole.held_most);
    let cuts: Vec<&[u8]> = stream.chunks(usize::from(*step).max(1)).collect();
    let cut = decode(bounds, &cuts);
    // zlib notices damage at its checksum, after it gave out bytes: how many depends on the cuts.
    let damaged = |error: &Option<ProtocolError>| {
        matches!(error, Some(ProtocolError::Inflate(_) | ProtocolError::Truncated))
    };
    if damaged(&whole.error) || damaged(&cut.error) {
        assert!(whole.error.is_some() && cut.error.is_some(), "damage depends on the cuts");
    } else if matches!(whole.error, Some(ProtocolError::TooMuch(_))) {
        // Noticed behind a block of what is inflated: where blocks end depends on the cuts.
        assert_eq!(whole.error, cut.error, "the error depends on the cuts");
        assert!(whole.parts.iter().zip(&cut.parts).all(|(a, b)| a == b), "parts depend on cuts");
    } else {
        assert_eq!(whole.parts, cut.parts, "the parts depend on the cuts");
        assert_eq!(whole.error, cut.error, "the error depends on the cuts");
    }
    for part in whole.parts.iter().filter(|part| !part.piece && !part.text.is_empty()) {
        assert!(part.text.ends_with(b"\n"), "a part of whole events ends within one");
    }
}

fn decode(bounds: Bounds, cuts: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::new(bounds);
    let mut result = Decoded { parts: Vec::new(), error: None, held_most: 0, steps: 0 };
    for piece in cuts {
        let mut at = 0;
        while at < piece.len() || decoder.has_more() {
            let fed = decoder.feed(&piece[at..]);
            result.steps += 1;
            result.held_most = result.held_most.max(decoder.held());
            result.parts.extend(std::iter::from_fn(|| decoder.part()));
            match fed {
                Ok(used) => at += used,
                Err(error) => {
                    result.error = Some(error);
                    return result;
                }
            }
        }
    }
    result
}

/// A window, and a compressed frame around these frames.
fn compressed(frames: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let bytes = encoder.write_all(frames).and_then(|()| encoder.finish()).unwrap_or_default();
    [&b"2W\0\0\0\x032C"[..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}
