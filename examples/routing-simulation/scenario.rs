//! What happens in a simulation, whoever routes: the deployments, their troubles, and the clients' requests.

use serde_json::{Value, json};
use tollgate::config::{Config, Env};
use tollgate::units::Millis;

use crate::chance::Chance;

/// The first millisecond of an hour in 2026.
pub(crate) const START: Millis = Millis(498_300 * 3_600_000);
/// How long an attempt may take.
const TIMEOUT_SECS: u64 = 20;

/// A course of events.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) length: Millis,
    pub(crate) sites: Vec<Site>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) load: Load,
}

/// What a deployment is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) id: &'static str,
    /// To the first token, the median.
    pub(crate) first_ms: f64,
    /// For each token of the answer.
    pub(crate) token_ms: f64,
    /// How many requests it works on at a time without getting slower.
    pub(crate) slots: u64,
    /// The provider's limit of requests a minute.
    pub(crate) rpm: Option<u64>,
    /// How the provider tells of it.
    pub(crate) told: Told,
    /// `max_parallel_requests` in the config.
    pub(crate) parallel: Option<u64>,
    /// USD for a million tokens of prompts, and of answers.
    pub(crate) usd: (f64, f64),
}

/// Who knows a provider's limit before it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The config has it.
    Config,
    /// Every answer says what remains.
    Headers,
    /// A refusal says when to come back.
    RetryAfter,
}

/// A time in which something is wrong with some deployments.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// Milliseconds after the start.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Positions in [`Scenario::sites`].
    pub(crate) sites: Vec<usize>,
    pub(crate) kind: Kind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Connections are refused.
    Down,
    /// So many of a hundred requests are answered 500, after a while.
    Errors(u64),
    /// Everything takes so many times as long.
    Slow(f64),
    /// Requests are taken and never answered.
    Silent,
}

/// How many requests come.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// Requests a second at the start and at the end of the hour.
    pub(crate) least: f64,
    /// In the middle of the hour, as at noon of a day.
    pub(crate) most: f64,
    /// From when to when so many times as many come; milliseconds after the start.
    pub(crate) burst: (u64, u64, f64),
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Millis,
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Scenario {
    /// The hour of the README.
    pub(crate) fn hour(seed: u64) -> Self {
        let trouble = |from: u64, to: u64, sites: &[usize], kind| Trouble {
            from: 1000 * from,
            to: 1000 * to,
            sites: sites.to_vec(),
            kind,
        };
        Self {
            seed,
            length: Millis::from_secs(3600),
            sites: sites(),
            troubles: vec![
                trouble(320, 350, &[0, 1, 2, 3], Kind::Down),
                trouble(920, 1220, &[4, 5, 6], Kind::Errors(70)),
                trouble(1620, 1980, &[0, 8], Kind::Slow(6.0)),
                trouble(2620, 2680, &[0, 1], Kind::Silent),
            ],
            load: Load { least: 12.0, most: 30.0, burst: (2_160_000, 2_280_000, 1.7) },
        }
    }

    /// The config that the gateway has of it. Without `limits` it knows none of the providers'.
    ///
    /// # Errors
    ///
    /// The config has a fault.
    pub(crate) fn config(&self, strategy: &str, limits: bool, settings: &Value) -> Result<Config, String> {
        let entry = |site: &Site| {
            let mut params = json!({
                "model": "openai/simulated", "api_key": format!("sk-{}", site.id), "weight": 1, "timeout": TIMEOUT_SECS,
                "input_cost_per_token": site.usd.0 / 1e6, "output_cost_per_token": site.usd.1 / 1e6});
            if let (true, Some(params)) = (limits, params.as_object_mut()) {
                let rpm = site.rpm.filter(|_| site.told == Told::Config);
                params.extend(rpm.map(|rpm| ("rpm".to_owned(), rpm.into())));
                params.extend(site.parallel.map(|most| ("max_parallel_requests".to_owned(), most.into())));
            }
            json!({"model_name": "m", "model_info": {"id": site.id}, "litellm_params": params})
        };
        let list: Vec<_> = self.sites.iter().map(entry).collect();
        let mut router = settings.clone();
        if let Some(router) = router.as_object_mut() {
            router.insert("routing_strategy".to_owned(), strategy.into());
        }
        let document = json!({"model_list": list, "router_settings": router, "tollgate": {"allow_anonymous": true}});
        Config::compile(&document, Env::Strict(&|_| None))
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// Every request, in the order in which they come.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Arrival> {
        let (mut chance, mut at) = (Chance::new(self.seed, 1), START.0 as f64);
        let most = self.load.most.max(self.load.least) * self.load.burst.2.max(1.0);
        // A Poisson process at the highest rate, thinned to the rate of the moment.
        std::iter::from_fn(move || {
            loop {
                at += chance.exponential(1000.0 / most);
                let since = Millis(at as u64).since(START);
                if since >= self.length {
                    return None;
                }
                if chance.unit() * most <= self.load.at(since, self.length) {
                    let prompt_tokens = chance.log_normal(500.0, 0.8).clamp(10.0, 8000.0) as u64;
                    let output_tokens = chance.log_normal(150.0, 0.6).clamp(5.0, 600.0) as u64;
                    return Some(Arrival { at: Millis(at as u64), prompt_tokens, output_tokens });
                }
            }
        })
    }
}

impl Load {
    /// Requests a second.
    fn at(&self, since: Millis, length: Millis) -> f64 {
        let noon = (std::f64::consts::PI * since.0 as f64 / length.0.max(1) as f64).sin().powi(2);
        let (from, to, times) = self.burst;
        let burst = if (from..to).contains(&since.0) { times } else { 1.0 };
        burst * (self.least + (self.most - self.least) * noon)
    }
}

/// Four deployments of one region, three of another, and three with a character of their own.
pub(crate) fn sites() -> Vec<Site> {
    let region = |id, first_ms, token_ms, rpm, told, usd| Site {
        id,
        first_ms,
        token_ms,
        slots: 40,
        rpm: Some(rpm),
        told,
        parallel: None,
        usd,
    };
    vec![
        region("east-1", 300.0, 8.0, 600, Told::Config, (2.5, 10.0)),
        region("east-2", 320.0, 8.5, 600, Told::Config, (2.5, 10.0)),
        region("east-3", 340.0, 9.0, 450, Told::Headers, (2.5, 10.0)),
        region("east-4", 360.0, 9.0, 240, Told::RetryAfter, (2.5, 10.0)),
        region("west-1", 500.0, 11.0, 450, Told::Config, (2.0, 8.0)),
        region("west-2", 520.0, 12.0, 450, Told::Headers, (2.0, 8.0)),
        region("west-3", 540.0, 12.0, 240, Told::RetryAfter, (2.0, 8.0)),
        region("spot", 800.0, 18.0, 200, Told::RetryAfter, (0.4, 1.6)),
        Site { slots: 8, rpm: None, parallel: Some(16), ..region("own-gpu", 200.0, 6.0, 0, Told::Config, (0.8, 0.8)) },
        region("far", 900.0, 16.0, 600, Told::Config, (1.5, 6.0)),
    ]
}
