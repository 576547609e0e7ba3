#![no_main]
logweir_fuzz::fuzz!("kafka_reply");
