//! Who asks, by what Envoy says of the stream.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::config::Env;
use crate::store::Memory;
use crate::telemetry::Record;

const NOW: Millis = Millis(1_795_000_000_000);

fn config(identity: &Value) -> Config {
    let document = json!({
        "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "sk-x"}}],
        "general_settings": {"master_key": "sk-master"},
        "tollgate": {
            "identity": identity,
            "teams": [{"team_id": "batch", "models": ["m"], "tags": ["night"]}, {"team_id": "app"}],
            "users": [{"user_id": "cron"}, {"user_id": "ann"}],
            "keys": [{"key_alias": "plain", "key": "sk-plain"},
                     {"key_alias": "runner", "team_id": "app"},
                     {"key_alias": "of-ann", "user_id": "ann"},
                     {"key_alias": "shut", "key": "sk-shut", "blocked": true},
                     {"key_alias": "old", "expires": "2020-01-01T00:00:00Z"}],
        },
    });
    Config::compile(&document, Env::Strict(&|_| None)).unwrap()
}

/// All three sources, each with the same map.
fn sources() -> Value {
    let map = json!([{"match": "spiffe://cluster.local/ns/batch/*", "key_alias": "runner"},
        {"match": "cron", "team_id": "batch", "user_id": "cron"}, {"match": "ann", "key_alias": "of-ann"},
        {"match": "shut", "key_alias": "shut"}, {"match": "old", "key_alias": "old"}]);
    json!([
        {"from": "jwt", "metadata": "p", "team_claim": ["realm", "team"], "user_claim": "email", "map": map},
        {"from": "peer", "san": "uri", "map": map},
        {"from": "header", "name": "X-Auth-Subject", "team_header": "x-auth-team", "map": map},
    ])
}

/// Who it is: the alias, the team and the user of its record, or why it is refused.
fn who(config: &Config, headers: &[(&str, &str)], properties: &[(&str, &[u8])]) -> String {
    let store = Memory::default();
    store.prepare(Locks::RECORD);
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let property = |path: &str| {
        let found = properties.iter().find(|(name, _)| name.replace('/', "\0") == path);
        found.map(|(_, value)| value.to_vec())
    };
    let scene = Scene { now: NOW, store: &store, property: &property };
    match authenticate(config, &Headers::of(&headers), false, &scene) {
        Ok((caller, user)) => {
            let record = Record::of_caller(config, caller).with_user(user.as_deref());
            let names: Vec<&str> = caller.accounts(config).map(|account| account.name.as_str()).collect();
            format!("{}|{}|{} {}", record.key_alias, record.team, record.user, names.join("+"))
        }
        Err(error) => error.message,
    }
}

/// Headers, properties, and who that is.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, &'a [u8])], &'a str);

const PAYLOAD: &str = "metadata/filter_metadata/envoy.filters.http.jwt_authn/p";

