//! What `tollgate.identity` may be.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::Env;

fn compile(identity: &Value) -> Result<Config, Vec<String>> {
    let document = json!({
        "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "sk-x"}}],
        "tollgate": {"identity": identity, "teams": [{"team_id": "b"}, {"team_id": "a"}],
            "keys": [{"key_alias": "k"}]},
    });
    let compiled = Config::compile(&document, Env::Strict(&|_| None));
    compiled.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[wasm_bindgen_test(unsupported = test)]
fn names_are_paths() {
    let map = json!([{"match": "*", "key_alias": "k"}]);
    let config = compile(&json!([
        {"from": "jwt", "metadata": "p", "claim": "https://x.example/id", "user_claim": ["a", "b"], "map": map},
        {"from": "jwt", "metadata": ["my.filter"], "team_claim": "team"},
        {"from": "peer", "san": "subject", "map": map},
        {"from": "header", "name": "X-Who", "map": [{"match": "x", "team_id": "b"}]},
    ]));
    let config = config.unwrap();
    let names: Vec<[Option<String>; 3]> = config
        .mesh
        .sources
        .into_iter()
        .map(|source| {
            [Some(source.subject), source.team, source.user].map(|name| name.map(|name| name.replace('\0', " ")))
        })
        .collect();
    let name = |name: &str| Some(name.to_owned());
    let base = "metadata filter_metadata envoy.filters.http.jwt_authn p";
    assert_eq!(
        names,
        [
            [Some(format!("{base} https://x.example/id")), None, Some(format!("{base} a b"))],
            [name("metadata filter_metadata my.filter sub"), name("metadata filter_metadata my.filter team"), None],
            [name("connection subject_peer_certificate"), None, None],
            [name("x-who"), None, None],
        ]
    );
    assert_eq!(config.keys[0].digest, None);
    let teams: Vec<_> = config.mesh.members.iter().map(|member| member.team_id.as_deref()).collect();
    assert_eq!(teams, [Some("a"), Some("b")]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_star_stands_for_anything() {
    for (pattern, text, expected) in [
        ("*", "", true),
        ("*", "any/thing", true),
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "ab/c", true),
        ("a*", "ba", false),
        ("*c", "abc", true),
        ("*c", "abcd", false),
        ("spiffe://*/ns/batch/*", "spiffe://cluster.local/ns/batch/sa/x", true),
        ("spiffe://*/ns/batch/*", "spiffe://cluster.local/ns/web/sa/x", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*bc", "abc", true),
        ("ab*bc", "abc", false),
        ("a*b*b", "ab", false),
        ("**", "x", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
