#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wheeltapper_fuzz::access::encrypted_column(bytes));
