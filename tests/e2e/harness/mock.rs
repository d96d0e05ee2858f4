//! The provider: one process of `mock-provider` that remembers what it received.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use super::client::Request;
use super::process::Process;
use super::{dist, test_folder, wait_for};

/// A running provider.
pub(crate) struct Mock {
    pub(crate) port: u16,
    folder: PathBuf,
    process: Option<Process>,
}

/// A request as the provider received it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Name, file name and value of each field, if the body is a form.
    pub(crate) form: Vec<(String, Option<String>, String)>,
}

impl Mock {
    /// The provider that `{mock}` stands for in a config.
    pub(crate) fn shared() -> &'static Self {
        static MOCK: OnceLock<Mock> = OnceLock::new();
        MOCK.get_or_init(|| Self::start("mock"))
    }

    /// Starts another one, at another address. `name` is its folder under `target/tmp/e2e`.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_on(name, 0)
    }

    /// Starts one that can be killed and come back at the same address.
    pub(crate) fn mortal(name: &str) -> Self {
        Self::start_on(name, lasting_port())
    }

    fn start_on(name: &str, port: u16) -> Self {
        let folder = test_folder(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut mock = Self { port, folder, process: None };
        mock.run();
        mock
    }

    /// Kills the process: its connections are reset, and nobody listens any more.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it, after [`Self::kill`], with nothing received.
    pub(crate) fn run(&mut self) {
        let (binary, port) = (dist("mock-provider"), self.port.to_string());
        let command = [binary.to_str().unwrap(), "--port", &port, "--record"];
        self.process = Some(Process::start(&command, &[], &self.folder));
        self.port = wait_for("the mock provider's port", || {
            let text = std::fs::read_to_string(self.folder.join("stdout")).ok()?;
            text.strip_suffix('\n')?.rsplit(':').next()?.parse().ok()
        });
    }

    /// Has it act on `script` where a path contains `part`; an empty script ends that.
    pub(crate) fn script(&self, part: &str, script: &str) {
        Request::post(self.port, &format!("/_mock/script?match={part}"), script).send().expect_ok();
    }

    /// `127.0.0.1:8081`
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The last requests whose path contains `part`, oldest first: what a test's own `api_base` led here.
    pub(crate) fn requests(&self, part: &str) -> Vec<Received> {
        let all = Request::get(self.port, "/_mock/requests").send().json();
        let all = all.as_array().unwrap().iter().map(Received::from);
        all.filter(|request| request.path.contains(part)).collect()
    }

    /// The only request whose path contains `part`.
    pub(crate) fn request(&self, part: &str) -> Received {
        let mut requests = self.requests(part);
        assert_eq!(requests.len(), 1, "requests to {part}: {requests:#?}");
        requests.remove(0)
    }
}

/// A free port below those that Linux gives to connections (32768 and up): none of them takes it while its owner is dead.
pub(crate) fn lasting_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + (std::process::id() % 100) as u16 * 100;
    let ports = std::iter::repeat_with(|| base + NEXT.fetch_add(1, Ordering::Relaxed) % 100);
    ports.take(100).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}

impl From<&Value> for Received {
    fn from(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = value["headers"].as_array().unwrap().iter();
        Self {
            method: text(&value["method"]),
            path: text(&value["path"]),
            headers: headers.map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
            body: text(&value["body"]),
            form: value["form"].as_array().into_iter().flatten().map(field).collect(),
        }
    }
}

fn field(field: &Value) -> (String, Option<String>, String) {
    let text = |i: usize| field[i].as_str().map(str::to_owned);
    (text(0).unwrap(), text(1), text(2).unwrap())
}

impl Received {
    /// The value of a header that came at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(found, _)| found == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} came twice: {:?}", self.headers);
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|fault| panic!("{fault}: {}", self.body))
    }
}
