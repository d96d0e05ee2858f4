//! A client's body, at every endpoint, for every vendor: a body that is JSON, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::bridge::Asked;
use tollgate::json::Index;
use tollgate::openai::{Endpoint, Request};
use tollgate::provider::Body;

fuzz_target!(|input: &[u8]| {
    tollgate_fuzz::with_target(input, |target, endpoint, body| {
        // A WebSocket is asked for without a body.
        let Some(request) = Request::parse(endpoint, body.to_vec()).ok().filter(|_| endpoint != Endpoint::Realtime) else {
            return;
        };
        let asked = Asked::new(request);
        if asked.check(target).is_ok()
            && let Ok((_, upstream)) = asked.ask(target, None)
        {
            match upstream.body {
                Body::Whole(body) => drop(Index::parse(&body).expect("valid JSON")),
                Body::Splice(splice) => drop(splice.apply(&asked.client().body).expect("a splice that fits")),
            }
        }
    });
});
