//! The format of `MaxMind` databases, read piece by piece.
//!
//! In: an open file. Out: where the record of an address stands, and the values in it. The format is that of the
//! "MaxMind DB File Format Specification", version 2.0: a binary tree over the bits of addresses, then values that
//! point to one another, then what describes both. Promises: only the pages that a question needs are read, nothing of
//! the file is held but those; a pointer that leads astray ends in a [`Fault`]. On failure: [`Fault`].

use std::net::IpAddr;
use std::{fmt, io};

use super::pages::Pages;
use crate::storage::File;

/// What stands in front of the description.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The description stands within so many bytes of the end.
const DESCRIPTION_WITHIN: u64 = 128 * 1024;
/// Zero bytes between the tree and the values.
const SEPARATOR: u64 = 16;
/// Values may hold one another so deep.
const MAX_DEPTH: u32 = 32;
/// A text may have so many bytes.
const MAX_TEXT: usize = 4096;
/// Nodes that are visited for a trial.
const TRIAL_NODES: usize = 1 << 20;

const POINTER: u8 = 1;
const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const BYTES: u8 = 4;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const INT32: u8 = 8;
const UINT64: u8 = 9;
const UINT128: u8 = 10;
const ARRAY: u8 = 11;
const BOOLEAN: u8 = 14;
const FLOAT: u8 = 15;

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Fault {
    /// It cannot be read.
    Io(io::Error),
    /// It is not what the format says.
    Format(&'static str),
}

/// Where things stand in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    nodes: u32,
    /// Of the two records of a node together.
    node_bytes: u64,
    /// Whether addresses have 128 bits.
    wide: bool,
    /// The first byte of the values, and the one behind the last.
    values: (u64, u64),
    /// The node that IPv4 addresses begin at.
    narrow_root: u32,
}

/// A file under the eyes of one thread.
pub(super) struct View<'a> {
    file: &'a dyn File,
    pages: &'a mut Pages,
    /// What pointers count from, and where values end.
    values: (u64, u64),
}

/// A value's kind and size, and where its content begins.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u8,
    size: usize,
    content: u64,
}

impl Layout {
    /// Reads the description and finds the way to IPv4 addresses.
    pub(super) fn read(file: &dyn File, pages: &mut Pages) -> Result<Layout, Fault> {
        let size = file.facts()?.size;
        let from = size.saturating_sub(DESCRIPTION_WITHIN);
        let mut tail = vec![0; (size - from) as usize];
        pages.read(file, from, &mut tail)?;
        let found =
            memchr::memmem::rfind(&tail, MARKER).ok_or("it has no description at its end")?;
        let marker = from + found as u64;
        let start = marker + MARKER.len() as u64;
        let mut view = View { file, pages, values: (start, size) };
        let (mut nodes, mut bits, mut version) = (0, 0, 0);
        view.map(start, |view, key, at| {
            match key {
                b"node_count" => nodes = view.whole(at)?,
                b"record_size" => bits = view.whole(at)?,
                b"ip_version" => version = view.whole(at)?,
                _ => {}
            }
            Ok(())
        })?;
        if !matches!(bits, 24 | 28 | 32) || !matches!(version, 4 | 6) {
            return Err(Fault::Format("its description is not that of a database"));
        }
        let node_bytes = bits / 4;
        let tree = nodes.checked_mul(node_bytes).filter(|tree| tree + SEPARATOR <= marker);
        let (Ok(nodes @ 1..), Some(tree)) = (u32::try_from(nodes), tree) else {
            return Err(Fault::Format("its tree is larger than the file"));
        };
        let values = (tree + SEPARATOR, marker);
        let mut layout = Layout { nodes, node_bytes, wide: version == 6, values, narrow_root: 0 };
        if layout.wide {
            let mut view = layout.view(file, pages);
            let mut node = 0;
            for _ in 0..96 {
                if node >= nodes {
                    break;
                }
                node = layout.child(&mut view, node, false)?;
            }
            layout.narrow_root = node;
        }
        Ok(layout)
    }

    /// The file under the eyes of one thread.
    pub(super) fn view<'a>(&self, file: &'a dyn File, pages: &'a mut Pages) -> View<'a> {
        View { file, pages, values: self.values }
    }

