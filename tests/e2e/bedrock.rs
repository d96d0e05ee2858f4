//! OpenAI's language in front, Bedrock's behind: the mock checks AWS's signatures, which Envoy makes after the filter.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Answer, Gate, Mock, Options, chat, deltas, weather};

const KEYS: &str = "aws_region_name: us-east-1, aws_access_key_id: AKIDEXAMPLE, \
                    aws_secret_access_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'";
const HAIKU: &str = "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0";
const PROFILE: &str = "bedrock/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc+1";

/// Deployments: name, model, script, more parameters.
fn config() -> String {
    let other = "aws_region_name: eu-west-1, aws_access_key_id: AKIDOTHER, \
                 aws_secret_access_key: another+secret/of+the+mock";
    let wrong = "aws_region_name: us-east-1, aws_access_key_id: AKIDEXAMPLE, aws_secret_access_key: wrong, \
                 aws_session_name: wrong";
    let standard = "aws_region_name: us-east-1, aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID, \
                    aws_secret_access_key: os.environ/AWS_SECRET_ACCESS_KEY";
    let again = format!("{KEYS}, num_retries: 1");
    let rows = [
        ("signed", HAIKU, "x", KEYS),
        ("again", HAIKU, "status=503,times=1,id=br-again", &again),
        ("profile", PROFILE, "x", KEYS),
        ("other", HAIKU, "x", other),
        ("chain", HAIKU, "x", "aws_region_name: us-east-1"),
        ("standard", HAIKU, "x", standard),
        ("bearer", HAIKU, "x", "api_key: bedrock-key"),
        ("stream", HAIKU, "usage=9:8:4:2,chunk-bytes=7,chunks=3", KEYS),
        ("tools", HAIKU, "x", KEYS),
        ("cached", HAIKU, "usage=1000:50:600:100", KEYS),
        ("broken", HAIKU, "error-stream=2", KEYS),
        ("context", HAIKU, "status=400,code=context_length_exceeded", KEYS),
        ("throttled", HAIKU, "status=429", KEYS),
        ("denied", HAIKU, "x", wrong),
        ("titan", "bedrock/amazon.titan-embed-text-v2:0", "usage=5:0", KEYS),
        ("cohere", "bedrock/cohere.embed-english-v3", "x", KEYS),
        ("before-openai", HAIKU, "status=503", KEYS),
    ];
    let mut text = "model_list:\n".to_owned();
    for (name, model, script, more) in rows {
        let endpoint = format!("aws_bedrock_runtime_endpoint: 'http://{{mock}}/br-{name}/{script}'");
        // Two deployments with one key and two secrets are one cluster: the wrong one has a host of its own.
        let endpoint = if name == "denied" { endpoint.replace("{mock}", "{denied}") } else { endpoint };
        text.push_str(&format!("- {{model_name: {name}, litellm_params: {{model: '{model}', {endpoint}, {more}}}}}\n"));
    }
    let openai = |name: &str, script: &str| {
        format!(
            "- {{model_name: {name}, litellm_params: {{model: openai/gpt-4o-mini, api_key: sk-o, \
             api_base: 'http://{{mock}}/br-{name}/{script}'}}}}\n"
        )
    };
    text.push_str(&openai("after-bedrock", "x"));
    text.push_str(&openai("before-bedrock", "status=503"));
    text.push_str(
        "router_settings: {num_retries: 0, fallbacks: [{before-openai: [after-bedrock]}, {before-bedrock: [signed]}]}\n\
         tollgate:\n  keys:\n  - {key_alias: app, key: sk-app}\n  - {key_alias: fallen, key: sk-fallen}\n",
    );
    let denied = Mock::shared().address().replace("127.0.0.1", "localhost");
    text.replace("{denied}", &denied)
}

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    let env = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    GATE.get_or_init(|| Gate::start_with("bedrock", &config(), Options { env: &env, ..Options::default() }))
}

fn ask(body: &Value) -> Answer {
    gate().post("/v1/chat/completions", "sk-app", body.to_string())
}

