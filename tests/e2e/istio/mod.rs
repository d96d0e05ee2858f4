//! `tollgate render --target istio`: the patches, applied as Istio applies them to a gateway's or a sidecar's own
//! configuration, in a real Envoy.

mod patch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tollgate::cli::yaml;

use crate::harness::{
    Answer, Connection, Gate, Mock, Options, Request, chat, dist, empty_folder, test_folder, tollgate,
};

const CONFIG: &str = "
model_list:
- {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/istio/v1', api_key: os.environ/FIRST_KEY}}
- {model_name: backup, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{second}', api_key: os.environ/SECOND_KEY}}
- {model_name: broken, litellm_params: {model: openai/gpt-4o, api_base: 'http://{mock}/status=503/v1', api_key: os.environ/FIRST_KEY}}
- {model_name: refused, litellm_params: {model: openai/gpt-4o, api_base: 'http://{mock}/status=400/v1', api_key: os.environ/FIRST_KEY}}
- {model_name: down, litellm_params: {model: openai/gpt-4o, api_base: 'http://{dead}/v1', api_key: os.environ/FIRST_KEY}}
# It gives the access token that it asks for a cluster of its own; nobody asks for the model.
- {model_name: token, litellm_params: {model: azure/gpt-4o, api_base: 'http://{dead}', tenant_id: t, client_id: c, client_secret: os.environ/FIRST_KEY}}
router_settings: {num_retries: 0, fallbacks: [{broken: [backup]}, {down: [backup]}]}
tollgate: {keys: [{key_alias: app, key: os.environ/APP_KEY}]}
";
const ENV: &[(&str, &str)] = &[("FIRST_KEY", "sk-first"), ("SECOND_KEY", "sk-second"), ("APP_KEY", "sk-app")];

/// A gateway or a sidecar after somebody has patched it.
pub(crate) struct Mesh {
    pub(crate) gate: Gate,
    mock: Mock,
    second: Mock,
    host: &'static str,
    folder: PathBuf,
}

/// What is rendered, and what the mesh looks like.
struct Case {
    name: &'static str,
    args: &'static [&'static str],
    context: &'static str,
    listener: &'static str,
    host: &'static str,
}

const GATEWAY: Case = Case {
    name: "istio-gateway",
    args: &["--host", "llm.example"],
    context: "GATEWAY",
    listener: "0.0.0.0_8080",
    host: "llm.example",
};
const ECDS: Case = Case {
    name: "istio-ecds",
    args: &["--host", "llm.example", "--module", "ecds", "--image", "registry.example/tollgate:1"],
    ..GATEWAY
};
const SIDECAR: Case = Case {
    name: "istio-sidecar",
    args: &["--workload", "sidecar", "--namespace", "apps"],
    context: "SIDECAR_OUTBOUND",
    listener: "0.0.0.0_80",
    host: "tollgate.apps.svc.cluster.local",
};

/// What Istio's own listener leaves to the lint: who is internal to it, and its access log with the path and its query.
const FINDINGS: &[&str] = &["TG115", "TG304"];

impl Mesh {
    fn start(case: &Case) -> Self {
        Self::launch(case.name, case.host, case.listener, |folder, config| {
            patched(folder, &render(folder, config, &[&["--target", "istio"], case.args].concat()), case)
        })
    }

    /// Starts Envoy with the bootstrap that `make` makes for a config, in a folder. `listener` has the port.
    pub(crate) fn launch(
        name: &str,
        host: &'static str,
        listener: &str,
        make: impl FnOnce(&Path, &str) -> PathBuf,
    ) -> Self {
        let folder = empty_folder(name);
        let (mock, second) = (Mock::start(&format!("{name}-mock")), Mock::start(&format!("{name}-second")));
        let config = CONFIG.replace("{mock}", &mock.address()).replace("{second}", &second.address());
        let bootstrap = make(&folder, &config.replace("{dead}", "127.0.0.1:1"));
        let gate = Gate::start_at(folder.clone(), &bootstrap, listener, Options { env: ENV, ..Options::default() });
        Self { gate, mock, second, host, folder }
    }

    fn chat(&self, model: &str, more: &str) -> Answer {
        self.request("/v1/chat/completions", chat(model, more)).key("sk-app").send()
    }

    fn request(&self, path: &str, body: String) -> Request {
        Request::post(self.gate.port, path, body).header("host", self.host)
    }

    /// What the filters do in any mesh.
    pub(crate) fn serves(&self) {
        let answer = self.chat("fast", "").expect_ok();
        assert_eq!(answer.header("x-tollgate-provider"), Some("openai"));
        let received = self.mock.request("/istio/v1");
        assert_eq!(received.header("authorization"), Some("Bearer sk-first"));
        for name in
            ["x-envoy-peer-metadata", "x-envoy-peer-metadata-id", "x-forwarded-proto", "x-envoy-decorator-operation"]
        {
            assert_eq!(received.header(name), None, "{name} went to the provider");
        }
        let stream = self.chat("fast", ",\"stream\":true").expect_ok();
        assert!(stream.is_whole && stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
        for (model, attempts) in [("broken", "2"), ("down", "2")] {
            let answer = self.chat(model, "").expect_ok();
            let found = ["provider", "attempts", "fallbacks"].map(|name| answer.header(&format!("x-tollgate-{name}")));
            assert_eq!(found, [Some("anthropic"), Some(attempts), Some("1")]);
        }
        let received = self.second.requests("/v1/messages");
        assert_eq!(received.len(), 2);
        assert!(
            received
                .iter()
                .all(|one| one.header("x-api-key") == Some("sk-second") && one.header("authorization").is_none())
        );
        assert_eq!(self.chat("refused", "").status, 400);
        self.chat("nobody", "").expect_error(404, "invalid_request_error", "model_not_found");
        let stranger = self.request("/v1/chat/completions", chat("fast", "")).key("sk-stranger").send();
        stranger.expect_error(401, "authentication_error", "invalid_api_key");
        let long = format!(
            "{{\"model\":\"broken\",\"messages\":[{{\"role\":\"user\",\"content\":\"{}\"}}]}}",
            "a".repeat(3 << 20)
        );
        let answer = self.request("/v1/chat/completions", long).key("sk-app").send().expect_ok();
        assert_eq!(answer.header("x-tollgate-provider"), Some("anthropic"), "a long body is sent again too");
    }

    /// That `tollgate check --envoy` finds nothing else in the running Envoy than these, by id.
    #[track_caller]
    pub(crate) fn lints(&self, expected: &[&str]) {
        let admin = format!("http://127.0.0.1:{}", self.gate.admin_port);
        let config = self.folder.join("config.yaml");
        let mut command = Command::new(dist("tollgate"));
        command
            .args(["check", "--format", "json", "--envoy", &admin, "--config"])
            .arg(config)
            .envs(ENV.iter().copied());
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["envoy"]["findings"].as_array().unwrap().iter();
        let ids: BTreeSet<&str> = findings.map(|one| one["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected.iter().copied().collect(), "{report:#}");
    }

    /// Another host of the same listener meets no filter, and no access log of ours.
    fn leaves_others_alone(&self) {
        let mut connection = Connection::open(self.gate.port);
        connection.write(b"GET /v1/models HTTP/1.1\r\nhost: shop.example\r\n\r\n");
        assert_eq!(connection.answer().finish().expect_ok().text(), "the shop");
        let record = self.gate.access_log_where("the record of an answer", 1, |line| line["provider"] == "openai");
        assert_eq!(record[0]["key_alias"], "app");
        assert!(!self.gate.stdout().contains("shop"), "{}", self.gate.stdout());
    }
}

#[test]
fn a_patched_gateway_serves_and_its_other_hosts_notice_nothing() {
    let mesh = Mesh::start(&GATEWAY);
    mesh.serves();
    mesh.leaves_others_alone();
    mesh.lints(FINDINGS);
    mesh.gate.expect_counter("tollgate_requests_total", &[("model_group", "fast"), ("provider", "openai")], 2);
}

#[test]
fn a_module_that_comes_by_ecds_serves_the_same() {
    let mesh = Mesh::start(&ECDS);
    mesh.serves();
    mesh.leaves_others_alone();
    mesh.lints(FINDINGS);
}

#[test]
fn a_patched_sidecar_serves_its_application() {
    let mesh = Mesh::start(&SIDECAR);
    mesh.serves();
    mesh.leaves_others_alone();
    mesh.lints(FINDINGS);
}

/// TLS to names and to an address, two signers of one host, tokens, a rate limit service, copies, a cluster of somebody
/// else's.
const ODD: &str = r#"
model_list:
- {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: os.environ/FIRST_KEY}}
- {model_name: b, litellm_params: {model: hosted_vllm/b, api_base: "http://[::1]:8000", api_key: os.environ/FIRST_KEY}}
- {model_name: c, litellm_params: {model: hosted_vllm/c, api_base: "https://10.0.0.7/v1", api_key: os.environ/FIRST_KEY}}
- model_name: d
  litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/FIRST_KEY}
  model_info: {cluster: "outbound|443||api.openai.com"}
- {model_name: e, litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: prod}}
- {model_name: f, litellm_params: {model: bedrock/a.b, aws_region_name: us-east-1, aws_profile_name: test}}
- {model_name: g, litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p}}
tollgate:
  keys: [{key_alias: app, key: os.environ/APP_KEY}]
  shadow: [{model_group: a, to: b, percent: 5}]
  rate_limit_service: {cluster: rls, address: "https://ratelimit.example:8443"}
"#;

#[test]
fn envoy_takes_every_kind_of_provider_in_a_mesh() {
    for case in [GATEWAY, SIDECAR] {
        let folder = test_folder(&format!("{}-odd", case.name));
        std::fs::create_dir_all(&folder).unwrap();
        let bootstrap = patched(&folder, &render(&folder, ODD, &[&["--target", "istio"], case.args].concat()), &case);
        let set_up = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/envoy/bin/envoy");
        let mut envoy = Command::new(std::env::var_os("ENVOY_BIN").map_or(set_up, PathBuf::from));
        let output = envoy.args(["--mode", "validate", "-l", "warn", "-c"]).arg(&bootstrap).envs(ENV.iter().copied());
        let output = output.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&bootstrap).unwrap();
        for sni in ["api.openai.com", "bedrock-runtime.us-east-1.amazonaws.com"] {
            assert!(text.contains(&format!("\"sni\":\"{sni}\"")), "no TLS to {sni}");
        }
        assert_eq!(text.matches("envoy.filters.http.aws_request_signing\"").count(), 2, "{text}");
    }
}

