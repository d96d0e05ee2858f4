//! Copies of a group's requests that go to another one, and of which the client sees, feels and pays nothing.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Answer, Gate, Mock, Options, Received, Request, chat, wait_for};

/// What becomes of copies: the group, what its shadow's provider does, and the status that is counted.
const KINDS: [(&str, &str, &str); 9] = [
    ("well", "usage=50:500", "200"),
    ("slow", "delay-ms=9000", "504"),
    // Later than the primary may be.
    ("late", "delay-ms=2500", "200"),
    ("failing", "status=500", "500"),
    ("limited", "status=429,retry-after=30", "429"),
    ("reset", "reset=1", "503"),
    ("garbage", "garbage=1", "200"),
    ("cut", "cut=20", "200"),
    ("long", "body-bytes=3000000", "200"),
];

/// What the client itself is answered.
const PRIMARY: &str = "usage=1000:100";

const KEYS: [&str; 8] = ["app", "counted", "kinds", "share", "left", "narrow", "falling", "steering"];

struct Rig {
    mocks: Mocks,
    gate: Gate,
    /// The same without any shadow.
    plain: Gate,
}

struct Mocks {
    primary: Mock,
    shadow: Mock,
    /// The providers of a few groups, one of each gate: they give the same answers, down to the ids.
    twins: [Mock; 2],
    /// Of both, where requests are long.
    long: Mock,
}

fn rig() -> &'static Rig {
    static RIG: OnceLock<Rig> = OnceLock::new();
    RIG.get_or_init(|| {
        let [primary, shadow, long] = ["shadow-primary", "shadow-mock", "shadow-long"].map(Mock::start);
        let mocks = Mocks { primary, shadow, twins: ["shadow-twin", "shadow-plain-twin"].map(Mock::start), long };
        let gate = Gate::start("shadow", &config(&models(&mocks, &mocks.twins[0]), &shadows()));
        let plain = Gate::start("shadow-plain", &config(&models(&mocks, &mocks.twins[1]), ""));
        Rig { mocks, gate, plain }
    })
}

fn deployment(group: &str, params: &str, base: &str) -> String {
    format!(
        "- {{model_name: {group}, litellm_params: {{{params}, api_base: 'http://{base}'}}, model_info: {{id: id-{group}}}}}\n"
    )
}

fn models(mocks: &Mocks, twin: &Mock) -> String {
    let primary = |group: &str, script: &str| {
        let mock = match group {
            "same" | "wide" | "wrong" => twin,
            "big" => &mocks.long,
            _ => &mocks.primary,
        };
        let timeout = if group == "late" { 1.5 } else { 10.0 };
        let retries = if group == "falls" { 0 } else { 2 };
        let more = format!("timeout: {timeout}, num_retries: {retries}");
        let base = format!("{}/p-{group}/{script}/v1", mock.address());
        deployment(group, &format!("model: openai/gpt-4o-mini, api_key: sk-of-primary, {more}"), &base)
    };
    let shadow = |group: &str, model: &str, script: &str| {
        let mock = if group == "big" { &mocks.long } else { &mocks.shadow };
        let limit = if group == "narrow" { 1 } else { 100 };
        let params = format!("model: {model}, api_key: sk-of-shadow, timeout: 5, max_parallel_requests: {limit}");
        deployment(&format!("shadow-{group}"), &params, &format!("{}/s-{group}/{script}", mock.address()))
    };
    let claude = "anthropic/claude-haiku-4-5";
    let pair = |group: &str, script: &str| primary(group, PRIMARY) + &shadow(group, claude, script);
    let kinds = KINDS.map(|(group, script, _)| pair(group, script));
    let healthy = ["same", "narrow", "some", "none", "bare", "big"].map(|group| pair(group, PRIMARY));
    let others = [
        primary("wide", PRIMARY),
        shadow("wide", "openai/gpt-4o", "v1"),
        primary("wrong", "status=400"),
        primary("falls", "status=500"),
        primary("after", PRIMARY),
        shadow("falls", claude, "delay-ms=3000,usage=50:500"),
        primary("left", "chunk-ms=300"),
        shadow("left", claude, "delay-ms=1000"),
        primary("dead", PRIMARY),
        deployment("shadow-dead", "model: openai/gpt-4o, api_key: sk-of-shadow", "{dead}/v1"),
        primary("elsewhere", PRIMARY),
        deployment("shadow-elsewhere", "model: openai/gpt-4o, api_key: sk-of-shadow", "{dead}/v1")
            .replace("model_info: {", "model_info: {cluster: not-there, "),
    ];
    [kinds.concat(), healthy.concat(), others.concat()].concat()
}

