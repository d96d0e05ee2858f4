//! The paths of Azure's clients and of the engines of old, moderations and reranking.

use std::sync::OnceLock;

use crate::harness::{Gate, Mock};

const CONFIG: &str = "
model_list:
- {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/pa-fast/v1', api_key: sk-x}}
- {model_name: meta/llama 3, litellm_params: {model: openai/llama, api_base: 'http://{mock}/pa-llama/v1', api_key: sk-x}}
- {model_name: claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/pa-claude', api_key: sk-x}}
- {model_name: judge, litellm_params: {model: openai/omni-moderation-latest, api_base: 'http://{mock}/pa-judge/v1', api_key: sk-x}}
- {model_name: ranker, litellm_params: {model: hosted_vllm/bge-reranker, api_base: 'http://{mock}/pa-ranker/v1', api_key: sk-x}}
tollgate:
  keys:
  - {key_alias: paths, key: sk-paths}
  - {key_alias: narrow, key: sk-narrow, models: [fast]}
";

const ASK: &str = r#""messages":[{"role":"user","content":"Hi"}]"#;

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("paths", CONFIG))
}

#[test]
fn the_path_may_name_the_model() {
    let azure = "/openai/deployments/meta%2Fllama%203/chat/completions?api-version=2024-10-21";
    let body = format!("{{{ASK}}}");
    gate().post(azure, "sk-paths", body.clone()).expect_ok();
    let sent = Mock::shared().request("/pa-llama/");
    assert_eq!((sent.path.as_str(), sent.json()["model"].as_str()), ("/pa-llama/v1/chat/completions", Some("llama")));
    for path in ["/openai/deployments/fast", "/engines/fast", "/v1/engines/fast"] {
        // The path's model wins over the body's.
        let body = format!(r#"{{"model":"nobody",{ASK}}}"#);
        gate().post(&format!("{path}/chat/completions"), "sk-paths", body).expect_ok();
        gate().post(&format!("{path}/embeddings"), "sk-paths", r#"{"input":"x"}"#).expect_ok();
        gate().post(&format!("{path}/completions"), "sk-paths", r#"{"prompt":"x"}"#).expect_ok();
    }
    let sent = Mock::shared().requests("/pa-fast/v1/chat");
    assert!(sent.iter().all(|request| request.json()["model"] == "gpt-4o-mini"), "{sent:?}");
    gate().post("/openai/v1/chat/completions", "sk-paths", format!(r#"{{"model":"fast",{ASK}}}"#)).expect_ok();
    gate().post("/openai/deployments/claude/chat/completions", "sk-paths", body).expect_ok();
}

#[test]
fn a_model_in_the_path_is_checked_like_any_other() {
    let body = || format!("{{{ASK}}}");
    let path = |model: &str| format!("/openai/deployments/{model}/chat/completions");
    gate().post(&path("nobody"), "sk-paths", body()).expect_error(404, INVALID, "model_not_found");
    gate().post(&path("%zz"), "sk-paths", body()).expect_error(404, INVALID, "model_not_found");
    gate().post(&path("claude"), "sk-narrow", body()).expect_error(403, "permission_error", "model_not_allowed");
    let forged = format!(r#"{{"model":"fast",{ASK}}}"#);
    gate().post(&path("claude"), "sk-narrow", forged).expect_error(403, "permission_error", "model_not_allowed");
    gate().get(&path("fast"), "sk-paths").expect_error(404, INVALID, "unknown_endpoint");
    gate().post("/openai/deployments/fast/nothing", "sk-paths", body()).expect_error(404, INVALID, "unknown_endpoint");
}

#[test]
fn moderations_and_reranking_pass() {
    let body = r#"{"model":"judge","input":["a","violence"]}"#;
    let answer = gate().post("/v1/moderations", "sk-paths", body).expect_ok();
    assert_eq!(answer.at("/results/1/flagged"), true);
    let body = r#"{"model":"ranker","query":"q","documents":["a","b"],"top_n":1}"#;
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        assert_eq!(gate().post(path, "sk-paths", body).expect_ok().at("/results/0/index"), 1);
    }
    for (path, body) in [
        ("/v1/moderations", r#"{"model":"claude","input":"x"}"#),
        ("/v1/rerank", r#"{"model":"claude","query":"q","documents":[]}"#),
        ("/v1/embeddings", r#"{"model":"claude","input":"x"}"#),
        ("/v1/images/generations", r#"{"model":"claude","prompt":"x"}"#),
        ("/v1/audio/speech", r#"{"model":"claude","input":"x","voice":"y"}"#),
    ] {
        let error = gate().post(path, "sk-paths", body).expect_error(400, INVALID, "unsupported_endpoint");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("anthropic") && message.contains(path.trim_start_matches("/v1")), "{message}");
    }
}

const INVALID: &str = "invalid_request_error";
