#![no_main]
logweir_fuzz::fuzz!("import");
