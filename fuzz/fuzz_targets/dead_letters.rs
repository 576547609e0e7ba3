#![no_main]
logweir_fuzz::fuzz!("dead_letters");
