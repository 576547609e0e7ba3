#![no_main]
logweir_fuzz::fuzz!("journal");
