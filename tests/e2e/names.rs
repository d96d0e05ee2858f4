//! What a client may call a model: aliases, wildcards, access groups, a key's own names, and tags.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Request, Rig, chat};

const NAMES: &str = "
model_list:
- {model_name: real, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/real/v1', api_key: sk-x}, model_info: {id: id-real}}
- {model_name: other, litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/other/v1', api_key: sk-x}, model_info: {id: id-other}}
- model_name: tried
  litellm_params: {model: openai/gpt-4o, api_base: 'http://{own}/tried/v1', api_key: sk-x}
  model_info: {id: id-tried, access_groups: [beta]}
- {model_name: openai/*, litellm_params: {model: openai/*, api_base: 'http://{own}/any-openai/v1', api_key: sk-x}, model_info: {id: id-openai}}
- {model_name: openai/gpt-4.1*, litellm_params: {model: openai/gpt-4.1*, api_base: 'http://{own}/any-41/v1', api_key: sk-x}, model_info: {id: id-41}}
- {model_name: claude/*, litellm_params: {model: anthropic/*, api_base: 'http://{own}/any-claude', api_key: sk-x}, model_info: {id: id-claude}}
router_settings:
  num_retries: 0
  model_group_alias: {nick: real, secret: {model: real, hidden: true}}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: only-real, key: sk-only-real, models: [real]}
  - {key_alias: beta, key: sk-beta, models: [beta]}
  - {key_alias: openai, key: sk-openai, models: [openai/*]}
  - {key_alias: renaming, key: sk-renaming, aliases: {real: other, mine: real}}
";

const STAR: &str = "
model_list:
- {model_name: real, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/star-real/v1', api_key: sk-x}, model_info: {id: id-real}}
- {model_name: 'openai/*', litellm_params: {model: 'openai/*', api_base: 'http://{own}/star-openai/v1', api_key: sk-x}, model_info: {id: id-openai}}
- {model_name: '*', litellm_params: {model: 'openai/*', api_base: 'http://{own}/star-any/v1', api_key: sk-x}, model_info: {id: id-any}}
tollgate: {keys: [{key_alias: app, key: sk-app}]}
";

const TAGS: &str = "
model_list:
- {model_name: tagged, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/t-free/v1', api_key: sk-x, tags: [free]}, model_info: {id: id-free}}
- {model_name: tagged, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/t-paid/v1', api_key: sk-x, tags: [paid, fast]}, model_info: {id: id-paid}}
- {model_name: tagged, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/t-default/v1', api_key: sk-x, tags: [default]}, model_info: {id: id-default}}
- {model_name: strict, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/t-strict/v1', api_key: sk-x, tags: [free]}, model_info: {id: id-strict}}
router_settings: {enable_tag_filtering: true}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: paying, key: sk-paying, tags: [paid]}
";

fn ask(rig: &Rig, key: &str, model: &str, more: &str) -> Request {
    rig.gate.request("/v1/chat/completions", key, chat(model, more))
}

/// The deployment that answers, and the model that its provider is asked for.
#[track_caller]
fn routed(rig: &Rig, key: &str, model: &str) -> (String, Value) {
    let answer = ask(rig, key, model, "").send().expect_ok();
    let received = rig.mock.requests("");
    (answer.by(), received.last().expect("a request").json()["model"].clone())
}

fn names() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| Rig::start("names", NAMES))
}

fn tags() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| Rig::start("names-tags", TAGS))
}

/// The names that a key is shown.
fn listed(key: &str) -> Vec<String> {
    let models = names().gate.get("/v1/models", key).expect_ok().at("/data");
    models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_alias_is_another_name_of_a_group() {
    for name in ["nick", "secret"] {
        let answer = ask(names(), "sk-app", name, "").send().expect_ok();
        assert_eq!(
            (answer.by().as_str(), answer.header("x-tollgate-model-group")),
            ("id-real", Some("real")),
            "{name}"
        );
    }
    let models = listed("sk-app");
    assert!(models.contains(&"nick".to_owned()) && !models.contains(&"secret".to_owned()), "{models:?}");
    // It opens no door.
    ask(names(), "sk-only-real", "nick", "").send().expect_ok();
    let answer = ask(names(), "sk-beta", "nick", "").send();
    answer.expect_error(403, "permission_error", "model_not_allowed");
}

#[test]
fn a_wildcard_takes_the_name_that_the_client_gave() {
    for (model, deployment, asked) in [
        ("openai/gpt-4o", "id-openai", "gpt-4o"),
        ("openai/o3-mini", "id-openai", "o3-mini"),
        ("openai/gpt-4.1-nano", "id-41", "gpt-4.1-nano"),
        ("claude/claude-haiku-4-5", "id-claude", "claude-haiku-4-5"),
    ] {
        // The mock is asked by other tests of this theme, too: by its path it is known whose request that was.
        let answer = ask(names(), "sk-app", model, r#","user":"wildcard""#).send().expect_ok();
        assert_eq!(answer.by(), deployment, "{model}");
        let part = deployment.replace("id-", "/any-");
        let received = names().mock.requests(&part);
        assert!(received.iter().any(|received| received.json()["model"] == asked), "{model}: {received:#?}");
    }
    ask(names(), "sk-app", "unheard-of", "").send().expect_error(404, "invalid_request_error", "model_not_found");
    ask(names(), "sk-openai", "openai/gpt-4o", "").send().expect_ok();
    ask(names(), "sk-openai", "real", "").send().expect_error(403, "permission_error", "model_not_allowed");
    ask(names(), "sk-only-real", "openai/gpt-4o", "").send().expect_error(403, "permission_error", "model_not_allowed");
}

#[test]
fn what_a_client_names_makes_no_label() {
    ask(names(), "sk-app", "openai/invented-by-a-client", "").send().expect_ok();
    let stats = Request::get(names().gate.admin_port, "/stats/prometheus").send();
    assert!(!stats.text().contains("invented"), "a client made a label");
}

#[test]
fn a_star_takes_what_nothing_else_does() {
    let rig = Rig::start("names-star", STAR);
    for (model, deployment, asked) in
        [("real", "id-real", "gpt-4o-mini"), ("openai/gpt-4o", "id-openai", "gpt-4o"), ("gpt-4.1", "id-any", "gpt-4.1")]
    {
        assert_eq!(routed(&rig, "sk-app", model), (deployment.to_owned(), json!(asked)), "{model}");
    }
}

#[test]
fn an_access_group_stands_for_its_models() {
    assert_eq!(ask(names(), "sk-beta", "tried", "").send().expect_ok().by(), "id-tried");
    ask(names(), "sk-beta", "real", "").send().expect_error(403, "permission_error", "model_not_allowed");
    assert_eq!(listed("sk-beta"), ["tried"]);
}

#[test]
fn a_key_may_have_names_of_its_own() {
    for (model, deployment) in [("mine", "id-real"), ("real", "id-other"), ("other", "id-other")] {
        assert_eq!(ask(names(), "sk-renaming", model, "").send().expect_ok().by(), deployment, "{model}");
    }
    assert_eq!(ask(names(), "sk-app", "real", "").send().expect_ok().by(), "id-real");
    ask(names(), "sk-app", "mine", "").send().expect_error(404, "invalid_request_error", "model_not_found");
}

#[test]
fn tags_choose_among_deployments() {
    let by_header =
        |tags: &str| ask(self::tags(), "sk-app", "tagged", "").header("x-litellm-tags", tags).send().expect_ok().by();
    let by_body = |more: &str| ask(self::tags(), "sk-app", "tagged", more).send().expect_ok().by();
    for _ in 0..4 {
        assert_eq!(by_header("free"), "id-free");
        assert_eq!(by_header("unheard-of, fast"), "id-paid");
        assert_eq!(by_body(r#","tags":["paid"]"#), "id-paid");
        assert_eq!(by_body(r#","metadata":{"tags":["free"]}"#), "id-free");
        assert_eq!(by_body(""), "id-default");
        assert_eq!(ask(tags(), "sk-paying", "tagged", "").send().expect_ok().by(), "id-paid");
    }
    for received in tags().mock.requests("/t-") {
        assert!(received.header("x-litellm-tags").is_none() && received.json()["tags"].is_null(), "{received:#?}");
    }
}

#[test]
fn without_a_deployment_of_its_tags_a_request_is_refused() {
    assert_eq!(ask(tags(), "sk-app", "strict", r#","tags":["free"]"#).send().expect_ok().by(), "id-strict");
    let answer = ask(tags(), "sk-app", "strict", r#","tags":["paid"]"#).send();
    let error = answer.expect_error(401, "authentication_error", "tags_not_allowed");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("tag")), "{error:#}");
    assert_eq!(tags().mock.requests("/t-strict/").len(), 1);
    // Where no deployment is tagged `default`, a request without tags goes to any.
    assert_eq!(ask(tags(), "sk-app", "strict", "").send().expect_ok().by(), "id-strict");
}
