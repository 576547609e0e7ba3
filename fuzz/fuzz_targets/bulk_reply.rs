#![no_main]
logweir_fuzz::fuzz!("bulk_reply");
