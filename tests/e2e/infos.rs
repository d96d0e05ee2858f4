//! What the models behind the names can do: `/v1/model/info`, `/model_group/info`.

use std::sync::OnceLock;

use serde_json::Value;

use crate::harness::Gate;

const CONFIG: &str = "
model_list:
- model_name: quality
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/in-a/v1', api_key: sk-hidden-one, extra_headers: {x-secret: hidden-two}}
  model_info: {id: quality-openai}
- model_name: quality
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/in-b', api_key: sk-hidden-three, allowed_openai_params: [seed]}
  model_info: {id: quality-claude}
- model_name: scribe
  litellm_params: {model: openai/whisper-1, api_base: 'http://{mock}/in-c/v1', api_key: sk-hidden-four}
  model_info: {id: scribe, mode: audio_transcription}
general_settings: {master_key: sk-master}
tollgate:
  keys:
  - {key_alias: all, key: sk-all}
  - {key_alias: narrow, key: sk-narrow, models: [scribe]}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("infos", CONFIG))
}

fn data(path: &str, key: &str) -> Vec<Value> {
    let answer = gate().get(path, key).expect_ok();
    assert!(!answer.text().contains("hidden"), "{}", answer.text());
    answer.at("/data").as_array().unwrap().clone()
}

#[test]
fn model_info_tells_what_a_deployment_can() {
    for path in ["/v1/model/info", "/model/info"] {
        let all = data(path, "sk-all");
        let ids: Vec<&str> = all.iter().map(|entry| entry["model_info"]["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["quality-openai", "quality-claude", "scribe"]);
        let (first, claude) = (&all[0], &all[1]);
        assert_eq!(first["model_name"], "quality");
        assert_eq!(first["litellm_params"]["model"], "openai/gpt-4o-mini");
        let info = &first["model_info"];
        assert_eq!((&info["mode"], &info["litellm_provider"]), (&"chat".into(), &"openai".into()));
        assert_eq!((&info["max_input_tokens"], &info["max_output_tokens"]), (&128_000.into(), &16_384.into()));
        assert_eq!(info["input_cost_per_token"], 1.5e-7);
        assert_eq!((&info["supports_response_schema"], &info["supports_reasoning"]), (&true.into(), &false.into()));
        let takes = |entry: &Value, name: &str| {
            entry["model_info"]["supported_openai_params"].as_array().unwrap().contains(&name.into())
        };
        assert!(takes(first, "logit_bias") && !takes(claude, "logit_bias"));
        assert!(takes(claude, "tools") && takes(claude, "seed"), "{claude}");
    }
    let ids: Vec<Value> = data("/v1/model/info?litellm_model_id=scribe", "sk-all");
    assert_eq!((ids.len(), &ids[0]["model_name"]), (1, &"scribe".into()));
}

#[test]
fn a_key_sees_what_it_may_use_and_where_it_is_only_the_master() {
    let narrow = data("/v1/model/info", "sk-narrow");
    assert_eq!((narrow.len(), &narrow[0]["model_name"]), (1, &"scribe".into()));
    assert_eq!(narrow[0]["litellm_params"].get("api_base"), None);
    let master = data("/v1/model/info", "sk-master");
    assert!(master[0]["litellm_params"]["api_base"].as_str().unwrap().ends_with("/in-a/v1"), "{}", master[0]);
    let path = "/v1/model/info?litellm_model_id=quality-openai";
    gate().get(path, "sk-narrow").expect_error(404, "invalid_request_error", "model_not_found");
    gate().get("/v1/model/info", "sk-nobody").expect_error(401, "authentication_error", "invalid_api_key");
    gate().get("/model_group/info", "").expect_error(401, "authentication_error", "invalid_api_key");
}

#[test]
fn model_group_info_tells_the_most_that_a_group_can() {
    let all = data("/model_group/info", "sk-all");
    let names: Vec<&str> = all.iter().map(|entry| entry["model_group"].as_str().unwrap()).collect();
    assert_eq!(names, ["quality", "scribe"]);
    let quality = &all[0];
    assert_eq!(quality["providers"], serde_json::json!(["anthropic", "openai"]));
    assert_eq!((&quality["max_input_tokens"], &quality["mode"]), (&200_000.into(), &"chat".into()));
    assert_eq!((&quality["input_cost_per_token"], &quality["supports_reasoning"]), (&1e-6.into(), &true.into()));
    assert_eq!(data("/model_group/info?model_group=scribe", "sk-narrow").len(), 1);
    assert_eq!(data("/model_group/info", "sk-narrow").len(), 1);
}
