//! `tollgate render`: its arguments, and where the output goes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use super::istio::{Istio, Module, Workload};
use super::kubernetes::{Kubernetes, ModuleVolume};
use super::{Mesh, Options, limits};
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
    envoy: EnvoyArgs,
    #[command(flatten)]
    mesh: MeshArgs,
    #[command(flatten)]
    istio: IstioArgs,
    #[command(flatten)]
    kubernetes: KubernetesArgs,
}

/// What only `--target envoy` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target envoy")]
struct EnvoyArgs {
    /// One file, or a bootstrap with files that a running Envoy takes up when they change [default: static]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where Envoy finds the files of --format dynamic; the output directory unless given
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
}

/// What every target in a Kubernetes cluster knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target istio, kubernetes")]
struct MeshArgs {
    /// The namespace of the resources [default: istio-system; for sidecars: default; for kubernetes: tollgate]
    #[arg(long, value_name = "NAME", value_parser = name)]
    namespace: Option<String>,
    /// The host that clients of a gateway use
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The OCI image that holds the module [default: registry.example/tollgate:VERSION]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The Secret whose keys are the variables that the config refers to [default: tollgate]
    #[arg(long, value_name = "NAME", value_parser = name)]
    secret: Option<String>,
}

/// What only `--target istio` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target istio")]
struct IstioArgs {
    /// Whose Envoys serve [default: gateway]
    #[arg(long, value_enum)]
    workload: Option<Workload>,
    /// A label of the pods; may be given again [default: istio=ingressgateway, for sidecars: tollgate=enabled]
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    selector: Vec<(String, String)>,
    /// How the module comes to Envoy [default: file]
    #[arg(long, value_enum)]
    module: Option<Module>,
    /// The secret with the gateway's certificate: HTTPS on 443, not HTTP on 80
    #[arg(long, value_name = "NAME", value_parser = name)]
    tls_secret: Option<String>,
}

/// What only `--target kubernetes` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target kubernetes")]
struct KubernetesArgs {
    /// Envoy's image [default: envoyproxy/envoy:v1.40.0]
    #[arg(long, value_name = "IMAGE")]
    envoy_image: Option<String>,
    /// How the module comes from --image into the pod [default: image]
    #[arg(long, value_enum)]
    module_volume: Option<ModuleVolume>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// An Envoy bootstrap
    Envoy,
    /// ServiceEntries, DestinationRules and EnvoyFilters for Istio
    Istio,
    /// A deployment of stock Envoy
    Kubernetes,
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
        Target::Istio => {
            let istio = args.istio.options();
            loaded.rendering(&options).istio(&args.istio_mesh(&istio)?, &istio)
        }
        Target::Kubernetes => {
            let rendered =
                loaded.rendering(&options).kubernetes(&args.mesh.named("tollgate", ""), &args.kubernetes.options());
            rendered.map_err(|fault| format!("{}: {fault}", args.config.display()))?
        }
    };
    match &args.output {
        None => say(&rendered),
        Some(path) => Ok(file::replace(path, &rendered)?),
    }
}

impl Render {
    /// That every option belongs to the target.
    fn check(&self) -> Result<(), Failure> {
        let Self { envoy, mesh, istio, kubernetes, .. } = self;
        let owned: [(&str, bool, &[Target]); 12] = [
            ("--format", envoy.format.is_some(), &[Target::Envoy]),
            ("--config-dir", envoy.config_dir.is_some(), &[Target::Envoy]),
            ("--namespace", mesh.namespace.is_some(), MESHES),
            ("--host", mesh.host.is_some(), &[Target::Istio]),
            ("--image", mesh.image.is_some(), MESHES),
            ("--secret", mesh.secret.is_some(), MESHES),
            ("--workload", istio.workload.is_some(), &[Target::Istio]),
            ("--selector", !istio.selector.is_empty(), &[Target::Istio]),
            ("--module", istio.module.is_some(), &[Target::Istio]),
            ("--tls-secret", istio.tls_secret.is_some(), &[Target::Istio]),
            ("--envoy-image", kubernetes.envoy_image.is_some(), &[Target::Kubernetes]),
            ("--module-volume", kubernetes.module_volume.is_some(), &[Target::Kubernetes]),
        ];
        for (option, is_given, owners) in owned {
            if is_given && !owners.contains(&self.target) {
                let name = |owner: &Target| owner.to_possible_value().map(|value| value.get_name().to_owned());
                let owners: Vec<_> = owners.iter().filter_map(name).collect();
                return Err(Failure::Usage(format!("{option} belongs to --target {}", owners.join(", "))));
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

impl Render {
    fn istio_mesh(&self, istio: &Istio) -> Result<Mesh, Failure> {
        match (istio.workload, &self.mesh.host) {
            (Workload::Gateway, Some(host)) => Ok(self.mesh.named("istio-system", host)),
            (Workload::Gateway, None) => Err(Failure::Usage("say --host NAME: the host that clients use".to_owned())),
            (Workload::Sidecar, Some(_)) => Err(Failure::Usage("--host belongs to --workload gateway".to_owned())),
            (Workload::Sidecar, None) => Ok(self.mesh.named("default", "")),
        }
    }
}

impl MeshArgs {
    fn named(&self, namespace: &str, host: &str) -> Mesh {
        let or = |given: &Option<String>, other: &str| given.clone().unwrap_or_else(|| other.to_owned());
        Mesh {
            namespace: or(&self.namespace, namespace),
            host: host.to_owned(),
            image: or(&self.image, concat!("registry.example/tollgate:", env!("CARGO_PKG_VERSION"))),
            secret: or(&self.secret, "tollgate"),
        }
    }
}

impl KubernetesArgs {
    fn options(&self) -> Kubernetes {
        let envoy_image = self.envoy_image.clone().unwrap_or_else(|| ENVOY_IMAGE.to_owned());
        Kubernetes { envoy_image, module_volume: self.module_volume.unwrap_or(ModuleVolume::Image) }
    }
}

impl IstioArgs {
    fn options(&self) -> Istio {
        let workload = self.workload.unwrap_or(Workload::Gateway);
        let label = match workload {
            Workload::Gateway => ("istio", "ingressgateway"),
            Workload::Sidecar => ("tollgate", "enabled"),
        };
        let mut selector: BTreeMap<_, _> = self.selector.iter().cloned().collect();
        if selector.is_empty() {
            selector.insert(label.0.to_owned(), label.1.to_owned());
        }
        let module = self.module.unwrap_or(Module::File);
        Istio { workload, selector, module, tls_secret: self.tls_secret.clone() }
    }
}

/// A name that Kubernetes takes for a resource.
fn name(text: &str) -> Result<String, String> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let edges = [text.chars().next(), text.chars().last()];
    match text.chars().all(is_good) && edges.iter().all(|edge| edge.is_some_and(|c| c.is_ascii_alphanumeric())) {
        true => Ok(text.to_owned()),
        false => Err("expected a name of Kubernetes: lower-case letters, digits, - and .".to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
    let (key, value) = pair.ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The targets in a Kubernetes cluster.
const MESHES: &[Target] = &[Target::Istio, Target::Kubernetes];

/// The newest that was tested.
const ENVOY_IMAGE: &str = "envoyproxy/envoy:v1.40.0";
