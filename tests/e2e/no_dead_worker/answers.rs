//! Whole answers of a provider that are not what they should be.

use super::{KEY, Rig, VENDORS, Vendor, chat, expect_error};
use crate::raw::{answer, endless, talk};

const JSON: &str = "application/json";
const BAD: (&str, &str) = ("api_error", "bad_upstream_response");
const UNREACHABLE: (&str, &str) = ("api_error", "upstream_unreachable");

/// The provider says `script`, in the words of the mock.
fn scripted(script: &str, status: u16, (type_, code): (&str, &str)) {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let model = rig.scripted(vendor, script);
        let found = rig.ask(&model, "");
        assert_eq!(found.status, status, "{script}: {}", found.text());
        expect_error(&found, status, type_, code);
    }
    rig.serves_on(script);
}

/// The provider says `bytes`.
fn raw(what: &str, bytes: &[u8], status: u16, (type_, code): (&str, &str)) {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let model = rig.raw(vendor, bytes);
        let found = rig.ask(&model, "");
        assert_eq!(found.status, status, "{what}: {}", found.text());
        expect_error(&found, status, type_, code);
    }
    rig.serves_on(what);
}

#[test]
fn an_answer_that_is_no_json_is_not_shown() {
    scripted("garbage=1", 502, BAD);
    for body in [&b"null"[..], b"[]", b"{", b"{\"a\":\"\xff\"}", &b"[".repeat(100_000)] {
        raw("an answer that is no message", &answer("200 OK", JSON, body), 502, BAD);
    }
}

#[test]
fn an_empty_answer_is_an_error() {
    raw("an empty answer", &answer("200 OK", JSON, b""), 502, BAD);
    raw("an empty answer without a length", &endless(JSON, b""), 502, BAD);
    raw("no content", b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n", 502, BAD);
}

#[test]
fn an_empty_error_is_an_error() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        for bytes in [answer("500 Oops", JSON, b""), b"HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n".to_vec()] {
            let answer = rig.ask(&rig.raw(vendor, bytes), "");
            assert_eq!((answer.status, &answer.at("/error/type")), (500, &"api_error".into()));
        }
    }
    rig.serves_on("an empty error");
}

#[test]
fn a_redirect_is_not_followed() {
    scripted("status=302", 502, BAD);
    let moved =
        b"HTTP/1.1 301 Moved\r\nconnection: close\r\nlocation: http://example.com/\r\ncontent-length: 0\r\n\r\n";
    raw("a redirect", moved, 502, BAD);
    raw("not modified", b"HTTP/1.1 304 Not Modified\r\nconnection: close\r\n\r\n", 502, BAD);
}

#[test]
fn a_provider_that_hangs_up_before_it_answers_is_unreachable() {
    scripted("reset=1", 503, UNREACHABLE);
    raw("nothing at all", b"", 503, UNREACHABLE);
}

/// Envoy calls it a protocol error, and answers 502 in its own words.
#[test]
fn a_provider_that_hangs_up_amid_its_answer_is_a_bad_one() {
    scripted("cut=20", 502, BAD);
    raw("half a status line", b"HTTP/1.1 20", 502, BAD);
    raw("half a head", b"HTTP/1.1 200 OK\r\ncontent-le", 502, BAD);
    raw("half a chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{\"a", 502, BAD);
}

#[test]
fn a_provider_that_speaks_another_protocol_is_a_bad_one() {
    raw("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", 502, BAD);
    raw("a chunk size of no number", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}", 502, BAD);
    let many: Vec<u8> = (0..200).flat_map(|n| format!("x-{n}: y\r\n").into_bytes()).collect();
    raw("too many headers", &[&b"HTTP/1.1 200 OK\r\n"[..], &many, b"\r\n{}"].concat(), 502, BAD);
}

