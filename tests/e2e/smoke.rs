//! The shortest way through: what the other tests are variations of.

use crate::harness::{Gate, Mock};

const CONFIG: &str = "
model_list:
- model_name: fast
  litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/smoke/v1', api_key: sk-provider}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
";

#[test]
fn a_chat_goes_to_the_provider_and_its_answer_comes_back() {
    let gate = Gate::start("smoke", CONFIG);
    let answer = gate.chat("sk-app", "fast").expect_ok();
    assert_eq!(answer.at("/model"), "gpt-4o-mini");
    assert_eq!(Mock::shared().request("/smoke/").header("authorization"), Some("Bearer sk-provider"));
    let record = gate.record("app");
    assert_eq!((&record["model_group"], &record["response_code"]), (&"fast".into(), &200.into()), "{record:#}");
    gate.expect_counter("tollgate_requests_total", &[("key_alias", "app"), ("status", "200")], 1);
}
