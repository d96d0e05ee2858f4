//! A vendor's error answer: always an error that a client can read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::json::Index;

fuzz_target!(|input: &[u8]| {
    tollgate_fuzz::with_target(input, |target, endpoint, bytes| {
        let [status, body @ ..] = bytes else { return };
        let error = target.error(400 + u16::from(*status) % 200, body);
        Index::parse(&error.body_as(endpoint.errors())).expect("valid JSON");
    });
});
