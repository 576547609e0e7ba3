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

// With what ends it, and what comes out.
fn lines(line_max: usize) -> (Lines, Stream, tokio::sync::mpsc::Receiver<Chunk>) {
    let (intake, queue) = chunk::intake(1000, Budget::default());
    let (name, metrics) = ("in".into(), Metrics::default());
    let lines = Lines::new(&name, Vec::new(), line_max, intake, clock::system(), &metrics);
    let stream = lines.stream.clone();
    (lines, stream, queue)
}

// As at a stop.
fn leave(stream: &Stream) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(stream.leave());
}

fn read(text: &str, drop: usize, line_max: usize) -> Vec<Chunk> {
    let (lines, _, mut queue) = lines(line_max);
    let health = Health::default().part("in");
    lines.run(Drops(text.into(), drop), &mut Carried::default(), &health);
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

/// Blocks that a test sends one by one; whoever reads waits for the next.
#[derive(Clone)]
struct Pipe(Arc<Mutex<std::sync::mpsc::Receiver<&'static str>>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Ok(text) = lock(&self.0).recv() else { return Ok(0) };
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        Ok(text.len())
    }
}

#[test]
fn what_is_read_for_a_pipeline_that_is_no_more_goes_to_the_next_one() {
    let (write, read) = std::sync::mpsc::channel();
    let pipe = Pipe(Arc::new(Mutex::new(read)));
    let carried = Arc::new(Mutex::new(Carried::default()));
    let run = || {
        let (lines, stream, queue) = lines(8);
        let (pipe, carried) = (pipe.clone(), Arc::clone(&carried));
        let health = Health::default().part("in");
        let thread = std::thread::spawn(move || lines.run(pipe, &mut lock(&carried), &health));
        (thread, stream, queue)
    };
    let (old, stream, mut old_queue) = run();
    write.send("one\nt").unwrap();
    assert_eq!(old_queue.blocking_recv().unwrap().text, b"one\n");
    // The reload: the thread waits in `read`, and the queue closes all the same. What a codec holds goes out.
    leave(&stream);
    let last = old_queue.blocking_recv().unwrap();
    assert_eq!((last.text.as_slice(), last.offset, last.last), (&b""[..], 4, true));
    assert!(old_queue.blocking_recv().is_none());
    let (never_read, stream, mut never) = run();
    leave(&stream);
    assert!(never.blocking_recv().unwrap().last && never.blocking_recv().is_none());
    let (new, _stream, mut queue) = run();
    for text in ["wo\nthree is lo", "ng\nfo", "ur"] {
        write.send(text).unwrap();
    }
    drop(write);
    for thread in [old, never_read, new] {
        thread.join().unwrap();
    }
    let (mut text, mut last) = (Vec::new(), false);
    while let Ok(chunk) = queue.try_recv() {
        assert_eq!(chunk.offset, text.len() as u64);
        text.extend(chunk.text);
        last = chunk.last;
    }
    assert_eq!(
        (String::from_utf8(text).unwrap().as_str(), last),
        ("two\nthree is long\nfour", true)
    );
}