#[wasm_bindgen_test(unsupported = test)]
fn who_is_verified_needs_no_key() {
    let config = config(&sources());
    let claim = |name: &str| format!("{PAYLOAD}/{name}");
    let (sub, team, email) = (claim("sub"), claim("realm/team"), claim("email"));
    let uri = "connection/uri_san_peer_certificate";
    let spiffe = b"spiffe://cluster.local/ns/batch/sa/runner".as_slice();
    let bearer = ("authorization", "Bearer eyJ.eyJ.c2ln");
    let rows: &[Row<'_>] = &[
        (&[], &[], "no API key was given"),
        (&[bearer], &[], "the API key is not known"),
        // A token that jwt_authn has verified is no key.
        (&[bearer], &[(&sub, b"cron")], "|batch|cron batch+cron"),
        (&[bearer], &[(&sub, b"someone"), (&team, b"app")], "|app|someone app"),
        (&[bearer], &[(&sub, b"someone"), (&team, b"app"), (&email, b"ann")], "|app|ann app+ann"),
        (&[bearer], &[(&sub, b"ann"), (&email, b"cron")], "of-ann||ann of-ann+ann"),
        // Nobody: no team of the config, no subject, no text.
        (&[bearer], &[(&sub, b"someone"), (&team, b"other")], "the API key is not known"),
        (&[bearer], &[(&team, b"app")], "the API key is not known"),
        (&[bearer], &[(&sub, b"\x00\x00\x00\x00\x00\x00\xf0?"), (&team, b"app")], "the API key is not known"),
        (&[bearer], &[(&sub, b"a\nb"), (&team, b"app")], "the API key is not known"),
        (&[bearer], &[(&sub, b"  "), (&team, b"app")], "the API key is not known"),
        // A certificate counts where it was shown.
        (
            &[],
            &[("connection/mtls", &[1]), (uri, spiffe)],
            "runner|app|spiffe://cluster.local/ns/batch/sa/runner runner+app",
        ),
        (&[], &[("connection/mtls", &[0]), (uri, spiffe)], "no API key was given"),
        (&[], &[(uri, spiffe)], "no API key was given"),
        (&[], &[("connection/mtls", &[1]), (uri, b"spiffe://cluster.local/ns/web/sa/x")], "no API key was given"),
        (&[("x-auth-subject", "cron")], &[], "|batch|cron batch+cron"),
        (&[("x-auth-subject", "who"), ("x-auth-team", "app")], &[], "|app|who app"),
        (&[("x-auth-subject", "cron"), ("x-auth-subject", "ann")], &[], "no API key was given"),
        // The first source that leads to somebody.
        (&[("x-auth-subject", "cron")], &[(&sub, b"ann")], "of-ann||ann of-ann+ann"),
        (&[("x-auth-subject", "cron")], &[(&sub, b"nobody")], "|batch|cron batch+cron"),
        // A key that is known decides, wherever it stands.
        (&[("x-api-key", "sk-plain")], &[(&sub, b"cron")], "plain|| plain"),
        (&[bearer, ("x-api-key", "sk-plain")], &[(&sub, b"cron")], "plain|| plain"),
        (&[bearer, ("x-api-key", "sk-master")], &[(&sub, b"cron")], "master|| "),
        (&[bearer, ("x-api-key", "sk-shut")], &[(&sub, b"cron")], "the API key is blocked"),
        // So does one that is led to.
        (&[bearer], &[(&sub, b"shut")], "the API key is blocked"),
        (&[bearer], &[(&sub, b"old")], "the API key has expired"),
    ];
    for (headers, properties, expected) in rows {
        assert_eq!(who(&config, headers, properties), *expected, "{headers:?} {properties:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn nothing_is_read_that_is_not_configured() {
    let config = config(&json!([{"from": "peer", "san": "dns", "map": [{"match": "*", "team_id": "app"},
        {"match": "1", "key_alias": "runner"}, {"match": "2", "key_alias": "of-ann"}, {"match": "3", "key_alias": "old"}]}]));
    let read = std::cell::RefCell::new(Vec::new());
    let property = |path: &str| {
        read.borrow_mut().push(path.replace('\0', "/"));
        (path == MTLS).then(|| vec![1])
    };
    let store = Memory::default();
    let scene = Scene { now: NOW, store: &store, property: &property };
    let of = |headers: &[(&str, &[u8])]| authenticate(&config, &Headers::of(headers), false, &scene).is_ok();
    assert!(of(&[("authorization", b"Bearer sk-plain")]));
    assert!(read.borrow().is_empty(), "a key that is known asks for nothing");
    assert!(!of(&[("x-auth-subject", b"cron")]));
    assert_eq!(*read.borrow(), ["connection/mtls", "connection/dns_san_peer_certificate"]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_block_is_seen_by_the_next_request() {
    let config = config(&sources());
    let store = Memory::default();
    store.prepare(Locks::RECORD);
    let is_in = |headers: &[(&str, &[u8])]| {
        let scene = Scene { now: NOW, store: &store, property: &|_| None };
        authenticate(&config, &Headers::of(headers), false, &scene).is_ok()
    };
    let (plain, verified) = (
        [("x-api-key", b"sk-plain".as_slice())],
        [("x-auth-subject", b"spiffe://cluster.local/ns/batch/a".as_slice())],
    );
    assert!(is_in(&plain) && is_in(&verified));
    for alias in ["plain", "runner"] {
        Locks::set(&store, alias, true).unwrap();
    }
    assert!(!is_in(&plain) && !is_in(&verified));
    Locks::set(&store, "plain", false).unwrap();
    assert!(is_in(&plain) && !is_in(&verified));
}
