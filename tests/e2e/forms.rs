//! Forms, sound and images: what is no JSON on the way up, on the way down, or both.

use std::sync::OnceLock;

use crate::harness::{Answer, Gate, Mock, Request};

const CONFIG: &str = "
model_list:
- {model_name: scribe, litellm_params: {model: openai/whisper-1, api_base: 'http://{mock}/fo-scribe/v1', api_key: sk-provider}}
- {model_name: counted, litellm_params: {model: openai/gpt-4o-transcribe, api_base: 'http://{mock}/fo-counted/usage=1000:50/v1', api_key: sk-x, input_cost_per_token: 0.001, output_cost_per_token: 0.01}}
- {model_name: big, litellm_params: {model: openai/whisper-1, api_base: 'http://{mock}/fo-big/v1', api_key: sk-x}}
- {model_name: bad, litellm_params: {model: openai/whisper-1, api_base: 'http://{mock}/fo-bad/v1', api_key: sk-x}}
- {model_name: tuned, litellm_params: {model: openai/whisper-1, api_base: 'http://{mock}/fo-tuned/v1', api_key: sk-x, temperature: 0.5, additional_drop_params: [prompt]}}
- {model_name: flaky, litellm_params: {model: openai/whisper-first, api_base: 'http://{mock}/fo-flaky/status=503/v1', api_key: sk-first}}
- {model_name: steady, litellm_params: {model: openai/whisper-second-longer, api_base: 'http://{mock}/fo-steady/v1', api_key: sk-second}}
- {model_name: painter, litellm_params: {model: openai/gpt-image-1, api_base: 'http://{mock}/fo-painter/usage=7:9/v1', api_key: sk-x}}
- {model_name: painter-long, litellm_params: {model: openai/gpt-image-1, api_base: 'http://{mock}/fo-long/body-bytes=5000000,usage=7:9/v1', api_key: sk-x}}
- {model_name: painter-chunked, litellm_params: {model: openai/gpt-image-1, api_base: 'http://{mock}/fo-chunked/body-bytes=5000000,usage=7:9,no-length=1/v1', api_key: sk-x}}
- {model_name: voice, litellm_params: {model: openai/tts-1, api_base: 'http://{mock}/fo-voice/body-bytes=60000,chunk-bytes=10000,chunk-ms=40,no-length=1/v1', api_key: sk-x}}
- {model_name: claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/fo-claude', api_key: sk-x}}
router_settings: {num_retries: 0, fallbacks: [{flaky: [steady]}]}
tollgate:
  keys:
  - {key_alias: forms, key: sk-forms}
  - {key_alias: counted, key: sk-counted}
  - {key_alias: counted-stream, key: sk-counted-stream}
  - {key_alias: counted-text, key: sk-counted-text}
  - {key_alias: painter, key: sk-painter}
  - {key_alias: painter-stream, key: sk-painter-stream}
  - {key_alias: painter-long, key: sk-painter-long}
  - {key_alias: painter-chunked, key: sk-painter-chunked}
";

/// Written by hand, so that the test does not depend on how a client writes forms.
const BOUNDARY: &str = "----harbor.7MA4YWxk=";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("forms", CONFIG))
}

