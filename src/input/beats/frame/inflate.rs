//! The inside of a compressed frame, inflated step by step.
//!
//! In: the frame's bytes (zlib, RFC 1950), its length. Out: inflated bytes in a caller's buffer.
//! Promises: no more memory than zlib's own window; the inflated size is bounded; each step gets on or fails.
//! On failure: a [`ProtocolError`].

use flate2::{Decompress, FlushDecompress, Status};

use super::ProtocolError;

/// A compressed frame that is being read.
pub(super) struct Inflate {
    stream: Decompress,
    /// Compressed bytes of the frame that have not come yet.
    left: usize,
    bytes_max: u64,
    /// The last step filled its buffer, so there may be more without input.
    full: bool,
    ended: bool,
}

/// What a step did.
pub(super) struct Step {
    /// Bytes taken from the input.
    pub used: usize,
    /// Bytes put into the buffer.
    pub made: usize,
    /// The frame is complete.
    pub ended: bool,
}

impl Inflate {
    /// A frame of `length` compressed bytes.
    pub(super) fn new(length: u32, bytes_max: u64) -> Self {
        let stream = Decompress::new(true);
        Inflate { stream, left: length as usize, bytes_max, full: false, ended: false }
    }

    /// Whether a step gets on without input.
    pub(super) fn has_more(&self) -> bool {
        self.full || self.left == 0
    }

    /// Inflates some of `input` into `buffer`.
    pub(super) fn step(&mut self, input: &[u8], buffer: &mut [u8]) -> Result<Step, ProtocolError> {
        let input = &input[..input.len().min(self.left)];
        let mut step = Step { used: 0, made: 0, ended: false };
        if !self.ended {
            self.inflate(input, buffer, &mut step)?;
        }
        if self.ended {
            // Bytes of the frame behind the zlib stream mean nothing.
            let skipped = input.len() - step.used;
            self.left -= skipped;
            step.used += skipped;
            step.ended = self.left == 0;
        } else if self.left == 0 && !self.full {
            return Err(ProtocolError::Truncated);
        }
        Ok(step)
    }

    fn inflate(
        &mut self,
        input: &[u8],
        buffer: &mut [u8],
        step: &mut Step,
    ) -> Result<(), ProtocolError> {
        let (before_in, before_out) = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(input, buffer, FlushDecompress::None)
            .map_err(|why| ProtocolError::Inflate(why.to_string()))?;
        step.used = (self.stream.total_in() - before_in) as usize;
        step.made = (self.stream.total_out() - before_out) as usize;
        self.left -= step.used;
        if self.stream.total_out() > self.bytes_max {
            return Err(ProtocolError::TooMuch(self.bytes_max));
        }
        self.ended = status == Status::StreamEnd;
        let stuck = step.used == 0 && step.made == 0 && !input.is_empty() && !self.ended;
        if stuck {
            return Err(ProtocolError::Inflate("it asks for a dictionary".into()));
        }
        self.full = !self.ended && step.made == buffer.len();
        Ok(())
    }
}
