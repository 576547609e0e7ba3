#![no_main]
logweir_fuzz::fuzz!("beats_frames");
