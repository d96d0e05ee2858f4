//! `tollgate render`: its arguments, and where the output goes.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Options, limits};
use crate::cli::load::{self, Loaded, Strictness};
use crate::cli::{CA_FILE, Failure, file, file_name, say};

/// What to render.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Render {
    /// LiteLLM's config.yaml
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// What to write it for
    #[arg(long, value_enum, default_value_t = Target::Envoy)]
    target: Target,
    /// Where to write it: a file, or with --format dynamic a directory; standard output unless given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The port that clients use
    #[arg(long, default_value_t = 4000)]
    port: u16,
    /// The port of Envoy's admin interface, on loopback
    #[arg(long, default_value_t = 9901)]
    admin_port: u16,
    /// The module's path where Envoy runs
    #[arg(long, value_name = "FILE", default_value = "/etc/envoy/tollgate.wasm")]
    wasm: PathBuf,
    /// The certificate authorities' bundle where Envoy runs
    #[arg(long, value_name = "FILE", default_value = CA_FILE)]
    ca_file: PathBuf,
    #[command(flatten)]
    envoy: Envoy,
}

/// What only `--target envoy` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target envoy")]
struct Envoy {
    /// One file, or a bootstrap with files that a running Envoy takes up when they change [default: static]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where Envoy finds the files of --format dynamic; the output directory unless given
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// An Envoy bootstrap
    Envoy,
    /// The budgets and limits for envoyproxy/ratelimit
    Ratelimit,
    /// The budgets and limits for Limitador
    Limitador,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One bootstrap
    Static,
    /// envoy.yaml, lds.yaml and cds.yaml in a directory
    Dynamic,
}

/// Renders.
pub(in crate::cli) fn render(args: &Render) -> Result<(), Failure> {
    args.check()?;
    let text = load::read(&args.config)?;
    let loaded = load::compile(&args.config, &text, Strictness::Elsewhere)?;
    let options = Options {
        source: file_name(&args.config),
        port: args.port,
        admin_port: args.admin_port,
        wasm: args.wasm.clone(),
        ca_file: args.ca_file.clone(),
    };
    if args.envoy.format == Some(Format::Dynamic) {
        return args.write_files(&loaded, &options);
    }
    let rendered = match args.target {
        Target::Ratelimit => args.limits(limits::ratelimit(&loaded.config, &options.source))?,
        Target::Limitador => args.limits(limits::limitador(&loaded.config, &options.source))?,
        Target::Envoy => loaded.rendering(&options).bootstrap(),
    };
    match &args.output {
        None => say(&rendered),
        Some(path) => Ok(file::replace(path, &rendered)?),
    }
}

impl Render {
    /// That every option belongs to the target.
    fn check(&self) -> Result<(), Failure> {
        let owned = [
            ("--format", self.envoy.format.is_some(), Target::Envoy),
            ("--config-dir", self.envoy.config_dir.is_some(), Target::Envoy),
        ];
        for (option, is_given, owner) in owned {
            if is_given && self.target != owner {
                let owner = owner.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
                return Err(Failure::Usage(format!("{option} belongs to --target {owner}")));
            }
        }
        if self.envoy.config_dir.is_some() && self.envoy.format != Some(Format::Dynamic) {
            return Err(Failure::Usage("--config-dir belongs to --format dynamic".to_owned()));
        }
        Ok(())
    }

    /// Writes the files of `--format dynamic` and says which of them changed.
    fn write_files(&self, loaded: &Loaded, options: &Options) -> Result<(), Failure> {
        let Some(dir) = &self.output else {
            return Err(Failure::Usage("--format dynamic writes several files: say -o DIR".to_owned()));
        };
        std::fs::create_dir_all(dir).map_err(|fault| format!("{}: {fault}", dir.display()))?;
        let found = match &self.envoy.config_dir {
            Some(found) => found.clone(),
            None => dir.canonicalize().map_err(|fault| format!("{}: {fault}", dir.display()))?,
        };
        for (name, text) in loaded.rendering(options).files(&found.to_string_lossy()) {
            let path = dir.join(name);
            let verb = if file::update(&path, &text)? { "written" } else { "unchanged" };
            say(&format!("{}: {verb}\n", path.display()))?;
        }
        Ok(())
    }

    fn limits(&self, limits: Result<String, Vec<String>>) -> Result<String, Failure> {
        limits.map_err(|faults| {
            let line = |fault: &String| format!("{}: {fault}", self.config.display());
            Failure::Fault(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
        })
    }
}
