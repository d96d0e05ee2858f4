//! A trap, which the filter is never to have: what it costs, and that it is over soon (`failure_policy: FAIL_RELOAD`).
//!
//! The module is a test build that aborts where a request has the header `x-test-trap`. A trap ends the VM of one
//! worker: the request gets a 503, streams under way on that worker break off at their next piece, and Envoy makes a
//! new VM for the next request, after a second or so between two of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::harness::{DEADLINE, Gate, Mock, Options, Request, chat, trap_module, wait_for};

const CONFIG: &str = "
model_list:
- {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/usage=1000:1000/v1', api_key: sk-p}}
- {model_name: claude, litellm_params: {model: anthropic/claude-haiku-4-5, api_base: 'http://{own}/a', api_key: sk-p}}
- {model_name: slow, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/chunk-ms=50,chunks=30/v1', api_key: sk-p}}
router_settings: {num_retries: 0}
tollgate:
  keys:
  - {key_alias: app, key: sk-app}
  # Two requests of 0.00075 USD each.
  - {key_alias: poor, key: sk-poor, max_budget: 0.001}
";
/// More connections than chance puts on one of two workers.
const CONNECTIONS: usize = 16;

struct Rig {
    gate: Gate,
    _mock: Mock,
}

impl Rig {
    fn start(name: &str) -> Self {
        let mock = Mock::start(&format!("{name}-mock"));
        let config = CONFIG.replace("{own}", &mock.address());
        let gate = Gate::start_with(name, &config, Options { wasm: Some(trap_module()), ..Options::default() });
        Self { gate, _mock: mock }
    }

    /// A connection to a worker; which one is known only by what happens.
    fn connect(&self) -> KeptAlive {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.gate.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        KeptAlive { reader: BufReader::new(stream) }
    }

    /// Kills the VM of the worker that takes the connection.
    fn trap(&self) {
        let answer = Request::get(self.gate.port, "/v1/models").key("sk-app").header("x-test-trap", "1").send();
        assert_eq!(answer.status, 503, "{}", answer.text());
    }

    fn reloads(&self) -> u64 {
        let stats = Request::get(self.gate.admin_port, "/stats?filter=vm_reload_success").send();
        stats.text().lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }

    /// Waits until every worker serves both vendors again.
    fn wait_for_all_workers(&self) {
        wait_for("all workers to serve again", || {
            (0..CONNECTIONS).all(|n| self.gate.chat("sk-app", ["fast", "claude"][n % 2]).status == 200).then_some(())
        });
    }
}

/// A connection for several requests.
struct KeptAlive {
    reader: BufReader<TcpStream>,
}

impl KeptAlive {
    /// The status of `GET /v1/models`; `None` where the connection is closed.
    fn models(&mut self) -> Option<u16> {
        let head = "GET /v1/models HTTP/1.1\r\nhost: g\r\nauthorization: Bearer sk-app\r\n\r\n";
        self.reader.get_mut().write_all(head.as_bytes()).ok()?;
        let mut status = String::new();
        self.reader.read_line(&mut status).ok()?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            length = line.strip_prefix("content-length: ").map_or(length, |value| value.trim().parse().unwrap());
        }
        self.reader.read_exact(&mut vec![0; length]).ok()?;
        status.split(' ').nth(1)?.parse().ok()
    }
}

#[test]
fn a_trap_costs_one_worker_a_moment_and_the_other_one_nothing() {
    let rig = Rig::start("reload-workers");
    let mut connections: Vec<KeptAlive> = (0..CONNECTIONS).map(|_| rig.connect()).collect();
    assert!(connections.iter_mut().all(|connection| connection.models() == Some(200)));
    rig.trap();
    // At once: 503 without a filter, or the filter of a new VM where Envoy was quick. Never an answer by no filter.
    let statuses: Vec<_> = connections.iter_mut().map(KeptAlive::models).collect();
    assert!(statuses.iter().all(|status| matches!(status, Some(200 | 503))), "{statuses:?}");
    assert!(statuses.contains(&Some(200)), "the other worker fell too: {statuses:?}");
    rig.wait_for_all_workers();
    assert!(rig.reloads() >= 1, "nothing was reloaded");
    // The connections themselves outlive the VM.
    assert!(connections.iter_mut().all(|connection| connection.models() == Some(200)));
}

#[test]
fn streams_under_way_break_off_on_that_worker_and_go_on_on_the_other() {
    let rig = Rig::start("reload-streams");
    let open = |_| rig.gate.request("/v1/chat/completions", "sk-app", chat("slow", ",\"stream\":true")).open();
    let mut streams: Vec<_> = (0..CONNECTIONS).map(open).collect();
    assert!(streams.iter_mut().all(|stream| stream.status == 200 && stream.next_piece().is_some()));
    rig.trap();
    let streams: Vec<_> = streams.into_iter().map(crate::harness::Answer::finish).collect();
    let whole = |stream: &&crate::harness::Answer| stream.is_whole && stream.text().ends_with("data: [DONE]\n\n");
    let count = streams.iter().filter(whole).count();
    assert!((1..CONNECTIONS).contains(&count), "{count} of {CONNECTIONS} streams came to their end");
    for stream in streams.iter().filter(|stream| !whole(stream)) {
        assert!(!stream.is_whole && !stream.text().contains("[DONE]"), "{}", stream.text());
    }
    rig.wait_for_all_workers();
}

#[test]
fn spend_survives_reload_after_reload() {
    let rig = Rig::start("reload-spend");
    for _ in 0..2 {
        rig.gate.chat("sk-poor", "fast").expect_ok();
    }
    for _ in 0..3 {
        (0..8).for_each(|_| rig.trap());
        rig.wait_for_all_workers();
        for _ in 0..8 {
            let error = rig.gate.chat("sk-poor", "fast").expect_error(429, "budget_exceeded", "budget_exceeded");
            assert!(error["message"].as_str().unwrap().contains("0.0015 USD spent"), "{error:#}");
        }
    }
    assert!(rig.reloads() >= 4, "both workers, again and again: {}", rig.reloads());
}