#[test]
fn a_chat_reaches_bedrock_signed() {
    let answer = ask(&json!({
        "model": "signed", "max_tokens": 64, "temperature": 0.5, "stop": "END",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is caf\u{e9}?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ]},
        ],
    }));
    let answer = answer.expect_ok();
    // Another test asks the same with a picture of megabytes.
    let mut received = Mock::shared().requests("/br-signed/").into_iter();
    let received = received.find(|received| received.body.contains("Be brief.")).expect("the request");
    assert_eq!(received.path, "/br-signed/x/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse");
    let authorization = received.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/bedrock/aws4_request"), "{authorization}");
    assert!(!format!("{received:?}").contains("sk-app"));
    assert_eq!(
        received.json(),
        json!({
            "system": [{"text": "Be brief."}],
            "messages": [{"role": "user", "content": [
                {"text": "What is caf\u{e9}?"},
                {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
            ]}],
            "inferenceConfig": {"maxTokens": 64, "temperature": 0.5, "stopSequences": ["END"]},
        })
    );
    let choice = answer.at("/choices/0");
    assert_eq!((&choice["message"]["role"], &choice["finish_reason"]), (&json!("assistant"), &json!("stop")));
    assert!(choice["message"]["content"].as_str().unwrap().starts_with("The mock provider answers"), "{choice}");
    assert!(answer.at("/usage/total_tokens").as_u64() > Some(0));
}

#[test]
fn an_arn_is_signed_as_it_is_sent() {
    gate().chat("sk-app", "profile").expect_ok();
    let path = Mock::shared().request("/br-profile/").path;
    let arn = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc%2B1";
    assert_eq!(path, format!("/br-profile/x/model/{arn}/converse"));
}

#[test]
fn each_signer_has_its_keys_and_its_region() {
    for (model, scope) in [
        ("other", "Credential=AKIDOTHER/"),
        ("chain", "Credential=AKIDEXAMPLE/"),
        ("standard", "Credential=AKIDEXAMPLE/"),
    ] {
        gate().chat("sk-app", model).expect_ok();
        let received = Mock::shared().request(&format!("/br-{model}/"));
        let authorization = received.header("authorization").unwrap();
        assert!(authorization.contains(scope), "{model}: {authorization}");
        let region = if model == "other" { "/eu-west-1/" } else { "/us-east-1/" };
        assert!(authorization.contains(region), "{model}: {authorization}");
    }
}

#[test]
fn a_key_of_bedrocks_is_sent_and_nothing_is_signed() {
    gate().chat("sk-app", "bearer").expect_ok();
    let received = Mock::shared().request("/br-bearer/");
    assert_eq!(received.header("authorization"), Some("Bearer bedrock-key"));
    assert!(received.headers.iter().all(|(name, _)| !name.starts_with("x-amz-")), "{:?}", received.headers);
}

#[test]
fn a_body_beyond_every_buffer_is_signed_whole() {
    let image = "A".repeat(3 << 20);
    let part = json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{image}")}});
    ask(&json!({"model": "signed", "messages": [{"role": "user", "content": [part]}]})).expect_ok();
}

#[test]
fn a_wrong_secret_is_refused_in_openais_shape() {
    let answer = gate().chat("sk-app", "denied");
    assert_eq!((answer.status, answer.at("/error/type")), (403, json!("authentication_error")), "{}", answer.text());
    assert!(answer.at("/error/message").as_str().unwrap().contains("signature"));
    assert!(!answer.text().contains("AKID"));
}

#[test]
fn nobody_else_sees_what_was_signed() {
    gate().chat("sk-fallen", "before-openai").expect_ok();
    assert!(Mock::shared().request("/br-before-openai/").header("authorization").unwrap().starts_with("AWS4-"));
    let received = Mock::shared().request("/br-after-bedrock/");
    assert_eq!(received.header("authorization"), Some("Bearer sk-o"));
    assert!(received.headers.iter().all(|(name, _)| !name.starts_with("x-amz-")), "{:?}", received.headers);
    let record = gate().record("fallen");
    assert_eq!((&record["attempts"], &record["response_code"]), (&json!("2"), &json!(200)), "{record:#}");
}

