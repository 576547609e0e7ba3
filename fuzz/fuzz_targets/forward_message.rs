#![no_main]
logweir_fuzz::fuzz!("forward_message");
