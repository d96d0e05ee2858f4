//! `tollgate run`: check, render, and become Envoy.
//!
//! ## Two processes
//!
//! The command replaces itself with Envoy (`exec`), so that signals, the exit status and the process's death are
//! Envoy's own: whatever happens to the command, no Envoy stays behind. What must go on beside it, the *watcher*, is
//! the same command once more, started just before. It says when the port answers, takes up a changed config file, and
//! ends within a moment of Envoy, removing what was written.
//!
//! ## One VM for the whole run
//!
//! The names of the environment variables are part of the VM's identity, and a request that began in one VM cannot go
//! on in another. So the VM gets every variable of the process, not just those of the first config.
//!
//! # Limits
//!
//! A client that keeps its connection open is served once more by the config before the change: Envoy then closes the
//! connection. A watcher that is killed takes up no more changes; Envoy serves on.

mod envoy;
mod files;
mod http;
mod watch;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::files::Files;
use super::load::{self, Loaded, Strictness};
use super::render::{self, Rendering};
use super::{CA_FILE, Failure};
use crate::config::Config;
use crate::provider::Credential;

/// How to run.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// LiteLLM's config.yaml; a change to it is taken up while it serves
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// The port that clients use
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The port of Envoy's admin interface, on loopback
    #[arg(long, default_value_t = 9901, value_parser = clap::value_parser!(u16).range(1..))]
    admin_port: u16,
    /// Envoy's worker threads; one for each CPU unless given
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Envoy 1.39 or newer; unless given: ENVOY_BIN, `envoy` on PATH, target/envoy
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// The filter; unless given: tollgate.wasm beside this command
    #[arg(long, value_name = "FILE")]
    wasm: Option<PathBuf>,
    /// What Envoy logs
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = LEVELS)]
    log_level: String,
    /// The watcher: where the files are that Envoy reads
    #[arg(long, hide = true, requires = "watch_pid")]
    watch: Option<PathBuf>,
    /// The watcher: Envoy's process
    #[arg(long, hide = true)]
    watch_pid: Option<u32>,
}

/// Runs Envoy, or the watcher beside it.
pub(super) fn run(args: &Run) -> Result<(), Failure> {
    let text = load::read(&args.config)?;
    match (&args.watch, args.watch_pid) {
        (Some(dir), Some(pid)) => watch::watch(args, Files::at(dir), pid, text),
        _ => start(args, &text),
    }
}

fn start(args: &Run, text: &str) -> Result<(), Failure> {
    let loaded = load::compile(&args.config, text, Strictness::Serve)?;
    let envoy = envoy::find(args.envoy.as_deref())?;
    let options = options(args)?;
    for port in [args.port, args.admin_port] {
        is_free(port)?;
    }
    let files = Files::create()?;
    files.write_first(&rendering(&loaded, &options, &environment()))?;
    watcher(&files)?;
    let fault = command(&envoy, args, &files).envs(signing_keys(&loaded.config)?).exec();
    Err(format!("{}: {fault}", envoy.display()).into())
}

fn command(envoy: &Path, args: &Run, files: &Files) -> Command {
    let mut command = Command::new(envoy);
    command.arg("--config-path").arg(files.bootstrap());
    command.args(["--log-level", &args.log_level, "--disable-hot-restart"]);
    // An access log that is ten seconds late, Envoy's default, looks like none.
    command.args(["--file-flush-interval-msec", "1000"]);
    // A stream may take this long after a change of the config; a connection without one is closed at once.
    command.args(["--drain-strategy", "immediate", "--drain-time-s", "3600"]);
    if let Some(workers) = args.concurrency {
        command.args(["--concurrency", &workers.to_string()]);
    }
    command
}

/// The keys that Envoy signs with, where its configuration refers to them by a variable of ours.
fn signing_keys(config: &Config) -> Result<Vec<(String, String)>, String> {
    let mut keys = Vec::new();
    for deployment in &config.deployments {
        let Credential::Signed(aws) = &deployment.target.credential else { continue };
        if let Some(variable) = aws.variable() {
            let (group, file) = (&deployment.model_group, aws.credentials_file(&load::variable));
            let file = file.map_err(|name| format!("{group}: the environment variable `{name}` is not set"))?;
            keys.extend(file.map(|file| (variable, file.expose().to_owned())));
        }
    }
    Ok(keys)
}

/// Starts this command once more, as the watcher.
fn watcher(files: &Files) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|fault| format!("this command's own path: {fault}"))?;
    let pid = std::process::id().to_string();
    let mut command = Command::new(program);
    command.args(std::env::args_os().skip(1)).arg("--watch").arg(files.dir()).args(["--watch-pid", &pid]);
    command.spawn().map(drop).map_err(|fault| format!("the watcher did not start: {fault}"))
}

fn rendering<'a>(loaded: &'a Loaded, options: &'a render::Options, environment: &'a BTreeSet<String>) -> Rendering<'a> {
    Rendering { environment, ..loaded.rendering(options) }
}

fn options(args: &Run) -> Result<render::Options, String> {
    let ca_file = load::variable("SSL_CERT_FILE").map(PathBuf::from);
    let known = || CA_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    Ok(render::Options {
        source: super::file_name(&args.config),
        port: args.port,
        admin_port: args.admin_port,
        wasm: wasm(args.wasm.as_deref())?,
        ca_file: ca_file.or_else(known).unwrap_or_else(|| CA_FILE.into()),
    })
}

/// The module: the one given, the one beside this command, or cargo's.
fn wasm(given: Option<&Path>) -> Result<PathBuf, String> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("tollgate.wasm"));
    let path = match given {
        Some(path) => Some(path.to_owned()),
        None => beside().into_iter().chain([PathBuf::from(CARGO_WASM)]).find(|path| path.exists()),
    };
    let path = path.ok_or("tollgate.wasm is not beside this command: run `make build`, or say --wasm FILE")?;
    path.canonicalize().map_err(|fault| format!("{}: {fault}", path.display()))
}

/// The names of the process's environment variables.
fn environment() -> BTreeSet<String> {
    let is_name = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(is_name).collect()
}

/// Envoy shares a port with whoever has it already and both then serve, so this is checked first.
fn is_free(port: u16) -> Result<(), String> {
    let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    bound.map(drop).map_err(|fault| format!("port {port} cannot be used: {fault}"))
}

const LEVELS: [&str; 8] = ["trace", "debug", "info", "warn", "warning", "error", "critical", "off"];

/// Where the module is in a checkout.
const CARGO_WASM: &str = "target/wasm32-unknown-unknown/release/tollgate.wasm";

/// The certificate authorities' bundle: Debian, Fedora, Alpine and macOS, SUSE.
const CA_FILES: [&str; 4] =
    [CA_FILE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"];
