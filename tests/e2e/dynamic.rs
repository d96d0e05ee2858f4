//! `tollgate render --format dynamic`: a running Envoy takes the files up when they are rendered anew.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::harness::{Gate, Mock, Options, dist, lasting_port, tollgate, wait_for};

const CONFIG: &str = "
model_list:
- {model_name: first, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{mock}/dynamic/v1', api_key: sk-p}}
{more}
general_settings: {master_key: sk-master}
tollgate: {keys: [{key_alias: app, key: sk-app}]}
";
const SECOND: &str = "- {model_name: second, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{second}', api_key: sk-q}}";

const NAMES: [&str; 3] = ["envoy.yaml", "lds.yaml", "cds.yaml"];

struct Dir {
    folder: PathBuf,
    port: String,
    second: Mock,
}

impl Dir {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder, port: lasting_port().to_string(), second: Mock::start(&format!("{name}-second")) }
    }

    /// Renders the config with `more` models; what the command says.
    fn render(&self, more: &str) -> String {
        self.render_for(more, &[])
    }

    fn render_for(&self, more: &str, args: &[&str]) -> String {
        let config = CONFIG.replace("{more}", more).replace("{mock}", &Mock::shared().address());
        let file = self.folder.join("config.yaml");
        std::fs::write(&file, config.replace("{second}", &self.second.address())).unwrap();
        let (dir, wasm) = (self.files(), dist("tollgate.wasm"));
        let paths = [&file, &dir, &wasm].map(|path| path.to_str().unwrap());
        let common = ["render", "--format", "dynamic", "--config", paths[0], "-o", paths[1], "--wasm", paths[2]];
        let output = tollgate(&[&common[..], &["--port", &self.port, "--admin-port", "0"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Puts what is rendered where Envoy looks, as the kubelet does with a ConfigMap: behind links, of which one moves.
    fn publish(&self, version: &str) {
        let (mount, data) = (self.folder.join("mount"), format!("..{version}"));
        std::fs::create_dir_all(mount.join(&data)).unwrap();
        for name in NAMES {
            std::fs::copy(self.files().join(name), mount.join(&data).join(name)).unwrap();
            let _ = symlink(format!("..data/{name}"), mount.join(name));
        }
        symlink(&data, mount.join("..data_tmp")).unwrap();
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    }

    fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    fn times(&self) -> Vec<SystemTime> {
        let time = |name| std::fs::metadata(self.files().join(name)).unwrap().modified().unwrap();
        NAMES.map(time).to_vec()
    }
}

#[test]
fn files_that_are_rendered_anew_serve_the_new_model_and_no_request_fails() {
    let dir = Dir::new("dynamic");
    assert_eq!(dir.render("").matches(": written").count(), 3);
    let gate = Gate::start_at(dir.folder.clone(), &dir.files().join("envoy.yaml"), "tollgate", Options::default());
    wait_for("readiness", || (gate.get("/health/readiness", "").status == 200).then_some(()));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                let answer = gate.chat("sk-app", "first");
                assert_eq!((answer.status, answer.is_whole), (200, true), "{}", answer.text());
                count += 1;
            }
            count
        });
        gate.chat("sk-app", "second").expect_error(404, "invalid_request_error", "model_not_found");
        let told = dir.render(SECOND);
        assert_eq!(
            (told.matches(": written").count(), told.matches("envoy.yaml: unchanged").count()),
            (2, 1),
            "{told}"
        );
        wait_for("the new model", || (gate.chat("sk-app", "second").status == 200).then_some(()));
        dir.render("");
        wait_for("the model to go", || (gate.chat("sk-app", "second").status == 404).then_some(()));
        is_over.store(true, Ordering::Relaxed);
        assert!(client.join().unwrap() > 10);
    });
    let times = dir.times();
    assert_eq!(dir.render("").matches(": unchanged").count(), 3);
    assert_eq!(dir.times(), times, "nothing changed: no file is touched");
    let names = std::fs::read_dir(dir.files()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["cds.yaml", "envoy.yaml", "lds.yaml"], "nothing else is left there");
}

#[test]
fn a_mounted_config_map_that_changes_is_taken_up() {
    let dir = Dir::new("dynamic-mount");
    let mount = dir.folder.join("mount");
    let args = ["--config-dir", mount.to_str().unwrap()];
    dir.render_for("", &args);
    dir.publish("1");
    let gate = Gate::start_at(dir.folder.clone(), &mount.join("envoy.yaml"), "tollgate", Options::default());
    wait_for("readiness", || (gate.get("/health/readiness", "").status == 200).then_some(()));
    gate.chat("sk-app", "second").expect_error(404, "invalid_request_error", "model_not_found");
    dir.render_for(SECOND, &args);
    dir.publish("2");
    wait_for("the new model", || (gate.chat("sk-app", "second").status == 200).then_some(()));
}
