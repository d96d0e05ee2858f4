//! What the fuzz targets have in common: the first two bytes of an input choose the vendor and the endpoint.

use std::sync::LazyLock;

use serde_json::json;
use tollgate::bridge::{Ask, Asked};
use tollgate::config::{Config, Env};
use tollgate::openai::{Endpoint, Request};
use tollgate::provider::Target;
use tollgate::provider::vendor::VENDORS;

thread_local! {
    static TARGETS: LazyLock<Vec<Target>> = LazyLock::new(|| VENDORS.iter().map(|vendor| target(vendor.prefix)).collect());
}

fn target(prefix: &str) -> Target {
    let params = json!({"model": format!("{prefix}/m-1"), "api_key": "k", "api_base": "https://provider.example",
        "vertex_project": "p", "region_name": "here"});
    let document = json!({"model_list": [{"model_name": "m", "litellm_params": params}], "tollgate": {"allow_anonymous": true}});
    Config::compile(&document, Env::Strict(&|_| None)).expect("a config").deployments.remove(0).target
}

/// Splits an input into a target, an endpoint and the bytes to parse.
pub fn with_target(input: &[u8], run: impl FnOnce(&Target, Endpoint, &[u8])) {
    let [vendor, endpoint, rest @ ..] = input else { return };
    TARGETS.with(|targets| {
        let endpoint = Endpoint::ALL[usize::from(*endpoint) % Endpoint::ALL.len()];
        run(&targets[usize::from(*vendor) % targets.len()], endpoint, rest);
    });
}

/// A plain request to `endpoint`, asked of `target`; `None` where it has no such endpoint.
pub fn asked(target: &Target, endpoint: Endpoint) -> Option<(Asked, Ask)> {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"u"}],"input":"i","documents":["d"],"query":"q",
        "prompt":"p","max_tokens":9,"stream":true,"stream_options":{"include_usage":true},
        "tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let asked = Asked::new(Request::parse(endpoint, body.to_vec()).ok()?);
    asked.check(target).ok()?;
    let (ask, _) = asked.ask(target, None).ok()?;
    Some((asked, ask))
}
