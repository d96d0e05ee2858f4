//! The official `openai` Python SDK as a client, as an application uses it.

use std::path::Path;
use std::process::Command;

use crate::harness::{Gate, Mock};

const CONFIG: &str = "
model_list:
- {model_name: through-openai, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/v1', api_key: sk-p}}
- {model_name: through-anthropic, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{own}', api_key: sk-p}}
- {model_name: embedding, litellm_params: {model: openai/text-embedding-3-small, api_base: 'http://{own}/v1', api_key: sk-p}}
tollgate: {keys: [{key_alias: sdk, key: sk-sdk}]}
";
/// Checks of one chat model, in tests/sdk/openai_sdk.py.
const CHECKS: usize = 11;

#[test]
fn the_openai_sdk_finds_nothing_odd() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/openai-sdk/bin/python");
    if !python.exists() {
        let made = Command::new("sh").arg(root.join("tests/setup.sh")).arg("openai-sdk").status().unwrap();
        assert!(made.success(), "the SDK could not be installed");
    }
    let mock = Mock::start("sdk-mock");
    let gate = Gate::start("sdk", &CONFIG.replace("{own}", &mock.address()));
    let base_url = format!("http://127.0.0.1:{}/v1", gate.port);
    let args = [&base_url, "sk-sdk", "through-openai", "through-anthropic", "--embedding-model", "embedding"];
    let output = Command::new(python).arg(root.join("tests/sdk/openai_sdk.py")).args(args).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for model in ["ok openai_", "ok anthropic_"] {
        let count = stdout.lines().filter(|line| line.starts_with(model)).count();
        assert_eq!(count, CHECKS, "{stdout}");
    }
    for check in ["embeddings", "models_list", "bad_request", "no_messages", "wrong_key", "unknown_model"] {
        assert!(stdout.lines().any(|line| line == format!("ok {check}")), "{check}: {stdout}");
    }
}
