//! A real Envoy, asked and dumped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{CONFIG, rendered, root, scratch, tollgate};

/// An Envoy that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts an Envoy with the rendering of `config`, and waits until it has loaded it.
fn start(config: &str, admin_port: u16) -> Running {
    let folder = scratch("live");
    fs::create_dir_all(&folder).unwrap();
    let wasm = root().join("dist/tollgate.wasm");
    assert!(wasm.exists(), "dist/tollgate.wasm is missing: make build");
    let bootstrap = folder.join("envoy.yaml");
    let (port, admin) = (free_port().to_string(), admin_port.to_string());
    let text = rendered(config, &["--port", &port, "--admin-port", &admin, "--wasm", &wasm.to_string_lossy()]);
    fs::write(&bootstrap, text).unwrap();
    let envoy = std::env::var("ENVOY_BIN").unwrap_or_else(|_| "target/envoy/bin/envoy".into());
    let log = File::create(folder.join("log")).unwrap();
    let mut command = Command::new(root().join(&envoy));
    command.args(["--disable-hot-restart", "--concurrency", "1", "-l", "warn", "-c"]).arg(&bootstrap);
    command.envs([("OPENAI_API_KEY", "sk-secret-openai"), ("TOLLGATE_MASTER_KEY", "sk-secret-master")]);
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap_or_else(|fault| panic!("{envoy}: {fault}"));
    let running = Running(child);
    for _ in 0..600 {
        let ready = ureq::get(format!("http://127.0.0.1:{admin_port}/ready")).call();
        if ready.is_ok() {
            return running;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("Envoy is not ready: {}", fs::read_to_string(folder.join("log")).unwrap());
}

#[test]
fn a_running_envoy_is_clean_by_url_and_by_its_dump() {
    let admin_port = free_port();
    let _envoy = start(CONFIG, admin_port);
    let url = format!("http://127.0.0.1:{admin_port}");
    let config = scratch("live/config.yaml");
    fs::write(&config, CONFIG).unwrap();
    let config = config.to_string_lossy().into_owned();

    let dump = scratch("live/dump.json");
    let mut answer = ureq::get(format!("{url}/config_dump?include_eds")).call().unwrap();
    fs::write(&dump, answer.body_mut().with_config().limit(64 << 20).read_to_string().unwrap()).unwrap();
    let dump = dump.to_string_lossy().into_owned();

    for target in [url.as_str(), &dump] {
        for args in [vec!["--envoy", target], vec!["--envoy", target, "--config", &config]] {
            let output = tollgate(&[&["check"], &args[..]].concat());
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.ends_with(&format!("{target}: 0 errors, 0 warnings, 0 infos\n")), "{args:?}\n{text}");
            assert_eq!(output.status.code(), Some(0), "{text}");
            assert!(!text.contains("sk-secret"), "{text}");
        }
    }

    let mut edited: Value = serde_json::from_str(&fs::read_to_string(&dump).unwrap()).unwrap();
    break_it(&mut edited);
    fs::write(&dump, edited.to_string()).unwrap();
    let output = tollgate(&["check", "--envoy", &dump, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<&str> =
        report["envoy"]["findings"].as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, ["TG008", "TG104", "TG401"], "{report:#}");
    assert_eq!((&report["faults"], &report["envoy"]["errors"]), (&serde_json::json!([]), &serde_json::json!(3)));
}

/// Three faults in the dump of a real Envoy.
fn break_it(dump: &mut Value) {
    fn walk(value: &mut Value) {
        match value {
            Value::Array(list) => list.iter_mut().for_each(walk),
            Value::Object(map) => {
                if map.get("root_id").is_some_and(|id| id == "gateway") {
                    map.remove("failure_policy");
                }
                if map.get("idle_timeout").is_some_and(|time| time == "610s") {
                    map.remove("timeout");
                }
                if let Some(minor) = map.get_mut("minor_number") {
                    *minor = serde_json::json!(35);
                }
                map.values_mut().for_each(walk);
            }
            _ => {}
        }
    }
    walk(dump);
}
