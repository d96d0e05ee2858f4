//! Whatever a client or a provider sends: the client gets a clear error, and every worker serves on.
//!
//! Each case ends with [`Rig::serves_on`]: good requests on fresh connections, more than there are workers, no VM made
//! anew, and neither a key nor a prompt in what Envoy wrote down. One Envoy serves all cases.

mod answers;
mod bodies;
mod connections;
mod streams;

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Answer, Gate, Mock, Request, test_folder};
use crate::raw::RawProvider;

/// The client's key.
const KEY: &str = "rugged-client-key";
/// The gateway's key at every provider.
const PROVIDER_KEY: &str = "rugged-provider-key";
/// Stands in every prompt.
const PROMPT: &str = "rugged-prompt-7391";
/// What all three begin with, also as part of something longer.
const SECRET: &str = "rugged-";
/// The model groups with healthy providers, and what the provider of a faulty one is.
const VENDORS: [Vendor; 2] = [Vendor::OpenAi, Vendor::Anthropic];
/// How many faults there may be.
const SLOTS: usize = 160;
/// Good requests after each case: with two workers, one of them is left out once in 128 cases.
const GOOD_REQUESTS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vendor {
    OpenAi,
    Anthropic,
}

impl Vendor {
    /// The model group with a healthy provider.
    fn group(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }

    fn model(self, name: &str, api_base: &str) -> String {
        let (model, path) = match self {
            Self::OpenAi => ("openai/gpt-4o-mini", "/v1"),
            Self::Anthropic => ("anthropic/claude-haiku-4-5", ""),
        };
        let params = format!("{{model: {model}, api_base: '{api_base}{path}', api_key: {PROVIDER_KEY}}}");
        format!("- {{model_name: {name}, litellm_params: {params}}}\n")
    }
}

/// The Envoy, a provider that misbehaves as told, and one that says anything.
struct Rig {
    gate: Gate,
    mock: Mock,
    raw: RawProvider,
    next: AtomicUsize,
    /// How many VMs there were at the start.
    vms: u64,
}

impl Rig {
    fn shared() -> &'static Self {
        static RIG: OnceLock<Rig> = OnceLock::new();
        RIG.get_or_init(Self::start)
    }

    fn start() -> Self {
        let (mock, raw) = (Mock::start("no_dead_worker-mock"), RawProvider::start());
        let mut config = "model_list:\n".to_owned();
        for vendor in VENDORS {
            let group = vendor.group();
            config.push_str(&vendor.model(group, &format!("http://{}/good", mock.address())));
            for slot in 0..SLOTS {
                let name = format!("{group}-{slot}");
                config.push_str(&vendor.model(&name, &format!("http://{}/{name}", mock.address())));
                let name = format!("{group}-raw-{slot}");
                config.push_str(&vendor.model(&name, &format!("http://127.0.0.1:{}/{name}", raw.port)));
            }
        }
        let _ = writeln!(config, "router_settings: {{num_retries: 0}}");
        let _ = writeln!(config, "general_settings: {{max_request_size_mb: 2}}");
        let _ = writeln!(config, "tollgate: {{keys: [{{key_alias: rugged, key: {KEY}}}]}}");
        let gate = Gate::start("no_dead_worker", &config);
        let vms = vms(&gate);
        assert!(vms > 0, "Envoy counts no VM");
        Self { gate, mock, raw, next: AtomicUsize::new(0), vms }
    }

    /// A model group whose provider does what `script` says, in the words of `mock-provider`.
    fn scripted(&self, vendor: Vendor, script: &str) -> String {
        let name = format!("{}-{}", vendor.group(), self.slot());
        let path = format!("/_mock/script?match=/{name}/");
        Request::post(self.mock.port, &path, script).send().expect_ok();
        name
    }

    /// A model group whose provider answers with `bytes`.
    fn raw(&self, vendor: Vendor, bytes: impl Into<Vec<u8>>) -> String {
        let name = format!("{}-raw-{}", vendor.group(), self.slot());
        self.raw.answer(&format!("/{name}/"), bytes);
        name
    }

    fn slot(&self) -> usize {
        let slot = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(slot < SLOTS, "more faults than SLOTS");
        slot
    }

    fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.gate.post("/v1/chat/completions", KEY, body)
    }

    /// Asks `model`; `more` begins with a comma or is empty.
    fn ask(&self, model: &str, more: &str) -> Answer {
        self.post(chat(model, more))
    }

    /// Every worker serves, none of them in a new VM, and nobody told a secret.
    #[track_caller]
    fn serves_on(&self, after: &str) {
        for n in 0..GOOD_REQUESTS {
            let vendor = VENDORS[n % VENDORS.len()];
            let answer = self.ask(vendor.group(), "");
            assert_eq!(answer.status, 200, "after {after}: {}", answer.text());
            let content = answer.at("/choices/0/message/content");
            assert!(content.as_str().unwrap().starts_with("The mock provider answers"), "after {after}: {content}");
        }
        assert_eq!(vms(&self.gate), self.vms, "after {after} a VM was made anew: {}", self.gate.stderr());
        let folder = test_folder("no_dead_worker");
        for file in ["stdout", "stderr"] {
            let text = String::from_utf8_lossy(&std::fs::read(folder.join(file)).unwrap()).into_owned();
            let line = text.lines().find(|line| line.contains(SECRET));
            assert_eq!(line, None, "after {after} {file} tells a secret");
        }
    }
}

/// The body of a chat request with the prompt that nobody may write down.
fn chat(model: &str, more: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"{PROMPT}"}}]{more}}}"#)
}

/// A chat request with `member` in the place of what usually stands there, or added.
fn chat_with(model: &str, member: &str, value: &str) -> String {
    let (model, messages) = (format!("\"{model}\""), format!("[{{\"role\":\"user\",\"content\":\"{PROMPT}\"}}]"));
    let usual = [("model", model.as_str()), ("messages", &messages)].into_iter().filter(|(name, _)| *name != member);
    let all: Vec<String> = usual.chain([(member, value)]).map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", all.join(","))
}

/// How many VMs Envoy has made so far.
fn vms(gate: &Gate) -> u64 {
    let stats = Request::get(gate.admin_port, "/stats?filter=v8.created|vm_reload").send();
    stats.text().lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
}

/// An error in OpenAI's shape that does not repeat the prompt.
#[track_caller]
fn expect_error(answer: &Answer, status: u16, type_: &str, code: &str) -> serde_json::Value {
    let error = answer.expect_error(status, type_, code);
    assert!(!answer.text().contains(SECRET), "{error:#}");
    error
}
