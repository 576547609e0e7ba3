#![no_main]
logweir_fuzz::fuzz!("tail_lines");