fn shadows() -> String {
    let one = |(group, to, percent): (&str, &str, &str)| {
        format!("  - {{model_group: {group}, to: shadow-{to}, percent: {percent}}}\n")
    };
    let kinds = KINDS.map(|(group, ..)| one((group, group, "100")));
    let others = [
        ("same", "same", "100"),
        ("narrow", "narrow", "100"),
        ("wide", "wide", "100"),
        ("wrong", "wide", "100"),
        ("falls", "falls", "100"),
        ("left", "left", "100"),
        ("big", "big", "100"),
        ("dead", "dead", "100"),
        ("elsewhere", "elsewhere", "100"),
        ("some", "some", "25"),
        ("none", "none", "0"),
    ];
    format!("  shadow:\n{}{}", kinds.concat(), others.map(one).concat())
}

fn config(models: &str, shadows: &str) -> String {
    let keys = KEYS.map(|key| format!("  - {{key_alias: {key}, key: sk-{key}}}\n")).concat();
    format!(
        "model_list:\n{models}router_settings: {{fallbacks: [{{falls: [after]}}]}}\n\
         general_settings: {{master_key: sk-master}}\ntollgate:\n{shadows}  keys:\n{keys}  \
         - {{key_alias: paying, key: sk-paying, max_budget: 1, models: [well]}}\n"
    )
}

fn ask(key: &str, group: &str, more: &str) -> Request {
    rig().gate.request("/v1/chat/completions", key, chat(group, more))
}

/// What the shadow of `group` has received.
fn copies(group: &str) -> Vec<Received> {
    rig().mocks.shadow.requests(&format!("/s-{group}/"))
}

/// Waits until so many copies of this key's requests have ended with this status.
fn expect_ended(key: &str, group: &str, status: &str, count: u64) {
    let id = format!("id-shadow-{group}");
    let labels = [("key_alias", key), ("deployment", id.as_str()), ("status", status)];
    rig().gate.expect_counter("tollgate_shadow_requests_total", &labels, count);
}

/// Fails if the answer is not the primary's, or lets on that there is a shadow.
#[track_caller]
fn expect_primary(answer: &Answer, group: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.is_whole);
    let told = ["deployment", "attempts", "fallbacks"].map(|name| answer.header(&format!("x-tollgate-{name}")));
    assert_eq!(told, [Some(format!("id-{group}").as_str()), Some("1"), Some("0")]);
    let mut everything = answer.headers.iter().flat_map(|(name, value)| [name, value]);
    assert!(!everything.any(|text| text.contains("shadow") || text.contains("claude")), "{:?}", answer.headers);
    assert!(!answer.text().contains("claude"), "{}", answer.text());
}

/// Fails if any of these words is in what a provider received.
#[track_caller]
fn expect_none_of(words: &[&str], received: &Received) {
    let text = format!("{received:?}");
    words.iter().for_each(|word| assert!(!text.contains(word), "{word} in {text}"));
}

