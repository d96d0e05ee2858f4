//! Requests whose body is not what it should be.

use super::{PROMPT, Rig, VENDORS, Vendor, chat, chat_with, expect_error};
use crate::harness::Request;

/// Refused by the gateway itself, whoever the provider is.
#[test]
fn a_body_that_is_no_json_object_is_refused() {
    let rig = Rig::shared();
    for body in ["", " ", "null", "[]", "5", "\"x\"", "{", "{}}", "{\"model\":", "{'model':1}", "\u{feff}{}", "\0"] {
        expect_error(&rig.post(body), 400, "invalid_request_error", "invalid_json");
    }
    let no_body = Request::get(rig.gate.port, "/v1/chat/completions").method("POST").key(super::KEY).send();
    expect_error(&no_body, 400, "invalid_request_error", "invalid_json");
    rig.serves_on("bodies without an object");
}

#[test]
fn bytes_that_are_no_utf8_are_refused_wherever_they_stand() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let whole = chat(vendor.group(), ",\"x\":\"y\"");
        for place in [vendor.group(), PROMPT, "model", "\"y\"", "}"] {
            for bad in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"] {
                let (head, tail) = whole.split_once(place).unwrap();
                let body = [head.as_bytes(), bad, place.as_bytes(), tail.as_bytes()].concat();
                expect_error(&rig.post(body), 400, "invalid_request_error", "invalid_json");
            }
        }
    }
    rig.serves_on("invalid UTF-8");
}

#[test]
fn nesting_without_end_is_refused() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for close in [close, ""] {
                let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
                for member in ["messages", "tools", "metadata"] {
                    let body = chat_with(vendor.group(), member, &deep);
                    expect_error(&rig.post(body), 400, "invalid_request_error", "invalid_json");
                }
            }
        }
    }
    rig.serves_on("deep nesting");
}

/// What the gateway reads itself has the right type or names the parameter.
#[test]
fn a_member_of_the_wrong_type_is_named() {
    let rig = Rig::shared();
    let cases = [
        ("stream", "\"yes\""),
        ("stream", "1"),
        ("stream", "{}"),
        ("stream_options", "[]"),
        ("stream_options", "[true]"),
        ("stream_options", "true"),
        ("stream_options", "{\"include_usage\":1}"),
        ("max_tokens", "\"x\""),
        ("max_tokens", "-1"),
        ("max_tokens", "1.5"),
        ("max_tokens", "1e400"),
        ("max_tokens", "99999999999999999999"),
        ("max_tokens", "[]"),
        ("max_completion_tokens", "{}"),
        ("messages", "{}"),
        ("messages", "\"x\""),
        ("messages", "5"),
        ("model", "5"),
        ("model", "[\"x\"]"),
        ("model", "\"\\ud800\""),
    ];
    for vendor in VENDORS {
        for (member, value) in cases {
            let answer = rig.post(chat_with(vendor.group(), member, value));
            let error = expect_error(&answer, 400, "invalid_request_error", "invalid_type");
            assert_eq!(error["param"], member, "{member}: {value}: {error:#}");
        }
        for member in ["messages", "model"] {
            let answer = rig.post(chat_with(vendor.group(), member, "null"));
            let error = expect_error(&answer, 400, "invalid_request_error", "missing_required_parameter");
            assert_eq!(error["param"], member, "{error:#}");
        }
    }
    rig.serves_on("members of the wrong type");
}

