//! From a file to a compiled config, with every fault of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::{credentials, yaml};
use crate::config::{self, Config, Env};

/// A config file, read and checked.
#[derive(Debug)]
pub struct Loaded {
    /// As typed; to be served here, with the content of credential files in their place.
    pub document: Value,
    /// Compiled.
    pub config: Config,
    /// The environment variables that it refers to.
    pub environment: BTreeSet<String>,
}

/// Who will serve the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// This machine, at once: every variable that it refers to must be set.
    Serve,
    /// Another one: credentials may be missing here.
    Elsewhere,
}

/// Reads the file at `path`.
///
/// # Errors
///
/// A message that starts with the path.
pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// Reads the YAML `text` that stands in the file `path`.
///
/// # Errors
///
/// A message with the file's name, the line and the column.
pub fn parse(path: &Path, text: &str) -> Result<Value, String> {
    yaml::parse(text).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// Compiles the config `text` that stands in the file `path`.
///
/// # Errors
///
/// All faults, one a line, each with the file's name and its place.
pub fn compile(path: &Path, text: &str, strictness: Strictness) -> Result<Loaded, String> {
    let mut document = parse(path, text)?;
    if strictness == Strictness::Serve {
        let faults = credentials::inline(&mut document, &variable);
        if !faults.is_empty() {
            return Err(faults
                .iter()
                .map(|fault| format!("{}: {fault}", path.display()))
                .collect::<Vec<_>>()
                .join("\n"));
        }
    }
    let env = match strictness {
        Strictness::Serve => Env::Strict(&variable),
        Strictness::Elsewhere => Env::Lenient(&variable),
    };
    let config = Config::compile(&document, env).map_err(|faults| {
        faults.iter().fold(String::new(), |mut out, fault| {
            let break_before = if out.is_empty() { "" } else { "\n" };
            let _ = write!(out, "{break_before}{}: {fault}", path.display());
            out
        })
    })?;
    let environment = config::environment(&document);
    Ok(Loaded { document, config, environment })
}

/// The environment variable `name`.
#[expect(clippy::disallowed_methods, reason = "this is the native command: it has an environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