/// Renders `config`: the resources.
pub(crate) fn render(folder: &Path, config: &str, args: &[&str]) -> Vec<Value> {
    let file = folder.join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let wasm = dist("tollgate.wasm");
    let common = ["render", "--config", file.to_str().unwrap(), "--wasm", wasm.to_str().unwrap()];
    let output = tollgate(&[&common[..], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(ENV.iter().all(|(_, value)| !text.contains(value)), "a secret is rendered");
    std::fs::write(folder.join("resources.yaml"), &text).unwrap();
    let documents = text.split("\n---\n").filter(|part| part.lines().any(|line| !line.starts_with('#')));
    documents.map(|part| yaml::parse(part).unwrap_or_else(|fault| panic!("{fault}: {part}"))).collect()
}

/// The bootstrap of `case`, with istiod's clusters and all patches.
fn patched(folder: &Path, resources: &[Value], case: &Case) -> PathBuf {
    let text =
        include_str!("gateway.yaml").replace("LISTENER", case.listener).replace("[HOST]", &format!("[{}]", case.host));
    let mut bootstrap = yaml::parse(&text.replace("VHOST", &format!("\"{}:80\"", case.host))).unwrap();
    bootstrap["static_resources"]["clusters"].as_array_mut().unwrap().extend(patch::clusters(resources));
    let mut extensions = Vec::new();
    for filter in resources.iter().filter(|one| one["kind"] == "EnvoyFilter") {
        for patch in filter["spec"]["configPatches"].as_array().unwrap() {
            patch::apply(patch, case.context, &mut bootstrap, &mut extensions);
        }
    }
    let text = discovered(folder, bootstrap.to_string(), &extensions);
    let path = folder.join("envoy.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The bootstrap with files in the place of ECDS, and in these the file in the place of the image, which is what Istio's
/// agent does.
fn discovered(folder: &Path, bootstrap: String, extensions: &[Value]) -> String {
    let mut bootstrap: Value = serde_json::from_str(&bootstrap).unwrap();
    let mut files = Vec::new();
    for extension in extensions {
        let mut resource = extension.clone();
        let code = &mut resource["typed_config"]["config"]["vm_config"]["code"];
        assert_eq!(code["remote"]["http_uri"]["uri"], "oci://registry.example/tollgate:1");
        *code = json!({"local": {"filename": dist("tollgate.wasm")}});
        resource["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        let file = folder.join(format!("ecds-{}.json", files.len()));
        std::fs::write(&file, json!({"resources": [resource]}).to_string()).unwrap();
        files.push((extension["name"].clone(), file));
    }
    let mut used = 0;
    visit(&mut bootstrap, &mut |filter| {
        if let Some(source) = filter.pointer("/config_discovery/config_source").cloned() {
            assert_eq!(source["ads"], json!({}));
            let (_, file) = files.iter().find(|(name, _)| *name == filter["name"]).expect("a patch of that name");
            filter["config_discovery"]["config_source"] =
                json!({"path_config_source": {"path": file}, "resource_api_version": "V3"});
            used += 1;
        }
    });
    assert_eq!(used, files.len());
    bootstrap.to_string()
}

fn visit(value: &mut Value, change: &mut impl FnMut(&mut Value)) {
    change(value);
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| visit(member, change)),
        Value::Array(members) => members.iter_mut().for_each(|member| visit(member, change)),
        _ => {}
    }
}
