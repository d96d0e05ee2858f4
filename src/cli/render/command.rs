//! `tollgate render`: what is rendered, and where it goes.

use std::thread::sleep;
use std::time::Duration;

use clap::ValueEnum as _;

pub(in crate::cli) use super::args::Render;
use super::args::{Format, Target};
use super::generation::Generation;
use super::istio::{Istio, Workload};
use super::{CDS, Mesh, Options, limits, literals};
use crate::cli::load::{self, Loaded, Strictness};
use crate::cli::{Failure, file, file_name, say, warn};

/// Renders.
pub(in crate::cli) fn render(args: &Render) -> Result<(), Failure> {
    args.check()?;
    let text = load::read(&args.config)?;
    let loaded = load::compile(&args.config, &text, Strictness::Elsewhere)?;
    let options = Options {
        source: file_name(&args.config),
        port: args.port.unwrap_or(4000),
        admin_port: args.admin_port.unwrap_or(9901),
        wasm: args.wasm.clone(),
        ca_file: args.ca_file.clone(),
    };
    if MESHES.contains(&args.target) {
        for place in literals::places(&loaded.document) {
            warn(&format!(
                "{}: {place} is typed in: it stands in what is rendered, which is no Secret. Say os.environ/NAME",
                args.config.display()
            ));
        }
    }
    if args.envoy.format == Some(Format::Dynamic) {
        return args.write_files(&loaded, &options);
    }
    let rendered = match args.target {
        Target::Ratelimit => args.limits(limits::ratelimit(&loaded.config, &options.source))?,
        Target::Limitador => args.limits(limits::limitador(&loaded.config, &options.source))?,
        Target::Envoy => loaded.rendering(&options).bootstrap(),
        Target::Istio => {
            let istio = args.istio.options(&args.mesh);
            loaded.rendering(&options).istio(&args.istio_mesh(&istio)?, &istio)
        }
        Target::Kubernetes => {
            let kubernetes = args.kubernetes.options(&args.mesh);
            let rendered = loaded.rendering(&options).kubernetes(&args.mesh.named("tollgate", ""), &kubernetes);
            rendered.map_err(|fault| format!("{}: {fault}", args.config.display()))?
        }
        Target::EnvoyGateway => {
            let host = args.mesh.host.as_ref().ok_or_else(no_host)?;
            let gateway = args.envoy_gateway.options(&args.mesh);
            let rendered = loaded.rendering(&options).envoy_gateway(&args.mesh.named("tollgate", host), &gateway);
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
        let Self { envoy, mesh, istio, kubernetes, envoy_gateway, .. } = self;
        let owned: [(&str, bool, &[Target]); 16] = [
            ("--port", self.port.is_some(), &[Target::Envoy, Target::Kubernetes]),
            ("--admin-port", self.admin_port.is_some(), &[Target::Envoy, Target::Kubernetes]),
            ("--format", envoy.format.is_some(), &[Target::Envoy]),
            ("--config-dir", envoy.config_dir.is_some(), &[Target::Envoy]),
            ("--namespace", mesh.namespace.is_some(), MESHES),
            ("--host", mesh.host.is_some(), &[Target::Istio, Target::EnvoyGateway]),
            ("--image", mesh.image.is_some(), MESHES),
            ("--secret", mesh.secret.is_some(), MESHES),
            ("--tls-secret", mesh.tls_secret.is_some(), &[Target::Istio, Target::EnvoyGateway]),
            ("--envoy-image", mesh.envoy_image.is_some(), &[Target::Kubernetes, Target::EnvoyGateway]),
            ("--workload", istio.workload.is_some(), &[Target::Istio]),
            ("--selector", !istio.selector.is_empty(), &[Target::Istio]),
            ("--module", istio.module.is_some(), &[Target::Istio]),
            ("--module-volume", kubernetes.module_volume.is_some(), &[Target::Kubernetes]),
            ("--gateway-class", envoy_gateway.gateway_class.is_some(), &[Target::EnvoyGateway]),
            ("--xds-names", envoy_gateway.xds_names.is_some(), &[Target::EnvoyGateway]),
        ];
        for (option, is_given, owners) in owned {
            if is_given && !owners.contains(&self.target) {
                let name = |owner: &Target| owner.to_possible_value().map(|value| value.get_name().to_owned());
                let owners: Vec<_> = owners.iter().filter_map(name).collect();
                return Err(Failure::Usage(format!("{option} belongs to --target {}", owners.join(", "))));
            }
        }
        for (option, is_given) in [("--config-dir", envoy.config_dir.is_some()), ("--drained", envoy.drained)] {
            if is_given && envoy.format != Some(Format::Dynamic) {
                return Err(Failure::Usage(format!("{option} belongs to --format dynamic")));
            }
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
        let rendering = loaded.rendering(options);
        let generation = Generation::in_dir(dir, &rendering.vm()?, self.envoy.drained)?;
        for (name, text) in rendering.files(&found.to_string_lossy(), &generation) {
            let path = dir.join(name);
            let is_changed = file::update(&path, &text)?;
            say(&format!("{}: {}\n", path.display(), if is_changed { "written" } else { "unchanged" }))?;
            if is_changed && generation.is_new && name == CDS && self.envoy.config_dir.is_none() {
                say(&format!("another VM: {} s for Envoy to look the new clusters up\n", LOOK_UP.as_secs()))?;
                sleep(LOOK_UP);
            }
        }
        match generation.kept_count() {
            0 => Ok(()),
            count => say(&format!("{count} clusters of before are kept: --drained once nothing of it is under way\n")),
        }
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
            (Workload::Gateway, None) => Err(no_host()),
            (Workload::Sidecar, Some(_)) => Err(Failure::Usage("--host belongs to --workload gateway".to_owned())),
            (Workload::Sidecar, None) => Ok(self.mesh.named("default", "")),
        }
    }
}

fn no_host() -> Failure {
    Failure::Usage("say --host NAME: the host that clients use".to_owned())
}

/// The targets in a Kubernetes cluster.
const MESHES: &[Target] = &[Target::Istio, Target::Kubernetes, Target::EnvoyGateway];

/// What Envoy has for the names of clusters that are all new, before the listener asks them: it says nothing to files.
const LOOK_UP: Duration = Duration::from_secs(5);
