//! The inside of a compressed file, read by offset.
//!
//! Is: a decompressor over a [`File`]: gzip (RFC 1952), zstd (RFC 8878), xz and bzip2, each of one member or many.
//! Which one it is, the file's first bytes say. In: offsets of decompressed bytes. Out: those bytes. Promises: reading
//! on costs nothing extra; going back starts again from the beginning. On failure: a file that is cut short or damaged
//! gives what is before the wound (of zstd, without the window before it), then the error.

use std::io::{self, Read};
use std::sync::Arc;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::identity::fill;
use crate::pulse;
use crate::storage::File;

/// What a zstd or xz archive may ask for to be unpacked, in bytes: `zstd -19` takes 8 MiB, `xz -9` takes 64 MiB.
const WINDOW_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// Bytes that tell a compressed file.
pub const MAGIC_BYTES: usize = 6;

/// Whether these are the first [`MAGIC_BYTES`] of a compressed file.
pub fn is_archive(head: &[u8]) -> bool {
    Format::of(head).is_some()
}

impl Format {
    fn of(head: &[u8]) -> Option<Format> {
        let is = |magic: &[u8]| head.starts_with(magic);
        // The second one is a zstd frame that is skipped.
        let skipped = || head.get(1..4) == Some(&[0x2A, 0x4D, 0x18]) && head[0] & 0xF0 == 0x50;
        match head {
            _ if is(&[0x1F, 0x8B]) => Some(Format::Gzip),
            _ if is(&[0x28, 0xB5, 0x2F, 0xFD]) || skipped() => Some(Format::Zstd),
            _ if is(b"\xFD7zXZ\0") => Some(Format::Xz),
            _ if is(b"BZh") => Some(Format::Bzip2),
            _ => None,
        }
    }
}

/// A compressed file under decompression.
pub struct Archive {
    file: Arc<dyn File>,
    // `None`: its first bytes were not looked at.
    decoder: Option<Decoder>,
    // Of the decoder that was made last.
    format: Option<Format>,
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

impl Archive {
    /// Starts at the beginning of `file`.
    pub fn new(file: Box<dyn File>) -> Self {
        Archive { file: Arc::from(file), decoder: None, format: None, offset: 0 }
    }

    /// The compressed file.
    pub fn file(&self) -> &dyn File {
        &*self.file
    }

    /// Reads decompressed bytes at `offset`; 0 at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.try_read(buffer, offset) {
            Err(why) if buffer.len() > 1 && self.may_have_more(&why) => {
                self.read_up_to_wound(buffer, offset)
            }
            result => result,
        }
    }

    /// How long the content is; an archive that is cut short, damaged or under way is an error.
    pub fn length(&mut self) -> io::Result<u64> {
        let (mut length, mut waste) = (0, [0; 16 * 1024]);
        loop {
            pulse::beat();
            match self.read_at(&mut waste, length)? {
                0 => return Ok(length),
                n => length += n as u64,
            }
        }
    }

    // A gzip that is cut short, or under way, has given all its bytes before it says so.
    fn may_have_more(&self, why: &io::Error) -> bool {
        self.format != Some(Format::Gzip) || why.kind() != io::ErrorKind::UnexpectedEof
    }

    // A decoder gives nothing of a read that meets a wound, so each byte is asked for alone.
    fn read_up_to_wound(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        for at in 0..buffer.len() {
            match self.try_read(&mut buffer[at..=at], offset + at as u64) {
                Ok(1) => {}
                Err(why) if at == 0 => return Err(why),
                _ => return Ok(at),
            }
        }
        Ok(buffer.len())
    }

    fn try_read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < self.offset {
            self.rewind();
        }
        let mut waste = [0; 16 * 1024];
        while self.offset < offset {
            pulse::beat();
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
        self.decoder = None;
        self.offset = 0;
    }

    fn step(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = match &mut self.decoder {
            Some(decoder) => decoder.read(buffer),
            none => {
                let (format, decoder) = decoder(&self.file)?;
                self.format = format;
                none.insert(decoder).read(buffer)
            }
        };
        if result.is_err() {
            self.rewind();
        }
        result
    }
}

type Decoder = Box<dyn Read + Send>;

fn decoder(file: &Arc<dyn File>) -> io::Result<(Option<Format>, Decoder)> {
    let mut head = [0; MAGIC_BYTES];
    let length = fill(&mut |bytes, offset| file.read_at(bytes, offset), &mut head, 0)?;
    let file = Compressed { file: Arc::clone(file), offset: 0 };
    let format = Format::of(&head[..length]);
    let decoder: Decoder = match format {
        Some(Format::Zstd) => Box::new(Zstd::new(file)),
        Some(Format::Xz) => {
            let memory_kib = (2 * WINDOW_BYTES_MAX / 1024) as u32;
            Box::new(XzReader::new_mem_limit(file, true, memory_kib))
        }
        Some(Format::Bzip2) => Box::new(MultiBzDecoder::new(file)),
        // It says itself what is wrong with a file that is none.
        Some(Format::Gzip) | None => Box::new(MultiGzDecoder::new(file)),
    };
    Ok((format, decoder))
}

/// All frames of a zstd file, one after the other.
struct Zstd {
    file: Compressed,
    frame: FrameDecoder,
    within: bool,
}

impl Zstd {
    fn new(file: Compressed) -> Self {
        let mut frame = FrameDecoder::new();
        frame.set_max_window_size(WINDOW_BYTES_MAX);
        Zstd { file, frame, within: false }
    }

