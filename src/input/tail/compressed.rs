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
        Gzip { file, decoder, offset: 0 }
    }

    /// The compressed file.
    pub fn file(&self) -> &dyn File {
        &*self.file
    }

    /// Reads decompressed bytes at `offset`; 0 at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.offset {
            self.restart();
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

    /// Forgets how far it was, for another try on a file that has grown.
    pub fn restart(&mut self) {
        self.decoder = decoder(&self.file);
        self.offset = 0;
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.decoder.read(buffer);
        if result.is_err() {
            self.restart();
        }
        result
    }
}

fn decoder(file: &Arc<dyn File>) -> MultiGzDecoder<Compressed> {
    MultiGzDecoder::new(Compressed { file: Arc::clone(file), offset: 0 })
}
