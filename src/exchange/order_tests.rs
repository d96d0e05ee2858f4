//! Orders of an operator.

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::budget::account::{Demand, Holds, Till, reserve};
use crate::config::Env;
use crate::store::Memory;

const NOW: Millis = Millis(1_795_000_000_000);

fn rig() -> (Config, Memory) {
    let document = json!({
        "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "sk-x"}}],
        "tollgate": {"keys": [{"key_alias": "one/a", "key": "sk-one", "max_budget": 1, "budget_duration": "1d", "team_id": "t"},
                              {"key_alias": "shut", "key": "sk-shut", "blocked": true}]},
    });
    let config = Config::compile(&document, Env::Strict(&|_| None)).unwrap();
    let store = Memory::default();
    store.prepare(Locks::RECORD);
    config.accounts().for_each(|account| store.prepare(&account.record()));
    (config, store)
}

/// The answer and what was done, or the status and code of the error.
fn obey(config: &Config, store: &Memory, order: &Order, body: &Value) -> Result<(Value, String), (u16, String)> {
    match order.obey(config, body.to_string().as_bytes(), store, NOW) {
        Ok((reply, done)) => Ok((serde_json::from_slice(&reply.body).unwrap(), done)),
        Err(error) => Err((error.status(), error.code().unwrap_or_default().to_owned())),
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_is_blocked_by_any_of_its_names() {
    let (config, store) = rig();
    let digest = crate::bytes::hex(&Sha256::digest("sk-one"));
    for body in [json!({"key": "sk-one"}), json!({"key": digest}), json!({"key_alias": "one/a", "key": null})] {
        let (told, done) = obey(&config, &store, &Order::Block, &body).unwrap();
        let expected = json!({"key_alias": "one/a", "team_id": "t", "spend": 0, "max_budget": 1,
            "budget_reset_at": "2026-11-19T00:00:00Z", "models": null, "expires": null, "blocked": true});
        assert_eq!((told, done.as_str()), (expected, "blocked one/a"));
        assert!(Locks::has(&store, "one/a"));
        let (told, done) = obey(&config, &store, &Order::Unblock, &body).unwrap();
        assert_eq!((&told["blocked"], done.as_str()), (&json!(false), "unblocked one/a"));
        assert!(!Locks::has(&store, "one/a"));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_makes_no_sense_changes_nothing() {
    let (config, store) = rig();
    let reset = Order::Reset(Named::Alias("one/a".to_owned()));
    let rows = [
        (&Order::Block, json!([]), 400, "invalid_json"),
        (&Order::Block, json!({}), 400, "missing_required_parameter"),
        (&Order::Block, json!({"key": 1}), 400, "invalid_type"),
        (&Order::Block, json!({"key": "sk-one", "key_alias": "one/a"}), 400, "invalid_value"),
        (&Order::Block, json!({"key": "sk-other"}), 404, "key_not_found"),
        (&Order::Block, json!({"key_alias": "sk-one"}), 404, "key_not_found"),
        (&Order::Block, json!({"key": "x".repeat(ORDER_BYTES_MAX)}), 413, "request_too_large"),
        (&Order::Unblock, json!({"key": "sk-shut"}), 400, "invalid_value"),
        (&reset, json!({}), 400, "missing_required_parameter"),
        (&reset, json!({"reset_to": true}), 400, "invalid_type"),
        (&reset, json!({"reset_to": -1}), 400, "invalid_value"),
        (&reset, json!({"reset_to": 0.1}), 400, "invalid_value"),
        (&Order::Reset(Named::Alias("two".to_owned())), json!({"reset_to": 0}), 404, "key_not_found"),
    ];
    for (order, body, status, code) in rows {
        assert_eq!(obey(&config, &store, order, &body), Err((status, code.to_owned())), "{order:?} {body}");
    }
    assert!(!Locks::has(&store, "one/a") && obey(&config, &store, &reset, &json!({"reset_to": 0})).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn what_runs_at_a_reset_is_charged_after_it() {
    let (config, store) = rig();
    let accounts: Vec<_> = Caller::Key(0).accounts(&config).cloned().collect();
    let dime = PicoUsd(PicoUsd::PER_USD / 10);
    Holds::default().settle(&store, &mut Till::new(1), &accounts, NOW, dime.times(7), 0);
    let demand = Demand { now: NOW, cost: dime, tokens: 0, is_alive: &|_| true, fails_closed: false };
    let running = reserve(&store, &mut Till::new(1), &accounts, &demand).unwrap();
    let order = Order::Reset(Named::by_alias(crate::bytes::hex(&Sha256::digest("sk-one"))));
    let (told, done) = obey(&config, &store, &order, &json!({"reset_to": 0.5})).unwrap();
    let expected = json!({"key_alias": "one/a", "spend": 0.5, "previous_spend": 0.7, "max_budget": 1,
        "budget_reset_at": "2026-11-19T00:00:00Z"});
    assert_eq!((told, done.as_str()), (expected, "reset one/a"));
    let ledger = || config.keys[0].account.ledger(&store).unwrap();
    assert_eq!(ledger().reserved(NOW), dime);
    running.settle(&store, &mut Till::new(1), &accounts, NOW, dime, 0);
    assert_eq!(config.keys[0].account.spent(&store, NOW), Some(dime.times(6)));
    assert_eq!(ledger().reserved(NOW), PicoUsd(0));
}
