//! Which deployment of a group is asked: by latency, load, price, usage, order or weight, and never beyond its limits.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use crate::harness::{Answer, Options, Request, Rig, at_once, chat, early_in_a_minute};

/// Longer than the workers take to tell each other what they know.
const TOLD: Duration = Duration::from_millis(200);

/// Four workers; `deployments`: group, id, script, `litellm_params`.
fn start(name: &str, deployments: &[(&str, &str, &str, &str)], settings: &str) -> Rig {
    let entry = |(group, id, script, params): &(&str, &str, &str, &str)| {
        let model = if params.contains("model:") { "" } else { "model: openai/gpt-4o-mini, " };
        format!(
            "- {{model_name: {group}, litellm_params: {{{model}api_key: sk-x, api_base: 'http://{{own}}/{id}/{script}/v1', \
             {params}}}, model_info: {{id: {id}}}}}\n"
        )
    };
    let list: String = deployments.iter().map(entry).collect();
    let config = format!(
        "model_list:\n{list}router_settings: {{num_retries: 1, {settings}}}\ntollgate: {{allow_anonymous: true}}\n"
    );
    Rig::start_with(name, &config, Options { concurrency: 4, ..Options::default() })
}

impl Rig {
    fn request(&self, group: &str) -> Request {
        self.gate.request("/v1/chat/completions", "", chat(group, ""))
    }

    fn stream(&self, group: &str) -> Request {
        self.gate.request("/v1/chat/completions", "", chat(group, ",\"stream\":true"))
    }

    /// Who answers one request after the other, each of them when the workers know of the one before.
    fn in_turn(&self, request: &Request, count: usize) -> Vec<String> {
        let one = |_| {
            sleep(TOLD / 2);
            request.send().expect_ok().by()
        };
        (0..count).map(one).collect()
    }

    fn received(&self, deployment: &str) -> usize {
        self.mock.requests(&format!("/{deployment}/")).len()
    }
}

fn count(deployments: &[String], wanted: &str) -> usize {
    deployments.iter().filter(|deployment| *deployment == wanted).count()
}

#[test]
fn the_fastest_serves_all_once_it_is_known() {
    let deployments = [
        ("whole", "whole-slow", "delay-ms=1500", ""),
        ("whole", "whole-fast", "delay-ms=5", ""),
        ("streams", "streams-slow", "first-chunk-ms=1500", ""),
        ("streams", "streams-fast", "first-chunk-ms=5", ""),
    ];
    let rig = start("strategy-latency", &deployments, "routing_strategy: latency-based-routing");
    for (group, request) in [("whole", rig.request("whole")), ("streams", rig.stream("streams"))] {
        let first = rig.in_turn(&request, 6);
        assert!(count(&first, &format!("{group}-slow")) >= 1, "who was never asked is tried: {first:?}");
        sleep(TOLD);
        // Far too few to make the slow one worth a look.
        let fast = at_once(vec![request; 16]);
        assert!(fast.into_iter().all(|answer| answer.expect_ok().by() == format!("{group}-fast")), "{group}");
    }
}

#[test]
fn the_least_busy_is_asked() {
    let deployments = [
        ("even", "even-1", "chunks=4,chunk-ms=700", ""),
        ("even", "even-2", "chunks=4,chunk-ms=700", ""),
        ("uneven", "uneven-slow", "chunks=5,chunk-ms=1500", ""),
        ("uneven", "uneven-fast", "chunks=1", ""),
    ];
    let rig = start("strategy-busy", &deployments, "routing_strategy: least-busy");
    let open = |_| {
        sleep(TOLD / 2);
        rig.stream("even").open()
    };
    let streams: Vec<Answer> = (0..8).map(open).collect();
    let one = streams.iter().filter(|stream| stream.by() == "even-1").count();
    assert!((3..=5).contains(&one), "{one} of 8 streams under way");

    let mut held = Vec::new();
    for _ in 0..12 {
        sleep(TOLD / 2);
        let stream = rig.stream("uneven").open();
        if stream.by() == "uneven-slow" {
            held.push(stream);
        } else {
            stream.finish();
        }
    }
    assert!(held.len() <= 2, "{} streams pile up at the slow one", held.len());
    // Clients that leave make room.
    drop(held);
    sleep(TOLD);
    let after = rig.in_turn(&rig.request("uneven"), 16);
    assert!(count(&after, "uneven-slow") >= 1, "{after:?}");
}

#[test]
fn the_cheapest_is_asked_as_long_as_it_is_well() {
    let deployments = [
        ("priced", "dear", "id=dear", "model: openai/gpt-4o"),
        ("priced", "cheap", "id=cheap", "model: openai/gpt-4o-mini"),
        ("own-price", "own-dear", "id=a", "input_cost_per_token: 0.01, output_cost_per_token: 0.01"),
        ("own-price", "own-cheap", "id=b", "input_cost_per_token: 0.001, output_cost_per_token: 0.001"),
    ];
    let rig = start("strategy-cost", &deployments, "routing_strategy: cost-based-routing");
    for (group, cheap) in [("priced", "cheap"), ("own-price", "own-cheap")] {
        assert!(at_once(vec![rig.request(group); 8]).into_iter().all(|answer| answer.expect_ok().by() == cheap));
    }
    rig.mock.script("/cheap/", "status=503");
    assert_eq!(rig.request("priced").send().expect_ok().by(), "dear");
}

