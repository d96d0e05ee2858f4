//! `examples/migrate`, step by step: LiteLLM's config and keys, shadow traffic, cut-over, and the way back, with the
//! example's own files and a stand-in for LiteLLM's proxy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tollgate::cli::yaml;

use crate::examples::{edited, example, read, start};
use crate::harness::{
    Gate, Load, Mock, Options, Request, Sample, chat, empty_folder, lasting_port, test_folder, tollgate, wait_for,
};

/// A virtual key of LiteLLM's, which its client keeps.
const KEY: &str = "sk-support-bot-0001";
const PER_SECOND: u32 = 40;
const TIME: Duration = Duration::from_secs(6);

/// The Envoy in front, LiteLLM's stand-in and Tollgate behind it.
struct Migration {
    front: Gate,
    folder: PathBuf,
    litellm: Mock,
    /// Behind Tollgate.
    providers: Mock,
    tollgate: Gate,
}

impl Migration {
    fn start(name: &str) -> Self {
        let folder = empty_folder(name);
        std::fs::create_dir_all(folder.join("front")).unwrap();
        let (litellm, providers) = (Mock::start(&format!("{name}-litellm")), Mock::start(&format!("{name}-providers")));
        let imported = edited("migrate", "imported.yaml", &providers.address());
        let tollgate = start(&format!("{name}-tollgate"), &yaml::dump(&imported));
        let bootstrap = folder.join("envoy.yaml");
        let text = read(&example("migrate/front/envoy.yaml"));
        let places = [
            ("/etc/front", folder.join("front").to_str().unwrap().to_owned()),
            ("port_value: 8000", "port_value: 0".to_owned()),
            ("port_value: 9902", "port_value: 0".to_owned()),
            ("port_value: 4000", format!("port_value: {}", litellm.port)),
            ("port_value: 4001", format!("port_value: {}", tollgate.port)),
        ];
        let text = places.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "no {from}");
            text.replace(from, to)
        });
        std::fs::write(&bootstrap, text).unwrap();
        put(&folder, "1-litellm");
        let front = Gate::start_at(folder.clone(), &bootstrap, "front", Options::default());
        let migration = Self { front, folder, litellm, providers, tollgate };
        wait_for("the first routes", || (migration.chat() == 200).then_some(()));
        migration
    }

    fn chat(&self) -> u16 {
        self.front.chat(KEY, "fast").status
    }

    /// Takes a step while requests come, all of which must be answered. What became of those after it.
    fn step(&self, name: &str) -> Vec<Sample> {
        let request = Request::post(self.front.port, "/v1/chat/completions", chat("fast", "")).key(KEY);
        let load = Load::start(&request, PER_SECOND, TIME);
        load.wait_until(Duration::from_millis(500));
        let before = self.updates();
        put(&self.folder, name);
        wait_for("the routes", || (self.updates() > before).then_some(()));
        // What was under way may be answered by the route before.
        let since = load.now() + Duration::from_millis(300);
        assert!(since < TIME / 2, "the step took {since:?}");
        let samples = load.finish();
        let dropped: Vec<_> = samples.iter().filter(|sample| !sample.is_served()).collect();
        assert!(
            dropped.is_empty(),
            "{name}: {} of {} not served: {:#?}",
            dropped.len(),
            samples.len(),
            dropped.first()
        );
        samples.into_iter().filter(|sample| sample.at > since).collect()
    }

    fn updates(&self) -> u64 {
        let stats = Request::get(self.front.admin_port, "/stats?filter=^http.front.rds.front.config_reload$").send();
        stats.text().trim().rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Per mille of them that Tollgate answered.
    fn share(samples: &[Sample]) -> usize {
        let is_ours = |sample: &&Sample| sample.answer.as_ref().is_some_and(|answer| !answer.deployment.is_empty());
        samples.iter().filter(is_ours).count() * 1000 / samples.len()
    }
}

/// Moves a file of routes into its place, as the guide does.
fn put(folder: &Path, name: &str) {
    let (new, place) = (folder.join("front/new"), folder.join("front/routes.yaml"));
    std::fs::copy(example(&format!("migrate/front/{name}.yaml")), &new).unwrap();
    std::fs::rename(new, place).unwrap();
}

#[test]
fn the_keys_of_litellm_make_the_config_that_the_other_steps_serve() {
    let at = |name: &str| example(&format!("migrate/{name}")).to_str().unwrap().to_owned();
    let output = tollgate(&["check", "--config", &at("config.yaml")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let made = test_folder("migrate-imported.yaml");
    let files = [at("config.yaml"), at("keys.json"), at("teams.json"), made.to_str().unwrap().to_owned()];
    let output = tollgate(&["import-keys", "--config", &files[0], &files[1], &files[2], "-o", &files[3]]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(read(&made), read(&example("migrate/imported.yaml")));
}

#[test]
fn shadow_traffic_reaches_tollgate_and_changes_nothing_for_anybody() {
    let migration = Migration::start("migrate-shadow");
    // Whatever happens to a copy: slow errors.
    migration.providers.script("example-", "status=500,delay-ms=3000");
    let samples = migration.step("2-shadow");
    assert_eq!(Migration::share(&samples), 0, "Tollgate answered a client");
    let slow = samples.iter().filter(|sample| sample.took > Duration::from_secs(2)).count();
    assert_eq!(slow, 0, "clients waited for the copy");
    wait_for("copies", || (!migration.providers.requests("example-").is_empty()).then_some(()));
    let records = migration.tollgate.access_log_where("records of copies", 1, |line| line["team"] == "support");
    let most = samples.len() / 5;
    assert!(records.len() < most, "{} copies are not 5 % of {}", records.len(), samples.len());
    for received in migration.providers.requests("example-") {
        assert!(!format!("{received:?}").contains(KEY), "the client's key went on: {received:?}");
    }
    assert_eq!(Migration::share(&migration.step("1-litellm")), 0);
}

#[test]
fn traffic_moves_by_weight_and_back_and_no_request_is_dropped() {
    let migration = Migration::start("migrate-weights");
    for (step, share) in
        [("3-cut-over-5", 1..=200), ("4-cut-over-50", 300..=700), ("5-tollgate", 1000..=1000), ("1-litellm", 0..=0)]
    {
        let found = Migration::share(&migration.step(step));
        assert!(share.contains(&found), "{step}: {found} per mille, not {share:?}");
    }
    let key = migration.litellm.requests("/v1/chat/completions").pop().unwrap();
    assert_eq!(key.header("authorization"), Some(&*format!("Bearer {KEY}")), "LiteLLM gets what it got before");
    // Both have answered, and Tollgate says what LiteLLM does not know.
    let spent = migration.tollgate.get("/spend/keys", "sk-LITELLM_MASTER_KEY").expect_ok();
    assert!(spent.text().contains("support-bot"), "{}", spent.text());
}

#[test]
fn a_tollgate_that_is_down_is_no_concern_of_those_who_shadow() {
    let mut migration = Migration::start("migrate-down");
    let port = lasting_port();
    let text = read(&migration.folder.join("envoy.yaml"));
    let text = text.replace(&format!("port_value: {}", migration.tollgate.port), &format!("port_value: {port}"));
    let bootstrap = migration.folder.join("down.yaml");
    std::fs::write(&bootstrap, text).unwrap();
    let folder = migration.folder.join("down");
    std::fs::create_dir_all(&folder).unwrap();
    migration.front = Gate::start_at(folder, &bootstrap, "front", Options::default());
    wait_for("the routes", || (migration.chat() == 200).then_some(()));
    assert_eq!(Migration::share(&migration.step("2-shadow")), 0);
}
