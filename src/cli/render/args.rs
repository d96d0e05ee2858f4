//! The arguments of `tollgate render`, and what they mean where they are not given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::ValueEnum;

use super::Mesh;
use super::envoy_gateway::{EnvoyGateway, XdsNames};
use super::istio::{Istio, Module, Workload};
use super::kubernetes::{Kubernetes, ModuleVolume};
use crate::cli::CA_FILE;

/// What to render.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Render {
    /// LiteLLM's config.yaml
    #[arg(long, short, value_name = "FILE")]
    pub(super) config: PathBuf,
    /// What to write it for
    #[arg(long, value_enum, default_value_t = Target::Envoy)]
    pub(super) target: Target,
    /// Where to write it: a file, or with --format dynamic a directory; standard output unless given
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The port that clients use [default: 4000]
    #[arg(long)]
    pub(super) port: Option<u16>,
    /// The port of Envoy's admin interface, on loopback [default: 9901]
    #[arg(long)]
    pub(super) admin_port: Option<u16>,
    /// The module's path where Envoy runs
    #[arg(long, value_name = "FILE", default_value = "/etc/envoy/tollgate.wasm")]
    pub(super) wasm: PathBuf,
    /// The certificate authorities' bundle where Envoy runs
    #[arg(long, value_name = "FILE", default_value = CA_FILE)]
    pub(super) ca_file: PathBuf,
    #[command(flatten)]
    pub(super) envoy: EnvoyArgs,
    #[command(flatten)]
    pub(super) mesh: MeshArgs,
    #[command(flatten)]
    pub(super) istio: IstioArgs,
    #[command(flatten)]
    pub(super) kubernetes: KubernetesArgs,
    #[command(flatten)]
    pub(super) envoy_gateway: EnvoyGatewayArgs,
}

/// What only `--target envoy` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target envoy")]
pub(super) struct EnvoyArgs {
    /// One file, or a bootstrap with files that a running Envoy takes up when they change [default: static]
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// Where Envoy finds the files of --format dynamic; the output directory unless given
    #[arg(long, value_name = "DIR")]
    pub(super) config_dir: Option<PathBuf>,
    /// Leave out the clusters that --format dynamic kept when the module or its environment changed: nothing of before
    /// that is under way any more
    #[arg(long)]
    pub(super) drained: bool,
}

/// What every target in a Kubernetes cluster knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target istio, kubernetes, envoy-gateway")]
pub(super) struct MeshArgs {
    /// The namespace of the resources [default: istio-system; for sidecars: default; else: tollgate]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) namespace: Option<String>,
    /// The host that clients of a gateway use; `*` for every one
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub(super) host: Option<String>,
    /// The OCI image that holds the module [default: registry.example/tollgate:VERSION]
    #[arg(long, value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// The Secret whose keys are the variables that the config refers to [default: tollgate]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) secret: Option<String>,
    /// The secret with the gateway's certificate: HTTPS on 443, not HTTP on 80
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) tls_secret: Option<String>,
    /// Envoy's image [default: envoyproxy/envoy:v1.40.0]
    #[arg(long, value_name = "IMAGE")]
    pub(super) envoy_image: Option<String>,
}

/// What only `--target istio` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target istio")]
pub(super) struct IstioArgs {
    /// Whose Envoys serve [default: gateway]
    #[arg(long, value_enum)]
    pub(super) workload: Option<Workload>,
    /// A label of the pods; may be given again [default: istio=ingressgateway, for sidecars: tollgate=enabled]
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(super) selector: Vec<(String, String)>,
    /// How the module comes to Envoy [default: file]
    #[arg(long, value_enum)]
    pub(super) module: Option<Module>,
}

/// What only `--target kubernetes` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target kubernetes")]
pub(super) struct KubernetesArgs {
    /// How the module comes from --image into the pod [default: image]
    #[arg(long, value_enum)]
    pub(super) module_volume: Option<ModuleVolume>,
}

/// What only `--target envoy-gateway` knows.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --target envoy-gateway")]
pub(super) struct EnvoyGatewayArgs {
    /// The GatewayClass [default: eg]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) gateway_class: Option<String>,
    /// How Envoy Gateway names listeners and routes [default: listener]
    #[arg(long, value_enum)]
    pub(super) xds_names: Option<XdsNames>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    /// An Envoy bootstrap
    Envoy,
    /// ServiceEntries, DestinationRules and EnvoyFilters for Istio
    Istio,
    /// A deployment of stock Envoy
    Kubernetes,
    /// A Gateway with Backends, HTTPRoutes and an EnvoyPatchPolicy for Envoy Gateway
    EnvoyGateway,
    /// The budgets and limits for envoyproxy/ratelimit
    Ratelimit,
    /// The budgets and limits for Limitador
    Limitador,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One bootstrap
    Static,
    /// envoy.yaml, lds.yaml and cds.yaml in a directory
    Dynamic,
}

impl MeshArgs {
    pub(super) fn envoy_image(&self) -> String {
        self.envoy_image.clone().unwrap_or_else(|| ENVOY_IMAGE.to_owned())
    }

    pub(super) fn named(&self, namespace: &str, host: &str) -> Mesh {
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
    pub(super) fn options(&self, mesh: &MeshArgs) -> Kubernetes {
        let module_volume = self.module_volume.unwrap_or(ModuleVolume::Image);
        Kubernetes { envoy_image: mesh.envoy_image(), module_volume }
    }
}

impl EnvoyGatewayArgs {
    pub(super) fn options(&self, mesh: &MeshArgs) -> EnvoyGateway {
        EnvoyGateway {
            class: self.gateway_class.clone().unwrap_or_else(|| "eg".to_owned()),
            envoy_image: mesh.envoy_image(),
            xds_names: self.xds_names.unwrap_or(XdsNames::Listener),
            tls_secret: mesh.tls_secret.clone(),
        }
    }
}

impl IstioArgs {
    pub(super) fn options(&self, mesh: &MeshArgs) -> Istio {
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
        Istio { workload, selector, module, tls_secret: mesh.tls_secret.clone() }
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

/// A host, with `*` for its first part or for all of it.
fn host(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    name(text.strip_prefix("*.").unwrap_or(text))
        .map_err(|_| "expected a host in lower case, without a port".to_owned())?;
    Ok(text.to_owned())
}

fn label(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
    let (key, value) = pair.ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The newest that was tested.
const ENVOY_IMAGE: &str = "envoyproxy/envoy:v1.40.0";