/// A form with these fields and a file.
fn form(fields: &[(&str, &str)], file: (&str, &[u8])) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let (name, bytes) = file;
    let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a b.wav\"\r\n");
    body.extend_from_slice(format!("{head}Content-Type: audio/wav\r\n\r\n").as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn post(path: &str, key: &str, body: impl Into<Vec<u8>>) -> Answer {
    let content_type = format!("multipart/form-data; boundary=\"{BOUNDARY}\"");
    Request::post_as(gate().port, path, &content_type, body).key(key).send()
}

#[test]
fn only_the_model_of_a_form_changes() {
    let sound = b"RIFF\xff\0\r\n--\r\n----harbor\r\n";
    let body = form(&[("language", "de"), ("model", "scribe"), ("x", "scribe")], ("file", sound));
    let answer = post("/v1/audio/transcriptions", "sk-forms", body.clone()).expect_ok();
    assert!(answer.at("/text").as_str().is_some_and(|text| text.starts_with("The mock provider")));
    post("/audio/translations", "sk-forms", body.clone()).expect_ok();
    let received = Mock::shared().requests("/fo-scribe/");
    let paths: Vec<&str> = received.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/fo-scribe/v1/audio/transcriptions", "/fo-scribe/v1/audio/translations"]);
    for request in received {
        let sent = String::from_utf8_lossy(&body).replacen("\r\n\r\nscribe", "\r\n\r\nwhisper-1", 1);
        assert_eq!(request.body, sent);
        let content_type = format!("multipart/form-data; boundary=\"{BOUNDARY}\"");
        assert_eq!(request.header("content-type"), Some(content_type.as_str()));
        assert_eq!(request.header("authorization"), Some("Bearer sk-provider"));
    }
}

#[test]
fn a_transcription_is_charged_whole_and_streamed() {
    post("/v1/audio/transcriptions", "sk-counted", form(&[("model", "counted")], ("file", b"x"))).expect_ok();
    let record = gate().record("counted");
    assert_eq!((&record["input_tokens"], &record["usage_source"]), (&"1000".into(), &"provider".into()), "{record}");
    assert_eq!(record["cost_usd"], "1.5");
    let body = form(&[("model", "counted"), ("stream", "true")], ("file", b"x"));
    let answer = post("/v1/audio/transcriptions", "sk-counted-stream", body).expect_ok();
    assert!(answer.header("content-type").is_some_and(|ty| ty.starts_with("text/event-stream")));
    let chunks = answer.chunks();
    assert_eq!(chunks[0]["type"], "transcript.text.delta");
    let last = chunks.last().unwrap();
    assert_eq!((&last["type"], &last["usage"]["input_tokens"]), (&"transcript.text.done".into(), &1000.into()));
    assert_eq!(gate().record("counted-stream")["cost_usd"], "1.5");
}

#[test]
fn an_answer_that_is_no_json_passes_as_it_is() {
    for (format, content_type, start) in [
        ("text", "text/plain; charset=utf-8", "The mock"),
        ("srt", "application/x-subrip", "1\n00:00:00,000"),
        ("vtt", "text/vtt", "WEBVTT"),
        ("verbose_json", "application/json", "{\"task\":\"transcribe\""),
    ] {
        let body = form(&[("model", "counted"), ("response_format", format)], ("file", b"x"));
        let answer = post("/v1/audio/transcriptions", "sk-counted-text", body).expect_ok();
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert!(answer.text().starts_with(start), "{}", answer.text());
    }
    gate().access_log("counted-text", 4);
}

#[test]
fn a_form_that_makes_no_sense_is_refused_in_words() {
    let good = form(&[("model", "bad")], ("file", b"x"));
    let part = |name: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nbad\r\n");
    let twice = [part("model").as_bytes(), &good].concat();
    let rows: [(&[u8], &str, Option<&str>); 6] = [
        (&form(&[], ("file", b"x")), "missing_required_parameter", Some("model")),
        (&form(&[("model", "bad")], ("voice", b"x")), "missing_required_parameter", Some("file")),
        (&twice, "invalid_form", Some("model")),
        (&good[..good.len() - 6], "invalid_form", None),
        (b"{\"model\":\"bad\"}", "invalid_form", None),
        (b"", "invalid_form", None),
    ];
    for (body, code, param) in rows {
        let error = post("/v1/audio/transcriptions", "sk-forms", body).expect_error(400, INVALID, code);
        assert_eq!(error["param"].as_str(), param, "{error}");
    }
    let json = gate().post("/v1/audio/transcriptions", "sk-forms", r#"{"model":"bad","file":"x"}"#);
    json.expect_error(400, INVALID, "invalid_form");
    let unknown = form(&[("model", "nobody")], ("file", b"x"));
    post("/v1/audio/transcriptions", "sk-forms", unknown).expect_error(404, INVALID, "model_not_found");
    assert!(Mock::shared().requests("/fo-bad/").is_empty());
    let claude = form(&[("model", "claude")], ("file", b"x"));
    let error = post("/v1/audio/transcriptions", "sk-forms", claude).expect_error(400, INVALID, "unsupported_endpoint");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("anthropic") && message.contains("/audio/transcriptions"), "{message}");
}

#[test]
fn a_form_gets_the_configs_parameters() {
    let body = form(&[("model", "tuned"), ("prompt", "secret"), ("tags", "mine")], ("file", b"x"));
    post("/v1/audio/transcriptions", "sk-forms", body).expect_ok();
    let form = Mock::shared().request("/fo-tuned/").form;
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, _, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("temperature", "0.5"), ("model", "whisper-1"), ("file", "x")]);
}

