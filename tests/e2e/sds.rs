//! `api_key: sds/NAME`: Envoy adds the key behind the filter, takes a new one up, and sends it to nobody else.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::harness::{Gate, Mock, Request, chat, test_folder, tollgate, wait_for};

/// `{first}` and `{second}` are two providers at two addresses, `{secrets}` is where Envoy's secrets are.
const CONFIG: &str = "
model_list:
- {model_name: openai, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/sds-a/v1', api_key: sds/openai}}
- {model_name: anthropic, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{first}/sds-b', api_key: sds/anthropic}}
- {model_name: azure, litellm_params: {model: azure/gpt-4o, api_base: 'http://{first}/sds-c', api_key: sds/azure}}
- {model_name: gemini, litellm_params: {model: gemini/gemini-2.5-flash, api_base: 'http://{first}/sds-d', api_key: sds/gemini}}
- {model_name: failing, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/sds-e/status=503', api_key: sds/openai}}
- {model_name: next, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{second}/sds-f', api_key: sds/anthropic}}
- {model_name: failing-too, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{first}/sds-g/status=503', api_key: sds/anthropic}}
- {model_name: keyless, litellm_params: {model: hosted_vllm/llama3.2, api_base: 'http://{second}/sds-h/v1'}}
- {model_name: rotating, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/sds-i/v1', api_key: sds/rotating}}
- {model_name: again, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/sds-j/status=503,times=1,id=sds-j', api_key: sds/openai, num_retries: 1}}
- {model_name: missing, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{first}/sds-k/v1', api_key: sds/missing}}
router_settings: {num_retries: 0, fallbacks: [{failing: [next]}, {failing-too: [keyless]}]}
tollgate:
  secrets: {path: '{secrets}'}
  keys: [{key_alias: app, key: sk-of-the-client}]
";

struct Setting {
    gate: Gate,
    first: Mock,
    second: Mock,
}

fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let (first, second) = (Mock::start("sds-first"), Mock::start("sds-second"));
        let _ = std::fs::remove_dir_all(folder());
        std::fs::create_dir_all(folder()).unwrap();
        for name in ["openai", "anthropic", "azure", "gemini", "rotating"] {
            write(name, &format!("secret-of-{name}"));
        }
        // Envoy refuses to start without the file; a secret that is not in it may come later.
        std::fs::write(folder().join("missing.yaml"), "resources: []\n").unwrap();
        let config = CONFIG.replace("{first}", &first.address()).replace("{second}", &second.address());
        let config = config.replace("{secrets}", folder().to_str().unwrap());
        Setting { gate: Gate::start("sds", &config), first, second }
    })
}

fn folder() -> PathBuf {
    test_folder("sds-secrets")
}

/// A secret as Envoy reads it from a file, moved into its place.
fn write(name: &str, value: &str) {
    let text = format!(
        "resources:\n- \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {name}\n  \
         generic_secret: {{secret: {{inline_string: {value}}}}}\n"
    );
    let fresh = folder().join(format!("{name}.new"));
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, folder().join(format!("{name}.yaml"))).unwrap();
}

#[test]
fn each_vendor_gets_its_key_in_its_own_header() {
    let Setting { gate, first, .. } = setting();
    for (model, place, header, value) in [
        ("openai", "/sds-a/", "authorization", "Bearer secret-of-openai"),
        ("anthropic", "/sds-b/", "x-api-key", "secret-of-anthropic"),
        ("azure", "/sds-c/", "api-key", "secret-of-azure"),
        ("gemini", "/sds-d/", "x-goog-api-key", "secret-of-gemini"),
    ] {
        for more in ["", r#","stream":true"#] {
            let answer = gate.post("/v1/chat/completions", "sk-of-the-client", chat(model, more));
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        }
        for received in first.requests(place) {
            let keys: Vec<_> = received.headers.iter().filter(|(_, value)| value.contains("secret-of")).collect();
            assert_eq!(keys, [&(header.to_owned(), value.to_owned())], "{model}");
            assert!(!format!("{received:?}").contains("of-the-client"));
        }
    }
}

#[test]
fn a_fallback_carries_the_key_of_its_own_provider_and_no_other() {
    let Setting { gate, first, second } = setting();
    for more in ["", r#","stream":true"#] {
        let answer = gate.post("/v1/chat/completions", "sk-of-the-client", chat("failing", more));
        assert_eq!((answer.status, answer.header("x-tollgate-fallbacks")), (200, Some("1")), "{}", answer.text());
    }
    for received in first.requests("/sds-e/") {
        assert_eq!(received.header("authorization"), Some("Bearer secret-of-openai"));
    }
    let received = second.requests("/sds-f/");
    assert_eq!(received.len(), 2);
    for received in received {
        assert_eq!(received.header("x-api-key"), Some("secret-of-anthropic"));
        assert!(!format!("{received:?}").contains("secret-of-openai"), "{received:?}");
        assert_eq!(received.header("authorization"), None);
    }
    // The mock refuses who brings no key.
    assert_eq!(gate.chat("sk-of-the-client", "failing-too").status, 401);
    assert!(!format!("{:?}", second.request("/sds-h/")).contains("secret-of"));
    assert_eq!(gate.chat("sk-of-the-client", "again").status, 200);
    for received in first.requests("/sds-j/") {
        assert_eq!(received.header("authorization"), Some("Bearer secret-of-openai"), "on the retry, too");
    }
}

#[test]
fn a_key_that_is_rotated_goes_out_without_a_restart_and_no_request_fails() {
    let Setting { gate, first, .. } = setting();
    let ask = || assert_eq!(gate.chat("sk-of-the-client", "rotating").status, 200);
    let sent = || first.requests("/sds-i/").pop().and_then(|last| last.header("authorization").map(str::to_owned));
    ask();
    assert_eq!(sent().as_deref(), Some("Bearer secret-of-rotating"));
    for next in ["second-secret", "third-secret"] {
        write("rotating", next);
        wait_for("the next key", || {
            ask();
            (sent()? == format!("Bearer {next}")).then_some(())
        });
    }
}

#[test]
fn no_key_is_in_what_was_rendered_logged_or_dumped() {
    let Setting { gate, .. } = setting();
    gate.chat("sk-of-the-client", "openai").expect_ok();
    let dump = Request::get(gate.admin_port, "/config_dump").send();
    for (what, text) in [("log", gate.stderr()), ("access log", gate.stdout()), ("dump", dump.text().to_owned())] {
        assert!(!text.contains("secret-of"), "a key is in the {what}");
    }
}

#[test]
fn a_request_whose_secret_is_missing_is_refused_and_not_sent_without_it() {
    let Setting { gate, first, .. } = setting();
    assert_eq!(gate.chat("sk-of-the-client", "missing").status, 401);
    assert!(first.requests("/sds-k/").is_empty());
    write("missing", "secret-of-missing");
    wait_for("the secret", || (gate.chat("sk-of-the-client", "missing").status == 200).then_some(()));
}

#[test]
fn where_a_key_is_not_one_header_the_config_says_so() {
    let config = folder().with_file_name("sds-faults.yaml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    for (params, place) in [
        (
            "{model: bedrock/anthropic.claude-v2, aws_region_name: us-east-1, aws_access_key_id: a, aws_secret_access_key: sds/aws}",
            "aws_secret_access_key",
        ),
        (
            "{model: azure/gpt-4o, api_base: 'https://h', tenant_id: t, client_id: c, client_secret: sds/azure}",
            "client_secret",
        ),
        ("{model: watsonx/ibm/granite, api_base: 'https://h', project_id: p, api_key: sds/watsonx}", "api_key"),
        ("{model: openai/gpt-4o, api_key: sds/}", "api_key"),
        ("{model: openai/gpt-4o, api_key: 'sds/../etc'}", "api_key"),
        ("{model: openai/gpt-4o, api_key: k, extra_headers: {x-key: sds/openai}}", "extra_headers"),
    ] {
        let text =
            format!("model_list:\n- {{model_name: m, litellm_params: {params}}}\ntollgate: {{keys: [{{key: k}}]}}\n");
        std::fs::write(&config, text).unwrap();
        let output = tollgate(&["check", "--config", config.to_str().unwrap()]);
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(1), "{params}: {report}");
        let is_told = |line: &str| line.starts_with("fault") && line.contains(place) && line.contains("sds/");
        assert!(report.lines().any(is_told), "{params}: {report}");
    }
}
