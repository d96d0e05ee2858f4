//! What a rule has found, as text and as an object for machines.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Requests fail, or go where they must not.
    Error,
    /// Some do, under load or in an outage.
    Warning,
    /// Something is not seen.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// One thing that is wrong, in one place.
///
/// Serialized: `{"id", "name", "severity": "error|warning|info", "resource", "place", "message", "fix"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `TG104`; it never changes its meaning.
    pub id: &'static str,
    /// `route-timeout`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `cluster openai`.
    pub resource: String,
    /// The JSON path in the dump: `$.static_resources.clusters[0]`.
    pub place: String,
    /// What is wrong, and what comes of it.
    pub message: String,
    /// What to write, as YAML for that place.
    pub fix: String,
}

impl fmt::Display for Finding {
    /// Four parts: what, where, why and the fix, which is indented as a whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, severity, resource, place, message, fix } = self;
        writeln!(f, "{severity:11}  {id} {name}: {resource}")?;
        writeln!(f, "{:11}  at {place}", "")?;
        writeln!(f, "{:11}  {message}", "")?;
        write!(f, "{:11}  fix:", "")?;
        fix.lines().try_for_each(|line| write!(f, "\n{:15}{line}", ""))
    }
}
