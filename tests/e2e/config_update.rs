//! `tollgate run`: a changed config is taken up, a bad one is not, and nobody notices either.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Answer, Mock, Process, Request, Rls, chat, dist, test_folder, tollgate, wait_for};

const CONFIG: &str = "
model_list:
- {model_name: first, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/usage=1000:1000/v1', api_key: sk-p}}
- {model_name: slow, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/chunk-ms=50,chunks=60/v1', api_key: sk-p}}
{more}
router_settings: {num_retries: 0}
general_settings: {master_key: sk-master}
tollgate:
  keys:
  - {key_alias: app, key: os.environ/APP_KEY}
  # Two requests of 0.00075 USD each.
  - {key_alias: poor, key: sk-poor, max_budget: 0.001}
  - {key_alias: counted, key: sk-counted, max_budget: 1000, rpm_limit: 1000000}
";
const SECOND: &str = "- {model_name: second, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{second}', api_key: sk-p}}";
/// Three faults.
const BAD: &str = "
model_list:
- {model_name: first, litellm_params: {model: openai/gpt-4o-mini, timeout: soon, api_key: os.environ/NOT_THERE}}
router_settings: {fallbacks: [{first: [nobody]}]}
";
/// What each fault of it is told with.
const FAULTS: [&str; 4] = ["timeout", "NOT_THERE", "nobody", "master_key"];

/// `tollgate run` on ports of its own.
struct Run {
    port: u16,
    folder: PathBuf,
    config: PathBuf,
    process: Process,
    mock: Mock,
    second: Mock,
}

impl Run {
    fn start(name: &str) -> Self {
        let folder = folder(name);
        let (mock, second) = (Mock::start(&format!("{name}-mock")), Mock::start(&format!("{name}-second")));
        let config = folder.join("config.yaml");
        std::fs::write(&config, with(&mock, &second, "")).unwrap();
        let [port, admin_port] = free_ports();
        let (port_arg, admin_arg) = (port.to_string(), admin_port.to_string());
        let tollgate = dist("tollgate");
        // The process says its own id before it becomes `tollgate`, which becomes Envoy.
        let script = "echo $$ >\"$0\"; exec \"$@\"";
        let pid = folder.join("pid");
        let command = ["sh", "-c", script, pid.to_str().unwrap(), tollgate.to_str().unwrap(), "run"];
        let args = ["--config", config.to_str().unwrap(), "--port", &port_arg, "--admin-port", &admin_arg];
        let command = [&command[..], &args, &["--concurrency", "2"]].concat();
        let process = Process::start(&command, &[("APP_KEY", "sk-app")], &folder);
        let mut run = Self { port, folder, config, process, mock, second };
        wait_for("readiness", || {
            assert!(!run.process.has_ended(), "{}", run.stderr());
            run.stderr().contains("tollgate: ready on ").then_some(())
        });
        run
    }

    /// Puts another config in the place of the present one, as an editor does.
    fn change(&self, text: &str) {
        let fresh = self.folder.join("config.yaml.new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, &self.config).unwrap();
    }

    fn get(&self, path: &str) -> Answer {
        Request::get(self.port, path).key("sk-app").send()
    }

    fn chat(&self, key: &str, model: &str) -> Answer {
        Request::post(self.port, "/v1/chat/completions", chat(model, "")).key(key).send()
    }

    /// That so many answers are charged, to the micro-dollar.
    fn expect_spent(&self, key: &str, answers: u32) {
        wait_for("every charge", || {
            let info = Request::get(self.port, "/key/info").key(key).send().json();
            let micro = (info["info"]["spend"].as_f64()? * 1e6).round();
            (micro == (f64::from(answers) * 750.0).round()).then_some(())
        });
    }

    fn has_model(&self, model: &str) -> bool {
        self.get("/v1/models").expect_ok().text().contains(&format!("\"id\":\"{model}\""))
    }

    fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap()
    }

    /// The process ids of Envoy and of the watcher beside it.
    fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let temporary = format!("tollgate-{}", self.pid());
            let id = entry.file_name().to_string_lossy().into_owned();
            if id.parse::<u32>().is_ok() && line.contains(&temporary) && !line.contains("sh -c") {
                found.push(id);
            }
        }
        found
    }

    fn pid(&self) -> String {
        std::fs::read_to_string(self.folder.join("pid")).unwrap().trim().to_owned()
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.pid()]).status().unwrap().success());
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = test_folder(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The config with `more` models.
fn with(mock: &Mock, second: &Mock, more: &str) -> String {
    CONFIG.replace("{more}", more).replace("{mock}", &mock.address()).replace("{second}", &second.address())
}

/// Ports that nobody has at the moment.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

#[test]
fn a_block_outlasts_the_config() {
    let run = Run::start("run-block");
    let order =
        |path: &str| Request::post(run.port, path, r#"{"key_alias":"poor"}"#).key("sk-master").send().expect_ok();
    order("/key/block");
    assert_eq!(run.chat("sk-poor", "first").status, 401);
    run.change(&with(&run.mock, &run.second, SECOND));
    wait_for("the new model", || run.has_model("second").then_some(()));
    assert_eq!(run.chat("sk-poor", "second").status, 401);
    order("/key/unblock");
    run.chat("sk-poor", "first").expect_ok();
}

#[test]
fn an_update_while_the_rate_limit_service_is_asked_loses_neither_the_request_nor_its_report() {
    let run = Run::start("update-rls");
    let service = "  rate_limit_service: {cluster: rls, address: '{rls}', timeout: 9s}\n";
    let [with_second, without] = [SECOND, ""].map(|more| with(&run.mock, &run.second, more) + service);
    let rls = Rls::start("update-rls-rls", &without);
    run.change(&rls.place(&with_second));
    wait_for("the service's config", || run.has_model("second").then_some(()));
    rls.delay(4000);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| run.chat("sk-poor", "first"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        run.change(&rls.place(&without));
        wait_for("the next config", || (!run.has_model("second")).then_some(()));
        assert!(!asking.is_finished(), "the update came too late to tell");
        rls.delay(0);
        asking.join().unwrap().expect_ok();
    });
    rls.expect_counted("key/poor/budget/never", 750);
}

#[test]
fn sigterm_and_sigint_end_all_of_it() {
    for signal in ["-TERM", "-INT"] {
        let mut run = Run::start(&format!("run{signal}"));
        assert_eq!(run.get("/health/readiness").status, 200);
        let temporary = std::env::temp_dir().join(format!("tollgate-{}", run.pid()));
        assert!(temporary.exists());
        assert_eq!(run.processes().len(), 2, "{:?}", run.processes());
        run.signal(signal);
        wait_for("Envoy to end", || run.process.has_ended().then_some(()));
        wait_for("the watcher to end", || run.processes().is_empty().then_some(()));
        assert!(!temporary.exists(), "{} is left behind", temporary.display());
    }
}

#[test]
fn a_watcher_does_not_outlive_an_envoy_that_was_killed() {
    let mut run = Run::start("run-kill");
    run.signal("-KILL");
    wait_for("Envoy to end", || run.process.has_ended().then_some(()));
    wait_for("the watcher to end", || run.processes().is_empty().then_some(()));
}

#[test]
fn a_changed_config_is_taken_up_and_no_request_is_lost() {
    let run = Run::start("run-change");
    for _ in 0..2 {
        run.chat("sk-poor", "first").expect_ok();
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let answer = run.chat("sk-counted", "first");
                        assert_eq!((answer.status, answer.is_whole), (200, true), "{}", answer.text());
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let stream = Request::post(run.port, "/v1/chat/completions", chat("slow", ",\"stream\":true")).key("sk-app");
        let stream = stream.open();
        run.change(&with(&run.mock, &run.second, SECOND));
        wait_for("the new model", || run.has_model("second").then_some(()));
        // Its cluster is new too.
        run.chat("sk-app", "second").expect_ok();
        let stream = stream.finish();
        assert!(stream.is_whole && stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
        run.change(&with(&run.mock, &run.second, ""));
        wait_for("the model to go", || (!run.has_model("second")).then_some(()));
        is_over.store(true, Ordering::Relaxed);
        let counts: Vec<u32> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        assert!(counts.iter().all(|count| *count > 10));
        run.expect_spent("sk-counted", counts.iter().sum());
    });
    run.chat("sk-app", "second").expect_error(404, "invalid_request_error", "model_not_found");
    // The old listener and the new one, and every worker, know what was spent before.
    for _ in 0..8 {
        let error = run.chat("sk-poor", "first").expect_error(429, "budget_exceeded", "budget_exceeded");
        assert!(error["message"].as_str().unwrap().contains("0.0015 USD spent"), "{error:#}");
    }
    assert!(run.stderr().contains("changed and is in force"), "{}", run.stderr());
}

#[test]
fn a_bad_config_is_refused_with_all_its_faults_and_the_old_one_serves_on() {
    let run = Run::start("run-bad");
    for (bad, faults) in [(BAD, &FAULTS[..]), ("model_list: [", &[][..]), ("", &[]), ("\u{0}", &[])] {
        let before = run.stderr().matches("is refused; the one before serves on").count();
        run.change(bad);
        wait_for("the refusal", || {
            (run.stderr().matches("is refused; the one before serves on").count() > before).then_some(())
        });
        let stderr = run.stderr();
        let missing: Vec<_> = faults.iter().filter(|fault| !stderr.contains(**fault)).collect();
        assert!(missing.is_empty(), "{missing:?} not in {stderr}");
        for _ in 0..8 {
            run.chat("sk-app", "first").expect_ok();
        }
    }
    std::fs::remove_file(&run.config).unwrap();
    run.chat("sk-app", "first").expect_ok();
    run.change(&with(&run.mock, &run.second, SECOND));
    wait_for("the new model", || run.has_model("second").then_some(()));
    for secret in ["sk-app", "sk-poor", "sk-p"] {
        assert!(!run.stderr().contains(secret), "{}", run.stderr());
    }
}

#[test]
fn run_and_check_and_render_tell_all_faults_of_a_bad_config() {
    let folder = folder("check");
    let path = folder.join("bad.yaml");
    std::fs::write(&path, BAD).unwrap();
    for command in ["run", "check", "render"] {
        let output = tollgate(&[command, "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        // A credential may be missing where a config is only rendered.
        let faults = FAULTS.iter().filter(|fault| command != "render" || **fault != "NOT_THERE");
        let missing: Vec<_> = faults.filter(|fault| !text.contains(**fault)).collect();
        assert!(missing.is_empty(), "{command}: {missing:?} not in {text}");
    }
}

#[test]
fn an_open_relay_is_refused() {
    let path = folder("check").join("open.yaml");
    let open = "model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: sk-p}}]\n";
    for (more, code) in [
        ("", 1),
        ("tollgate: {keys: []}\n", 1),
        ("tollgate: {allow_anonymous: false}\n", 1),
        ("general_settings: {master_key: ''}\n", 1),
        ("tollgate: {keys: [{key_alias: a, key: ''}]}\n", 1),
        ("tollgate: {allow_anonymous: true}\n", 0),
        ("general_settings: {master_key: sk-m}\n", 0),
    ] {
        std::fs::write(&path, format!("{open}{more}")).unwrap();
        for command in ["check", "render"] {
            let output = tollgate(&[command, "--config", path.to_str().unwrap()]);
            assert_eq!(
                output.status.code(),
                Some(code),
                "{command} {more}: {}",
                String::from_utf8_lossy(&output.stdout)
            );
        }
    }
}

#[test]
fn envoy_does_not_start_with_a_bad_document_and_its_log_tells_every_fault() {
    let folder = folder("bad-document");
    let (config, yaml) = (folder.join("config.yaml"), folder.join("envoy.yaml"));
    let good = "model_list: [{model_name: first, litellm_params: {model: openai/a, timeout: 7, api_key: sk-p}}]\n\
        general_settings: {max_request_size_mb: 17}\ntollgate: {keys: [{key_alias: alias-a, key: sk-a}]}\n";
    std::fs::write(&config, good).unwrap();
    let wasm = dist("tollgate.wasm");
    let paths = [&config, &yaml, &wasm].map(|path| path.to_str().unwrap());
    let args = ["render", "--config", paths[0], "-o", paths[1], "--wasm", paths[2], "--port", "0", "--admin-port", "0"];
    let output = tollgate(&args);
    assert!(output.status.success(), "{output:?}");
    let rendered = std::fs::read_to_string(&yaml).unwrap();
    let edits = [("timeout: 7\n", "timeout: soon\n"), ("size_mb: 17", "size_mb: big"), ("alias-a", "''")];
    let broken = edits.iter().fold(rendered, |yaml, (from, to)| {
        assert!(yaml.contains(from), "no {from} in {yaml}");
        yaml.replace(from, to)
    });
    std::fs::write(&yaml, broken).unwrap();
    let envoy = std::env::var_os("ENVOY_BIN")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/envoy/bin/envoy"), PathBuf::from);
    let command = [envoy.to_str().unwrap(), "-c", paths[1], "--use-dynamic-base-id", "-l", "warning"];
    let mut process = Process::start(&command, &[], &folder);
    wait_for("Envoy to refuse it", || process.has_ended().then_some(()));
    let mut text = String::new();
    std::fs::File::open(folder.join("stderr")).unwrap().read_to_string(&mut text).unwrap();
    for fault in
        ["model_list[0].litellm_params.timeout", "general_settings.max_request_size_mb", "tollgate.keys[0].key_alias"]
    {
        assert!(text.contains(fault), "{fault} not in {text}");
    }
    assert!(!text.contains("sk-a") && !text.contains("sk-p"), "{text}");
}
