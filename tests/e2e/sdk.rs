//! The official Python SDK as a client: sync, async, streams, tools.

use std::path::Path;
use std::process::Command;

use crate::harness::Gate;

const CONFIG: &str = "
model_list:
- {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/sdk/v1', api_key: sk-x}}
- {model_name: quality, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: 'http://{mock}/sdk-claude', api_key: sk-x}}
- {model_name: harbor/media, litellm_params: {model: openai/gpt-omni, api_base: 'http://{mock}/sdk/v1', api_key: sk-x}}
- {model_name: embedding, litellm_params: {model: openai/text-embedding-3-small, api_base: 'http://{mock}/sdk/v1', api_key: sk-x}}
tollgate:
  keys:
  - {key_alias: sdk, key: sk-sdk}
";

#[test]
fn openais_own_sdk_finds_nothing_missing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/openai-sdk/bin/python");
    assert!(python.exists(), "{} is missing: run `make e2e`", python.display());
    let gate = Gate::start("sdk", CONFIG);
    let url = format!("http://127.0.0.1:{}/v1", gate.port);
    let mut command = Command::new(python);
    command.arg(root.join("tests/sdk/openai_sdk.py")).args([&url, "sk-sdk", "fast", "quality"]);
    let output = command.args(["--embedding-model", "embedding", "--media-model", "harbor/media"]).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("ok "), "{text}");
}
