//! Medians, ratios, the table, the JSON file, and the targets that must hold.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

/// The most CPU time per request, as a multiple of another target's: (case, target, the other, limit).
const LIMITS: &[(&str, &str, &str, f64)] = &[
    ("unary-c16", "tollgate-openai", BASELINE, 1.8),
    ("unary-c16", "tollgate-anthropic", BASELINE, 2.5),
    ("stream-c16", "tollgate-openai", BASELINE, 1.3),
    ("stream-c16", "tollgate-anthropic", BASELINE, 2.5),
    ("unary-c16", LARGE, SMALL, 1.1),
];
/// The most microseconds of CPU that the budgets and limits of every principal may take.
const PRINCIPALS_LIMIT_US: f64 = 15.0;
/// What the others are compared with.
const BASELINE: &str = "envoy";
const SMALL: &str = "tollgate-openai";
/// The same request where there are 1,000 deployments and 10,000 keys.
const LARGE: &str = "tollgate-openai-1k";
/// A key that nothing limits, and one whose every principal has a budget and limits.
const FREE: [&str; 2] = ["tollgate-openai-free", "tollgate-openai-free-4w"];
const ALL: [&str; 2] = ["tollgate-openai-all", "tollgate-openai-all-4w"];

/// One measurement of one case through one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    pub(crate) requests_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) cpu_us_per_request: f64,
    pub(crate) peak_kb: f64,
}

/// All samples by case and target, in the order of measurement.
#[derive(Default)]
pub(crate) struct Report {
    samples: BTreeMap<(usize, String, &'static str), Vec<Sample>>,
    pub(crate) skipped: Vec<(&'static str, String)>,
    pub(crate) soak: Option<Value>,
    pub(crate) startup: Option<Value>,
}

/// The medians of one case and target.
struct Row<'a> {
    case: &'a str,
    target: &'a str,
    sample: Sample,
    /// CPU time per request over plain Envoy's in the same case.
    cpu_ratio: Option<f64>,
}

impl Report {
    /// Adds a sample of the case with this place in the table.
    pub(crate) fn add(&mut self, place: usize, case: &str, target: &'static str, sample: Sample) {
        self.samples.entry((place, case.to_owned(), target)).or_default().push(sample);
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let mut out = format!(
            "{:<11} {:<19} {:>9} {:>10} {:>10} {:>11} {:>9} {:>9}\n",
            "case", "target", "req/s", "p50 us", "p99 us", "cpu us/req", "x envoy", "peak MB"
        );
        for row in self.rows() {
            let (sample, ratio) = (row.sample, row.cpu_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "{:<11} {:<19} {:>9.0} {:>10.0} {:>10.0} {:>11.1} {:>9} {:>9.1}",
                row.case,
                row.target,
                sample.requests_per_s,
                sample.p50_us,
                sample.p99_us,
                sample.cpu_us_per_request,
                ratio,
                sample.peak_kb / 1024.0,
            );
        }
        for (case, ratio) in self.growth() {
            let _ = writeln!(out, "{case}: {LARGE} takes {ratio:.3} x the CPU time of {SMALL}");
        }
        for (case, us) in self.principals() {
            let _ = writeln!(out, "{case}: budgets and limits of every principal take {us:.1} us of CPU");
        }
        for (target, reason) in &self.skipped {
            let _ = writeln!(out, "skipped {target}: {reason}");
        }
        out
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows()
            .iter()
            .map(|row| {
                json!({
                    "case": row.case,
                    "target": row.target,
                    "requests": row.sample.requests,
                    "requests_per_s": row.sample.requests_per_s,
                    "p50_us": row.sample.p50_us,
                    "p99_us": row.sample.p99_us,
                    "cpu_us_per_request": row.sample.cpu_us_per_request,
                    "cpu_ratio_to_envoy": row.cpu_ratio,
                    "peak_rss_kb": row.sample.peak_kb,
                })
            })
            .collect();
        let skipped: Vec<Value> =
            self.skipped.iter().map(|(target, reason)| json!({"target": target, "reason": reason})).collect();
        let cpus = std::thread::available_parallelism().map_or(0, usize::from);
        let growth: BTreeMap<&str, f64> = self.growth().collect();
        let principals: BTreeMap<String, f64> = self.principals().collect();
        json!({
            "cpus": cpus,
            "rows": rows,
            "large_to_small": growth,
            "principals_us": principals,
            "skipped": skipped,
            "soak": self.soak,
            "startup": self.startup,
        })
    }

