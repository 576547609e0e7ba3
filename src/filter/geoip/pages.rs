//! Pages of a file, some of which are kept in memory.
//!
//! In: an open file, an offset, a length. Out: the bytes. Promises: at most 1 MiB is kept, what was used last;
//! whoever reads the same places again and again pays no system call. On failure: the operating system's error, and
//! `UnexpectedEof` behind the end of the file.

use std::io;

use crate::storage::File;

/// Bytes that are read and kept together.
const PAGE: usize = 4096;
/// Sets of pages; a power of two.
const SETS: usize = 64;
/// Pages of a set, the last used first.
const WAYS: usize = 4;
/// Pages of one file, for one thread.
#[derive(Debug, Default)]
pub(super) struct Pages {
    kept: Vec<Option<Page>>,
    /// The number of the page that was used last, and where it is kept: a record is read in many small pieces.
    last: Option<(u64, usize)>,
}

#[derive(Debug)]
struct Page {
    number: u64,
    /// Shorter than a page at the end of the file only.
    bytes: Vec<u8>,
}

impl Pages {
    /// Fills `out` with what stands at `at`.
    #[inline]
    pub(super) fn read(&mut self, file: &dyn File, at: u64, out: &mut [u8]) -> io::Result<()> {
        let Some(here) = self.here(at, out.len()) else { return self.read_pages(file, at, out) };
        match out {
            [one] => *one = here[0],
            _ => out.copy_from_slice(here),
        }
        Ok(())
    }

    /// What stands at `at`, if all of it is in the page that was used last.
    #[inline]
    fn here(&self, at: u64, length: usize) -> Option<&[u8]> {
        let (number, slot) = self.last.filter(|(number, _)| *number == at / PAGE as u64)?;
        let from = (at - number * PAGE as u64) as usize;
        self.kept.get(slot)?.as_ref()?.bytes.get(from..from + length)
    }

    fn read_pages(&mut self, file: &dyn File, at: u64, out: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < out.len() {
            let place = at + done as u64;
            let page = self.page(file, place / PAGE as u64)?;
            let found = page.get((place % PAGE as u64) as usize..).unwrap_or_default();
            if found.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = found.len().min(out.len() - done);
            out[done..done + count].copy_from_slice(&found[..count]);
            done += count;
        }
        Ok(())
    }

    fn page(&mut self, file: &dyn File, number: u64) -> io::Result<&[u8]> {
        if self.kept.is_empty() {
            self.kept.resize_with(SETS * WAYS, || None);
        }
        // Neighbouring pages are in different sets.
        let from = (number as usize % SETS) * WAYS;
        let set = &mut self.kept[from..from + WAYS];
        let same = |kept: &Option<Page>| kept.as_ref().is_some_and(|page| page.number == number);
        // The set is turned below, and reading may fail.
        self.last = None;
        let found = set.iter().position(same);
        set[..=found.unwrap_or(WAYS - 1)].rotate_right(1);
        if found.is_none() {
            let mut bytes = set[0].take().map(|page| page.bytes).unwrap_or_default();
            bytes.clear();
            let start = number * PAGE as u64;
            while bytes.len() < PAGE {
                let done = bytes.len();
                if file.append_at(&mut bytes, PAGE - done, start + done as u64)? == 0 {
                    break;
                }
            }
            set[0] = Some(Page { number, bytes });
        }
        self.last = Some((number, from));
        Ok(set[0].as_ref().map_or(&[], |page| &page.bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::storage::Storage;
    use crate::storage::simulated::SimulatedStorage;

    /// The most bytes that are kept.
    const KEPT_BYTES: usize = SETS * WAYS * PAGE;

    #[test]
    fn any_part_of_the_file_is_read_as_it_is_whatever_was_read_before() {
        let disk = SimulatedStorage::default();
        let content: Vec<u8> =
            (0..3 * KEPT_BYTES as u32 + 77).map(|n| (n / 3 % 251) as u8).collect();
        let path = Path::new("/d/file");
        disk.create_directory(Path::new("/d")).unwrap();
        disk.open_write(path).unwrap().write_all_at(&content, 0).unwrap();
        let file = disk.open_read(path).unwrap();
        let mut pages = Pages::default();
        let mut at = 1_usize;
        for round in 0..4000_usize {
            at = (at * 1_103_515_245 + 12_345) % (content.len() - 9000);
            let mut out = vec![0; round % 9000];
            pages.read(&*file, at as u64, &mut out).unwrap();
            assert_eq!(out, content[at..at + out.len()]);
        }
        let kept: usize = pages.kept.iter().flatten().map(|page| page.bytes.capacity()).sum();
        assert!(kept <= 2 * KEPT_BYTES, "{kept}");
        let mut out = [0; 8];
        let end = content.len() as u64;
        pages.read(&*file, end - 8, &mut out).unwrap();
        let error = pages.read(&*file, end - 7, &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