#[test]
fn headers_of_a_provider_may_be_any_bytes() {
    let rig = Rig::shared();
    let bodies = [
        (Vendor::OpenAi, r#"{"id":"x","object":"chat.completion","choices":[]}"#),
        (Vendor::Anthropic, r#"{"id":"x","type":"message","content":[],"model":"m","stop_reason":"end_turn"}"#),
    ];
    for (vendor, body) in bodies {
        let odd = [&b"x-request-id: \xff\xfe\r\nx-long: "[..], &vec![b'y'; 20 << 10], b"\r\nserver: \xc3\r\n"].concat();
        let bytes = answer("200 OK", JSON, body.as_bytes());
        let (line, rest) = bytes.split_at(17);
        let body = chat(&rig.raw(vendor, [line, &odd, rest].concat()), "");
        let head = rig.gate.request("/v1/chat/completions", KEY, body.clone()).header("connection", "close").head();
        let text = talk(rig.gate.port, &[&head, body.as_bytes()].concat());
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("chat.completion"), "{text}");
    }
    rig.serves_on("odd headers of a provider");
}

/// Only what must be read is a reason to refuse it; the client did not get to say which encodings it takes.
#[test]
fn a_compressed_answer_passes_where_nobody_must_read_it() {
    let rig = Rig::shared();
    let found = rig.ask(&rig.scripted(Vendor::OpenAi, "gzip=1"), "");
    assert_eq!((found.status, found.header("content-encoding")), (200, Some("gzip")));
    let found = rig.ask(&rig.scripted(Vendor::Anthropic, "gzip=1"), "");
    expect_error(&found, 502, BAD.0, BAD.1);
    assert_eq!(found.header("content-encoding"), None);
    rig.serves_on("compressed answers");
}

#[test]
fn an_answer_longer_than_the_buffers_passes_or_is_refused() {
    let rig = Rig::shared();
    let script = "body-bytes=40000000,usage=7:9";
    let found = rig.ask(&rig.scripted(Vendor::OpenAi, script), "").expect_ok();
    assert!(found.is_whole && found.body.len() > 40_000_000, "{}", found.body.len());
    let found = rig.ask(&rig.scripted(Vendor::Anthropic, script), "");
    expect_error(&found, 500, BAD.0, BAD.1);
    // The same without a length.
    let body = format!("{{\"id\":\"{}\",\"choices\":[]}}", "x".repeat(40_000_000));
    let found = rig.ask(&rig.raw(Vendor::OpenAi, endless(JSON, body.as_bytes())), "").expect_ok();
    assert_eq!((found.is_whole, found.body.len()), (true, body.len()));
    rig.serves_on("an answer of 40 MB");
}

#[test]
fn an_error_keeps_its_status_whatever_its_body_is() {
    let rig = Rig::shared();
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "\\\"".repeat(20_000_000));
    let html = "<html><body>teapot</body></html>";
    for vendor in VENDORS {
        for body in [
            html,
            "null",
            "[]",
            "{\"error\":5}",
            "{\"error\":{\"message\":{}}}",
            "\0\u{1}",
            &"[".repeat(100_000),
            &long,
        ] {
            for (line, status, type_) in [("500 Oops", 500, "api_error"), ("418 Teapot", 418, "invalid_request_error")]
            {
                let found = rig.ask(&rig.raw(vendor, answer(line, "text/html", body.as_bytes())), "");
                assert_eq!((found.status, &found.at("/error/type")), (status, &type_.into()));
                assert_eq!(found.header("content-type"), Some(JSON));
                assert!(found.is_whole && found.at("/error/message").is_string(), "{}", found.text());
                assert!(!found.text().contains("teapot</body>"), "{}", found.text());
            }
        }
    }
    rig.serves_on("odd errors");
}

/// The head of an error is on its way before its body has come: a body that breaks off breaks the answer off.
#[test]
fn an_error_that_breaks_off_keeps_its_status_and_breaks_off() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let found = rig.ask(&rig.scripted(vendor, "status=500,cut=10"), "");
        assert_eq!((found.status, found.is_whole), (500, false), "{}", found.text());
        let unknown = rig.raw(vendor, b"HTTP/1.1 599 Odd\r\nconnection: close\r\ncontent-length: 4\r\n\r\noops");
        assert_eq!(rig.ask(&unknown, "").status, 599);
    }
    rig.serves_on("errors that break off");
}