    /// What misses its limit, or was not measured.
    pub(crate) fn misses(&self) -> Vec<String> {
        LIMITS
            .iter()
            .filter_map(|(case, target, other, limit)| match self.ratio(case, target, other) {
                Some(ratio) if ratio <= *limit => None,
                Some(ratio) => Some(format!("{case} {target}: expected at most {limit:.2}x, found {ratio:.2}x")),
                None => Some(format!("{case} {target}: expected at most {limit:.2}x, not measured")),
            })
            .chain(self.principals().filter(|(_, us)| *us > PRINCIPALS_LIMIT_US).map(|(case, us)| {
                format!("{case}: expected at most {PRINCIPALS_LIMIT_US} us for every principal, found {us:.1} us")
            }))
            .collect()
    }

    /// By case, the CPU time of a request with the large config over that with the small one.
    fn growth(&self) -> impl Iterator<Item = (&str, f64)> {
        let cases = self.samples.keys().filter(|(_, _, target)| *target == LARGE);
        cases.filter_map(|(_, case, _)| Some((case.as_str(), self.ratio(case, LARGE, SMALL)?)))
    }

    /// By case, with one worker and with four, how many microseconds of CPU time a request takes longer that every
    /// principal pays for.
    fn principals(&self) -> impl Iterator<Item = (String, f64)> {
        self.samples.keys().filter_map(|(_, case, target)| {
            let (all, free) = ALL.into_iter().zip(FREE).find(|(all, _)| target == all)?;
            let us = self.compare(case, all, free, |all, free| all - free)?;
            Some((format!("{case} {all}"), us))
        })
    }

    /// The CPU time of `target` over that of `other`.
    fn ratio(&self, case: &str, target: &str, other: &str) -> Option<f64> {
        self.compare(case, target, other, |one, other| one / other)
    }

    /// How the CPU time of `target` compares with that of `other`: the median over the rounds, since what else the machine
    /// does changes from round to round.
    fn compare(&self, case: &str, target: &str, other: &str, by: fn(f64, f64) -> f64) -> Option<f64> {
        let samples = |wanted: &str| {
            let mut found = self.samples.iter().filter(|((_, name, target), _)| name == case && *target == wanted);
            Some(found.next()?.1)
        };
        let pairs = samples(target)?.iter().zip(samples(other)?).filter(|(_, other)| other.cpu_us_per_request > 0.0);
        let mut found: Vec<f64> =
            pairs.map(|(one, other)| by(one.cpu_us_per_request, other.cpu_us_per_request)).collect();
        found.sort_unstable_by(f64::total_cmp);
        found.get(found.len() / 2).copied()
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let cpu = |place: usize, case: &str| {
            let samples = self.samples.get(&(place, case.to_owned(), BASELINE))?;
            Some(median(samples).cpu_us_per_request).filter(|cpu| *cpu > 0.0)
        };
        self.samples
            .iter()
            .map(|((place, case, target), samples)| {
                let sample = median(samples);
                let cpu_ratio = cpu(*place, case).map(|baseline| sample.cpu_us_per_request / baseline);
                Row { case, target, sample, cpu_ratio }
            })
            .collect()
    }
}

/// The median of each number on its own; the peak and the count are over all rounds.
fn median(samples: &[Sample]) -> Sample {
    let of = |number: fn(&Sample) -> f64| middle(samples.iter().map(number).collect());
    Sample {
        requests: samples.iter().map(|sample| sample.requests).sum(),
        requests_per_s: of(|sample| sample.requests_per_s),
        p50_us: of(|sample| sample.p50_us),
        p99_us: of(|sample| sample.p99_us),
        cpu_us_per_request: of(|sample| sample.cpu_us_per_request),
        peak_kb: samples.iter().map(|sample| sample.peak_kb).fold(0.0, f64::max),
    }
}

fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}
