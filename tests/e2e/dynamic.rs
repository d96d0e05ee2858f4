//! `tollgate render --format dynamic`: a running Envoy takes the files up when they are rendered anew.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tollgate::cli::yaml;

use crate::harness::{Gate, Mock, Options, dist, empty_folder, lasting_port, tollgate, wait_for};

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
    admin_port: String,
    second: Mock,
}

impl Dir {
    fn new(name: &str) -> Self {
        let folder = empty_folder(name);
        let [port, admin_port] = [lasting_port(), lasting_port()].map(|port| port.to_string());
        Self { folder, port, admin_port, second: Mock::start(&format!("{name}-second")) }
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

    /// The files of the plain deployment's ConfigMap, where the ports and the module are those of this machine.
    fn config_map(&self, more: &str) -> BTreeMap<String, String> {
        let config = CONFIG.replace("{more}", more).replace("{mock}", &Mock::shared().address());
        let file = self.folder.join("config.yaml");
        std::fs::write(&file, config.replace("{second}", &self.second.address())).unwrap();
        let (file, wasm) = (file.to_str().unwrap(), dist("tollgate.wasm"));
        let args = ["render", "--target", "kubernetes", "--config", file, "--wasm", wasm.to_str().unwrap()];
        let output = tollgate(&[&args[..], &["--port", &self.port, "--admin-port", &self.admin_port]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let resources = text.split("\n---\n").map(|part| yaml::parse(part).unwrap());
        let map = resources.into_iter().find(|one| one["kind"] == "ConfigMap").unwrap();
        let mount = self.folder.join("mount");
        let here = |text: &str| text.replace("/etc/tollgate", mount.to_str().unwrap()).replace("9902", "0");
        let files = map["data"].as_object().unwrap().iter();
        files.map(|(name, text)| (name.clone(), here(text.as_str().unwrap()))).collect()
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

/// A variable more: Kubernetes starts new pods, and changes the files of those of before as well.
#[test]
fn a_pod_serves_on_with_the_config_map_of_the_next_one() {
    let dir = Dir::new("dynamic-pods");
    let mount = dir.folder.join("mount");
    let publish = |more: &str, version: &str| {
        let files = dir.config_map(more);
        let data = mount.join(format!("..{version}"));
        std::fs::create_dir_all(&data).unwrap();
        for (name, text) in &files {
            std::fs::write(data.join(name), text).unwrap();
            let _ = symlink(format!("..data/{name}"), mount.join(name));
        }
        symlink(format!("..{version}"), mount.join("..data_tmp")).unwrap();
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
        files.keys().cloned().collect::<Vec<_>>()
    };
    let names = publish("", "1");
    let gate = Gate::start_at(dir.folder.clone(), &mount.join("envoy.yaml"), "tollgate", Options::default());
    wait_for("readiness", || (gate.get("/health/readiness", "").status == 200).then_some(()));
    let next = publish(&SECOND.replace("sk-q", "os.environ/NOT_OF_THIS_POD"), "2");
    assert_eq!(names.iter().filter(|name| next.contains(name)).collect::<Vec<_>>(), ["envoy.yaml"]);
    // As long as a change that is taken up takes, and longer.
    for _ in 0..30 {
        gate.chat("sk-app", "first").expect_ok();
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    gate.chat("sk-app", "second").expect_error(404, "invalid_request_error", "model_not_found");
    let same = publish(SECOND, "3");
    assert_eq!(names, same);
    wait_for("a change of the config alone", || (gate.chat("sk-app", "second").status == 200).then_some(()));
}
