use std::rc::Rc;

use serde_json::{Value, json};
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::budget::account::{Holds, Till};
use crate::config::Env;
use crate::store::Memory;

/// 2026-11-18.
const NOW: Millis = Millis(1_795_000_000_000);

fn config() -> Config {
    let document = json!({
        "model_list": [{"model_name": "m", "litellm_params": {"model": "openai/gpt-4o", "api_key": "sk-secret"}}],
        "litellm_settings": {"max_budget": 100, "budget_duration": "1d"},
        "general_settings": {"master_key": "sk-master"},
        "tollgate": {
            "teams": [{"team_id": "red", "max_budget": 5, "budget_duration": "1d"}, {"team_id": "blue"}],
            "users": [{"user_id": "ann", "max_budget": 3}],
            "keys": [{"key_alias": "one", "key": "sk-one", "team_id": "red", "user_id": "ann", "max_budget": 1},
                     {"key_alias": "two", "key": "sk-two", "team_id": "red"},
                     {"key_alias": "three", "key": "sk-three"}]},
    });
    Config::compile(&document, Env::Strict(&|_| None)).unwrap()
}

/// Each key has spent a quarter of a dollar.
fn told(config: &Config, spend: &Spend, caller: Caller) -> Result<Value, u16> {
    let store = Memory::default();
    config.accounts().for_each(|account| store.prepare(&account.record()));
    for i in 0..3 {
        let accounts: Vec<Rc<Account>> = Caller::Key(i).accounts(config).cloned().collect();
        Holds::default().settle(&store, &mut Till::new(1), &accounts, NOW, PicoUsd(PicoUsd::PER_USD / 4), 0);
    }
    let reply = spend.reply(config, caller, &store, NOW);
    let body = serde_json::from_slice(&reply.body).unwrap();
    if reply.status == 200 { Ok(body) } else { Err(reply.status) }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_master_key_sees_all() {
    let config = config();
    let told = |spend: Spend| told(&config, &spend, Caller::Master);
    let one = json!({"key_alias": "one", "spend": 0.25, "max_budget": 1, "budget_reset_at": null});
    let two = json!({"key_alias": "two", "spend": 0.25, "max_budget": null, "budget_reset_at": null});
    let three = json!({"key_alias": "three", "spend": 0.25, "max_budget": null, "budget_reset_at": null});
    let red = json!({"team_id": "red", "spend": 0.5, "max_budget": 5, "budget_reset_at": "2026-11-19T00:00:00Z"});
    let blue = json!({"team_id": "blue", "spend": 0, "max_budget": null, "budget_reset_at": null});
    let ann = json!({"user_id": "ann", "spend": 0.25, "max_budget": 3, "budget_reset_at": null});
    assert_eq!(told(Spend::List(Scope::Key)), Ok(json!([one, two, three])));
    assert_eq!(
        told(Spend::All),
        Ok(
            json!({"per": "envoy", "enforced": "envoy", "replicas": 1, "keys": [one, two, three], "teams": [blue, red], "users": [ann]})
        )
    );
    assert_eq!(told(Spend::Global), Ok(json!({"spend": 0.75, "max_budget": 100})));
    let team = |id: &str| told(Spend::One(Scope::Team, Some(id.to_owned())));
    assert_eq!(
        team("red"),
        Ok(json!({"team_id": "red", "team_info": red, "keys": [one, two], "team_memberships": []}))
    );
    assert_eq!(team("green"), Err(400));
    assert_eq!(told(Spend::One(Scope::Team, None)), Err(400));
    assert_eq!(
        told(Spend::One(Scope::User, Some("ann".to_owned()))),
        Ok(json!({"user_id": "ann", "user_info": ann, "keys": [one], "teams": [red]}))
    );
    let info = told(Spend::Key(None)).unwrap();
    assert_eq!((&info["info"]["key_alias"], &info["info"]["spend"]), (&json!("master"), &Value::Null));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_key_sees_what_is_its_own() {
    let config = config();
    let names = |rows: &Value, name: &str| -> Vec<Value> {
        rows.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    };
    for (i, key, teams, users) in
        [(0, "one", vec!["red"], vec!["ann"]), (1, "two", vec!["red"], vec![]), (2, "three", vec![], vec![])]
    {
        let caller = Caller::Key(i);
        let told = |spend: Spend| told(&config, &spend, caller);
        let all = told(Spend::All).unwrap();
        assert_eq!(names(&all["keys"], "key_alias"), [key]);
        assert_eq!(names(&all["teams"], "team_id"), teams);
        assert_eq!(names(&all["users"], "user_id"), users);
        assert_eq!(names(&told(Spend::List(Scope::Key)).unwrap(), "key_alias"), [key]);
        assert_eq!(told(Spend::Global), Err(403));
        assert_eq!(told(Spend::One(Scope::Team, Some("blue".to_owned()))), Err(403));
        let own = told(Spend::One(Scope::Team, None));
        assert_eq!(own.is_ok(), !teams.is_empty());
        if let Ok(own) = own {
            assert_eq!((names(&own["keys"], "key_alias"), &own["team_info"]["spend"]), (vec![json!(key)], &json!(0.5)));
        }
        let info = told(Spend::Key(None)).unwrap();
        assert_eq!((&info["info"]["key_alias"], &info["info"]["spend"]), (&json!(key), &json!(0.25)));
        assert!(!all.to_string().contains("sk-"), "{all}");
    }
}
