use super::*;
use crate::error::Kind;
use crate::openai::Endpoint;
use crate::provider::{Stream as _, ended_early};
use wasm_bindgen_test::wasm_bindgen_test;

const USAGE: &str = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n\n";
const HELLO: &str = "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\\\"lo\"}}],\"usage\":null}\n\n";
const CALL: &str = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\": \"{\\\"a\\\":1\"}}]}}]}\r\n\r\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn stream(include_usage: bool) -> Stream {
    let body =
        format!(r#"{{"model":"m","messages":[],"stream":true,"stream_options":{{"include_usage":{include_usage}}}}}"#);
    Stream::new(&Request::parse(Endpoint::ChatCompletions, body.into_bytes()).unwrap(), Reshaping::None)
}

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
    let source = format!(": ping\n\n{HELLO}{CALL}{STOP}{USAGE}{DONE}");
    for (include_usage, expected) in [(true, source.clone()), (false, source.replace(USAGE, ""))] {
        let mut whole = stream(include_usage);
        assert_eq!(run(&mut whole, &[source.as_bytes()]), expected);
        let tally = whole.tally().clone();
        assert_eq!(tally.usage.unwrap().total_tokens(), 7);
        assert_eq!((tally.content_bytes, tally.is_final, tally.is_complete), (7 + 8, true, true));
        for cut in 0..source.len() {
            let mut cut_up = stream(include_usage);
            let (a, b) = source.as_bytes().split_at(cut);
            assert_eq!(run(&mut cut_up, &[a, b]), expected, "cut at {cut}");
            assert_eq!(cut_up.tally(), &tally);
        }
        let mut bytes = stream(include_usage);
        assert_eq!(run(&mut bytes, &source.as_bytes().chunks(1).collect::<Vec<_>>()), expected);
        assert_eq!(bytes.tally(), &tally);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn usage_beside_the_last_choice_stays() {
    let last = STOP.replace("\"usage\":null", "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}");
    let mut stream = stream(false);
    assert_eq!(run(&mut stream, &[last.as_bytes(), DONE.as_bytes()]), format!("{last}{DONE}"));
    assert!(stream.tally().is_final);
}

#[wasm_bindgen_test(unsupported = test)]
fn whole_events_are_not_copied() {
    let mut stream = stream(false);
    let mut out = Vec::new();
    for event in [HELLO, CALL, STOP, DONE] {
        assert_eq!(stream.push(event.as_bytes(), &mut out), Pass::Unchanged);
    }
    assert_eq!(out.capacity(), 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_stream_cut_short_ends_with_an_error_event() {
    let mut cut = stream(false);
    let text = run(&mut cut, &[HELLO.as_bytes(), b"data: {\"choi"]);
    assert!(text.starts_with(&format!("{HELLO}data: {{\"error\":")), "{text}");
    assert_eq!(cut.tally().error.as_ref().unwrap().kind, Kind::BadUpstream);
    assert!(!cut.tally().is_complete);
}

#[wasm_bindgen_test(unsupported = test)]
fn an_error_of_the_provider_is_seen_and_passed_on() {
    let mut stream = stream(false);
    let source = format!("{HELLO}data: {{\"error\":{{\"message\":\"overloaded\",\"type\":\"server_error\"}}}}\n\n");
    assert_eq!(run(&mut stream, &[source.as_bytes()]), source);
    assert_eq!(stream.tally().error.as_ref().unwrap().message, "overloaded");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_last_event_without_its_blank_line_counts() {
    let mut stream = stream(false);
    assert_eq!(run(&mut stream, &[HELLO.as_bytes(), b"data: [DONE]"]), format!("{HELLO}{DONE}"));
    assert!(stream.tally().is_complete);
}

#[wasm_bindgen_test(unsupported = test)]
fn usage_that_the_provider_does_not_say_is_estimated_before_the_end() {
    let told = "data: {\"id\":\"1\",\"choices\":[],\"usage\":\
                {\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\n";
    let estimate = Estimate { input_tokens: 3, tokens_in_bytes: |bytes| bytes.div_ceil(4) };
    let source = format!("{HELLO}{CALL}{STOP}{DONE}");
    for cut in 0..source.len() {
        let mut stream = stream(true);
        stream.estimate(estimate);
        let (a, b) = source.as_bytes().split_at(cut);
        assert_eq!(run(&mut stream, &[a, b]), format!("{HELLO}{CALL}{STOP}{told}{DONE}"), "cut at {cut}");
        assert_eq!((stream.tally().usage, stream.tally().is_final), (None, false));
    }
    let source = format!("{HELLO}{STOP}{USAGE}{DONE}");
    let mut stream = stream(true);
    stream.estimate(estimate);
    assert_eq!(run(&mut stream, &[source.as_bytes()]), source);
}
