//! What holds for every language: properties that each of them proves with goldens of its own.

use serde_json::Value;

use crate::error::Error;
use crate::json::Index;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::params::check;
use crate::provider::{Body, Tally, Target, ended_early};

/// A request for a stream that says its usage.
pub(crate) const ASK: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"u"}],"stream_options":{"include_usage":true}}"#;
/// A request for an answer by a schema.
pub(crate) const ASK_SCHEMA: &[u8] =
    br#"{"model":"m","messages":[],"response_format":{"type":"json_schema","json_schema":{"schema":{}}}}"#;

/// Faults that every language finds: members of a body, and what the error names.
const FAULTS: [(&str, &str); 7] = [
    (r#""messages":[{"content":"secret"}]"#, "messages[0].role"),
    (r#""messages":[{"role":"secret"}]"#, "messages[0].role"),
    (r#""messages":[{"role":"user","content":7}]"#, "messages[0].content"),
    (r#""messages":[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text"),
    (r#""messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]"#, "messages[0].tool_calls[0].function"),
    (r#""messages":[{"role":"user","content":"u"}],"temperature":"secret""#, "temperature"),
    (r#""messages":[{"role":"user","content":"u"}],"reasoning_effort":"secret""#, "reasoning_effort"),
];

pub(crate) fn chat(body: impl Into<Vec<u8>>) -> Request {
    Request::parse(Endpoint::ChatCompletions, body.into()).unwrap()
}

/// What `target` is sent for a chat completion.
pub(crate) fn translated(target: &Target, body: &str) -> Result<Value, Error> {
    target.request(&chat(body), None).map(|upstream| match upstream.body {
        Body::Whole(body) => serde_json::from_slice(&body).unwrap(),
        Body::Splice(_) => panic!("not a whole body"),
    })
}

/// What the client gets of a stream that comes in these pieces, and what is counted.
pub(crate) fn streamed(target: &Target, asked: &Request, pieces: &[&[u8]]) -> (Vec<u8>, Tally) {
    let (mut stream, mut out) = (target.stream(asked, 1), Vec::new());
    for piece in pieces {
        stream.push(piece, &mut out);
    }
    stream.finish(ended_early(), &mut out);
    (out, stream.tally().clone())
}

/// Every `data` line of a stream is one whole JSON text or the end.
pub(crate) fn assert_well_formed(out: &[u8]) {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"));
    assert!(!text.contains('\r') && text.lines().all(|line| line.is_empty() || line.contains(": ")), "{text}");
    for line in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|line| *line != "[DONE]") {
        // Half a surrogate pair goes through as the provider wrote it: no Rust string can hold it, but it is JSON.
        Index::parse(line.as_bytes()).unwrap_or_else(|_| panic!("half a JSON: {line}"));
    }
}

pub(crate) fn every_cut_gives_the_same_chunks(target: &Target, asked: &[Request], streams: &[&[u8]]) {
    for (asked, input) in asked.iter().flat_map(|asked| streams.iter().map(move |input| (asked, input))) {
        let whole = streamed(target, asked, &[input]);
        assert_well_formed(&whole.0);
        for cut in 0..input.len() {
            assert_eq!(streamed(target, asked, &[&input[..cut], &input[cut..]]), whole, "cut at {cut}");
        }
        assert_eq!(streamed(target, asked, &input.chunks(1).collect::<Vec<_>>()), whole);
    }
}

pub(crate) fn a_stream_cut_anywhere_ends_whole_or_with_an_error(target: &Target, streams: &[&[u8]]) {
    let asked = chat(ASK);
    for input in streams {
        for end in 0..input.len() {
            let (out, tally) = streamed(target, &asked, &[&input[..end]]);
            assert_well_formed(&out);
            assert_eq!(tally.is_complete, tally.error.is_none());
            assert_eq!(tally.is_complete, out.ends_with(b"data: [DONE]\n\n"));
        }
    }
}

pub(crate) fn an_event_without_end_is_an_error(target: &Target, stream_of_it: &[u8]) {
    let (mut stream, mut out) = (target.stream(&chat(ASK), 1), Vec::new());
    stream.push(&vec![b'x'; crate::sse::MAX_EVENT_BYTES + 1], &mut out);
    assert!(out.starts_with(b"event: error\ndata: {\"error\":"));
    let len = out.len();
    stream.push(stream_of_it, &mut out);
    stream.finish(ended_early(), &mut out);
    assert_eq!(out.len(), len);
}

/// What peers send may be anything: [`Hostile`] changes the samples.
pub(crate) struct Samples {
    pub(crate) requests: &'static [&'static [u8]],
    pub(crate) responses: &'static [&'static [u8]],
    pub(crate) streams: &'static [&'static [u8]],
}

impl Samples {
    /// Nothing panics, and what goes on is JSON; `asked` takes turns.
    pub(crate) fn survive(&self, targets: &[Target], asked: &[Request], rounds: usize) {
        let mut hostile = Hostile(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let (target, asked) = (&targets[round % targets.len()], &asked[round % asked.len()]);
            for body in self.requests.iter().flat_map(|input| hostile.both(input)) {
                let Ok(parsed) = Request::parse(Endpoint::ChatCompletions, body) else { continue };
                let _checked = check(&parsed, target);
                if let Ok(upstream) = target.request(&parsed, None) {
                    let Body::Whole(body) = upstream.body else { panic!("not a whole body") };
                    Index::parse(&body).expect("valid JSON");
                }
                let _stream = target.stream(&parsed, 1);
            }
            for body in self.responses.iter().flat_map(|input| hostile.both(input)) {
                if let Ok(answer) = target.response(asked, &body, 1) {
                    Index::parse(&answer.body.unwrap()).expect("valid JSON");
                }
                let _error = target.error(500, &body);
            }
            for input in self.streams {
                let (out, tally) = streamed(target, asked, &[&hostile.mutate(input)]);
                assert_well_formed(&out);
                assert_eq!(tally.is_complete, tally.error.is_none());
            }
        }
    }
}

/// Each fault is the client's, names its place, and no content: [`FAULTS`], and those of one language.
pub(crate) fn faults_name_their_places(target: &Target, own: &[(&str, &str)]) {
    for (members, param) in FAULTS.iter().chain(own) {
        let error = translated(target, &format!(r#"{{"model":"m",{members}}}"#)).expect_err(members);
        assert_eq!((error.status(), error.param.as_deref()), (400, Some(*param)), "{members}");
        assert!(!error.message.contains("secret"), "{}", error.message);
    }
}

/// Each parameter that the target lacks is named; where it drops what it lacks, nobody is refused.
pub(crate) fn what_is_lacking_is_named(target: &Target, rows: &[(&str, Option<&str>)]) {
    let dropping = target.dropping();
    for (members, param) in rows {
        let parsed = chat(format!(r#"{{"model":"m","messages":[],{members}}}"#));
        let found = check(&parsed, target).err();
        assert_eq!(found.as_ref().and_then(|error| error.param.as_deref()), *param, "{members}");
        assert!(found.is_none_or(|error| error.code() == Some("unsupported_parameter")));
        assert_eq!(check(&parsed, &dropping), Ok(()));
    }
}