    // Whether there is one more frame with data.
    fn next_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.file.file.read_at(&mut [0], self.file.offset)? == 0 {
                return Ok(false);
            }
            match self.frame.reset(&mut self.file) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => self.file.offset += u64::from(length),
                Err(why) => return Err(io::Error::other(why)),
            }
        }
    }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.within = true;
            }
            while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                let block = BlockDecodingStrategy::UptoBlocks(1);
                self.frame.decode_blocks(&mut self.file, block).map_err(io::Error::other)?;
            }
            match self.frame.read(buffer)? {
                0 if !buffer.is_empty() => self.within = false,
                n => return Ok(n),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;
    use std::sync::Mutex;

    use super::*;
    use crate::storage::simulated::SimulatedStorage;
    use crate::storage::{FileFacts, Storage as _};

    type Pack = fn(&[u8]) -> Vec<u8>;
    const PACKS: [Pack; 4] = [gzip, zstd, xz, bzip2];

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(0);
        let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut writer = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
        writer.write_all(text).unwrap();
        writer.finish().unwrap()
    }

    fn text() -> Vec<u8> {
        (0..9999_u32).flat_map(|n| (n * n % 7919).to_le_bytes()).collect()
    }

    fn open(file: &[u8]) -> Archive {
        let storage = SimulatedStorage::default();
        storage.put(Path::new("/a"), file);
        Archive::new(storage.open_read(Path::new("/a")).unwrap())
    }

    /// All that can be read of a file, in reads of this size, and whether it ended well.
    fn read(file: &[u8], step: usize) -> (Vec<u8>, bool) {
        let mut archive = open(file);
        let (mut text, mut buffer) = (Vec::new(), vec![0; step]);
        loop {
            match archive.read_at(&mut buffer, text.len() as u64) {
                Ok(0) => return (text, true),
                Ok(read) => text.extend_from_slice(&buffer[..read]),
                Err(_) => return (text, false),
            }
        }
    }

    #[test]
    fn all_bytes_before_a_wound_are_given_whatever_the_size_of_the_reads() {
        let mut file = gzip(&text());
        let middle = file.len() / 2;
        file[middle..].fill(0xFF);
        let (small, _) = read(&file, 16);
        assert!(small.len() > 1000 && small.len() < text().len());
        for step in [1000, 65_536] {
            assert_eq!(read(&file, step).0.len(), small.len(), "reads of {step} bytes");
        }
    }

    #[test]
    fn a_file_of_several_members_is_read_to_its_end_in_each_format() {
        for (nth, pack) in PACKS.iter().enumerate() {
            let mut file = pack(&text());
            assert!(is_archive(&file[..MAGIC_BYTES]), "{nth}");
            if nth == 1 {
                // A frame that holds no data.
                file.extend_from_slice(b"\x5A\x2A\x4D\x18\x03\0\0\0abc");
            }
            file.extend_from_slice(&pack(b"and more"));
            let whole = [&text()[..], b"and more"].concat();
            for step in [7, 4096, 100_000] {
                assert!(read(&file, step) == (whole.clone(), true), "{nth} {step}");
            }
            let mut archive = open(&file);
            let mut bytes = [0; 8];
            for offset in [20_000, 3, 30_000, 0] {
                assert_eq!(archive.read_at(&mut bytes, offset).unwrap(), 8, "{nth} {offset}");
                assert_eq!(bytes[..], whole[offset as usize..][..8], "{nth} {offset}");
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_gives_a_beginning_and_an_error_in_each_format() {
        for (nth, pack) in PACKS.iter().enumerate() {
            let file = pack(&text());
            for cut in [MAGIC_BYTES, 20, file.len() / 2, file.len() - 1] {
                let (beginning, ended) = read(&file[..cut], 1000);
                // The last byte of a zstd file is its checksum's.
                assert!(!ended || nth == 1 && cut + 1 == file.len(), "{nth} cut at {cut}");
                assert!(text().starts_with(&beginning), "{nth} cut at {cut}");
            }
        }
    }

    /// A file that looks at the thread that reads it: how often it was found at what it was doing the last time.
    struct Looking {
        file: Box<dyn File>,
        watch: Arc<Mutex<(pulse::Watch, usize)>>,
    }

    impl File for Looking {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let (watch, stuck) = &mut *self.watch.lock().unwrap();
            *stuck += watch.stuck().len();
            self.file.read_at(buffer, offset)
        }
        fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.file.write_all_at(bytes, offset)
        }
        fn sync(&self) -> io::Result<()> {
            self.file.sync()
        }
        fn set_len(&self, length: u64) -> io::Result<()> {
            self.file.set_len(length)
        }
        fn facts(&self) -> io::Result<FileFacts> {
            self.file.facts()
        }
    }

    #[test]
    fn going_far_into_an_archive_is_no_hang() {
        // Nothing that could be made much smaller: each read of the file gives a few kilobytes.
        let mixed = |n: u64| {
            let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ((n ^ (n >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56) as u8
        };
        let text: Vec<u8> = (0..500_000).map(mixed).collect();
        let storage = SimulatedStorage::default();
        storage.put(Path::new("/a"), &gzip(&text));
        let pulses = pulse::Pulses::default();
        let _joined = pulses.join("tail");
        let watch = Arc::new(Mutex::new((pulses.watch(), 0)));
        let file = storage.open_read(Path::new("/a")).unwrap();
        let mut archive = Archive::new(Box::new(Looking { file, watch: Arc::clone(&watch) }));
        let mut byte = [0];
        let read = archive.read_at(&mut byte, text.len() as u64 - 1).unwrap();
        assert_eq!((read, byte[0]), (1, text[text.len() - 1]));
        let stuck = watch.lock().unwrap().1;
        assert!(stuck <= 2, "found at the same {stuck} times");
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert_eq!(read(b"2026-11-22 a line of a log", 100), (Vec::new(), false));
    }
}