    /// Where the record of an address stands; `None`: it has none.
    pub(super) fn find(&self, view: &mut View<'_>, address: IpAddr) -> Result<Option<u64>, Fault> {
        let (bits, mut node, count) = match address {
            IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, self.narrow_root, 32),
            IpAddr::V6(address) if self.wide => (u128::from(address), 0, 128),
            IpAddr::V6(_) => return Ok(None),
        };
        for bit in 0..count {
            if node >= self.nodes {
                break;
            }
            node = self.child(view, node, bits >> (127 - bit) & 1 == 1)?;
        }
        self.record(node)
    }

    /// Where the first records stand, as the tree has them.
    pub(super) fn first(&self, view: &mut View<'_>, most: usize) -> Result<Vec<u64>, Fault> {
        let (mut records, mut open, mut visited) = (Vec::new(), vec![(0, 0)], 0);
        while let Some((node, depth)) = open.pop() {
            visited += 1;
            if records.len() == most || visited == TRIAL_NODES {
                break;
            }
            if node >= self.nodes {
                records.extend(self.record(node)?);
            } else if depth < 128 {
                open.push((self.child(view, node, true)?, depth + 1));
                open.push((self.child(view, node, false)?, depth + 1));
            } else {
                return Err(Fault::Format("its tree does not end"));
            }
        }
        Ok(records)
    }

    fn record(&self, node: u32) -> Result<Option<u64>, Fault> {
        let Some(beyond) = node.checked_sub(self.nodes) else {
            return Err(Fault::Format("its tree does not end"));
        };
        let at = self.values.0 - SEPARATOR + u64::from(beyond);
        match beyond {
            0 => Ok(None),
            _ if at >= self.values.0 && at < self.values.1 => Ok(Some(at)),
            _ => Err(Fault::Format("its tree points out of the file")),
        }
    }

    fn child(&self, view: &mut View<'_>, node: u32, right: bool) -> Result<u32, Fault> {
        let mut bytes = [0; 8];
        let at = u64::from(node) * self.node_bytes;
        view.pages.read(view.file, at, &mut bytes[..self.node_bytes as usize])?;
        let whole = u64::from_be_bytes(bytes);
        // A node of seven bytes keeps the highest four bits of either record in its middle byte.
        let record = match (self.node_bytes, right) {
            (6, false) => whole >> 40,
            (6, true) => whole >> 16 & 0xFF_FFFF,
            (7, false) => whole >> 40 | (whole >> 36 & 15) << 24,
            (7, true) => whole >> 8 & 0x0FFF_FFFF,
            (_, false) => whole >> 32,
            (_, true) => whole & 0xFFFF_FFFF,
        };
        Ok(record as u32)
    }
}

