//! `tollgate check`: every fault of a config, and how far each of its keys is supported.

use std::fmt;

use serde_json::Value;

use crate::config::support::{self, Finding, Grade};
use crate::config::{self, Config, Env, Fault};

/// What `check` has to say about a config; none of it is secret.
#[derive(Debug)]
pub struct Report {
    faults: Vec<Fault>,
    findings: Vec<Finding>,
    unset: Vec<String>,
}

/// Checks `document`. The credentials it refers to need not be set in `env`.
pub fn check(document: &Value, env: &dyn Fn(&str) -> Option<String>) -> Report {
    let is_unset = |name: &String| env(name).is_none_or(|value| value.is_empty());
    Report {
        faults: Config::compile(document, Env::Lenient(env)).err().unwrap_or_default(),
        findings: support::findings(document),
        unset: config::environment(document).into_iter().filter(is_unset).collect(),
    }
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
}

impl fmt::Display for Report {
    /// One line each: faults, keys by grade, unset variables, and the sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{:11}  {fault}", "fault")?;
        }
        for grade in [Grade::Unsupported, Grade::Approximate, Grade::Exact] {
            for Finding { path, reason, .. } in self.findings.iter().filter(|finding| finding.grade == grade) {
                let separator = if reason.is_empty() { "" } else { ": " };
                writeln!(f, "{grade:11}  {path}{separator}{reason}")?;
            }
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
