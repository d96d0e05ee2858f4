//! A vendor's whole answer: a body that is JSON, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::json::Index;

fuzz_target!(|input: &[u8]| {
    tollgate_fuzz::with_target(input, |target, endpoint, body| {
        let Some((asked, ask)) = tollgate_fuzz::asked(target, endpoint) else { return };
        if let Ok(answer) = ask.response(&asked, target, body, 1)
            && let Some(body) = answer.body
        {
            Index::parse(&body).expect("valid JSON");
        }
    });
});
