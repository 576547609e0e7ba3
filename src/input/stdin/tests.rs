use super::*;
use crate::budget::Budget;
use crate::chunk;
use crate::clock;
use crate::health::Health;

// Gives its bytes a few at a time.
struct Drops(Vec<u8>, usize);

impl Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.1.min(self.0.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&self.0[..n]);
        self.0.drain(..n);
        Ok(n)
    }
}

fn read(text: &str, drop: usize, line_max: usize) -> Vec<Chunk> {
    let (intake, mut queue) = chunk::intake(1000, Budget::default());
    let metrics = Metrics::default();
    let name: Arc<str> = "in".into();
    let lines = Lines::new(&name, Vec::new(), line_max, intake, clock::system(), &metrics);
    lines.run(Drops(text.into(), drop), &Health::default().part("in"));
    let mut chunks = Vec::new();
    while let Ok(chunk) = queue.try_recv() {
        chunks.push(chunk);
    }
    chunks
}

#[test]
fn every_byte_comes_once_and_the_last_chunk_says_so() {
    let text = "one\ntwo\nthree, without an end";
    for drop in [1, 3, 100] {
        let chunks = read(text, drop, 1000);
        let mut offset = 0;
        for chunk in &chunks {
            assert_eq!(chunk.offset, offset);
            offset += chunk.text.len() as u64;
            assert!(chunk.last || chunk.text.ends_with(b"\n"));
        }
        let all: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.text.clone()).collect();
        assert_eq!(all, text.as_bytes());
        assert_eq!(chunks.iter().filter(|chunk| chunk.last).count(), 1);
        assert!(chunks.last().unwrap().last);
    }
}

#[test]
fn a_long_line_goes_in_pieces() {
    let chunks = read("abcdefghij\nk\n", 4, 4);
    let pieces: Vec<(&[u8], bool)> =
        chunks.iter().map(|chunk| (&chunk.text[..], chunk.piece)).collect();
    assert_eq!(
        pieces,
        [(&b"abcd"[..], true), (b"efgh", true), (b"ij\n", true), (b"k\n", false), (b"", false)]
    );
}
