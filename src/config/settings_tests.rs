//! Tables over what `router_settings` and the entries of `model_list` say of routing.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Affinity, Config, Env, Limits};
use crate::routing::{Class, PerClass, Strategy};
use crate::units::Millis;

/// A config with the groups `a` and `b`, whose first deployment has these members.
fn document(router: &Value, params: &Value, info: &Value) -> Value {
    let mut params = params.clone();
    params["model"] = json!("gpt-4o");
    json!({
        "model_list": [
            {"model_name": "a", "litellm_params": params, "model_info": info},
            {"model_name": "b", "litellm_params": {"model": "gpt-4o"}},
        ],
        "router_settings": router,
        "tollgate": {"allow_anonymous": true},
    })
}

fn compile(router: &Value, params: &Value, info: &Value) -> Config {
    Config::compile(&document(router, params, info), Env::Strict(&|_| Some("k".to_owned()))).unwrap()
}

fn faults(router: &Value, params: &Value, info: &Value) -> Vec<String> {
    let faults = Config::compile(&document(router, params, info), Env::Strict(&|_| Some("k".to_owned())));
    faults.map(|_| ()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[wasm_bindgen_test(unsupported = test)]
fn strategies_have_their_litellm_names() {
    let latency = |ttl, buffer, samples| Strategy::Latency { ttl: Millis::from_secs(ttl), buffer, samples };
    let rows = [
        (json!({}), Strategy::SimpleShuffle),
        (json!({"routing_strategy": "simple-shuffle"}), Strategy::SimpleShuffle),
        (json!({"routing_strategy": "least-busy"}), Strategy::LeastBusy),
        (json!({"routing_strategy": "latency-based-routing"}), latency(3600, 0.0, 10)),
        (
            json!({"routing_strategy": "latency-based-routing",
                "routing_strategy_args": {"ttl": 60, "lowest_latency_buffer": 0.5, "max_latency_list_size": 3}}),
            latency(60, 0.5, 3),
        ),
        (json!({"routing_strategy": "cost-based-routing"}), Strategy::Cost),
        (json!({"routing_strategy": "usage-based-routing-v2"}), Strategy::Usage),
        (json!({"routing_strategy": "usage-based-routing"}), Strategy::Usage),
    ];
    for (router, expected) in rows {
        assert_eq!(compile(&router, &json!({}), &json!({})).routing.strategy, expected, "{router}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn timeouts_fall_back_to_the_routers_then_to_the_whole() {
    let rows = [
        (json!({}), json!({}), (600_000, 600_000, None)),
        (json!({"timeout": 9}), json!({}), (9000, 9000, None)),
        (json!({"timeout": 9, "stream_timeout": 3}), json!({}), (9000, 3000, None)),
        (json!({"timeout": 9, "stream_timeout": 3}), json!({"timeout": 7}), (7000, 3000, None)),
        (json!({"timeout": 9}), json!({"timeout": 7}), (7000, 7000, None)),
        (json!({"timeout": 9, "stream_timeout": 3}), json!({"stream_timeout": 0.5}), (9000, 500, None)),
        (json!({"stream_idle_timeout": 4}), json!({}), (600_000, 600_000, Some(4000))),
        (json!({"stream_idle_timeout": 4}), json!({"stream_idle_timeout": 2}), (600_000, 600_000, Some(2000))),
    ];
    for (router, params, expected) in rows {
        let timeouts = compile(&router, &params, &json!({})).deployments[0].timeouts;
        let found = (timeouts.whole.0, timeouts.first_token.0, timeouts.idle.map(|idle| idle.0));
        assert_eq!(found, expected, "{router} {params}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_nearest_breaker_counts() {
    let none = PerClass::default();
    let all = |number| PerClass::all(Some(number));
    let but = |number, class, other| {
        let mut fails = all(number);
        fails.set(class, Some(other));
        fails
    };
    let rows = [
        (json!({}), json!({}), json!({}), (5000, none)),
        (json!({"cooldown_time": 2}), json!({}), json!({}), (2000, none)),
        (json!({"cooldown_time": 2}), json!({"cooldown_time": 3}), json!({}), (3000, none)),
        (json!({}), json!({"cooldown_time": 3}), json!({"cooldown_time": 0}), (0, none)),
        (json!({"disable_cooldowns": true}), json!({"cooldown_time": 3}), json!({}), (0, none)),
        (json!({"allowed_fails": 7}), json!({}), json!({}), (5000, all(7))),
        (json!({"allowed_fails": 7}), json!({}), json!({"allowed_fails": 1}), (5000, all(1))),
        (
            json!({"allowed_fails_policy": {"RateLimitErrorAllowedFails": 9}}),
            json!({}),
            json!({}),
            (5000, but(3, Class::RateLimit, 9)),
        ),
        (
            json!({"allowed_fails": 7, "allowed_fails_policy": {"TimeoutErrorAllowedFails": 9}}),
            json!({}),
            json!({"allowed_fails_policy": {"RateLimitErrorAllowedFails": 0}}),
            (5000, {
                let mut fails = but(7, Class::Timeout, 9);
                fails.set(Class::RateLimit, Some(0));
                fails
            }),
        ),
    ];
    for (router, params, info, expected) in rows {
        let breaker = compile(&router, &params, &info).deployments[0].breaker;
        assert_eq!((breaker.cooldown.0, breaker.allowed_fails), expected, "{router} {params} {info}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn retry_policies_name_classes() {
    let router = json!({
        "retry_policy": {"BadRequestErrorRetries": 1, "InternalServerErrorRetries": 4, "DefaultRetries": 9},
        "model_group_retry_policy": {"b": {"TimeoutErrorRetries": 2, "ContentPolicyViolationErrorRetries": 3}},
    });
    let config = compile(&router, &json!({}), &json!({}));
    let found = |group: &str| Class::ALL.map(|class| config.groups[group].retries.get(class));
    let (one, four, nine) = (Some(1), Some(4), Some(9));
    assert_eq!(found("a"), [one, nine, nine, nine, nine, one, one, four, nine, four]);
    assert_eq!(found("b"), [None, None, None, Some(2), None, None, Some(3), None, None, None]);
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_orders_and_tags_are_the_deployments_own() {
    let router = json!({"default_max_parallel_requests": 8});
    let params = json!({"rpm": 60, "tpm": "1000", "order": 1, "tags": ["eu", "default"]});
    let deployments = compile(&router, &params, &json!({"order": 3})).deployments;
    assert_eq!(
        deployments[0].limits,
        Limits { rpm: Some(60), tpm: Some(1000), parallel: Some(8), ..Limits::default() }
    );
    assert_eq!((deployments[0].order, deployments[1].order), (1, u32::MAX));
    assert_eq!(deployments[0].tags, ["eu", "default"]);
    let own = compile(&router, &json!({"max_parallel_requests": 2}), &json!({"order": 3}));
    assert_eq!((own.deployments[0].limits.parallel, own.deployments[0].order), (Some(2), 3));
}

#[wasm_bindgen_test(unsupported = test)]
fn the_router_has_switches() {
    let router = json!({
        "enable_pre_call_checks": true, "enable_tag_filtering": "true", "tag_filtering_match_any": false,
        "max_fallbacks": 2, "retry_after": 0.5,
        "optional_pre_call_checks": ["prompt_caching", "deployment_affinity", "enforce_model_rate_limits"],
    });
    let routing = compile(&router, &json!({}), &json!({})).routing;
    assert!(routing.checks_prompts && routing.filters_tags && !routing.matches_any_tag);
    assert_eq!((routing.max_fallbacks, routing.retry_after), (2, Millis(500)));
    assert_eq!(routing.affinity, Affinity { prompt: true, session: false, key: true });
}

#[wasm_bindgen_test(unsupported = test)]
fn special_fallbacks_have_lists_of_their_own() {
    let router = json!({
        "default_fallbacks": ["b"],
        "context_window_fallbacks": [{"a": ["b"]}],
        "content_policy_fallbacks": [{"*": ["a"]}],
    });
    let config = compile(&router, &json!({}), &json!({}));
    let (a, b) = (&config.groups["a"], &config.groups["b"]);
    assert_eq!((a.fallbacks.len(), a.context_window_fallbacks.len(), a.content_policy_fallbacks.len()), (1, 1, 0));
    assert_eq!((b.fallbacks.len(), b.context_window_fallbacks.len(), b.content_policy_fallbacks.len()), (0, 0, 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn litellm_settings_stand_in_for_the_router() {
    let mut document = document(&json!({"cooldown_time": 2}), &json!({}), &json!({}));
    document["litellm_settings"] = json!({
        "cooldown_time": 9, "allowed_fails": 4, "retry_after": 1, "context_window_fallbacks": [{"a": ["b"]}],
    });
    let config = Config::compile(&document, Env::Strict(&|_| Some("k".to_owned()))).unwrap();
    let breaker = config.deployments[0].breaker;
    assert_eq!((breaker.cooldown.0, breaker.allowed_fails), (2000, PerClass::all(Some(4))));
    assert_eq!((config.routing.retry_after.0, config.groups["a"].context_window_fallbacks.len()), (1000, 1));
}

#[wasm_bindgen_test(unsupported = test)]
fn faults_have_their_path() {
    let (router, params, info) = (
        json!({
            "routing_strategy": "fastest", "routing_strategy_args": {"ttl": 0, "max_latency_list_size": 0},
            "max_fallbacks": -1, "retry_after": "soon", "optional_pre_call_checks": ["prompt_cache"],
            "retry_policy": {"TimeoutErrorRetry": 1}, "allowed_fails_policy": {"DefaultAllowedFails": 1},
            "model_group_retry_policy": {"c": {}, "a": 3, "b": {"TimeoutErrorRetries": 101}},
            "cooldown_time": -1, "content_policy_fallbacks": [{"a": ["c"]}],
        }),
        json!({"order": -1, "tags": "eu", "stream_timeout": 0}),
        json!({"allowed_fails": 1.5, "allowed_fails_policy": [], "cooldown_time": "x"}),
    );
    let found = faults(&router, &params, &info);
    for start in [
        "router_settings.routing_strategy: expected simple-shuffle, least-busy, ",
        "router_settings.routing_strategy_args.ttl: ",
        "router_settings.routing_strategy_args.max_latency_list_size: ",
        "router_settings.max_fallbacks: ",
        "router_settings.retry_after: ",
        "router_settings.optional_pre_call_checks[0]: ",
        "router_settings.retry_policy.TimeoutErrorRetry: expected one of ",
        "router_settings.allowed_fails_policy.DefaultAllowedFails: expected one of ",
        "router_settings.model_group_retry_policy.c: expected a model_name",
        "router_settings.model_group_retry_policy.a: expected a mapping, found a number",
        "router_settings.model_group_retry_policy.b.TimeoutErrorRetries: ",
        "router_settings.cooldown_time: ",
        "router_settings.content_policy_fallbacks[0].a[0]: ",
        "model_list[0].litellm_params.order: ",
        "model_list[0].litellm_params.tags: ",
        "model_list[0].litellm_params.stream_timeout: ",
        "model_list[0].model_info.allowed_fails: ",
        "model_list[0].model_info.allowed_fails_policy: ",
        "model_list[0].model_info.cooldown_time: ",
    ] {
        let count = found.iter().filter(|fault| fault.starts_with(start)).count();
        assert_eq!(count, 1, "{start} in {found:#?}");
    }
    assert_eq!(found.len(), 19, "{found:#?}");
}
