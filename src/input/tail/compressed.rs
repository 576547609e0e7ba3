//! The inside of a gzip file, read by offset.
//!
//! Is: a decompressor (RFC 1952, several members allowed) over a [`File`]. In: offsets of decompressed bytes.
//! Out: those bytes. Promises: reading on costs nothing extra; going back starts again from the beginning.
//! On failure: a file that is cut short or damaged gives all bytes before the wound, then the error.

use std::io::{self, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::storage::File;

/// Whether these are the first bytes of a gzip file.
pub fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1F, 0x8B])
}

/// A gzip file under decompression.
pub struct Gzip {
    file: Arc<dyn File>,
    decoder: MultiGzDecoder<Compressed>,
    offset: u64,
    /// A read that went up to here failed; a shorter one may still give what is before the wound.
    wound: Option<u64>,
}

struct Compressed {
    file: Arc<dyn File>,
    offset: u64,
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}

impl Gzip {
    /// Starts at the beginning of `file`.
    pub fn new(file: Box<dyn File>) -> Self {
        let file: Arc<dyn File> = Arc::from(file);
        let decoder = decoder(&file);
        Gzip { file, decoder, offset: 0, wound: None }
    }

    /// The compressed file.
    pub fn file(&self) -> &dyn File {
        &*self.file
    }

    /// Reads decompressed bytes at `offset`; 0 at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.wound.is_some_and(|wound| wound <= offset) {
            self.wound = None;
        }
        loop {
            // The decoder gives nothing of a read that meets a wound: halve what is asked for until it does.
            let room = self.wound.map_or(u64::MAX, |wound| ((wound - offset) / 2).max(1));
            let want = room.min(buffer.len() as u64);
            match self.try_read(&mut buffer[..want as usize], offset) {
                Err(why) if want > 1 && why.kind() != io::ErrorKind::UnexpectedEof => {
                    self.wound = Some(offset + want);
                }
                result => {
                    if result.is_err() {
                        // The next try may find a file that has grown.
                        self.wound = None;
                    }
                    return result;
                }
            }
        }
    }

    fn try_read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.offset {
            self.rewind();
        }
        let mut waste = [0; 16 * 1024];
        while self.offset < offset {
            let want = (offset - self.offset).min(waste.len() as u64) as usize;
            match self.step(&mut waste[..want])? {
                0 => return Ok(0),
                n => self.offset += n as u64,
            }
        }
        let n = self.step(buffer)?;
        self.offset += n as u64;
        Ok(n)
    }

    fn rewind(&mut self) {
        self.decoder = decoder(&self.file);
        self.offset = 0;
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.decoder.read(buffer);
        if result.is_err() {
            self.rewind();
        }
        result
    }
}

fn decoder(file: &Arc<dyn File>) -> MultiGzDecoder<Compressed> {
    MultiGzDecoder::new(Compressed { file: Arc::clone(file), offset: 0 })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::storage::Storage as _;
    use crate::storage::simulated::SimulatedStorage;

    /// All that can be read of a file, in reads of this size.
    fn read(file: &[u8], step: usize) -> Vec<u8> {
        let storage = SimulatedStorage::default();
        storage.put(Path::new("/a.gz"), file);
        let mut gzip = Gzip::new(storage.open_read(Path::new("/a.gz")).unwrap());
        let (mut text, mut buffer) = (Vec::new(), vec![0; step]);
        while let Ok(read @ 1..) = gzip.read_at(&mut buffer, text.len() as u64) {
            text.extend_from_slice(&buffer[..read]);
        }
        text
    }

    #[test]
    fn all_bytes_before_a_wound_are_given_whatever_the_size_of_the_reads() {
        let text: Vec<u8> = (0..9999_u32).flat_map(|n| (n * n % 7919).to_le_bytes()).collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        let mut file = encoder.finish().unwrap();
        let middle = file.len() / 2;
        file[middle..].fill(0xFF);
        let small = read(&file, 16);
        assert!(small.len() > 1000 && small.len() < text.len());
        for step in [1000, 65_536] {
            assert_eq!(read(&file, step).len(), small.len(), "reads of {step} bytes");
        }
    }
}