#[test]
fn the_least_used_of_this_minute_is_asked() {
    let deployments = [("used", "thirsty", "usage=2900:100", ""), ("used", "frugal", "usage=900:100", "")];
    let rig = start("strategy-usage", &deployments, "routing_strategy: usage-based-routing-v2");
    early_in_a_minute();
    let asked = rig.in_turn(&rig.request("used"), 12);
    // Each use of the thirsty one is worth three of the other.
    assert!((2..=4).contains(&count(&asked, "thirsty")), "{asked:?}");
}

/// Groups under simple-shuffle; those with limits are used by one test each.
fn shuffle() -> &'static Rig {
    const DEPLOYMENTS: [(&str, &str, &str, &str); 13] = [
        ("levels", "levels-1", "id=levels-1", "order: 1"),
        ("levels", "levels-2", "id=levels-2", "order: 2"),
        ("levels", "levels-3", "id=levels-3", "order: 3"),
        ("rated", "rated-3", "id=rated-3", "rpm: 30000"),
        ("rated", "rated-1", "id=rated-1", "rpm: 10000"),
        ("ten", "ten-1", "delay-ms=50", "rpm: 10"),
        ("ten", "ten-2", "delay-ms=50", "rpm: 10"),
        ("tokens", "tokens-1", "usage=500:500", "tpm: 200"),
        ("slots", "slots-1", "delay-ms=800", "weight: 1, max_parallel_requests: 2"),
        ("slots", "slots-2", "delay-ms=800", "weight: 0"),
        ("full", "full-1", "delay-ms=800", "max_parallel_requests: 2"),
        ("full", "full-2", "delay-ms=800", "max_parallel_requests: 1"),
        ("cut-off", "cut-off-1", "chunks=3,chunk-ms=8000", "max_parallel_requests: 1"),
    ];
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| start("strategy-shuffle", &DEPLOYMENTS, "routing_strategy: simple-shuffle"))
}

#[test]
fn a_higher_order_waits_for_the_lower_to_fail() {
    let rig = shuffle();
    assert!(at_once(vec![rig.request("levels"); 12]).into_iter().all(|answer| answer.expect_ok().by() == "levels-1"));
    rig.mock.script("/levels-1/", "status=503");
    assert_eq!(rig.request("levels").send().expect_ok().by(), "levels-2");
    assert_eq!(rig.received("levels-3"), 0);
}

#[test]
fn rpm_is_a_weight_where_there_is_no_other() {
    let rig = shuffle();
    let asked: Vec<String> = (0..120).map(|_| rig.request("rated").send().expect_ok().by()).collect();
    let three = count(&asked, "rated-3");
    // 90 are expected; this is six standard deviations wide.
    assert!((62..=118).contains(&three), "{three} of 120");
}

#[test]
fn rpm_is_kept_to_the_request_by_all_workers() {
    let rig = shuffle();
    early_in_a_minute();
    let answers = at_once(vec![rig.request("ten"); 40]);
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((served.len(), rig.received("ten-1"), rig.received("ten-2")), (20, 10, 10));
    for answer in &refused {
        answer.expect_error(429, "rate_limit_error", "no_deployments_available");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "retry-after: {seconds}");
    }
    assert_eq!(refused.len(), 20);
}

#[test]
fn tpm_is_what_was_used_and_not_what_was_guessed() {
    let rig = shuffle();
    early_in_a_minute();
    let ask = || rig.gate.post("/v1/chat/completions", "", chat("tokens", r#","max_tokens":16"#));
    ask().expect_ok();
    sleep(TOLD);
    let answer = ask();
    answer.expect_error(429, "rate_limit_error", "no_deployments_available");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() <= 60);
    assert_eq!(rig.received("tokens-1"), 1);
}

#[test]
fn a_full_deployment_is_passed_over_until_there_is_room() {
    let rig = shuffle();
    for answer in at_once(vec![rig.request("slots"); 6]) {
        answer.expect_ok();
    }
    assert_eq!((rig.received("slots-1"), rig.received("slots-2")), (2, 4));
    sleep(TOLD);
    assert_eq!(rig.request("slots").send().expect_ok().by(), "slots-1");

    let answers = at_once(vec![rig.request("full"); 8]);
    let (served, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((served.len(), rig.received("full-1"), rig.received("full-2")), (3, 2, 1));
    for answer in &refused {
        answer.expect_error(429, "rate_limit_error", "no_deployments_available");
        assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    }
}

#[test]
fn a_client_that_leaves_gives_its_place_back() {
    let rig = shuffle();
    for _ in 0..3 {
        let mut stream = rig.stream("cut-off").open();
        assert_eq!(stream.status, 200, "the place was not given back");
        assert!(stream.next_piece().is_some());
        assert_eq!(rig.request("cut-off").send().status, 429);
        drop(stream);
        sleep(TOLD);
    }
}