#[test]
fn a_shadow_gets_the_request_in_its_own_shape_with_its_own_key() {
    for (more, max_tokens, stream) in [("", 33, Value::Null), (",\"stream\":true", 34, Value::Bool(true))] {
        let more = format!("{more},\"max_tokens\":{max_tokens}");
        expect_primary(&ask("sk-app", "well", &more).send(), "well");
        let received = wait_for("the copy", || {
            copies("well").into_iter().find(|received| received.json()["max_tokens"] == max_tokens)
        });
        assert!(received.path.ends_with("/messages"), "{}", received.path);
        assert_eq!((received.header("x-api-key"), received.header("authorization")), (Some("sk-of-shadow"), None));
        assert_eq!(received.header("host"), Some(rig().mocks.shadow.address().as_str()));
        assert!(received.header("anthropic-version").is_some());
        assert_eq!(received.header("content-length"), Some(received.body.len().to_string().as_str()));
        let body = received.json();
        assert_eq!((body["model"].as_str(), &body["stream"]), (Some("claude-haiku-4-5"), &stream));
        expect_none_of(&["sk-app", "sk-of-primary", "x-tollgate", "x-envoy", "p-well"], &received);
    }
    for received in rig().mocks.primary.requests("/p-well/") {
        assert_eq!(received.header("authorization"), Some("Bearer sk-of-primary"));
        expect_none_of(&["sk-of-shadow", "x-tollgate", "x-envoy", "claude"], &received);
    }
    assert!(rig().mocks.shadow.requests("/p-").is_empty() && rig().mocks.primary.requests("/s-").is_empty());
}

/// What there is to see of an answer, but for what differs from one to the next.
fn seen(answer: &Answer) -> (u16, Vec<(String, String)>, &str) {
    let headers = answer.headers.iter().filter(|(name, _)| name != "date" && name != "x-request-id");
    (answer.status, headers.cloned().collect(), answer.text())
}

