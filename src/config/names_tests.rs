//! Tables over what names stand for, who may use them, windows and shadows.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::{Config, Env};
use crate::budget::Rate;
use crate::time;
use crate::units::PicoUsd;

fn try_compile(document: &Value) -> Result<Config, Vec<String>> {
    let compiled = Config::compile(document, Env::Strict(&|_| Some("k".to_owned())));
    compiled.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn entry(name: &str, model: &str) -> Value {
    json!({"model_name": name, "litellm_params": {"model": model}})
}

/// A config of these entries and router settings, with this key.
fn document(entries: &[Value], router: &Value, key: &Value) -> Value {
    let mut key = key.clone();
    key["key"] = json!("k");
    json!({"model_list": entries, "router_settings": router, "tollgate": {"keys": [key],
        "teams": [{"team_id": "t", "models": ["openai/gpt-4*", "vip"]}]}})
}

fn entries() -> Vec<Value> {
    let mut vip = entry("vip", "gpt-4o");
    vip["model_info"] = json!({"access_groups": ["beta"]});
    let mut claude = entry("anthropic/*", "anthropic/*");
    claude["model_info"] = json!({"access_groups": ["beta"]});
    vec![
        entry("gpt", "gpt-4o"),
        vip,
        claude,
        entry("openai/*", "openai/*"),
        entry("openai/o*", "openai/o*"),
        entry("any-*", "openai/gpt-4o-mini"),
    ]
}

fn router() -> Value {
    json!({"model_group_alias": {"fast": "gpt", "secret": {"model": "gpt", "hidden": true}, "vip": "openai/gpt-4o",
        "shown": {"model": "vip2"}}})
}

#[wasm_bindgen_test(unsupported = test)]
fn a_name_is_an_alias_a_group_or_fits_a_pattern() {
    let mut entries = entries();
    entries.push(entry("vip2", "gpt-4o"));
    let config = try_compile(&document(&entries, &router(), &json!({}))).unwrap();
    let rows = [
        ("gpt", Some(("gpt", None, "gpt-4o"))),
        ("fast", Some(("gpt", None, "gpt-4o"))),
        ("secret", Some(("gpt", None, "gpt-4o"))),
        ("vip", Some(("openai/*", Some("gpt-4o"), "gpt-4o"))),
        ("openai/gpt-5-mini", Some(("openai/*", Some("gpt-5-mini"), "gpt-5-mini"))),
        ("openai/o3", Some(("openai/o*", Some("3"), "o3"))),
        ("o3", Some(("openai/o*", Some("3"), "o3"))),
        ("claude-sonnet-4-5", Some(("anthropic/*", Some("claude-sonnet-4-5"), "claude-sonnet-4-5"))),
        ("any-thing", Some(("any-*", Some("thing"), "gpt-4o-mini"))),
        ("openai/*", None),
        ("openai/../v1/files", None),
        ("azure/gpt-4o", None),
        ("nothing", None),
        ("", None),
    ];
    for (name, expected) in rows {
        let found = config.resolve(name);
        let pool = found.as_ref().map(|found| found.pool());
        let model = pool.as_ref().map(|pool| pool.get(0).unwrap().target.model.as_str());
        let found = found.as_ref().map(|found| (found.name, found.captured.as_deref(), model.unwrap()));
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(config.names.listed().collect::<Vec<_>>(), ["fast", "shown", "vip"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_pattern_s_deployment_has_what_the_catalog_says_of_the_model() {
    let config = try_compile(&document(&entries(), &json!({}), &json!({}))).unwrap();
    let pattern = &config.groups["openai/*"].pool.deployments()[0];
    let mini = pattern.with_model("gpt-4o-mini").unwrap();
    assert_eq!((pattern.price.clone(), pattern.max_input_tokens), (None, None));
    assert_eq!(
        mini.price.map(|price| (price.list(Rate::Input), price.list(Rate::Output))),
        Some((PicoUsd(150_000), PicoUsd(600_000)))
    );
    assert_eq!((mini.target.model.as_str(), mini.target.base_model.as_str()), ("gpt-4o-mini", "gpt-4o-mini"));
    assert_eq!((mini.max_input_tokens, mini.mode.as_str(), mini.supports_vision), (Some(128_000), "chat", Some(true)));
    assert_eq!((mini.number, &mini.id, &mini.model_group), (pattern.number, &pattern.id, &pattern.model_group));
    let own = pattern.with_model("ours").unwrap();
    assert_eq!((own.price, own.max_input_tokens), (None, None));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_provider_is_asked_for_its_own_models_only() {
    let mut priced = entry("openai/*", "openai/*");
    priced["litellm_params"]["input_cost_per_token"] = json!(0.000001);
    priced["model_info"] = json!({"supports_vision": false, "max_input_tokens": 7});
    let bedrock =
        json!({"model_name": "b/*", "litellm_params": {"model": "bedrock/*", "aws_region_name": "eu-west-1"}});
    let vertex = json!({"model_name": "v/*", "litellm_params": {"model": "vertex_ai/*", "api_key": "k"}});
    let config = try_compile(&json!({"model_list": [priced, bedrock, vertex], "tollgate": {"allow_anonymous": true}}));
    let config = config.unwrap();
    let asked = |name: &str| {
        let pool = config.resolve(name).unwrap().pool();
        pool.get(0).map(|deployment| deployment.target.model.clone())
    };
    for (name, expected) in [
        ("b/anthropic.claude-haiku", Some("anthropic.claude-haiku")),
        ("b/converse/amazon.nova-lite-v1:0", Some("amazon.nova-lite-v1:0")),
        ("b/eu-west-1/amazon.nova-lite-v1:0", Some("amazon.nova-lite-v1:0")),
        ("b/us-east-1/amazon.nova-lite-v1:0", None),
        ("b/arn:aws:bedrock:us-east-1:1:inference-profile/x", None),
        ("b/invoke/x", None),
        ("v/gemini-2.5-pro", Some("gemini-2.5-pro")),
        ("v/mistral-large", None),
    ] {
        assert_eq!(asked(name).as_deref(), expected, "{name}");
    }
    let mini = config.groups["openai/*"].pool.deployments()[0].with_model("gpt-4o-mini").unwrap();
    assert_eq!((mini.supports_vision, mini.max_input_tokens), (Some(false), Some(7)));
    assert_eq!(mini.price.map(|price| price.list(Rate::Input)), Some(PicoUsd(1_000_000)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_models_list_opens_names_aliases_groups_and_patterns() {
    let rows = [
        (json!({}), json!({"gpt": true, "fast": true, "openai/o3": true, "vip": true})),
        (json!({"models": ["gpt"]}), json!({"gpt": true, "fast": true, "vip": false, "openai/o3": false})),
        (json!({"models": ["fast"]}), json!({"fast": true, "gpt": false, "secret": false})),
        (
            json!({"models": ["openai/*"]}),
            json!({"openai/gpt-4o": true, "openai/o3": true, "o3": true, "gpt-5": true, "gpt": false, "vip": true}),
        ),
        (
            json!({"models": ["openai/gpt-*"]}),
            json!({"openai/gpt-4o": true, "openai/o3": false, "gpt-5": true, "o3": false}),
        ),
        (json!({"models": ["openai/o3"]}), json!({"openai/o3": true, "openai/o4": false})),
        (
            json!({"models": ["beta"]}),
            json!({"claude-x": true, "anthropic/claude-x": true, "vip": false, "gpt": false}),
        ),
        (json!({"models": ["no-default-models"]}), json!({"gpt": false, "openai/o3": false})),
        (json!({"models": ["*"]}), json!({"gpt": true, "anthropic/claude-x": true})),
        (json!({"team_id": "t"}), json!({"openai/gpt-4o": true, "gpt-4o": true, "vip": true, "openai/o3": false})),
        (json!({"team_id": "t", "models": ["openai/*"]}), json!({"openai/gpt-4o": true, "openai/o3": false})),
        (json!({"models": ["mine"], "aliases": {"mine": "gpt"}}), json!({"mine": true, "gpt": false})),
        (
            json!({"models": ["gpt"], "aliases": {"mine": "gpt", "other": "openai/o3"}}),
            json!({"mine": true, "gpt": true, "other": false}),
        ),
    ];
    for (key, expected) in rows {
        let mut router = router();
        router["model_group_alias"].as_object_mut().unwrap().remove("shown");
        let config = try_compile(&document(&entries(), &router, &key)).unwrap();
        for (name, allowed) in expected.as_object().unwrap() {
            assert_eq!(config.keys[0].may_use(&config, name), allowed.as_bool().unwrap(), "{key} {name}");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn keys_have_their_own_and_their_teams_tags() {
    let mut document =
        document(&entries(), &json!({}), &json!({"team_id": "t", "tags": ["a", "b"], "aliases": {"m": "gpt"}}));
    document["tollgate"]["teams"][0]["tags"] = json!(["b", "c"]);
    let config = try_compile(&document).unwrap();
    assert_eq!(config.keys[0].tags, ["a", "b", "c"]);
    assert_eq!((config.keys[0].meant("m"), config.keys[0].meant("gpt")), ("gpt", "gpt"));
}

#[wasm_bindgen_test(unsupported = test)]
fn names_that_lead_nowhere_are_faults() {
    let mut entries =
        vec![entry("gpt", "gpt-4o"), entry("a*b*", "gpt-4o"), entry("c/*", "openai/*/*"), entry("d", "openai/*")];
    entries.push(entry("*", "*"));
    entries.push(
        json!({"model_name": "w", "litellm_params": {"model": "gpt-4o"}, "model_info": {"access_groups": "beta",
        "access_windows": [
            {"start": "9:00", "end": "17:00", "timezone": "Europe/Berlin", "team_ids": ["t"]},
            {"start": "09:00", "end": "09:00", "timezone": "UTC", "team_ids": ["t"]},
            {"start": "09:00", "end": "17:00", "timezone": "Mars", "team_ids": ["t"]},
            {"start": "09:00", "end": "17:00", "timezone": "UTC", "team_ids": []},
            {"start": "09:00", "end": "17:00", "timezone": "UTC", "team_ids": ["t"], "days": 1}]}}),
    );
    let router =
        json!({"model_group_alias": {"x": "gtp", "y": "z", "z": "gpt", "v": {"model": "gpt", "hidden": 3}, "u": {}}});
    let document = json!({"model_list": entries, "router_settings": router, "tollgate": {
        "keys": [{"key": "k", "models": ["azure/*", "a*b*", "gtp"], "aliases": {"m": "gtp"}}, {"key": "l", "aliases": []}],
        "shadow": [{"model_group": "gpt", "to": "w", "percent": 101}, {"model_group": "gpt", "to": "gpt", "percent": 1},
            {"model_group": "gtp", "to": "c/*", "percent": 1}, {"model_group": "gpt", "to": "c/*", "percent": 1},
            {"model_group": "w", "to": "gpt"}, {"model_group": "w", "to": "gpt", "percent": 0},
            {"model_group": "w", "to": "gpt", "percent": 1, "share": 1}]}});
    let found = try_compile(&document).map(|_| ()).unwrap_err();
    let expected = [
        "model_list[1].model_name: expected a name with at most one `*`",
        "model_list[2].litellm_params.model: expected a model with at most one `*`",
        "model_list[3].litellm_params.model: expected a model without a `*`, found one",
        "model_list[4].litellm_params.model: expected `provider/model`",
        "model_list[5].model_info.access_groups: expected a list",
        "model_list[5].model_info.access_windows[0].start: expected a time of day",
        "model_list[5].model_info.access_windows[1].end: expected another time",
        "model_list[5].model_info.access_windows[2].timezone: expected a zone",
        "model_list[5].model_info.access_windows[3].team_ids: expected at least one",
        "model_list[5].model_info.access_windows[4].days: expected one of",
        "router_settings.model_group_alias.v.hidden: ",
        "router_settings.model_group_alias.u.model: expected a name",
        "router_settings.model_group_alias.y: expected a model_name of model_list, found another alias",
        "tollgate.keys[0].models[1]: expected a pattern",
        "tollgate.keys[1].aliases: expected a mapping",
        "tollgate.shadow[0].percent: expected a percentage, 0 to 100, found 101",
        "tollgate.shadow[1].to: expected another group",
        "tollgate.shadow[2].model_group: expected a model_name",
        "tollgate.shadow[3].to: expected a group of one model",
        "tollgate.shadow[4].percent: expected a percentage",
        "tollgate.shadow[6].model_group: expected each group once",
        "tollgate.shadow[6].share: expected one of",
    ];
    for start in expected {
        assert!(found.iter().any(|fault| fault.starts_with(start)), "{start} in {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn an_unknown_name_is_a_fault_wherever_it_stands() {
    let router = json!({"model_group_alias": {"x": "gtp"}, "fallbacks": [{"gpt": ["gtp", "x"]}]});
    let document = json!({"model_list": [entry("gpt", "gpt-4o")], "router_settings": router, "tollgate": {
        "keys": [{"key": "k", "models": ["azure/*", "gtp"], "aliases": {"m": "gtp"}}],
        "shadow": [{"model_group": "gtp", "to": "gpt", "percent": 1}]}});
    let found = try_compile(&document).map(|_| ()).unwrap_err();
    for path in [
        "router_settings.model_group_alias.x: ",
        "router_settings.fallbacks[0].gpt[0]: ",
        "router_settings.fallbacks[0].gpt[1]: ",
        "tollgate.keys[0].models[0]: ",
        "tollgate.keys[0].models[1]: ",
        "tollgate.keys[0].aliases.m: ",
        "tollgate.shadow[0].model_group: ",
    ] {
        assert!(found.iter().any(|fault| fault.starts_with(path)), "{path} in {found:#?}");
    }
    assert_eq!(found.len(), 7, "{found:#?}");
}

#[wasm_bindgen_test(unsupported = test)]
fn fallbacks_are_what_aliases_stand_for() {
    let mut router = router();
    router["model_group_alias"].as_object_mut().unwrap().remove("shown");
    router["fallbacks"] = json!([{"vip": ["fast", "openai/gpt-5", "claude-x"]}]);
    let config = try_compile(&document(&entries(), &router, &json!({}))).unwrap();
    assert_eq!(config.groups["vip"].fallbacks, ["gpt", "openai/gpt-5", "claude-x"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn windows_reserve_by_the_clock_on_the_wall() {
    let window = |start: &str, end: &str, team: &str| json!({"start": start, "end": end, "timezone": "Europe/Berlin", "team_ids": [team]});
    let (day, night) = (window("09:00", "17:00", "a"), window("22:00", "03:00", "b"));
    let rows = [
        // In winter Berlin is one hour ahead, in summer two.
        (json!([day]), "2026-11-23T07:59:59Z", "xab"),
        (json!([day]), "2026-11-23T08:00:00Z", "a"),
        (json!([day]), "2026-11-23T15:59:59Z", "a"),
        (json!([day]), "2026-11-23T16:00:00Z", "xab"),
        (json!([day]), "2026-07-01T07:00:00Z", "a"),
        (json!([day]), "2026-07-01T15:00:00Z", "xab"),
        (json!([night]), "2026-11-23T20:59:59Z", "xab"),
        (json!([night]), "2026-11-23T21:00:00Z", "b"),
        (json!([night]), "2026-11-23T23:30:00Z", "b"),
        // 2 to 3 o'clock does not exist on this day, and comes twice on the other.
        (json!([night]), "2026-03-29T00:59:59Z", "b"),
        (json!([night]), "2026-03-29T01:00:00Z", "xab"),
        (json!([night]), "2026-10-25T00:30:00Z", "b"),
        (json!([night]), "2026-10-25T01:59:59Z", "b"),
        (json!([night]), "2026-10-25T02:00:00Z", "xab"),
        (json!([day, window("16:00", "22:30", "b")]), "2026-11-23T15:30:00Z", "ab"),
        (json!([]), "2026-11-23T15:30:00Z", "xab"),
    ];
    for (windows, now, expected) in rows {
        let mut entry = entry("w", "gpt-4o");
        entry["model_info"] = json!({"access_windows": windows});
        let config = try_compile(&json!({"model_list": [entry], "tollgate": {"allow_anonymous": true}})).unwrap();
        let (deployment, now_at) = (&config.deployments[0], time::rfc3339(now).unwrap());
        let teams = [("x", None), ("a", Some("a")), ("b", Some("b"))];
        let open: String =
            teams.iter().filter(|(_, team)| !deployment.is_reserved(now_at, *team)).map(|(name, _)| *name).collect();
        assert_eq!(open, expected, "{windows} {now}");
        if let [window] = &deployment.access_windows[..] {
            assert!(
                teams.iter().all(|(_, team)| window.reserves(now_at, *team) == deployment.is_reserved(now_at, *team))
            );
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn shadows_are_shares_of_a_million() {
    let document = json!({"model_list": [entry("a", "gpt-4o"), entry("b", "gpt-4o"), entry("c", "gpt-4o")],
        "tollgate": {"allow_anonymous": true, "shadow": [
            {"model_group": "a", "to": "c", "percent": 5}, {"model_group": "b", "to": "c", "percent": 0.25}]}});
    let shadows = try_compile(&document).unwrap().routing.shadows;
    let found: Vec<_> = shadows.iter().map(|s| (s.model_group.as_str(), s.to.as_str(), s.per_million)).collect();
    assert_eq!(found, [("a", "c", 50_000), ("b", "c", 2500)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_is_found_by_its_digest() {
    let keys: Vec<Value> = (0..100).map(|i| json!({"key": format!("sk-{i}")})).collect();
    let config = try_compile(&json!({"model_list": [entry("a", "gpt-4o")], "tollgate": {"keys": keys}})).unwrap();
    for (i, key) in config.keys.iter().enumerate() {
        assert_eq!(config.key_by_digest(&key.digest.unwrap()), Some(i));
        let mut other = key.digest.unwrap();
        other[31] ^= 1;
        assert_eq!(config.key_by_digest(&other), None);
    }
    assert_eq!((config.key_by_digest(&[0; 32]), config.key_by_digest(&[255; 32])), (None, None));
}
