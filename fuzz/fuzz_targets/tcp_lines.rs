#![no_main]
logweir_fuzz::fuzz!("tcp_lines");
