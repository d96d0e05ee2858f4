//! The native command: `check` a config and the Envoy that serves it, `render` it for Envoy, `run` Envoy with it; pack the
//! module as an `image`; `import-keys` from LiteLLM.
//!
//! It serves no request itself and needs no Envoy but for `run`.

pub mod check;
mod credentials;
mod file;
mod image;
mod import;
pub mod lint;
pub mod load;
pub mod render;
mod run;
pub mod yaml;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use serde_json::Value;

use crate::config::{Config, Env};

/// The LLM gateway inside Envoy, configured with LiteLLM's config.yaml.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a config, and an Envoy that is to serve it: every fault with its place, and how each key is supported. Exits with
    /// 1 on faults and on errors of the Envoy
    Check(Check),
    /// Write what serves a LiteLLM config: for Envoy, Kubernetes, Istio, Envoy Gateway, a rate limit service
    Render(Box<render::command::Render>),
    /// Serve a config: check, render, start Envoy in the foreground, take up changes
    Run(run::Run),
    /// Write the module as OCI images: for Istio, Envoy Gateway, image volumes and `docker load`
    Image(image::Image),
    /// Take over the virtual keys, teams and users of a LiteLLM database, from the answers of its API
    ImportKeys(import::ImportKeys),
}

#[derive(Debug, clap::Args)]
struct Check {
    /// LiteLLM's config.yaml
    #[arg(long, short, value_name = "FILE", required_unless_present = "envoy")]
    config: Option<PathBuf>,
    /// Lint an Envoy: a bootstrap, a /config_dump, or the admin address of a running one. Without --config it is held against
    /// the config that it runs
    #[arg(long, value_name = "FILE|URL")]
    envoy: Option<String>,
    /// Also what each deployment can be asked: endpoints, and the parameters that it takes and lacks
    #[arg(long, short, conflicts_with = "format", requires = "config")]
    verbose: bool,
    /// For people, or as one JSON object for machines
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

/// What ends the command early.
#[derive(Debug)]
pub enum Failure {
    /// What is wrong stands in the output already.
    Told,
    /// The config has faults, or something is missing on this machine.
    Fault(String),
    /// The command cannot do what it was asked for.
    Usage(String),
}

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    let done = match Command::parse().action {
        Action::Check(args) => check(&args),
        Action::Render(args) => render::command::render(&args),
        Action::Run(args) => run::run(&args),
        Action::Image(args) => image::run(&args),
        Action::ImportKeys(args) => import::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Fault(text)) => complain(&text, 1),
        Err(Failure::Usage(text)) => complain(&text, 2),
    }
}

fn check(args: &Check) -> Result<(), Failure> {
    let mut report = check::Report::default();
    let mut document = None;
    if let Some(path) = &args.config {
        let mut typed = load::parse(path, &load::read(path)?)?;
        // A file that cannot be read stays a path, which is a fault of the config.
        let _ = credentials::inline(&mut typed, &load::variable);
        report = check::check(&typed, &load::variable);
        if args.verbose {
            say(&check::abilities(&typed, &load::variable))?;
        }
        document = Some(typed);
    }
    let envoy = args.envoy.as_deref().map(|target| lint_envoy(target, document.as_ref())).transpose()?;
    match args.format.unwrap_or_default() {
        Format::Json => say(&json(&check::Whole { config: report.json(), envoy: envoy.as_ref() })?)?,
        Format::Text => {
            let config = document.iter().map(|_| report.to_string());
            let texts: Vec<String> = config.chain(envoy.as_ref().map(ToString::to_string)).collect();
            say(&(texts.join("\n\n") + "\n"))?;
        }
    }
    match report.faults().is_empty() && !envoy.is_some_and(|envoy| envoy.has_errors()) {
        true => Ok(()),
        false => Err(Failure::Told),
    }
}

/// A config with faults says nothing of what it needs: the one that Envoy runs is taken then.
fn lint_envoy(target: &str, document: Option<&Value>) -> Result<lint::Report, Failure> {
    let envoy = lint::Envoy::read(target)?;
    let config = document.and_then(|document| Config::compile(document, Env::Lenient(&load::variable)).ok());
    let findings = lint::lint(&envoy, document.zip(config.as_ref()), &load::variable);
    Ok(lint::Report::new(&envoy.source, findings))
}

/// One object, a member a line.
fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|fault| format!("the report: {fault}"))?;
    Ok(text + "\n")
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn say(text: &str) -> Result<(), Failure> {
    Ok(std::io::stdout().write_all(text.as_bytes()).map_err(|fault| format!("standard output: {fault}"))?)
}

/// What is worth knowing and stops nothing.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn complain(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Fault(text)
    }
}

impl load::Loaded {
    /// What its YAML is made from.
    pub fn rendering<'a>(&'a self, options: &'a render::Options) -> render::Rendering<'a> {
        let Self { document, config, environment } = self;
        render::Rendering { document, config, environment, options }
    }
}

/// Where Debian, Ubuntu and Envoy's own images keep it.
const CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";