#[test]
fn a_fallback_gets_the_form_with_its_own_model() {
    let body = form(&[("model", "flaky")], ("file", b"sound"));
    let answer = post("/v1/audio/transcriptions", "sk-forms", body).expect_ok();
    assert_eq!(answer.header("x-tollgate-fallbacks"), Some("1"));
    for (part, model, key) in
        [("/fo-flaky/", "whisper-first", "sk-first"), ("/fo-steady/", "whisper-second-longer", "sk-second")]
    {
        let request = Mock::shared().request(part);
        assert_eq!(request.form[0], ("model".to_owned(), None, model.to_owned()));
        assert_eq!(request.form[1], ("file".to_owned(), Some("a b.wav".to_owned()), "sound".to_owned()));
        assert_eq!(request.header("authorization"), Some(format!("Bearer {key}").as_str()));
        let length: usize = request.header("content-length").unwrap().parse().unwrap();
        assert_eq!(length, request.body.len());
    }
}

#[test]
fn a_form_of_25_mb_goes_through_and_a_longer_one_than_the_limit_does_not() {
    let sound: Vec<u8> = (0..25 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let body = form(&[("model", "big")], ("file", &sound));
    post("/v1/audio/transcriptions", "sk-forms", body).expect_ok();
    let request = Mock::shared().request("/fo-big/");
    let expected = form(&[("model", "whisper-1")], ("file", &sound)).len();
    assert_eq!(request.header("content-length"), Some(expected.to_string().as_str()));
    let body = form(&[("model", "big")], ("file", &vec![b'-'; 33 << 20]));
    post("/v1/audio/transcriptions", "sk-forms", body).expect_error(413, INVALID, "request_too_large");
}

#[test]
fn images_are_edited_by_form_and_by_json() {
    let body = form(&[("model", "painter"), ("prompt", "more sea")], ("image[]", b"png"));
    let answer = post("/v1/images/edits", "sk-forms", body).expect_ok();
    assert!(answer.at("/data/0/b64_json").is_string());
    let body = r#"{"model":"painter","prompt":"more sea","images":[{"file_id":"file-1"}]}"#;
    gate().post("/v1/images/edits", "sk-forms", body).expect_ok();
    let received = Mock::shared().requests("/fo-painter/usage=7:9/v1/images/edits");
    assert_eq!(received[0].form[0].2, "gpt-image-1");
    assert_eq!(received[1].body, body.replace("painter", "gpt-image-1"));
    let body = form(&[("model", "painter")], ("image", b"png"));
    let error = post("/v1/images/edits", "sk-forms", body).expect_error(400, INVALID, "missing_required_parameter");
    assert_eq!(error["param"], "prompt");
}

#[test]
fn an_image_however_long_passes_and_is_counted() {
    for (model, length) in [("painter", 400), ("painter-long", 5_000_000), ("painter-chunked", 5_000_000)] {
        let body = format!(r#"{{"model":"{model}","prompt":"a harbor"}}"#);
        let answer = gate().post("/v1/images/generations", &format!("sk-{model}"), body).expect_ok();
        assert!(answer.is_whole);
        assert_eq!(answer.at("/data/0/b64_json").as_str().map(str::len), Some(length), "{model}");
        let record = gate().record(model);
        assert_eq!((&record["input_tokens"], &record["output_tokens"]), (&"7".into(), &"9".into()), "{record}");
        assert_eq!(record["usage_source"], "provider");
    }
    let body = r#"{"model":"painter","prompt":"a harbor","stream":true,"partial_images":1}"#;
    let answer = gate().post("/v1/images/generations", "sk-painter-stream", body).expect_ok();
    assert_eq!(answer.chunks().last().unwrap()["type"], "image_generation.completed");
    assert_eq!(gate().record("painter-stream")["output_tokens"], "9");
}

#[test]
fn speech_streams_as_it_comes() {
    let body = r#"{"model":"voice","input":"Hello","voice":"alloy"}"#;
    let mut answer = gate().request("/v1/audio/speech", "sk-forms", body).open().expect_ok();
    assert_eq!(answer.header("content-type"), Some("audio/mpeg"));
    let first = answer.next_piece().unwrap();
    assert!(first.len() < 60_000, "it came in one piece");
    let answer = answer.finish();
    assert!(answer.is_whole && answer.body.len() == 60_000 && answer.body.starts_with(&[0xff, 0xfb, 0x90]));
    let body = r#"{"model":"voice","input":"Hello","voice":"alloy","stream_format":"sse"}"#;
    let answer = gate().post("/v1/audio/speech", "sk-forms", body).expect_ok();
    assert_eq!(answer.chunks().last().unwrap()["type"], "speech.audio.done");
    assert_eq!(Mock::shared().requests("/fo-voice/")[0].header("accept"), Some("*/*"));
}

const INVALID: &str = "invalid_request_error";
