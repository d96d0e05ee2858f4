//! A config: compiled, or its faults.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::config::{Config, Env, document};

fuzz_target!(|input: &[u8]| {
    // As protobuf and as JSON.
    if let Some(document) = document::read(input) {
        let _compiled = Config::compile(&document, Env::Lenient(&|_| None));
    }
});
