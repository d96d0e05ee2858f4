//! `tollgate check`: every fault of a config, and how far each of its keys is supported; with `--verbose` what each
//! deployment can be asked, too.
//!
//! The report is text for people, one line a matter, or the JSON that [`Report::json`] describes.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::lint;
use crate::bridge::{Reach, reach};
use crate::config::support::{self, Finding, Grade};
use crate::config::{self, Config, Deployment, Env, Fault, Unpriced};
use crate::openai::Endpoint;
use crate::provider::params;

/// What `check` has to say about a config; none of it is secret.
#[derive(Debug, Default)]
pub struct Report {
    faults: Vec<Fault>,
    findings: Vec<Finding>,
    unset: Vec<String>,
    /// Where deployments are that have no price, and what they ask for.
    unpriced: Vec<(String, String)>,
    what_then: Unpriced,
}

/// All that `check` says, in JSON.
#[derive(Serialize)]
pub(super) struct Whole<'r> {
    #[serde(flatten)]
    pub(super) config: Json<'r>,
    /// `null` without `--envoy`.
    pub(super) envoy: Option<&'r lint::Report>,
}

/// The report in JSON.
#[derive(Serialize)]
pub struct Json<'r> {
    faults: Vec<JsonFault<'r>>,
    keys: Vec<JsonKey<'r>>,
    unpriced: Vec<JsonUnpriced<'r>>,
    /// Names of environment variables that are not set here.
    variables: &'r [String],
}

#[derive(Serialize)]
struct JsonFault<'r> {
    path: &'r str,
    found: &'r str,
    expected: &'r str,
    hint: &'r str,
}

#[derive(Serialize)]
struct JsonKey<'r> {
    key: &'r str,
    grade: String,
    reason: &'r str,
    instead: &'r str,
}

#[derive(Serialize)]
struct JsonUnpriced<'r> {
    path: &'r str,
    model: &'r str,
    effect: &'static str,
}

/// Checks `document`. The credentials it refers to need not be set in `env`.
pub fn check(document: &Value, env: &dyn Fn(&str) -> Option<String>) -> Report {
    let is_unset = |name: &String| env(name).is_none_or(|value| value.is_empty());
    let config = Config::compile(document, Env::Lenient(env));
    Report {
        unpriced: config.iter().flat_map(unpriced).collect(),
        what_then: config.as_ref().map(|config| config.unpriced).unwrap_or_default(),
        faults: config.err().unwrap_or_default(),
        findings: support::findings(document),
        unset: config::environment(document).into_iter().filter(is_unset).collect(),
    }
}

/// The deployments without a price; that of a pattern is known once a client names a model.
fn unpriced(config: &Config) -> Vec<(String, String)> {
    let deployments = config.deployments.iter().zip(0..);
    let without = deployments.filter(|(deployment, _)| deployment.price.is_none() && deployment.wildcard.is_none());
    let named = without.map(|(deployment, i)| {
        let target = &deployment.target;
        (format!("model_list[{i}]"), format!("{}/{}", target.vendor.prefix, target.model))
    });
    named.collect()
}

/// What each deployment of `document` can be asked: its endpoints, and the parameters that it takes and lacks at those
/// where parameters are checked. Empty where the config has faults.
pub fn abilities(document: &Value, env: &dyn Fn(&str) -> Option<String>) -> String {
    let config = Config::compile(document, Env::Lenient(env)).ok();
    config.iter().flat_map(|config| &config.deployments).map(|deployment| describe(deployment)).collect()
}

fn describe(deployment: &Deployment) -> String {
    let target = &deployment.target;
    let endpoints = |wanted: Option<Reach>| {
        let found = Endpoint::ALL.into_iter().filter(|endpoint| reach(*endpoint, target) == wanted);
        list(found.map(Endpoint::path))
    };
    let mut text = format!(
        "deployment   {}: {}, {}/{}\n  has        {}\n  bridged    {}\n  has not    {}\n",
        deployment.id,
        deployment.model_group,
        target.vendor.prefix,
        target.model,
        endpoints(Some(Reach::Native)),
        endpoints(Some(Reach::Bridged)),
        endpoints(None),
    );
    for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| target.serves(*endpoint)) {
        let known = params::known(endpoint);
        if known.is_empty() {
            continue;
        }
        let taken = params::taken(endpoint, target);
        let lacking = known.iter().copied().filter(|name| !taken.contains(name));
        let path = endpoint.path();
        text += &format!("  {path} takes {}\n", list(taken.iter().copied()));
        text += &format!("  {path} lacks {}\n", list(lacking));
    }
    text
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}

impl Report {
    /// What makes the config one that cannot be served.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Every key of the config, graded.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The environment variables that the config reads and that are not set here.
    pub fn unset(&self) -> &[String] {
        &self.unset
    }

    /// The same as an object for machines.
    ///
    /// ```json
    /// {"faults": [{"path": "", "found": "", "expected": "", "hint": ""}],
    ///  "keys": [{"key": "", "grade": "exact|approximate|unsupported", "reason": "", "instead": ""}],
    ///  "unpriced": [{"path": "", "model": "", "effect": ""}], "variables": ["NAME"]}
    /// ```
    ///
    /// Members may be added, none is taken away or renamed; what there is nothing to say of is an empty string.
    pub fn json(&self) -> Json<'_> {
        let effect = self.effect();
        let faults = self.faults.iter();
        let keys = self.findings.iter();
        let unpriced = self.unpriced.iter();
        Json {
            faults: faults
                .map(|Fault { path, expected, found, hint }| JsonFault { path, found, expected, hint })
                .collect(),
            keys: keys
                .map(|Finding { path, grade, reason, instead }| JsonKey {
                    key: path,
                    grade: grade.to_string(),
                    reason,
                    instead,
                })
                .collect(),
            unpriced: unpriced.map(|(path, model)| JsonUnpriced { path, model, effect }).collect(),
            variables: &self.unset,
        }
    }

    /// What becomes of a request that has no price.
    fn effect(&self) -> &'static str {
        match self.what_then {
            Unpriced::Allow => "is charged nothing",
            Unpriced::Refuse => "is not asked",
        }
    }
}

impl fmt::Display for Report {
    /// One line each: faults, keys by grade, deployments without a price, unset variables, and the sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{:11}  {fault}", "fault")?;
        }
        for grade in [Grade::Unsupported, Grade::Approximate, Grade::Exact] {
            for finding in self.findings.iter().filter(|finding| finding.grade == grade) {
                writeln!(f, "{finding}")?;
            }
        }
        for (path, model) in &self.unpriced {
            writeln!(f, "{:11}  {path}: no price is known for {model}: it {}", "unpriced", self.effect())?;
        }
        for name in &self.unset {
            writeln!(f, "{:11}  {name}: not set in this environment", "variable")?;
        }
        let count = |grade| self.findings.iter().filter(|finding| finding.grade == grade).count();
        let (exact, approximate) = (count(Grade::Exact), count(Grade::Approximate));
        let (unsupported, faults) = (count(Grade::Unsupported), self.faults.len());
        write!(f, "{faults} faults; keys: {exact} exact, {approximate} approximate, {unsupported} unsupported")
    }
}
