//! Requests that are framed, encoded or headed in an uncommon way.

use super::{GOOD_REQUESTS, KEY, PROMPT, Rig, VENDORS, Vendor, chat, expect_error};
use crate::harness::{Answer, Connection};
use crate::raw::talk;

/// A POST with these headers, each a whole line, and nothing added but the host.
fn post(headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut bytes = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.example\r\n".to_vec();
    for header in headers {
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn authorization() -> Vec<u8> {
    format!("authorization: Bearer {KEY}").into_bytes()
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn send(rig: &Rig, bytes: &[u8]) -> Answer {
    let mut connection = Connection::open(rig.gate.port);
    connection.write(bytes);
    connection.answer().finish()
}

#[test]
fn header_values_that_are_no_utf8_or_very_long_pass_or_are_refused() {
    let rig = Rig::shared();
    let long = vec![b'x'; 40 << 10];
    for vendor in VENDORS {
        let body = chat(vendor.group(), "");
        let length = format!("content-length: {}", body.len()).into_bytes();
        for name in ["user-agent", "x-request-id", "traceparent", "tracestate", "accept", "cookie", "x-tollgate-x"] {
            for value in [&b"\xff\xfe\x80"[..], "caf\u{e9} \u{1f600}".as_bytes(), &long, b""] {
                let header = [name.as_bytes(), b": ", value].concat();
                let answer = send(rig, &post(&[&authorization(), &length, &header], body.as_bytes()));
                assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            }
        }
        for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
            for value in [&b"Bearer \xff\xfe\x80"[..], &long, b"\xff", b"Bearer", b"Basic \xff"] {
                let header = [name.as_bytes(), b": ", value].concat();
                let answer = send(rig, &post(&[&length, &header], body.as_bytes()));
                expect_error(&answer, 401, "authentication_error", "invalid_api_key");
            }
        }
    }
    rig.serves_on("odd header values");
}

/// Envoy itself refuses these, before any filter sees them.
#[test]
fn what_is_no_proper_http_is_refused_by_envoy() {
    let rig = Rig::shared();
    let long = [&b"user-agent: "[..], &vec![b'x'; 70 << 10]].concat();
    let cases: [(&str, Vec<u8>, u16); 6] = [
        ("headers over the limit", post(&[&authorization(), &long, b"content-length: 2"], b"{}"), 431),
        ("a zero byte in a value", post(&[&authorization(), b"user-agent: a\0b", b"content-length: 2"], b"{}"), 400),
        ("two lengths", post(&[&authorization(), b"content-length: 2", b"content-length: 3"], b"{}x"), 400),
        ("no number as a length", post(&[&authorization(), b"content-length: -2"], b"{}"), 400),
        ("a chunk size of no number", post(&[&authorization(), b"transfer-encoding: chunked"], b"zz\r\n{}\r\n"), 400),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec(), 400),
    ];
    for (what, bytes, status) in cases {
        let answer = talk(rig.gate.port, &bytes);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
    }
    rig.serves_on("what is no HTTP");
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_length_alone_or_when_it_is_passed() {
    let rig = Rig::shared();
    let too_large = |answer: &Answer| expect_error(answer, 413, "invalid_request_error", "request_too_large");
    // No byte of the body is needed to see that it is too long.
    too_large(&send(rig, &post(&[&authorization(), b"content-length: 2097153"], b"")));
    too_large(&send(rig, &post(&[&authorization(), b"content-length: 99999999999999"], b"")));
    for vendor in VENDORS {
        let body = chat(vendor.group(), &format!(",\"x\":\"{}\"", "x".repeat(2 << 20)));
        let head = post(&[&authorization(), b"transfer-encoding: chunked"], &chunked(body.as_bytes(), 64 << 10));
        too_large(&send(rig, &[&head[..], b"0\r\n\r\n"].concat()));
        // One that never ends is not read on.
        too_large(&send(rig, &head));
    }
    rig.serves_on("bodies over the limit");
}

#[test]
fn a_compressed_body_is_refused() {
    let rig = Rig::shared();
    for encoding in ["gzip", "GZIP", "br", "deflate", "zstd", "identity, gzip", "\u{e9}"] {
        let length = "content-length: 4";
        let encoding = format!("content-encoding: {encoding}");
        let headers = [&authorization()[..], encoding.as_bytes(), length.as_bytes()];
        let answer = send(rig, &post(&headers, b"\x1f\x8b\x08\0"));
        expect_error(&answer, 415, "invalid_request_error", "unsupported_content_encoding");
    }
    rig.serves_on("compressed bodies");
}

#[test]
fn a_chunked_body_is_served_with_trailers_and_byte_by_byte() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let body = chat(vendor.group(), "");
        for (size, end) in [(7, "0\r\nx-checksum: 5\r\nauthorization: Bearer other\r\n\r\n"), (1, "0\r\n\r\n")] {
            let head = post(&[&authorization(), b"transfer-encoding: chunked"], &chunked(body.as_bytes(), size));
            let answer = send(rig, &[&head[..], end.as_bytes()].concat());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    rig.serves_on("chunked bodies");
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let rig = Rig::shared();
    let mut bytes = Vec::new();
    for n in 0..GOOD_REQUESTS {
        let body = match n {
            2 => chat("nobody", ""),
            // Envoy closes a connection of HTTP/1 after a 400: what follows may be no request at all.
            _ if n + 1 == GOOD_REQUESTS => "null".to_owned(),
            _ => chat(VENDORS[n % 2].group(), ""),
        };
        let length = format!("content-length: {}", body.len());
        bytes.extend(post(&[&authorization(), length.as_bytes()], body.as_bytes()));
    }
    let text = talk(rig.gate.port, &bytes);
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.split(' ').next()).collect();
    assert_eq!(statuses, ["200", "200", "404", "200", "200", "200", "200", "400"], "{text}");
    rig.serves_on("pipelined requests");
}

#[test]
fn a_client_that_expects_to_be_told_to_continue_is_told() {
    let rig = Rig::shared();
    let body = chat(Vendor::OpenAi.group(), "");
    let length = format!("content-length: {}", body.len());
    let headers = [&authorization()[..], length.as_bytes(), b"expect: 100-continue", b"connection: close"];
    let text = talk(rig.gate.port, &post(&headers, body.as_bytes()));
    let (first, rest) = text.split_once("\r\n\r\n").unwrap();
    assert!(first.starts_with("HTTP/1.1 100 ") && rest.starts_with("HTTP/1.1 200 "), "{text}");
    rig.serves_on("expect: 100-continue");
}

/// `accept_http_10` is off in Envoy unless an operator wants it.
#[test]
fn http_1_0_is_told_to_upgrade() {
    let rig = Rig::shared();
    let body = chat(Vendor::OpenAi.group(), "");
    let request = String::from_utf8(post(&[&authorization()], b"")).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let request = request.replace("\r\n\r\n", &format!("\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    let text = talk(rig.gate.port, request.as_bytes());
    assert!(text.starts_with("HTTP/1.1 426 "), "{text}");
    rig.serves_on("HTTP/1.0");
}

#[test]
fn a_client_that_hangs_up_amid_its_request_or_its_answer_leaves_nothing_broken() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let slow = rig.scripted(vendor, "chunk-ms=50,chunks=20");
        let late = rig.scripted(vendor, "delay-ms=300");
        for (model, more) in [(&slow, ",\"stream\":true"), (&late, ""), (&late, ",\"stream\":true")] {
            let body = chat(model, more);
            let length = format!("content-length: {}", body.len());
            let whole = post(&[&authorization(), length.as_bytes()], body.as_bytes());
            for end in [whole.len() / 4, whole.len() - 1, whole.len()] {
                Connection::open(rig.gate.port).write(&whole[..end]);
            }
        }
        let mut answer = rig.gate.request("/v1/chat/completions", KEY, chat(&slow, ",\"stream\":true")).open();
        assert!(answer.next_piece().is_some());
    }
    rig.serves_on("clients that hung up");
}

#[test]
fn odd_methods_and_paths_are_refused_and_a_query_is_not_written_down() {
    let rig = Rig::shared();
    let get = |line: &str| {
        let head = format!("{line} HTTP/1.1\r\nhost: gateway.example\r\nauthorization: Bearer {KEY}\r\n");
        talk(rig.gate.port, format!("{head}connection: close\r\n\r\n").as_bytes())
    };
    for (line, status) in [
        ("GET /v1/chat/completions", 404),
        ("PATCH /v1/chat/completions", 404),
        ("OPTIONS *", 404),
        ("GET /v1/models/", 404),
        ("GET /v1/models/%00", 400),
        ("GET /v1/models/%ff%fe", 404),
        ("GET /v1/models/caf\u{e9}", 400),
        ("GET /v1/../../etc/passwd", 404),
        ("GET //v1//models", 200),
        (&format!("GET /v1/models?key={KEY}&q={PROMPT}"), 200),
        (&format!("GET /v1/{}", "x".repeat(20_000)), 404),
    ] {
        let text = get(line);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {text}");
    }
    rig.serves_on("odd paths");
}
