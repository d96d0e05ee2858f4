use super::*;
use crate::error::Kind;
use crate::provider::hostile::Hostile;
use crate::provider::{Stream as _, ended_early};
use wasm_bindgen_test::wasm_bindgen_test;

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"tools\":[{\"parameters\":{\"delta\":{}}}],\"usage\":null},\"sequence_number\":0}\n\n";
const DELTA: &str = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"Hel\\\"lo\"}\n\n";
const CALL: &str = "data: {\"type\":\"response.function_call_arguments.delta\",\"sequence_number\":2,\"delta\": \"{\\\"a\\\":1\"}\r\n\r\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"tools\":[{\"delta\":\"x\"}],\"usage\":{\"input_tokens\":5,\"input_tokens_details\":{\"cached_tokens\":1},\"output_tokens\":2,\"output_tokens_details\":{\"reasoning_tokens\":1},\"total_tokens\":7}},\"sequence_number\":3}\n\n";

fn run(stream: &mut Stream, chunks: &[&[u8]]) -> String {
    let mut all = Vec::new();
    for chunk in chunks {
        let mut out = Vec::new();
        match stream.push(chunk, &mut out) {
            Pass::Unchanged => {
                assert!(out.is_empty());
                all.extend_from_slice(chunk);
            }
            Pass::Replaced => all.extend_from_slice(&out),
        }
    }
    stream.finish(ended_early(), &mut all);
    String::from_utf8(all).unwrap()
}

#[wasm_bindgen_test(unsupported = test)]
fn every_cut_gives_the_same_bytes_and_tally() {
    let source = format!("{CREATED}{DELTA}{CALL}{COMPLETED}");
    let mut whole = Stream::new();
    assert_eq!(run(&mut whole, &[source.as_bytes()]), source);
    let tally = whole.tally().clone();
    let usage = tally.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cached_tokens), (5, 1));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (2, 1));
    assert_eq!((tally.content_bytes, tally.is_final, tally.is_complete), (7 + 8, true, true));
    for cut in 0..source.len() {
        let mut stream = Stream::new();
        let (a, b) = source.as_bytes().split_at(cut);
        assert_eq!(run(&mut stream, &[a, b]), source, "cut at {cut}");
        assert_eq!(stream.tally(), &tally);
    }
    let mut bytes = Stream::new();
    assert_eq!(run(&mut bytes, &source.as_bytes().chunks(1).collect::<Vec<_>>()), source);
    assert_eq!(bytes.tally(), &tally);
}

#[wasm_bindgen_test(unsupported = test)]
fn whole_events_are_not_copied() {
    let (mut stream, mut out) = (Stream::new(), Vec::new());
    for event in [CREATED, DELTA, CALL, COMPLETED] {
        assert_eq!(stream.push(event.as_bytes(), &mut out), Pass::Unchanged);
    }
    assert_eq!(out.capacity(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn every_end_is_an_end() {
    for (end, has_error) in [("response.completed", false), ("response.incomplete", false), ("response.failed", true)] {
        for name in [format!("event: {end}\n"), String::new()] {
            let failure = r#"{"code":"server_error","message":"no luck"}"#;
            let error = if has_error { failure } else { "null" };
            let source = format!(
                "{name}data: {{\"type\":\"{end}\",\"response\":{{\"error\":{error},\"usage\":{{\"input_tokens\":1}}}}}}\n\n"
            );
            let mut stream = Stream::new();
            assert_eq!(run(&mut stream, &[source.as_bytes()]), source);
            let tally = stream.tally();
            assert_eq!((tally.is_complete, tally.is_final), (!has_error, true), "{source}");
            assert_eq!(tally.error.as_ref().map(|error| error.message.as_str()), has_error.then_some("no luck"));
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_short_ends_with_an_error_event() {
    let mut cut = Stream::new();
    let text = run(&mut cut, &[CREATED.as_bytes(), DELTA.as_bytes(), b"event: response.comp"]);
    let event = "event: error\ndata: {\"type\":\"error\",\"code\":\"bad_upstream_response\",\"message\":\"the provider's stream \
                 ended before the answer did\",\"param\":null,\"sequence_number\":2}\n\n";
    assert_eq!(text, format!("{CREATED}{DELTA}{event}"));
    assert_eq!(cut.tally().error.as_ref().unwrap().kind, Kind::BadUpstream);
    assert!(!cut.tally().is_complete);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_error_of_the_provider_is_seen_and_passed_on() {
    for data in [
        r#"{"type":"error","code":"server_error","message":"overloaded","param":null,"sequence_number":2}"#,
        r#"{"type":"error","error":{"type":"server_error","code":null,"message":"overloaded"}}"#,
    ] {
        for name in ["event: error\n", ""] {
            let source = format!("{CREATED}{name}data: {data}\n\n");
            let mut stream = Stream::new();
            assert_eq!(run(&mut stream, &[source.as_bytes()]), source);
            assert_eq!(stream.tally().error.as_ref().unwrap().message, "overloaded");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn hostile_events_pass_the_same_however_they_are_cut() {
    let mut hostile = Hostile(0x2545_f491);
    let source = format!("{CREATED}{DELTA}{CALL}{COMPLETED}");
    for _ in 0..500 {
        let source = hostile.mutate(source.as_bytes());
        if std::str::from_utf8(&source).is_err() {
            continue;
        }
        let (mut whole, mut bytes) = (Stream::new(), Stream::new());
        let expected = run(&mut whole, &[&source]);
        assert_eq!(run(&mut bytes, &source.chunks(1).collect::<Vec<_>>()), expected);
        assert_eq!(bytes.tally(), whole.tally());
    }
}
