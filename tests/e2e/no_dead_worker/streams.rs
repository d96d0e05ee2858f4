//! Streams of a provider that are not what they should be.
//!
//! A stream that ended well ends with `[DONE]`. One that the provider ended early ends with an error event and without
//! `[DONE]`. One that the provider's connection broke off breaks off too: Envoy resets it without asking any filter.

use serde_json::Value;

use super::{PROMPT, Rig, VENDORS, Vendor, expect_error};
use crate::harness::Answer;
use crate::raw::{answer, endless};

const SSE: &str = "text/event-stream";
const STREAM: &str = ",\"stream\":true";

fn content_of(found: &Answer) -> String {
    let texts = found
        .chunks()
        .into_iter()
        .filter_map(|chunk| Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned()));
    texts.collect()
}

/// The data of the last event, which is an error in OpenAI's shape; nothing of `[DONE]` is there.
#[track_caller]
fn expect_last_error(found: &Answer, code: Option<&str>) -> Value {
    assert_eq!(found.status, 200, "{}", found.text());
    assert!(found.is_whole, "broke off: {}", found.text());
    assert!(!found.text().contains("[DONE]"), "{}", found.text());
    let last = found.events().pop().unwrap_or_else(|| panic!("no event: {}", found.text()));
    let error = serde_json::from_str::<Value>(last).unwrap()["error"].clone();
    let fields: Vec<&String> = error.as_object().unwrap_or_else(|| panic!("no error: {last}")).keys().collect();
    assert_eq!(fields, ["code", "message", "param", "type"], "{error:#}");
    assert_eq!(error["code"].as_str(), code, "{error:#}");
    error
}

#[test]
fn a_stream_of_events_that_are_no_json_ends_in_an_error() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let found = rig.ask(&rig.scripted(vendor, "garbage=1"), STREAM);
        expect_last_error(&found, Some("bad_upstream_response"));
    }
    rig.serves_on("garbage events");
}

#[test]
fn an_error_amid_a_stream_is_passed_on_and_ends_it() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let found = rig.ask(&rig.scripted(vendor, "error-stream=3"), STREAM);
        let error = expect_last_error(&found, None);
        let words = if vendor == Vendor::OpenAi { "The server had an error" } else { "Overloaded" };
        assert!(error["message"].as_str().unwrap().starts_with(words), "{error:#}");
        assert!(found.text().contains("The mock provider"), "{}", found.text());
    }
    rig.serves_on("an error amid a stream");
}

#[test]
fn a_stream_whose_connection_breaks_off_breaks_off() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let found = rig.ask(&rig.scripted(vendor, "cut=3,chunk-ms=5"), STREAM);
        assert_eq!((found.status, found.is_whole), (200, false), "{}", found.text());
        assert!(found.text().contains("The mock provider") && !found.text().contains("[DONE]"), "{}", found.text());
        let found = rig.ask(&rig.scripted(vendor, "reset=1"), STREAM);
        expect_error(&found, 503, "api_error", "upstream_unreachable");
    }
    rig.serves_on("streams that broke off");
}

#[test]
fn a_stream_that_ends_early_ends_in_an_error() {
    let rig = Rig::shared();
    let openai = r#"data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}"#;
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"model\":\"m\"}}";
    let block =
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"Hi\"}}";
    let anthropic = format!("{start}\n\n{block}");
    for (vendor, events) in [(Vendor::OpenAi, openai), (Vendor::Anthropic, &anthropic)] {
        // With the blank line, without it, amid the next event, amid a character.
        for end in [&b"\n\n"[..], b"", b"\n", b"\r\n\r\n", b"\n\ndata: {\"choi", b"\n\ndata: \xc3", b"\n\n:", b"\n\n\0"]
        {
            let model = rig.raw(vendor, endless(SSE, &[events.as_bytes(), end].concat()));
            let found = rig.ask(&model, STREAM);
            expect_last_error(&found, Some("bad_upstream_response"));
            assert!(found.text().contains("\"content\":\"Hi\""), "{}", found.text());
        }
    }
    rig.serves_on("streams that ended early");
}

#[test]
fn an_empty_stream_ends_in_an_error() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        for bytes in [endless(SSE, b""), endless(SSE, b"\n\n\n\n"), endless(SSE, b": ping\n\n")] {
            let found = rig.ask(&rig.raw(vendor, bytes), STREAM);
            expect_last_error(&found, Some("bad_upstream_response"));
        }
        let found = rig.ask(&rig.raw(vendor, answer("200 OK", SSE, b"")), STREAM);
        expect_error(&found, 502, "api_error", "bad_upstream_response");
    }
    rig.serves_on("empty streams");
}

