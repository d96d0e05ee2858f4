//! Whatever comes, from whichever side: a clear error, and the next request is served.

use std::path::Path;
use std::sync::OnceLock;

use crate::harness::{Gate, Mock, Options, chat, wait_for};

const CONFIG: &str = "
model_list:
- model_name: good
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-good', api_key: sk-x}
- model_name: claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/su-claude', api_key: sk-x}
- model_name: garbage
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-garbage/garbage=1', api_key: sk-x}
- model_name: page
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-page/status=503,garbage=1,content-type=text~html', api_key: sk-x}
- model_name: cut
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-cut/cut=40', api_key: sk-x}
- model_name: cut-claude
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/su-cut-claude/cut=40', api_key: sk-x}
- model_name: moved
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-moved/status=302', api_key: sk-x}
- model_name: gzip
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-gzip/gzip=1', api_key: sk-x}
- model_name: long
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/su-long/body-bytes=32900000', api_key: sk-x}
- model_name: too-long
  litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{mock}/su-too-long/body-bytes=36000000', api_key: sk-x}
router_settings: {num_retries: 0}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
";

fn gate() -> &'static Gate {
    static GATE: OnceLock<Gate> = OnceLock::new();
    GATE.get_or_init(|| Gate::start("survival", CONFIG))
}

/// Both workers, and both kinds of provider.
fn expect_alive() {
    for model in ["good", "claude", "good", "claude"] {
        gate().chat("sk-app", model).expect_ok();
    }
}

#[test]
fn an_answer_that_makes_no_sense_harms_nobody() {
    for (model, status) in [("garbage", 502), ("page", 503), ("cut-claude", 502), ("moved", 502)] {
        let answer = gate().chat("sk-app", model);
        assert_eq!((answer.status, answer.at("/error/type")), (status, "api_error".into()), "{model}");
        assert!(!answer.text().contains("html"), "{}", answer.text());
        expect_alive();
    }
}

#[test]
fn an_answer_cut_off_is_no_success() {
    for more in ["", r#","stream":true"#] {
        let answer = gate().post("/v1/chat/completions", "sk-app", chat("cut", more));
        assert!(answer.status >= 500 || !answer.is_whole || more.contains("stream"), "{}", answer.text());
    }
    expect_alive();
}

#[test]
fn an_answer_that_nobody_asked_to_be_compressed_passes_as_it_is() {
    let answer = gate().chat("sk-app", "gzip").expect_ok();
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.body.starts_with(b"\x1f\x8b"));
}

/// Growing a held body beyond the buffer's limit ends the whole Envoy (1.40.0): nothing here is held and grown.
#[test]
fn no_length_of_an_answer_ends_envoy() {
    let answer = gate().chat("sk-app", "long");
    if answer.status == 200 {
        assert!(answer.at("/choices/0/message/content").as_str().unwrap().len() >= 32_900_000);
    } else {
        assert_eq!(answer.at("/error/type"), "api_error");
    }
    let answer = gate().chat("sk-app", "too-long");
    assert_eq!((answer.status, answer.at("/error/type")), (500, "api_error".into()));
    expect_alive();
}

#[test]
fn no_growth_of_a_request_ends_envoy() {
    // 20 MB, to which the translation adds more than as much again, beyond the buffer's limit of 33 MiB.
    let turn = r#"{"role":"user","content":"a"},{"role":"assistant","content":"b"},"#.repeat(330_000);
    let body = format!(r#"{{"model":"claude","messages":[{turn}{{"role":"user","content":"last"}}]}}"#);
    let (length, mock) = (body.len(), Mock::shared());
    gate().post("/v1/chat/completions", "sk-app", body).expect_ok();
    let received = mock.requests("/su-claude/").into_iter().map(|received| received.body.len()).max().unwrap();
    assert!(received > 34 << 20, "{length} bytes became {received}");
    expect_alive();
}

#[test]
fn a_megabyte_passes_byte_by_byte() {
    let text = "\u{65e5}\\u672c ".repeat(100_000);
    let body = format!(r#"{{"model":"good","messages":[{{"role":"user","content":"{text}"}}],"user":"megabyte"}}"#);
    gate().post("/v1/chat/completions", "sk-app", body.as_str()).expect_ok();
    let received = Mock::shared().requests("/su-good/").into_iter().find(|received| received.body.contains("megabyte"));
    assert!(received.unwrap().body == body.replacen("\"good\"", "\"gpt-4o-mini\"", 1));
}

/// The module of `make e2e` that traps on a header.
const TRAPPING: &str = "target/wasm32-unknown-unknown/debug/tollgate.wasm";

#[test]
fn a_trap_ends_one_request_and_no_budget() {
    let wasm = Path::new(env!("CARGO_MANIFEST_DIR")).join(TRAPPING);
    assert!(wasm.exists(), "{} is missing: run `make e2e`", wasm.display());
    let config = "
model_list:
- model_name: dollar
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/su-trap/usage=1:1', api_key: sk-x, output_cost_per_token: 1}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  - {key_alias: spent, key: sk-spent, max_budget: 1}
";
    let gate = Gate::start_with("trap", config, Options { concurrency: 1, wasm: Some(&wasm), ..Options::default() });
    gate.chat("sk-spent", "dollar").expect_ok();
    gate.access_log("spent", 1);
    for _ in 0..2 {
        let answer = gate.request("/v1/models", "sk-app", "").method("GET").header("x-test-trap", "1").send();
        assert_eq!(answer.status, 503);
        wait_for("the reloaded filter", || (gate.chat("sk-app", "dollar").status == 200).then_some(()));
    }
    gate.chat("sk-spent", "dollar").expect_error(429, "budget_exceeded", "budget_exceeded");
}