/// What only a translation reads is refused here; what a provider of OpenAI's shape reads is refused there, if at all.
#[test]
fn nonsense_in_any_parameter_ends_in_a_client_error_or_an_answer() {
    let rig = Rig::shared();
    let members = [
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "stop",
        "temperature",
        "top_p",
        "n",
        "user",
        "metadata",
        "reasoning_effort",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "modalities",
        "logit_bias",
        "seed",
        "thinking",
        "web_search_options",
        "max_tokens",
        "max_completion_tokens",
        "stream_options",
        "service_tier",
    ];
    let values = [
        "5",
        "-1e308",
        "1e-999",
        "true",
        "\"x\"",
        "\"\\ud800\"",
        "[]",
        "[[]]",
        "[5]",
        "[null]",
        "[\"\"]",
        "{}",
        "[{}]",
        "{\"type\":5}",
        "[{\"type\":5}]",
        "{\"type\":\"function\",\"function\":5}",
        "[{\"type\":\"function\",\"function\":{\"name\":5}}]",
        "[{\"role\":5}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:;base64,\"}}]}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":{}}]}]",
        "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":1,\"function\":{\"arguments\":\"{\"}}]}]",
        "[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"[1\"}}]}]",
        "[{\"role\":\"tool\",\"tool_call_id\":\"\\udfff\",\"content\":\"x\"}]",
        "{\"type\":\"json_schema\",\"json_schema\":{\"schema\":[]}}",
        "{\"type\":\"json_schema\"}",
    ];
    for vendor in VENDORS {
        for member in members {
            for value in values {
                let answer = rig.post(chat_with(vendor.group(), member, value));
                let told = format!("{vendor:?} {member}: {value}: {} {}", answer.status, answer.text());
                assert!(matches!(answer.status, 200 | 400), "{told}");
                if answer.status == 400 {
                    let error = &answer.json()["error"];
                    assert!(error["message"].is_string() && error["type"] == "invalid_request_error", "{told}");
                    assert!(!answer.text().contains(super::SECRET), "{told}");
                }
            }
        }
    }
    rig.serves_on("nonsense in parameters");
}

#[test]
fn half_a_surrogate_pair_in_a_prompt_ends_in_a_client_error_or_an_answer() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        for half in ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud83d x", "\\udc00\\ud800"] {
            let content = format!("[{{\"role\":\"user\",\"content\":\"{half}\"}}]");
            let answer = rig.post(chat_with(vendor.group(), "messages", &content));
            // The mock's parser refuses it: the provider got what the client wrote.
            assert_eq!((answer.status, &answer.at("/error/type")), (400, &"invalid_request_error".into()), "{half}");
        }
        let answer = rig.post(chat(vendor.group(), ",\"\\ud800\":1"));
        assert!(matches!(answer.status, 200 | 400), "{}", answer.text());
    }
    rig.serves_on("lone surrogates");
}

/// The gateway's choice and the provider's must be the same one, whichever of them a provider reads.
#[test]
fn of_members_with_one_name_the_last_counts_and_the_provider_sees_no_other_model() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let name = rig.scripted(vendor, "chunks=2");
        let answer = rig.post(chat(&name, "").replacen('{', r#"{"model":"nobody","mod\u0065l":"other","#, 1));
        let received = rig.mock.request(&format!("/{name}/")).body;
        assert!(!received.contains("nobody") && !received.contains("other"), "{received}");
        // The mock takes no body with two models; a translated one has one.
        assert_eq!(answer.status, if vendor == Vendor::OpenAi { 400 } else { 200 }, "{}", answer.text());
    }
    rig.serves_on("duplicate members");
}

#[test]
fn a_body_of_a_mebibyte_is_served() {
    let rig = Rig::shared();
    for vendor in VENDORS {
        let content = "a \\\"long\\\" prompt ".repeat((1 << 20) / 18);
        let long = format!("[{{\"role\":\"user\",\"content\":\"{content}\"}}]");
        let many: Vec<_> = (0..20_000).map(|n| format!("{{\"role\":\"user\",\"content\":\"{n}\"}}")).collect();
        for messages in [long, format!("[{}]", many.join(","))] {
            let body = chat_with(vendor.group(), "messages", &messages);
            rig.post(body.clone()).expect_ok();
            let stream = rig.post(body.replacen('{', "{\"stream\":true,", 1)).expect_ok();
            assert!(stream.is_whole && stream.text().ends_with("data: [DONE]\n\n"), "{vendor:?}");
        }
    }
    rig.serves_on("a body of 1 MiB");
}
