//! Lines of a stream under the fuzzer.
//!
//! In: any bytes: the longest line, how the stream comes in steps, the stream. Promises: no byte is lost, no line in
//! a part is too long, and the same lines are whole however the stream comes. On failure: a panic.

use super::lines::next_part;

/// See the module.
pub(crate) fn tcp_lines(data: &[u8]) {
    let [max, step, text @ ..] = data else { return };
    let max = usize::from(*max % 32) + 1;
    let whole = fed(&[text], max);
    let cuts: Vec<&[u8]> = text.chunks(usize::from(*step).max(1)).collect();
    let cut = fed(&cuts, max);
    for (parts, rest) in [&whole, &cut] {
        let all: Vec<u8> = parts.iter().flat_map(|(text, _)| text).chain(rest).copied().collect();
        assert_eq!(all, text, "bytes are lost or changed");
        assert!(rest.len() <= max && !rest.contains(&b'\n'), "a part was kept back");
        for (part, piece) in parts {
            if *piece {
                assert!(part.len() <= max + 1, "a piece is too long");
            } else {
                assert_eq!(part.last(), Some(&b'\n'), "a part ends within a line");
                assert!(part.split(|b| *b == b'\n').all(|line| line.len() <= max), "a long line");
            }
        }
    }
    for piece in [true, false] {
        assert_eq!(joined(&whole.0, piece), joined(&cut.0, piece), "it depends on the steps");
    }
}

type Parts = Vec<(Vec<u8>, bool)>;

fn fed(cuts: &[&[u8]], max: usize) -> (Parts, Vec<u8>) {
    let (mut held, mut inside, mut found) = (Vec::new(), false, Vec::new());
    for cut in cuts {
        held.extend_from_slice(cut);
        while let Some(part) = next_part(&held, max, inside) {
            assert!(part.len > 0, "a part is empty");
            found.push((held.drain(..part.len).collect(), part.piece));
            inside = part.open;
        }
    }
    (found, held)
}

fn joined(parts: &[(Vec<u8>, bool)], piece: bool) -> Vec<u8> {
    parts.iter().filter(|part| part.1 == piece).flat_map(|part| part.0.clone()).collect()
}
