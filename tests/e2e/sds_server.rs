//! `tollgate.secrets: {cluster: NAME}`: the keys come from a secret discovery server, which rotates them.

use std::path::PathBuf;

use crate::harness::{Gate, Mock, Options, Request, Secrets, dist, lasting_port, test_folder, tollgate, wait_for};

const CONFIG: &str = "
model_list:
- {model_name: openai, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/a/v1', api_key: sds/openai}}
- {model_name: anthropic, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{own}/b', api_key: sds/anthropic}}
- {model_name: late, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/c/v1', api_key: sds/late}}
router_settings: {num_retries: 0}
tollgate:
  secrets: {cluster: sds}
  keys: [{key_alias: app, key: sk-of-the-client}]
";

/// The cluster of the server, which is the reader's own.
const CLUSTER: &str = r#"  clusters:
  - name: sds
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment:
      cluster_name: sds
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: PORT}}}}]}]
"#;

struct Rig {
    gate: Gate,
    mock: Mock,
}

impl Rig {
    fn start(name: &str, port: u16) -> Self {
        let folder = test_folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mock = Mock::start(&format!("{name}-mock"));
        let (config, bootstrap): (PathBuf, PathBuf) = (folder.join("config.yaml"), folder.join("envoy.yaml"));
        std::fs::write(&config, CONFIG.replace("{own}", &mock.address())).unwrap();
        let wasm = dist("tollgate.wasm");
        let paths = [&config, &bootstrap, &wasm].map(|path| path.to_str().unwrap());
        let common = ["render", "--config", paths[0], "-o", paths[1], "--wasm", paths[2]];
        let output = tollgate(&[&common[..], &["--port", "0", "--admin-port", "0"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(&bootstrap).unwrap();
        let cluster = CLUSTER.replace("PORT", &port.to_string());
        std::fs::write(&bootstrap, text.replace("  clusters:\n", &cluster)).unwrap();
        let gate = Gate::start_at(folder, &bootstrap, "tollgate", Options::default());
        // Envoy listens to nobody until every secret is there, or the time for that is over.
        let is_live = || Request::get(gate.admin_port, "/ready").send().text().starts_with("LIVE");
        wait_for("the listener", || is_live().then_some(()));
        wait_for("readiness", || (gate.get("/health/readiness", "").status == 200).then_some(()));
        Self { gate, mock }
    }

    fn status(&self, model: &str) -> u16 {
        self.gate.chat("sk-of-the-client", model).status
    }

    /// The credential that went with the last request to `place`.
    fn sent(&self, place: &str, header: &str) -> Option<String> {
        self.mock.requests(place).pop()?.header(header).map(str::to_owned)
    }
}

#[test]
fn keys_come_from_the_server_and_are_rotated_without_a_restart() {
    let port = lasting_port();
    let server = Secrets::start(port);
    server.put("openai", "first-of-openai");
    server.put("anthropic", "first-of-anthropic");
    let rig = Rig::start("sds-server", port);
    assert_eq!((rig.status("openai"), rig.status("anthropic")), (200, 200));
    assert_eq!(rig.sent("/a/", "authorization").as_deref(), Some("Bearer first-of-openai"));
    assert_eq!(rig.sent("/b/", "x-api-key").as_deref(), Some("first-of-anthropic"));
    for next in ["second", "third"] {
        server.put("openai", next);
        wait_for("the next key", || {
            assert_eq!(rig.status("openai"), 200);
            (rig.sent("/a/", "authorization")? == format!("Bearer {next}")).then_some(())
        });
    }
    assert_eq!(rig.status("anthropic"), 200);
    assert_eq!(rig.sent("/b/", "x-api-key").as_deref(), Some("first-of-anthropic"), "its key is as it was");
    // One that comes later: refused until then, and never sent without it.
    assert_eq!(rig.status("late"), 401);
    assert!(rig.mock.requests("/c/").is_empty());
    server.put("late", "late-at-last");
    wait_for("the late key", || (rig.status("late") == 200).then_some(()));
    assert_eq!(server.asked().into_iter().collect::<Vec<_>>(), ["anthropic", "late", "openai"]);
    assert!(server.refusals().is_empty(), "{:?}", server.refusals());
    let dump = Request::get(rig.gate.admin_port, "/config_dump").send();
    for (what, text) in
        [("log", rig.gate.stderr()), ("access log", rig.gate.stdout()), ("dump", dump.text().to_owned())]
    {
        assert!(!text.contains("first-of") && !text.contains("late-at"), "a key is in the {what}");
    }
}

#[test]
fn a_server_that_is_gone_takes_no_key_with_it_and_one_that_comes_brings_them() {
    let port = lasting_port();
    let rig = Rig::start("sds-server-gone", port);
    assert_eq!(rig.status("openai"), 401, "nobody has the key");
    assert!(rig.mock.requests("/a/").is_empty(), "it was sent without a key");
    let server = Secrets::start(port);
    server.put("openai", "first-of-openai");
    wait_for("the server", || (rig.status("openai") == 200).then_some(()));
    drop(server);
    for _ in 0..4 {
        assert_eq!(rig.status("openai"), 200, "Envoy keeps what it has");
    }
    let server = Secrets::start(port);
    server.put("openai", "of-the-next-server");
    wait_for("the next server", || {
        assert_eq!(rig.status("openai"), 200);
        (rig.sent("/a/", "authorization")? == "Bearer of-the-next-server").then_some(())
    });
}
