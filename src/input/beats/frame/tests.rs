use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::prelude::*;

use super::{Acknowledgement, Bounds, Decoder, Part, ProtocolError};

/// A window frame.
pub fn window(version: u8, size: u32) -> Vec<u8> {
    [&[version, b'W'][..], &size.to_be_bytes()].concat()
}

/// A JSON event frame.
pub fn json(sequence: u32, text: &[u8]) -> Vec<u8> {
    let length = (text.len() as u32).to_be_bytes();
    [&b"2J"[..], &sequence.to_be_bytes(), &length, text].concat()
}

/// A compressed frame around frames.
pub fn compressed(frames: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(frames).unwrap();
    let bytes = encoder.finish().unwrap();
    [&b"2C"[..], &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

fn data(sequence: u32, pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = b"1D".to_vec();
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&(pairs.len() as u32).to_be_bytes());
    for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
        out.extend_from_slice(&(text.len() as u32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

const SMALL: Bounds = Bounds { part_bytes: 64, event_bytes_max: 32, inflated_bytes_max: 100_000 };

struct Decoded {
    parts: Vec<Part>,
    error: Option<ProtocolError>,
    held_most: usize,
}

fn decode(bounds: Bounds, cuts: &[&[u8]]) -> Decoded {
    let mut decoder = Decoder::new(bounds);
    let mut result = Decoded { parts: Vec::new(), error: None, held_most: 0 };
    for piece in cuts {
        let mut at = 0;
        while at < piece.len() || decoder.has_more() {
            let fed = decoder.feed(&piece[at..]);
            result.held_most = result.held_most.max(decoder.held());
            while let Some(part) = decoder.part() {
                result.parts.push(part);
            }
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

fn part(text: &str, version: u8, sequence: u32) -> Part {
    let ack = Some(Acknowledgement { version, sequence });
    Part { text: text.into(), piece: false, ack }
}

fn sample() -> (Vec<u8>, Vec<Part>) {
    let inner = [json(1, b"{\"c\":1}"), json(2, b"{\"c\":\n2}\r\n")].concat();
    let stream = [
        window(b'2', 2),
        json(1, b"{\"a\":1}"),
        json(2, b"{\"a\":2}"),
        window(b'2', 2),
        compressed(&inner),
        window(b'1', 2),
        data(8, &[("line", "say \"hi\""), ("file", "/a\n")]),
        data(9, &[]),
    ]
    .concat();
    let parts = vec![
        part("{\"a\":1}\n{\"a\":2}\n", b'2', 2),
        part("{\"c\":1}\n{\"c\": 2}  \n", b'2', 2),
        part("{\"message\":\"say \\\"hi\\\"\",\"file\":\"/a\\n\"}\n{}\n", b'1', 9),
    ];
    (stream, parts)
}

#[test]
fn windows_of_all_kinds_are_the_same_wherever_they_are_cut() {
    let (stream, expected) = sample();
    for at in 0..=stream.len() {
        let decoded = decode(Bounds::USUAL, &[&stream[..at], &stream[at..]]);
        assert_eq!((decoded.error, &decoded.parts), (None, &expected), "cut at {at}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(Bounds::USUAL, &bytes).parts, expected);
}

#[test]
fn the_acknowledgement_is_the_frame_that_clients_expect() {
    let ack = Acknowledgement { version: b'2', sequence: 0x0102_0304 };
    assert_eq!(ack.bytes(), *b"2A\x01\x02\x03\x04");
}

#[test]
fn a_large_window_goes_on_in_parts_that_only_version_2_is_told_of() {
    let events = |version: u8| {
        let events: Vec<u8> = (1..=5).flat_map(|n| json(n, &[b'x'; 30])).collect();
        [window(version, 5), events].concat()
    };
    let acks = |stream: &[u8]| -> Vec<Option<u32>> {
        let parts = decode(SMALL, &[stream]).parts;
        parts.iter().map(|part| part.ack.map(|ack| ack.sequence)).collect()
    };
    assert_eq!(acks(&events(b'2')), [Some(3), Some(5)]);
    assert_eq!(acks(&events(b'1')), [None, Some(5)]);
}

#[test]
fn an_event_that_is_too_long_comes_in_pieces_and_stands_alone() {
    let long = [b'l'; 70];
    let stream = [window(b'2', 3), json(1, b"a"), json(2, &long), json(3, b"b")].concat();
    let decoded = decode(SMALL, &[&stream]);
    assert_eq!(decoded.error, None);
    let shape: Vec<_> =
        decoded.parts.iter().map(|p| (p.text.len(), p.piece, p.ack.map(|a| a.sequence))).collect();
    let expected = [
        (2, false, Some(1)),
        (32, true, None),
        (32, true, None),
        (7, true, Some(2)),
        (2, false, Some(3)),
    ];
    assert_eq!(shape, expected);
}

#[test]
fn an_early_flush_never_acknowledges_the_event_under_way() {
    let mut decoder = Decoder::new(Bounds::USUAL);
    let stream = [window(b'2', 3), json(1, b"{}"), json(2, b"{\"half\":1}")].concat();
    decoder.feed(&stream[..stream.len() - 3]).unwrap();
    decoder.flush();
    assert_eq!(decoder.part(), Some(part("{}\n", b'2', 1)));
    decoder.feed(&stream[stream.len() - 3..]).unwrap();
    decoder.feed(&json(3, b"{}")).unwrap();
    assert_eq!(decoder.part(), Some(part("{\"half\":1}\n{}\n", b'2', 3)));
}

#[test]
fn a_new_window_closes_one_that_is_not_complete() {
    let stream = [window(b'2', 9), json(1, b"{}"), window(b'2', 1), json(1, b"[]")].concat();
    let parts = decode(Bounds::USUAL, &[&stream]).parts;
    assert_eq!(parts, [part("{}\n", b'2', 1), part("[]\n", b'2', 1)]);
}

#[test]
fn a_bomb_stops_at_the_bound_and_holds_little() {
    let zeros = json(1, &vec![b'0'; 50_000_000]);
    let stream = [window(b'2', 1), compressed(&zeros)].concat();
    let decoded = decode(SMALL, &[&stream]);
    assert_eq!(decoded.error, Some(ProtocolError::TooMuch(100_000)));
    assert!(decoded.held_most < 128 * 1024, "{} bytes were held", decoded.held_most);
}

#[test]
fn what_breaks_the_protocol_is_named() {
    let w = window(b'2', 5);
    let with_window = |frames: &[u8]| [&w, frames].concat();
    let mut damaged = compressed(&json(1, b"{\"a\":12345}"));
    let end = damaged.len() - 1;
    damaged[end] ^= 1;
    let mut short = compressed(&json(1, b"{\"a\":12345}"));
    short[5] -= 3;
    let cut = compressed(&json(1, b"{\"a\":12345}")[..14]);
    let nested = compressed(&compressed(&json(1, b"{}")));
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"hello".to_vec(), "not_beats"),
        (b"2X".to_vec(), "unknown_frame"),
        (b"2A\0\0\0\x01".to_vec(), "unknown_frame"),
        (json(1, b"{}"), "no_window"),
        ([window(b'2', 0), json(1, b"{}")].concat(), "no_window"),
        (with_window(&damaged), "bad_compression"),
        (with_window(&short), "truncated_compression"),
        (with_window(&cut), "truncated_compression"),
        (with_window(b"2C\0\0\0\0"), "truncated_compression"),
        (with_window(b"2C\0\0\0\x04abcd"), "bad_compression"),
        (with_window(&nested), "nested_compression"),
        (with_window(&data(1, &[("k", &"v".repeat(33))])), "event_too_large"),
    ];
    for (stream, reason) in cases {
        let error = decode(SMALL, &[&stream]).error.unwrap_or_else(|| panic!("no {reason}"));
        assert_eq!(error.reason(), reason, "{error}");
    }
}

#[test]
fn a_length_of_four_gigabytes_makes_no_memory() {
    let heads: [&[u8]; 3] =
        [b"2J\0\0\0\x01\xff\xff\xff\xff{", b"2C\xff\xff\xff\xff", b"1D\0\0\0\x01\xff\xff\xff\xff"];
    for head in heads {
        let stream = [&window(b'2', u32::MAX), head].concat();
        let decoded = decode(Bounds::USUAL, &[&stream]);
        assert!(decoded.error.is_none() && decoded.held_most < 1024);
    }
}

/// Bytes that are near the protocol: true frames, frames with wrong lengths, noise.
fn near_frames() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    let text = "[ -~\\n]{0,80}";
    let inner = prop::collection::vec((any::<u32>(), text), 0..8).prop_map(|events| {
        let frames: Vec<u8> =
            events.iter().flat_map(|(n, text)| json(*n, text.as_bytes())).collect();
        compressed(&frames)
    });
    let frame = prop_oneof![
        8 => (0_u32..6).prop_map(|size| window(b'2', size)),
        8 => (any::<u32>(), text).prop_map(|(n, text)| json(n, text.as_bytes())),
        2 => (any::<u32>(), text).prop_map(|(n, text)| data(n, &[(&text, "x"), ("y", &text)])),
        4 => inner,
        1 => noise.prop_map(|noise| [&b"2C\0\0\0\x20"[..], &noise].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(frame, 0..20).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused_within_the_bound(
        stream in near_frames(),
        flip in any::<prop::sample::Index>(),
        to in any::<u8>(),
        step in 1_usize..50,
    ) {
        let mut stream = stream;
        if to < 64 && !stream.is_empty() {
            let at = flip.index(stream.len());
            stream[at] = to;
        }
        let whole = decode(SMALL, &[&stream]);
        // Parts of one feed are taken together: small events of one input add up, so the input counts too.
        let cap = 4 * (SMALL.part_bytes + SMALL.event_bytes_max) + 8 * (stream.len() + 16 * 1024);
        prop_assert!(whole.held_most <= cap, "{} > {cap}", whole.held_most);
        let cut: Vec<&[u8]> = stream.chunks(step).collect();
        let cut = decode(SMALL, &cut);
        // zlib notices damage at its checksum, after it gave out bytes: how many depends on the cuts.
        let damaged = |error: &Option<ProtocolError>| {
            matches!(error, Some(ProtocolError::Inflate(_) | ProtocolError::Truncated))
        };
        if damaged(&whole.error) || damaged(&cut.error) {
            prop_assert!(whole.error.is_some() && cut.error.is_some());
        } else {
            prop_assert_eq!(whole.parts, cut.parts);
            prop_assert_eq!(whole.error, cut.error);
        }
    }

    #[test]
    fn noise_is_refused_without_a_panic(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let window = window(b'2', 3);
        let _ = decode(SMALL, &[&noise]);
        let _ = decode(SMALL, &[&window, b"2C\0\0\0\x90\x78\x01", &noise]);
        let _ = decode(SMALL, &[&window, b"1D\0\0\0\x01\0\0\0\x02", &noise]);
    }
}