#[test]
fn the_client_and_its_provider_see_the_same_bytes_as_without_a_shadow() {
    let of_wide = |more: &str| format!(r#"{{"model":"wide",{more}}}"#);
    let messages = of_wide(r#""max_tokens":9,"messages":[{"role":"user","content":"Hello"}]"#);
    let requests = [
        ("/v1/chat/completions", chat("same", "")),
        ("/v1/chat/completions", chat("same", ",\"stream\":true")),
        ("/v1/chat/completions", chat("same", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}")),
        ("/v1/chat/completions", chat("wrong", "")),
        ("/v1/chat/completions", chat("nobody", "")),
        ("/v1/embeddings", of_wide(r#""input":"Hello""#)),
        ("/v1/responses", of_wide(r#""input":"Hello""#)),
        ("/v1/responses", of_wide(r#""input":"Hello","stream":true"#)),
        ("/v1/messages", messages.clone()),
        ("/v1/messages/count_tokens", messages),
        ("/v1/images/generations", of_wide(r#""prompt":"A cat""#)),
    ];
    for (path, body) in requests {
        let [with, without] = [&rig().gate, &rig().plain].map(|gate| gate.post(path, "sk-app", body.clone()));
        assert_eq!(seen(&with), seen(&without), "{path}: {body}");
    }
    let [with, without] = [0, 1].map(|twin| rig().mocks.twins[twin].requests(""));
    assert_eq!((with.len(), without.len()), (9, 9), "not the unknown model, and not the count of tokens");
    for pair in with.into_iter().zip(without) {
        let sent = |one: Received| {
            let differs = |name: &str| name == "host" || name == "x-request-id";
            let headers: Vec<_> = one.headers.into_iter().filter(|(name, _)| !differs(name)).collect();
            (one.method, one.path, headers, one.body)
        };
        assert_eq!(sent(pair.0), sent(pair.1));
    }
    wait_for("the copies", || (copies("same").len() == 3).then_some(()));
    for path in ["/chat/completions", "/embeddings", "/responses", "/images/generations"] {
        wait_for(path, || copies("wide").iter().any(|received| received.path.ends_with(path)).then_some(()));
    }
}

#[test]
fn whatever_becomes_of_a_copy_the_client_feels_nothing() {
    let kinds = KINDS.map(|(group, _, status)| (group, status));
    for (group, status) in kinds.into_iter().chain([("dead", "503")]) {
        for more in ["", ",\"stream\":true"] {
            let start = Instant::now();
            expect_primary(&ask("sk-kinds", group, more).send(), group);
            assert!(start.elapsed() < Duration::from_secs(2), "{group}: {:?}", start.elapsed());
            if more.is_empty() {
                expect_ended("kinds", group, status, 1);
            }
        }
    }
    // Envoy knows no such cluster: there is no copy.
    expect_primary(&ask("sk-kinds", "elsewhere", "").send(), "elsewhere");
    let failures = ["failing", "limited", "reset"].map(|group| (group, copies(group)));
    for (group, copies) in failures {
        let plain = copies.iter().filter(|received| received.json().get("stream").is_none());
        assert_eq!(plain.count(), 1, "{group}: nothing is tried again");
    }
    for shadow in ["failing", "dead"] {
        let id = format!("id-shadow-{shadow}");
        let labels = [("key_alias", "kinds"), ("deployment", id.as_str())];
        assert_eq!(rig().gate.counter("tollgate_shadow_cost_nano_usd_total", &labels), 0);
    }
    assert!(!rig().gate.stderr().contains("is the gateway filter in place"), "{}", rig().gate.stderr());
}

#[test]
fn nobody_pays_for_a_shadow() {
    let answer = ask("sk-paying", "well", "").send();
    expect_primary(&answer, "well");
    // gpt-4o-mini: 0.15 USD and 0.6 USD for a million tokens.
    assert_eq!(answer.header("x-tollgate-response-cost"), Some("0.00021"));
    expect_ended("paying", "well", "200", 1);
    let record = rig().gate.record("paying");
    let found = ["deployment", "total_tokens", "cost_usd", "attempts"].map(|name| record[name].clone());
    assert_eq!(found, ["id-well", "1100", "0.00021", "1"].map(Value::from));
    let spend = rig().gate.get("/key/info", "sk-paying").expect_ok().at("/info/spend");
    assert_eq!(spend.as_f64(), Some(0.00021), "spend");
}

#[test]
fn what_a_shadow_used_is_counted_apart() {
    for more in ["", ",\"stream\":true"] {
        expect_primary(&ask("sk-counted", "well", more).send(), "well");
    }
    let shadow = [("key_alias", "counted"), ("deployment", "id-shadow-well"), ("status", "200")];
    // claude-haiku-4-5: 1 USD and 5 USD for a million tokens.
    for (name, value) in [("requests", 2), ("input_tokens", 100), ("output_tokens", 1000), ("cost_nano_usd", 5_100_000)]
    {
        rig().gate.expect_counter(&format!("tollgate_shadow_{name}_total"), &shadow, value);
    }
    for (name, value) in [("requests", 2), ("attempts", 2), ("input_tokens", 2000), ("cost_nano_usd", 420_000)] {
        rig().gate.expect_counter(&format!("tollgate_{name}_total"), &shadow[..1], value);
    }
    assert_eq!(rig().gate.access_log("counted", 2).len(), 2, "a copy is in no access log");
}

#[test]
fn a_long_request_is_copied_whole() {
    let long = "x".repeat(10 << 20);
    expect_primary(&ask("sk-app", "big", &format!(r#","user":"{long}""#)).send(), "big");
    let received = wait_for("the copy", || rig().mocks.long.requests("/s-big/").pop());
    assert_eq!(received.json()["metadata"]["user_id"].as_str().map(str::len), Some(long.len()));
}

#[test]
fn a_share_of_the_requests_is_copied() {
    /// A quarter of them within six standard deviations (7.5).
    const SOME: std::ops::RangeInclusive<usize> = 30..=120;
    for (group, count) in [("some", 300), ("none", 100)] {
        (0..count).for_each(|_| expect_primary(&ask("sk-share", group, "").send(), group));
    }
    wait_for("a quarter", || (copies("some").len() >= *SOME.start()).then_some(()));
    let count = copies("some").len();
    assert!(SOME.contains(&count), "{count} copies");
    assert!(copies("none").is_empty());
}

#[test]
fn a_request_falls_back_while_its_copy_is_under_way() {
    for more in ["", ",\"stream\":true"] {
        let start = Instant::now();
        let answer = ask("sk-falling", "falls", more).send().expect_ok();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        let told = ["deployment", "fallbacks"].map(|name| answer.header(&format!("x-tollgate-{name}")));
        assert_eq!(told, [Some("id-after"), Some("1")]);
        assert!(answer.is_whole && answer.text().contains("gpt-4o-mini"), "{}", answer.text());
    }
    expect_ended("falling", "falls", "200", 2);
    assert_eq!(copies("falls").len(), 2, "one of a request, however often that is tried");
    for received in ["/p-falls/", "/p-after/"].into_iter().flat_map(|part| rig().mocks.primary.requests(part)) {
        assert_eq!(received.header("authorization"), Some("Bearer sk-of-primary"));
    }
}

#[test]
fn a_copy_gives_its_place_back() {
    for count in 1..=6 {
        expect_primary(&ask("sk-narrow", "narrow", "").send(), "narrow");
        expect_ended("narrow", "narrow", "200", count);
    }
}

#[test]
fn a_copy_outlives_its_client() {
    let mut answer = ask("sk-left", "left", ",\"stream\":true").open();
    assert!(answer.status == 200 && answer.next_piece().is_some());
    drop(answer);
    expect_ended("left", "left", "200", 1);
}

#[test]
fn a_client_can_neither_choose_a_route_nor_find_a_copy() {
    let cluster = format!("tollgate_http_{}", rig().mocks.shadow.address().replace(':', "_"));
    let clusters = Request::get(rig().gate.admin_port, "/clusters").send();
    assert!(clusters.text().contains(&format!("{cluster}::")), "{}", clusters.text());
    for name in ["x-tollgate-shadow-cluster", "X-Tollgate-Shadow-Cluster"] {
        for more in ["", ",\"stream\":true"] {
            // The second one would be an id of a worker whose nonce is 0.
            for id in ["1", "00000000000000000000000000000001"] {
                let request = ask("sk-steering", "bare", more).header(name, &cluster).header("x-tollgate-shadow", id);
                let request = request.header("x-tollgate-shadow-timeout", "1").header("x-tollgate-shadow-cluster", "");
                expect_primary(&request.send(), "bare");
            }
        }
    }
    // A copy that the client steers is what it is without that.
    let request = ask("sk-steering", "well", "").header("x-tollgate-shadow-cluster", "elsewhere");
    let request = request.header("x-tollgate-shadow-timeout", "1").header("x-tollgate-shadow", "1");
    expect_primary(&request.header("x-envoy-upstream-rq-timeout-ms", "1").send(), "well");
    expect_ended("steering", "well", "200", 1);
    let mirrored = rig().gate.counter("tollgate_shadow_requests_total", &[("key_alias", "steering")]);
    assert_eq!((mirrored, copies("bare").len()), (1, 0));
    expect_none_of(&["x-tollgate"], &rig().mocks.primary.requests("/p-bare/")[0]);
    // Envoy was not even led to mirror anything.
    assert!(!rig().gate.stderr().contains("is the gateway filter in place"), "{}", rig().gate.stderr());
}

#[test]
fn a_copy_that_is_led_astray_reaches_nobody() {
    let [primary, shadow] = [&rig().mocks.primary, &rig().mocks.shadow].map(Mock::address);
    let models =
        deployment("astray", "model: openai/gpt-4o, api_key: sk-of-primary", &format!("{primary}/p-astray/v1"))
            + &deployment("other", "model: openai/gpt-4o, api_key: sk-of-shadow", &format!("{shadow}/s-astray/v1"));
    let config = config(&models, "  shadow: [{model_group: astray, to: other, percent: 100}]\n")
        .replace("fallbacks: [{falls: [after]}]", "fallbacks: []")
        .replace("models: [well]", "models: [astray]");
    let gate = Gate::start_with("shadow-astray", &config, Options { edit: mirror_to_the_first, ..Options::default() });
    let answer = gate.chat("sk-app", "astray").expect_ok();
    assert_eq!(answer.header("x-tollgate-deployment"), Some("id-astray"));
    wait_for("a complaint", || gate.stderr().contains("the route led to another cluster than the plan").then_some(()));
    assert_eq!(rig().mocks.primary.requests("-astray/").len(), 1);
    assert!(rig().mocks.shadow.requests("-astray/").is_empty());
}

/// Has every route mirror to the cluster of the first deployment.
fn mirror_to_the_first(yaml: String) -> String {
    let cluster = |text: &str| text.split_once("cluster: ").unwrap().1.lines().next().unwrap().to_owned();
    let first = cluster(yaml.split_once("on_no_match:").unwrap().1);
    let (head, tail) = yaml.split_once("request_mirror_policies:").unwrap();
    format!("{head}request_mirror_policies:{}", tail.replacen(&cluster(tail), &first, 1))
}
