//! The table `in_tail_files` of Fluent Bit's database.
//!
//! In: the bytes of an SQLite database, and of its write-ahead log. Out: its rows as files. Promises: only what was
//! committed counts; any bytes end in rows or an error, within steps bounded by their number.
//! On failure: what is wrong with the file.
//!
//! Source: <https://www.sqlite.org/fileformat2.html>.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Adopted;

/// Deepest tree of pages.
const DEPTH_MAX: usize = 20;

/// Pages by number, those of the log before those of the file.
struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    newer: BTreeMap<u32, &'a [u8]>,
    /// Pages that may still be read: a damaged tree must not go round.
    left: usize,
}

/// A value of a row.
enum Cell {
    Number(i64),
    Text(String),
    Other,
}

/// The files of the table.
pub(super) fn files(bytes: &[u8], wal: &[u8]) -> Result<Vec<Adopted>, String> {
    if !bytes.starts_with(b"SQLite format 3\0") || bytes.len() < 100 {
        return Err("it is no SQLite database".to_string());
    }
    let page_size = match u16::from_be_bytes([bytes[16], bytes[17]]) {
        1 => 65_536,
        size if size.is_power_of_two() && size >= 512 => usize::from(size),
        _ => return Err("its page size is none".to_string()),
    };
    let newer = committed(wal, page_size);
    let left = bytes.len() / page_size + newer.len() + 1;
    let mut database = Database { bytes, page_size, newer, left };
    let mut tables = Vec::new();
    database.rows(1, 0, &mut tables)?;
    let root = tables.iter().find_map(|row| match &row[..] {
        [Cell::Text(kind), Cell::Text(name), _, Cell::Number(root), ..]
            if kind == "table" && name == "in_tail_files" =>
        {
            u32::try_from(*root).ok()
        }
        _ => None,
    });
    let root = root.ok_or("it has no table `in_tail_files`")?;
    database.left = bytes.len() / page_size + database.newer.len() + 1;
    let mut rows = Vec::new();
    database.rows(root, 0, &mut rows)?;
    // id, name, offset, inode, created, rotated
    let file = |row: &Vec<Cell>| match &row[..] {
        [_, Cell::Text(name), Cell::Number(offset), Cell::Number(inode), ..] => Some(Adopted {
            path: Some(PathBuf::from(name)),
            inode: u64::try_from(*inode).ok()?,
            offset: u64::try_from(*offset).ok()?,
        }),
        _ => None,
    };
    Ok(rows.iter().filter_map(file).collect())
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// The newest committed version of each page of a write-ahead log.
fn committed(wal: &[u8], page_size: usize) -> BTreeMap<u32, &[u8]> {
    let (mut done, mut open) = (BTreeMap::new(), BTreeMap::new());
    let Some(salts) = wal.get(16..24) else { return done };
    let mut at = 32;
    while let Some(frame) = wal.get(at..at + 24 + page_size) {
        // Frames of an earlier round of the log have other salts.
        if &frame[8..16] != salts {
            break;
        }
        let (page, commit) = (number(frame, 0, 4), number(frame, 4, 4));
        open.insert(page.unwrap_or_default() as u32, &frame[24..]);
        if commit.unwrap_or_default() > 0 {
            done.append(&mut open);
        }
        at += 24 + page_size;
    }
    done
}

impl<'a> Database<'a> {
    fn page(&mut self, page: u32) -> Result<&'a [u8], String> {
        self.left = self.left.checked_sub(1).ok_or("its pages go round")?;
        if let Some(page) = self.newer.get(&page) {
            return Ok(page);
        }
        let start = (page as usize).checked_sub(1).and_then(|n| n.checked_mul(self.page_size));
        let bytes = start.and_then(|start| self.bytes.get(start..start + self.page_size));
        bytes.ok_or_else(|| format!("it has no page {page}"))
    }

    /// Appends the rows of a table.
    fn rows(&mut self, page: u32, depth: usize, rows: &mut Vec<Vec<Cell>>) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err("its tree is too deep".to_string());
        }
        let bytes = self.page(page)?;
        let header = if page == 1 { 100 } else { 0 };
        let damaged = || format!("its page {page} is damaged");
        let kind = *bytes.get(header).ok_or_else(damaged)?;
        let count = number(bytes, header + 3, 2).ok_or_else(damaged)? as usize;
        let cells = header + if kind == 5 { 12 } else { 8 };
        for cell in 0..count {
            let at = number(bytes, cells + 2 * cell, 2).ok_or_else(damaged)? as usize;
            match kind {
                5 => {
                    let child = number(bytes, at, 4).ok_or_else(damaged)? as u32;
                    self.rows(child, depth + 1, rows)?;
                }
                13 => rows.push(row(bytes, at).ok_or_else(damaged)?),
                _ => return Err(damaged()),
            }
        }
        if kind == 5 {
            let last = number(bytes, header + 8, 4).ok_or_else(damaged)? as u32;
            self.rows(last, depth + 1, rows)?;
        }
        Ok(())
    }
}

/// A number of one to nine bytes; moves on behind it.
fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if place == 8 {
            return Some(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Some(number)
}

/// The row of a leaf's cell. A row that goes on in other pages ends with what is here.
fn row(bytes: &[u8], mut at: usize) -> Option<Vec<Cell>> {
    let _length = varint(bytes, &mut at)?;
    let _id = varint(bytes, &mut at)?;
    let start = at;
    let header = usize::try_from(varint(bytes, &mut at)?).ok()?;
    let end = start.checked_add(header)?;
    let mut value = end;
    let mut cells = Vec::new();
    while at < end {
        let kind = varint(bytes, &mut at)?;
        let length = match kind {
            0 | 8 | 9 => 0,
            10 | 11 => return None,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            kind => usize::try_from((kind - 12) / 2).ok()?,
        };
        let Some(part) = bytes.get(value..value.checked_add(length)?) else { break };
        cells.push(match kind {
            8 | 9 => Cell::Number(kind as i64 - 8),
            1..=6 => {
                let bits = 8 * length as u32;
                let whole = part.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
                Cell::Number(((whole << (64 - bits)) as i64) >> (64 - bits))
            }
            kind if kind >= 13 && kind % 2 == 1 => {
                Cell::Text(String::from_utf8_lossy(part).into_owned())
            }
            _ => Cell::Other,
        });
        value += length;
    }
    Some(cells)
}
