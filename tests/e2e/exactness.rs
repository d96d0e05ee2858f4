//! No request too many and no cent lost: hundreds of requests at once over four workers, against a cap that pays for so many
//! and no more, with streams, errors, clients that hang up, a trap, and a new config in the middle.
//!
//! An answer costs ten cents and no more can be reserved for one: every estimate is exact.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Answer, Options, Request, Rig, at_once, chat, trap_module, wait_for};

const CONFIG: &str = "
model_list:
- {model_name: good, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/ok/usage=5:10,delay-ms=30/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}}
- {model_name: long, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/ok/usage=5:10,delay-ms=700/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}}
- {model_name: failing, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/failing/status=500,delay-ms=10/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}}
- {model_name: slow, litellm_params: {model: openai/gpt-4o-mini, api_base: 'http://{own}/slow/usage=5:10,delay-ms=2000/v1', api_key: sk-x, input_cost_per_token: 0, output_cost_per_token: 0.01}}
router_settings: {num_retries: 0, disable_cooldowns: true}
general_settings: {master_key: sk-master}
tollgate:
  teams:
  - {team_id: pool, max_budget: 12, budget_duration: 1mo, tags: [counted]}
  keys:
  - {key_alias: one, key: sk-one, team_id: pool, user_id: ann, max_budget: 1000, rpm_limit: 1000000, tpm_limit: 1000000000}
  - {key_alias: two, key: sk-two, team_id: pool, max_parallel_requests: 2000}
  users: [{user_id: ann, max_budget: 1000}]
litellm_settings: {max_budget: 5000, budget_duration: 1d, tag_budget_config: {counted: {max_budget: 1000}}}
";
/// How many answers the team can pay.
const PAID: usize = 120;

struct Team(Rig);

impl Team {
    fn start(name: &str, options: Options<'_>) -> Self {
        Self(Rig::start_with(name, CONFIG, Options { concurrency: 4, ..options }))
    }

    fn request(&self, n: usize, model: &str) -> Request {
        let more = if n.is_multiple_of(3) { r#","max_tokens":10,"stream":true"# } else { r#","max_tokens":10"# };
        self.0.gate.request(
            "/v1/chat/completions",
            if n.is_multiple_of(2) { "sk-one" } else { "sk-two" },
            chat(model, more),
        )
    }

    /// How many answers the provider has billed.
    fn billed(&self) -> usize {
        self.0.mock.requests("/ok/").len()
    }

    fn spent(&self, path: &str, name: &str) -> f64 {
        let rows = self.0.gate.get(path, "sk-master").expect_ok().json();
        let is_it = |row: &&Value| row.as_object().unwrap().values().any(|value| value == name);
        rows.as_array().unwrap().iter().find(is_it).unwrap()["spend"].as_f64().unwrap()
    }

    /// In units of an answer's price, to the micro-dollar.
    fn expect_spent(&self, answers: usize) {
        let micro = |usd: f64| (usd * 1e6).round() as usize;
        wait_for("every charge", || {
            let spent = ["/spend/teams", "/spend/tags"].map(|path| {
                let name = if path.ends_with("teams") { "pool" } else { "counted" };
                micro(self.spent(path, name))
            });
            (spent == [answers * 100_000; 2]).then_some(())
        });
        let keys = self.spent("/spend/keys", "one") + self.spent("/spend/keys", "two");
        assert_eq!(micro(keys), answers * 100_000);
    }
}

fn is_served(answer: &Answer) -> bool {
    answer.status == 200 && answer.is_whole && !answer.text().contains("\"error\"")
}

#[test]
fn of_five_hundred_at_once_as_many_are_served_as_the_team_can_pay() {
    let team = Team::start("exactness-crowd", Options::default());
    let answers = at_once((0..500).map(|n| team.request(n, "long")));
    let served = answers.iter().filter(|answer| is_served(answer)).count();
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
    assert_eq!((served, team.billed()), (PAID, PAID));
    team.expect_spent(PAID);
}

/// One of many clients: asks until the team has nothing left, and counts whole answers.
fn ask_on(team: &Team, client: usize, served: &AtomicUsize, is_over: &AtomicBool) {
    for n in (client..).step_by(7) {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        match n % 10 {
            0 => drop(team.request(n, "failing").send()),
            // The client hangs up before the provider has said anything.
            1 => hang_up(&team.request(n, "slow")),
            _ => {
                let request = team.request(n, "good");
                let Some(answer) = request.open_on(request.connect()).map(Answer::finish) else { continue };
                served.fetch_add(usize::from(is_served(&answer)), Ordering::Relaxed);
                if answer.status != 200 {
                    thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }
}

/// Asks, and is gone before the provider has said anything.
fn hang_up(request: &Request) {
    let mut connection = request.connect();
    connection.write(&request.bytes());
    thread::sleep(Duration::from_millis(100));
}

/// So many clients ask; `meddle` is called as soon as a third is spent. How many answers came whole.
fn run(team: &Team, clients: usize, meddle: impl FnOnce()) -> usize {
    let (served, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for client in 0..clients {
            let (served, is_over) = (&served, &is_over);
            scope.spawn(move || ask_on(team, client, served, is_over));
        }
        wait_for("a third of it", || (team.billed() > PAID / 3).then_some(()));
        meddle();
        wait_for("the end of the money", || {
            let refused = team.request(1, "good").send();
            served.fetch_add(usize::from(is_served(&refused)), Ordering::Relaxed);
            (refused.status == 429 && is_quiet(team)).then_some(())
        });
        is_over.store(true, Ordering::Relaxed);
    });
    served.into_inner()
}

/// Whether nothing is under way at the provider.
fn is_quiet(team: &Team) -> bool {
    let before = team.billed();
    thread::sleep(Duration::from_millis(300));
    team.billed() == before
}

#[test]
fn whatever_the_ends_are_the_ledger_is_the_providers_bill() {
    let team = Team::start("exactness-ends", Options::default());
    let mut served = run(&team, 64, || ());
    // What errors and those who hung up had reserved is free again: the money is spent to the last answer.
    wait_for("the last answers", || {
        let answer = team.request(1, "good").send();
        served += usize::from(is_served(&answer));
        (team.billed() == PAID && answer.status == 429).then_some(())
    });
    assert_eq!(served, PAID);
    team.expect_spent(PAID);
}

#[test]
fn a_trap_in_the_middle_lets_nobody_spend_more() {
    let team = Team::start("exactness-trap", Options { wasm: Some(trap_module()), ..Options::default() });
    let served = run(&team, 24, || {
        let answer = Request::get(team.0.gate.port, "/v1/models").key("sk-one").header("x-test-trap", "1").send();
        assert_eq!(answer.status, 503);
    });
    let billed = team.billed();
    assert!(billed <= PAID, "{billed}");
    // What the dead VM had under way stays reserved until its lease is over: the team cannot spend it again.
    wait_for("every charge", || {
        let refused = team.request(1, "good").send();
        let message = refused.text();
        let usd = |after: &str| -> Option<f64> { message.split_once(after)?.1.split(' ').next()?.parse().ok() };
        let (spent, reserved) = (usd("is spent: ")?, usd("USD spent, ")?);
        let answers = |usd: f64| (usd * 10.0).round() as usize;
        (answers(spent) >= served && answers(spent + reserved) >= billed && answers(spent) <= billed).then_some(())
    });
}