#[test]
fn what_falls_to_bedrock_is_signed_too() {
    let answer = gate().chat("sk-app", "before-bedrock").expect_ok();
    assert_eq!(answer.at("/model"), "us.anthropic.claude-haiku-4-5-20251001-v1:0");
    let received = Mock::shared().requests("/br-signed/").pop().unwrap();
    assert!(received.header("authorization").unwrap().starts_with("AWS4-"), "{:?}", received.headers);
}

#[test]
fn what_is_tried_again_is_signed_again() {
    gate().chat("sk-app", "again").expect_ok();
    let received = Mock::shared().requests("/br-again/");
    assert_eq!(received.len(), 2);
    for request in received {
        assert!(request.header("authorization").unwrap().starts_with("AWS4-"), "{:?}", request.headers);
    }
}

#[test]
fn a_stream_of_frames_is_told_in_chunks() {
    let body = chat("stream", r#","stream":true,"stream_options":{"include_usage":true}"#);
    let answer = gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    let chunks = answer.chunks();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(deltas(&chunks, "content").starts_with("The mock provider answers every question"), "{chunks:#?}");
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["total_tokens"]), (&json!(9), &json!(17)), "{usage}");
    assert!(Mock::shared().requests("/br-stream/").remove(0).path.ends_with("/converse-stream"));
}

#[test]
fn a_tool_is_called_and_its_result_comes_back() {
    let question = json!({"role": "user", "content": "The weather, please: both"});
    let answer = ask(&json!({"model": "tools", "tools": weather(), "tool_choice": "required", "messages": [question]}));
    let choice = answer.expect_ok().at("/choices/0");
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    let results = calls.iter().map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"}));
    let messages: Vec<Value> = [question, choice["message"].clone()].into_iter().chain(results).collect();
    ask(&json!({"model": "tools", "tools": weather(), "messages": messages})).expect_ok();
    let sent = Mock::shared().requests("/br-tools/").pop().unwrap().json();
    let results = sent["messages"][2]["content"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{sent:#}");
    assert_eq!(results[0]["toolResult"], json!({"toolUseId": calls[0]["id"], "content": [{"text": "12 degrees"}]}));
}

#[test]
fn cached_tokens_are_part_of_the_prompt() {
    let usage = gate().chat("sk-app", "cached").expect_ok().at("/usage");
    let counts = (&usage["prompt_tokens"], &usage["completion_tokens"], &usage["total_tokens"]);
    assert_eq!(counts, (&json!(1000), &json!(50), &json!(1050)), "{usage}");
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 600);
}

#[test]
fn an_error_keeps_its_class() {
    let error = gate().chat("sk-app", "context");
    error.expect_error(400, "invalid_request_error", "context_length_exceeded");
    gate().chat("sk-app", "throttled").expect_error(429, "rate_limit_error", "rate_limit_exceeded");
    let answer = gate().post("/v1/chat/completions", "sk-app", chat("broken", r#","stream":true"#)).expect_ok();
    let chunks = answer.chunks();
    assert_eq!(chunks.last().unwrap()["error"]["type"], "rate_limit_error", "{}", answer.text());
    assert!(deltas(&chunks, "content").starts_with("The mock") && !answer.text().contains("[DONE]"));
}

#[test]
fn texts_become_vectors() {
    let embed = |body: Value| gate().post("/v1/embeddings", "sk-app", body.to_string());
    let titan = embed(json!({"model": "titan", "input": "a", "dimensions": 256})).expect_ok();
    assert_eq!(titan.at("/data/0/embedding").as_array().unwrap().len(), 4);
    assert_eq!(titan.at("/usage"), json!({"prompt_tokens": 5, "total_tokens": 5}));
    assert_eq!(Mock::shared().requests("/br-titan/").remove(0).json(), json!({"inputText": "a", "dimensions": 256}));
    let several = embed(json!({"model": "titan", "input": ["a", "b"]}));
    assert_eq!(several.expect_error(400, "invalid_request_error", "invalid_value")["param"], "input");
    let cohere = embed(json!({"model": "cohere", "input": ["a", "b"], "encoding_format": "base64"})).expect_ok();
    assert!(cohere.at("/data/1/embedding").is_string());
}
