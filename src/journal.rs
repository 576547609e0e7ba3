//! The fifth room: frames on disk (or in memory), one cursor per output.
