//! A large config compiles in no time: a loop over keys within a loop over keys would not.
//!
//! The bounds are loose, for a busy machine. Native only: Node.js is not what it is measured on.
#![expect(clippy::disallowed_types, reason = "a test of speed needs a clock")]

use std::time::Instant;

use serde_json::{Value, json};

use super::{Config, Env, Fault};

fn compile(document: &Value) -> Result<Config, Vec<Fault>> {
    Config::compile(document, Env::Strict(&|_| Some("k".to_owned())))
}

#[test]
fn a_large_config_compiles_in_no_time() {
    for groups in [1, 100, 1000] {
        let name = |i: usize| format!("group-{}", i % groups);
        let deployment = |i: usize| {
            json!({"model_name": name(i), "litellm_params": {"model": "openai/gpt-4o", "api_key": format!("sk-{i}")},
            "model_info": {"access_groups": ["all"]}})
        };
        let key = |i: usize| json!({"key_sha256": format!("{i:08x}{:056x}", 0), "models": [name(i), "all"], "team_id": "t", "max_budget": 1});
        let document = json!({
            "model_list": (0..1000).map(deployment).collect::<Vec<_>>(),
            "router_settings": {"fallbacks": (0..groups).map(|i| json!({name(i): [name(i + 1)]})).collect::<Vec<_>>()},
            "tollgate": {"keys": (0..10_000).map(key).collect::<Vec<_>>(), "teams": [{"team_id": "t"}]},
        });
        let started = Instant::now();
        let config = compile(&document).unwrap_or_else(|faults| panic!("{:?}", faults.first()));
        let taken = started.elapsed();
        assert_eq!((config.deployments.len(), config.groups.len(), config.keys.len()), (1000, groups, 10_000));
        println!("{groups} groups: {taken:?}");
        assert!(taken.as_secs() < 4, "{groups} groups: {taken:?}");
    }
}

/// A list of nothing but faults is not an attack.
#[test]
fn a_large_config_of_faults_is_refused_in_no_time() {
    let deployment = |i: usize| json!({"model_name": format!("a-group-with-a-long-name-{i}"), "litellm_params": {"model": "gpt-4o"}});
    let key = |i: usize| json!({"key": format!("sk-{i}"), "models": [format!("a-group-with-a-longer-name-{i}")]});
    let document = json!({
        "model_list": (0..1000).map(deployment).collect::<Vec<_>>(),
        "tollgate": {"keys": (0..10_000).map(key).collect::<Vec<_>>()},
    });
    let started = Instant::now();
    assert_eq!(compile(&document).map(|_| ()).unwrap_err().len(), 10_000);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
