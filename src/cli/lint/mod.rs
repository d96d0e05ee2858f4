//! `tollgate check --envoy`: what in an Envoy's configuration keeps the filter from doing its work.
//!
//! `source` reads a file or asks a running Envoy, `mesh` makes of it the few resources that matter, `plan` says what a
//! config needs, and `rules` is the table of what is looked for. The same resources come from our own rendering, from a
//! hand-written Envoy and from Istio, and are held against the same rules: what a rule asks for is what `render` writes.
//!
//! Without a config, the one in the gateway's plugin says what is needed.
//!
//! # Limits
//!
//! What a dump does not show is not judged: certificates behind SDS, the hosts of DNS clusters, listeners that a control
//! plane would add to a bootstrap. Filters of the router's own `upstream_http_filters` are not looked at.

mod finding;
mod mesh;
mod plan;
mod rules;
mod source;
mod tree;
mod version;

pub use self::finding::{Finding, Severity};
pub use self::rules::names;
pub use self::source::Envoy;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use self::mesh::Mesh;
use self::plan::Plan;
use self::rules::Scene;
use crate::config::{Config, Env, Fault};

/// What there is to say of one Envoy.
///
/// Serialized: `{"source", "findings", "errors", "warnings", "infos"}`, see [`Finding`] for the second; the last three are
/// counts. Members may be added, none is taken away or renamed.
#[derive(Debug, Serialize)]
pub struct Report {
    source: String,
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
    infos: usize,
}

impl Report {
    /// `findings` about `source`.
    pub fn new(source: &str, findings: Vec<Finding>) -> Self {
        let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings, infos) = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
        Self { source: source.to_owned(), findings, errors, warnings, infos }
    }

    /// Whether some requests cannot be served as they should.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }
}

impl fmt::Display for Report {
    /// Every finding, and the sum.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, findings, errors, warnings, infos } = self;
        findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))?;
        write!(f, "{source}: {errors} errors, {warnings} warnings, {infos} infos")
    }
}

/// Everything that is wrong with `envoy`, by rule and then in the order of the dump. `given` is the config that it is to
/// serve, with the same compiled.
pub fn lint(envoy: &Envoy, given: Option<(&Value, &Config)>, env: &dyn Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mesh = Mesh::read(envoy);
    let (own, faults) = match own_plan(&mesh, env) {
        Ok(plan) => (plan, Vec::new()),
        Err(faults) => (None, faults),
    };
    let given = given.map(|(document, config)| Plan::new(document, config));
    let running = own.as_ref().map(|plan| &plan.document);
    let scene = Scene::new(&mesh, given.as_ref().or(own.as_ref()), running.filter(|_| given.is_some()), &faults);
    rules::all(&scene)
}

/// What the configuration in the gateway's plugin needs; nothing where there is none.
fn own_plan(mesh: &Mesh<'_>, env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Plan>, Vec<Fault>> {
    let Some(document) = rules::gateway_configuration(mesh) else { return Ok(None) };
    let config = Config::compile(&document, Env::Lenient(env))?;
    Ok(Some(Plan::new(&document, &config)))
}