impl View<'_> {
    /// Hands over each member of the map at a place: its name, and where its value stands.
    pub(super) fn map(
        &mut self,
        at: u64,
        mut member: impl FnMut(&mut Self, &[u8], u64) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let head = self.target(at)?;
        if head.kind != MAP {
            return Err(Fault::Format("a value is not of the kind that it should be"));
        }
        let (mut at, mut name) = (head.content, Vec::new());
        for _ in 0..head.size {
            self.text_into(at, &mut name)?;
            at = self.skip(at, 0)?;
            member(self, &name, at)?;
            at = self.skip(at, 0)?;
        }
        Ok(())
    }

    /// Where the value of a member of the map at a place stands; what follows the member is not looked at.
    pub(super) fn member(&mut self, at: u64, wanted: &[u8]) -> Result<Option<u64>, Fault> {
        let head = self.target(at)?;
        if head.kind != MAP {
            return Err(Fault::Format("a value is not of the kind that it should be"));
        }
        let (mut at, mut name) = (head.content, Vec::new());
        for _ in 0..head.size {
            self.text_into(at, &mut name)?;
            at = self.skip(at, 0)?;
            if name == wanted {
                return Ok(Some(at));
            }
            at = self.skip(at, 0)?;
        }
        Ok(None)
    }

    /// Where the first item of the list at a place stands.
    pub(super) fn first_item(&mut self, at: u64) -> Result<Option<u64>, Fault> {
        match self.target(at)? {
            Head { kind: ARRAY, size, content } => Ok((size > 0).then_some(content)),
            _ => Err(Fault::Format("a value is not of the kind that it should be")),
        }
    }

    /// The text at a place.
    pub(super) fn text(&mut self, at: u64) -> Result<String, Fault> {
        let mut text = Vec::new();
        self.text_into(at, &mut text)?;
        String::from_utf8(text).map_err(|_| Fault::Format("a text is not UTF-8"))
    }

    /// The number at a place that has no sign.
    pub(super) fn whole(&mut self, at: u64) -> Result<u64, Fault> {
        let head = self.target(at)?;
        if !matches!(head.kind, UINT16 | UINT32 | UINT64) || head.size > 8 {
            return Err(Fault::Format("a value is not of the kind that it should be"));
        }
        let mut bytes = [0; 8];
        self.bytes(head.content, &mut bytes[8 - head.size..])?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// The number with a fraction at a place.
    pub(super) fn fraction(&mut self, at: u64) -> Result<f64, Fault> {
        match self.target(at)? {
            Head { kind: DOUBLE, size: 8, content } => {
                let mut bytes = [0; 8];
                self.bytes(content, &mut bytes)?;
                Ok(f64::from_be_bytes(bytes))
            }
            _ => Err(Fault::Format("a value is not of the kind that it should be")),
        }
    }

    fn text_into(&mut self, at: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.target(at)? {
            Head { kind: TEXT, size, content } if size <= MAX_TEXT => {
                out.clear();
                out.resize(size, 0);
                self.bytes(content, out)
            }
            _ => Err(Fault::Format("a value is not of the kind that it should be")),
        }
    }

    /// The head of the value at a place, or of the one that it points to.
    fn target(&mut self, at: u64) -> Result<Head, Fault> {
        let head = self.head(at)?;
        if head.kind != POINTER {
            return Ok(head);
        }
        let target = self.head(self.values.0 + head.size as u64)?;
        match target.kind {
            POINTER => Err(Fault::Format("a pointer leads to a pointer")),
            _ => Ok(target),
        }
    }

    /// Behind the value at a place.
    fn skip(&mut self, at: u64, depth: u32) -> Result<u64, Fault> {
        let head = self.head(at)?;
        let values = match head.kind {
            POINTER | BOOLEAN => return Ok(head.content),
            MAP => head.size * 2,
            ARRAY => head.size,
            _ => return Ok(head.content + head.size as u64),
        };
        if depth == MAX_DEPTH {
            return Err(Fault::Format("values lie within one another without end"));
        }
        (0..values).try_fold(head.content, |at, _| self.skip(at, depth + 1))
    }

    /// The head of the value at a place; of a pointer the size is what it points to, and the content begins behind it.
    fn head(&mut self, at: u64) -> Result<Head, Fault> {
        let control = self.number(at, 1)? as u8;
        let (mut kind, mut content) = (control >> 5, at + 1);
        if kind == POINTER {
            let (width, least) = match control >> 3 & 3 {
                0 => (1, 0),
                1 => (2, 2048),
                2 => (3, 526_336),
                _ => (4, 0),
            };
            let high = if width == 4 { 0 } else { u64::from(control & 7) << (8 * width) };
            let size = (high | self.number(content, width)?) + least;
            return Ok(Head { kind, size: size as usize, content: content + width });
        }
        if kind == 0 {
            kind = (self.number(content, 1)? as u8).saturating_add(7);
            content += 1;
        }
        let (width, least) = match control & 31 {
            29 => (1, 29),
            30 => (2, 285),
            31 => (3, 65_821),
            size => (0, u64::from(size)),
        };
        let size = (self.number(content, width)? + least) as usize;
        let fits = match kind {
            TEXT | BYTES | MAP | ARRAY => true,
            DOUBLE => size == 8,
            FLOAT | INT32 => size <= 4,
            UINT16 => size <= 2,
            UINT32 => size <= 4,
            UINT64 => size <= 8,
            UINT128 => size <= 16,
            BOOLEAN => size <= 1,
            _ => false,
        };
        if !fits {
            return Err(Fault::Format("a value has a size that its kind cannot have"));
        }
        Ok(Head { kind, size, content: content + width })
    }

    /// So many bytes as a number, the highest first.
    fn number(&mut self, at: u64, width: u64) -> Result<u64, Fault> {
        let mut bytes = [0; 8];
        self.bytes(at, &mut bytes[8 - width as usize..])?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn bytes(&mut self, at: u64, out: &mut [u8]) -> Result<(), Fault> {
        if at + out.len() as u64 > self.values.1 {
            return Err(Fault::Format("a value reaches beyond the end"));
        }
        Ok(self.pages.read(self.file, at, out)?)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl From<&'static str> for Fault {
    fn from(what: &'static str) -> Fault {
        Fault::Format(what)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Io(error) => error.fmt(f),
            Fault::Format(what) => f.write_str(what),
        }
    }
}
