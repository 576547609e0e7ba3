#![no_main]
logweir_fuzz::fuzz!("http_body");
