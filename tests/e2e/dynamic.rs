//! `tollgate render --format dynamic`: a running Envoy takes the files up when they are rendered anew.

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
        let config = CONFIG.replace("{more}", more).replace("{mock}", &Mock::shared().address());
        let file = self.folder.join("config.yaml");
        std::fs::write(&file, config.replace("{second}", &self.second.address())).unwrap();
        let (dir, wasm) = (self.files(), dist("tollgate.wasm"));
        let paths = [&file, &dir, &wasm].map(|path| path.to_str().unwrap());
        let args = ["render", "--format", "dynamic", "--config", paths[0], "-o", paths[1], "--wasm", paths[2]];
        let output = tollgate(&[&args[..], &["--port", &self.port, "--admin-port", "0"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    fn times(&self) -> Vec<SystemTime> {
        let time = |name| std::fs::metadata(self.files().join(name)).unwrap().modified().unwrap();
        ["envoy.yaml", "lds.yaml", "cds.yaml"].map(time).to_vec()
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
