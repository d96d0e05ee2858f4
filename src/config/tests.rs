//! Tables over [`Config::compile`]: what the golden files are too coarse for.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Config, Env};

fn env(name: &str) -> Option<String> {
    name.ends_with("_API_KEY").then(|| format!("value of {name}"))
}

fn compile(document: &Value) -> Config {
    Config::compile(document, Env::Strict(&env)).unwrap()
}

/// A config with one group, `a`, of these `litellm_params`.
fn group(params: &[Value]) -> Value {
    let entry = |params: &Value| json!({"model_name": "a", "litellm_params": params});
    json!({"model_list": params.iter().map(entry).collect::<Vec<_>>(), "tollgate": {"allow_anonymous": true}})
}

#[wasm_bindgen_test(unsupported = test)]
fn weights_are_those_of_simple_shuffle() {
    let rows = [
        (json!([{}, {}]), [1, 1]),
        (json!([{"weight": 3}, {"weight": 1.0}]), [3, 1]),
        (json!([{"weight": 3, "rpm": 5}, {"rpm": 7}]), [3, 0]),
        (json!([{"rpm": 5, "tpm": 1}, {"rpm": "7"}]), [5, 7]),
        (json!([{"tpm": 100}, {}]), [100, 0]),
        (json!([{"weight": 0}, {"weight": 0, "rpm": 9}]), [1, 1]),
        (json!([{"weight": 0.25}, {"weight": 1}]), [250_000, 1_000_000]),
    ];
    for (shares, expected) in rows {
        let mut params: Vec<Value> = shares.as_array().unwrap().clone();
        params.iter_mut().for_each(|params| params["model"] = json!("openai/gpt-4o"));
        let weights: Vec<u64> = compile(&group(&params)).deployments.iter().map(|d| d.weight).collect();
        assert_eq!(weights, expected, "{shares}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn models_and_credentials_are_inferred() {
    let base = "http://127.0.0.1:9/v1";
    let rows = [
        (json!({"model": "openai/gpt-4o"}), "openai", "gpt-4o", "value of OPENAI_API_KEY"),
        (json!({"model": "openai/meta-llama/L3", "api_base": base}), "openai", "meta-llama/L3", ""),
        (json!({"model": "openai/x", "api_base": base, "api_key": "k"}), "openai", "x", "k"),
        (
            json!({"model": "openai/x", "api_base": "https://API.openai.com/v1/"}),
            "openai",
            "x",
            "value of OPENAI_API_KEY",
        ),
        (json!({"model": "gpt-5-mini"}), "openai", "gpt-5-mini", "value of OPENAI_API_KEY"),
        (json!({"model": "o3"}), "openai", "o3", "value of OPENAI_API_KEY"),
        (json!({"model": "text-embedding-3-small"}), "openai", "text-embedding-3-small", "value of OPENAI_API_KEY"),
        (json!({"model": "claude-x"}), "anthropic", "claude-x", "value of ANTHROPIC_API_KEY"),
        (json!({"model": "hosted_vllm/q", "api_base": base}), "hosted_vllm", "q", "value of HOSTED_VLLM_API_KEY"),
        (
            json!({"model": "org/q", "custom_llm_provider": "openai_like", "api_base": base, "api_key": "k"}),
            "openai_like",
            "org/q",
            "k",
        ),
        (
            json!({"model": "anthropic/c", "custom_llm_provider": "anthropic"}),
            "anthropic",
            "c",
            "value of ANTHROPIC_API_KEY",
        ),
    ];
    for (params, provider, model, key) in rows {
        let config = compile(&group(std::slice::from_ref(&params)));
        let target = &config.deployments[0].target;
        let found = target.credential.key().map_or("", |key| key.expose());
        assert_eq!((target.vendor.prefix, target.model.as_str(), found), (provider, model, key), "{params}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn fallbacks_are_own_then_everyones_then_default() {
    let rows = [
        (json!({}), json!({}), vec![vec![], vec![], vec![]]),
        (json!({"fallbacks": [{"a": ["b", "c"]}]}), json!({}), vec![vec!["b", "c"], vec![], vec![]]),
        (json!({"fallbacks": [{"a": ["b"]}, {"*": ["c"]}]}), json!({}), vec![vec!["b"], vec!["c"], vec![]]),
        (json!({"default_fallbacks": ["c"]}), json!({}), vec![vec!["c"], vec!["c"], vec![]]),
        (json!({"fallbacks": [{"a": ["a", "b"]}, {"b": ["a"]}]}), json!({}), vec![vec!["b"], vec!["a"], vec![]]),
        (json!({}), json!({"fallbacks": [{"a": ["b"]}]}), vec![vec!["b"], vec![], vec![]]),
        (json!({"fallbacks": [{"b": ["a"]}]}), json!({"fallbacks": [{"a": ["b"]}]}), vec![vec![], vec!["a"], vec![]]),
    ];
    for (router, litellm, expected) in rows {
        let entry = |name| json!({"model_name": name, "litellm_params": {"model": "gpt-4o"}});
        let config =
            compile(&json!({"model_list": [entry("a"), entry("b"), entry("c")], "tollgate": {"allow_anonymous": true},
            "router_settings": router, "litellm_settings": litellm}));
        let found: Vec<_> = config.groups.values().map(|group| group.fallbacks.clone()).collect();
        assert_eq!(found, expected, "{router} {litellm}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn timeouts_and_retries_take_the_nearest() {
    let rows = [
        (json!({}), json!({}), json!({}), (600_000, 2)),
        (json!({}), json!({}), json!({"request_timeout": 7, "num_retries": 5}), (7000, 5)),
        (
            json!({}),
            json!({"timeout": 6, "num_retries": 0}),
            json!({"request_timeout": 7, "num_retries": 5}),
            (6000, 0),
        ),
        (json!({"timeout": "0.5", "num_retries": 3}), json!({"timeout": 6, "num_retries": 4}), json!({}), (500, 3)),
    ];
    for (mut params, router, litellm, expected) in rows {
        params["model"] = json!("gpt-4o");
        let mut document = group(&[params]);
        document["router_settings"] = router;
        document["litellm_settings"] = litellm;
        let config = compile(&document);
        assert_eq!((config.deployments[0].timeouts.whole.0, config.groups["a"].num_retries), expected, "{document}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_may_use_what_its_team_may() {
    let rows = [
        (json!({}), "abc"),
        (json!({"models": ["all-proxy-models"]}), "abc"),
        (json!({"models": ["b", "a"]}), "ab"),
        (json!({"models": ["no-default-models"]}), ""),
        (json!({"models": ["no-default-models", "b"]}), "b"),
        (json!({"team_id": "t"}), "ab"),
        (json!({"team_id": "t", "models": ["all-team-models"]}), "ab"),
        (json!({"team_id": "t", "models": ["c", "b"]}), "b"),
        (json!({"team_id": "t", "models": ["c"]}), ""),
        (json!({"team_id": "u", "models": ["c"]}), "c"),
    ];
    for (mut key, expected) in rows {
        key["key"] = json!("k");
        let entry = |name| json!({"model_name": name, "litellm_params": {"model": "gpt-4o"}});
        let config = compile(&json!({"model_list": [entry("a"), entry("b"), entry("c")],
            "tollgate": {"keys": [key], "teams": [{"team_id": "t", "models": ["a", "b"]}, {"team_id": "u"}]}}));
        let found: String = ["a", "b", "c"].into_iter().filter(|name| config.keys[0].may_use(&config, name)).collect();
        assert_eq!(found, expected, "{key}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn ids_are_stable_and_differ() {
    let params = |key: &str, weight: u64| json!({"model": "gpt-4o", "api_key": key, "weight": weight});
    let ids = |params: &[Value]| -> Vec<String> {
        compile(&group(params)).deployments.into_iter().map(|d| d.id.clone()).collect()
    };
    let one = ids(&[params("sk-1", 1), params("sk-2", 1), params("os.environ/B_API_KEY", 1)]);
    let other = ids(&[params("sk-3", 2), params("os.environ/B_API_KEY", 2), params("sk-4", 2)]);
    assert_eq!((&one[0], &one[1], &one[2]), (&other[0], &other[2], &other[1]));
    assert!(one[0] != one[1] && one[1] != one[2] && one.iter().all(|id| id.len() == 16));
}

#[wasm_bindgen_test(unsupported = test)]
fn nonsense_is_a_fault_and_no_panic() {
    for document in
        [json!(null), json!([]), json!("x"), json!({"model_list": [1, [], null]}), json!({"tollgate": {"keys": {}}})]
    {
        assert!(Config::compile(&document, Env::Strict(&env)).is_err(), "{document}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn an_open_relay_has_to_be_asked_for() {
    let rows = [
        (json!({}), false),
        (json!({"tollgate": {"keys": []}}), false),
        (json!({"tollgate": {"allow_anonymous": false}}), false),
        (json!({"tollgate": {"allow_anonymous": "true"}}), true),
        (json!({"tollgate": {"keys": [{"key": "k"}]}}), true),
        (json!({"general_settings": {"master_key": "k"}}), true),
        (json!({"general_settings": {"master_key": ""}}), false),
        (json!({"environment_variables": {"LITELLM_MASTER_KEY": "k"}}), true),
        (json!({"environment_variables": {"LITELLM_MASTER_KEY": ""}}), false),
    ];
    for (mut document, is_served) in rows {
        document["model_list"] = json!([{"model_name": "a", "litellm_params": {"model": "gpt-4o"}}]);
        assert_eq!(Config::compile(&document, Env::Strict(&env)).is_ok(), is_served, "{document}");
    }
}