/// An event that never ends is kept up to a bound: then it passes unread, or the stream ends.
#[test]
fn an_event_without_an_end_is_not_kept_for_ever() {
    let rig = Rig::shared();
    let bytes = endless(SSE, format!("data: {}", "x".repeat(9 << 20)).as_bytes());
    let found = rig.ask(&rig.raw(Vendor::OpenAi, bytes.clone()), STREAM);
    assert_eq!((found.status, found.is_whole, found.body.len()), (200, true, bytes.len() - endless(SSE, b"").len()));
    let found = rig.ask(&rig.raw(Vendor::Anthropic, bytes), STREAM);
    expect_last_error(&found, Some("bad_upstream_response"));
    rig.serves_on("an event without an end");
}

#[test]
fn a_long_stream_in_tiny_pieces_arrives_whole() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let found = rig.ask(&rig.scripted(vendor, "chunks=500,chunk-bytes=61"), STREAM).expect_ok();
        assert!(found.is_whole && found.text().ends_with("data: [DONE]\n\n"), "{vendor:?}");
        assert!(content_of(&found).starts_with("The mock provider answers every question"), "{vendor:?}");
    }
    rig.serves_on("a stream in tiny pieces");
}

/// A provider may ignore `stream`: what comes is read as what it says it is.
#[test]
fn an_answer_of_the_other_kind_than_asked_for_is_read_as_what_it_is() {
    let rig = Rig::shared();
    let bodies = [
        (Vendor::OpenAi, r#"{"id":"x","object":"chat.completion","choices":[]}"#),
        (Vendor::Anthropic, r#"{"id":"x","type":"message","content":[],"model":"m","stop_reason":"end_turn"}"#),
    ];
    for (vendor, body) in bodies {
        let whole = rig.raw(vendor, answer("200 OK", "application/json", body.as_bytes()));
        assert_eq!(rig.ask(&whole, STREAM).expect_ok().at("/object"), "chat.completion");
        let events = rig.raw(vendor, endless(SSE, b"data: [DONE]\n\n"));
        let found = rig.ask(&events, "").expect_ok();
        assert!(found.is_whole, "{}", found.text());
        // An error in the words of a stream, and a stream that calls itself JSON.
        let error = rig.raw(vendor, answer("500 Oops", SSE, b"data: {\"error\":{\"message\":\"x\"}}\n\n"));
        assert_eq!(rig.ask(&error, STREAM).at("/error/type"), "api_error");
        let untyped = rig.raw(vendor, answer("200 OK", "application/json", b"data: [DONE]\n\n"));
        expect_error(&rig.ask(&untyped, STREAM), 502, "api_error", "bad_upstream_response");
    }
    rig.serves_on("answers of the other kind");
}

#[test]
fn a_stream_may_hold_any_bytes_in_its_events() {
    let rig = Rig::shared();
    let odd = [
        &b"data: \xff\xfe\n\n"[..],
        b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n",
        b"data: [[[[\n\n",
        b"data: {\"type\":\"content_block_delta\",\"index\":99,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n",
        b"data: {\"type\":5}\n\ndata: {\"type\":\"message_start\",\"message\":5}\n\n",
        b"data: {\"type\":\"content_block_start\",\"index\":-1,\"content_block\":{\"type\":\"tool_use\"}}\n\n",
        b"data: {\"choices\":5,\"usage\":5}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1}}\n\n",
        b"data: {\"usage\":{\"prompt_tokens\":1e300,\"completion_tokens\":99999999999999999999}}\n\n",
        b"retry: 5\nid: \0\nevent: x\ndata\n\n",
        b"data: {\"choices\":[{\"\\\\\":\"\\\n\n",
    ];
    for vendor in VENDORS {
        let all: Vec<u8> =
            odd.iter().flat_map(|event| event.to_vec()).chain(*b"data: {\"type\":\"message_stop\"}\n\n").collect();
        let found = rig.ask(&rig.raw(vendor, endless(SSE, &all)), STREAM);
        assert_eq!((found.status, found.is_whole), (200, true));
        assert!(!String::from_utf8_lossy(&found.body).contains(PROMPT));
    }
    rig.serves_on("odd events");
}
