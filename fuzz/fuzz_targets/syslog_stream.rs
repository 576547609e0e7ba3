#![no_main]
logweir_fuzz::fuzz!("syslog_stream");
