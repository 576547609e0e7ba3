//! What stands in the place of a secret.
//!
//! In: the secret. Out: a mask; a mask and the secret's last characters; or a keyed digest, which is the same for the
//! same secret and tells nothing to who has no key. Promises: of a short secret nothing is shown; a digest is short
//! enough that no detector takes it for a secret. On failure: nothing can fail.

use std::sync::Arc;

use super::super::digest::{Digester, write_hex};

/// Bytes of a digest that are written: enough to tell secrets apart.
const DIGEST_BYTES: usize = 8;
/// A secret must be so many times longer than what is shown of it.
const SHOWN_PART: usize = 3;

/// What stands in the place of a secret.
#[derive(Clone)]
pub(super) struct Replacement {
    mask: String,
    mode: Mode,
}

/// How a secret is replaced.
#[derive(Clone)]
pub(super) enum Mode {
    /// By the mask.
    Mask,
    /// By the mask and so many of its last characters.
    Partial(usize),
    /// By its digest.
    Hash(Arc<Digester>),
    /// With the whole field that it stands in.
    DropField,
}

impl Replacement {
    pub(super) fn new(mask: String, mode: Mode) -> Replacement {
        Replacement { mask, mode }
    }

    /// Whether the field goes in which a secret stands.
    pub(super) fn drops_field(&self) -> bool {
        matches!(self.mode, Mode::DropField)
    }

    /// Appends what stands there instead.
    pub(super) fn write(&self, secret: &[u8], out: &mut Vec<u8>) {
        match &self.mode {
            Mode::Mask | Mode::DropField => out.extend_from_slice(self.mask.as_bytes()),
            Mode::Partial(keep) => {
                out.extend_from_slice(self.mask.as_bytes());
                out.extend_from_slice(last(secret, *keep));
            }
            Mode::Hash(digester) => {
                write_hex(&digester.digest(secret).bytes()[..DIGEST_BYTES], out);
            }
        }
    }
}

/// The last characters; none of a text that is short.
fn last(secret: &[u8], keep: usize) -> &[u8] {
    let begins = |at: &usize| secret[*at] & 0xC0 != 0x80;
    let characters = (0..secret.len()).filter(begins).count();
    if keep == 0 || characters < keep * SHOWN_PART {
        return b"";
    }
    (0..secret.len()).rev().filter(begins).nth(keep - 1).map_or(b"", |at| &secret[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_secret_is_shown_and_nothing_of_a_short_one() {
        assert_eq!(last(b"4111111111111234", 4), b"1234");
        assert_eq!(last(b"hunter2hunte", 4), b"unte");
        assert_eq!(last(b"hunter2", 4), b"");
        assert_eq!(last("äöüäöüäöüäöü".as_bytes(), 2), "öü".as_bytes());
        assert_eq!(last(b"hunter2hunter2", 0), b"");
    }
}
