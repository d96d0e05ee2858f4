//! A config as a plain deployment of stock Envoy: ConfigMap, Deployment, Service, autoscaler, disruption budget and a
//! ServiceMonitor.
//!
//! ## Choices
//!
//! - The ConfigMap holds the files of `--format dynamic`, so a change of the config restarts nothing: no stream breaks, and
//!   what is spent stays counted. The bootstrap's digest is in the pods' annotations: a change of it does restart them.
//! - A variable more or less makes another VM (see `generation`), and new pods: the files of the clusters and the listener then
//!   have other names, so that the pods of before take none of it up while they serve on.
//! - The keys come from a Secret as environment variables, one by one: a pod without one does not start, and says which.
//!   Those that the config does not name itself but would look for (`LITELLM_MASTER_KEY`) may be missing.
//! - The module is an image volume (Kubernetes 1.33), or copied by an init container.
//! - `tollgate.replicas` says how many pods share budgets and limits: then there are that many, and no autoscaler.
//!
//! # Limits
//!
//! A ConfigMap holds 1 MiB. Envoy's admin port stays on loopback: `kubectl port-forward` reaches it.
//!
//! Sources: Kubernetes, "Kubernetes API" v1.37; Prometheus Operator, "API reference"; Envoy, "Command line options"
//! <https://www.envoyproxy.io/docs/envoy/latest/operations/cli>, read 2026-11-23.

use sha2::{Digest as _, Sha256};

use super::generation::Generation;
use super::template::{fill, scalar};
use super::{CDS, LDS, Mesh, Rendering, deploy};

const CONFIG_MAP: &str = include_str!("config_map.yaml");
const DEPLOYMENT: &str = include_str!("deployment.yaml");
const INIT_CONTAINER: &str = include_str!("init_container.yaml");
const SERVICE: &str = include_str!("service.yaml");
const AUTOSCALER: &str = include_str!("autoscaler.yaml");
const DISRUPTION_BUDGET: &str = include_str!("disruption_budget.yaml");
const SERVICE_MONITOR: &str = include_str!("service_monitor.yaml");
const STATS: &str = include_str!("stats.yaml");

/// How the module comes into the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ModuleVolume {
    /// The image is mounted as it is: Kubernetes 1.33
    Image,
    /// An init container copies it: the image needs a `cp`
    Init,
}

/// What only the plain deployment needs.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    /// Envoy's image.
    pub envoy_image: String,
    /// How the module comes into the pod.
    pub module_volume: ModuleVolume,
}

/// The resources, as one YAML stream.
///
/// # Errors
///
/// They do not fit into a ConfigMap, or keys come from a server that nothing here knows.
pub(super) fn resources(rendering: &Rendering<'_>, mesh: &Mesh, kubernetes: &Kubernetes) -> Result<String, String> {
    deploy::no_secret_server(rendering)?;
    let stats = fill(STATS, &[("admin_port", &rendering.options.admin_port.to_string())]);
    let generation = Generation::of_files(&rendering.vm()?);
    let files = rendering.files_with(CONFIG_DIR, &stats, &generation);
    let size: usize = files.iter().map(|(_, text)| text.len()).sum();
    if size > CONFIG_MAP_BYTES {
        return Err(format!(
            "expected at most {CONFIG_MAP_BYTES} bytes for a ConfigMap, found {size}: split the config"
        ));
    }
    let file = |wanted: &str| {
        files.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.as_str()).unwrap_or_default()
    };
    let namespace = ("namespace", mesh.namespace.as_str());
    let suffix = ("suffix", generation.file_suffix.as_str());
    let texts = [("bootstrap", file("envoy.yaml")), ("cds", file(CDS)), ("lds", file(LDS)), suffix, namespace];
    let replicas = replicas(rendering);
    let mut documents = vec![fill(CONFIG_MAP, &texts), deployment(rendering, mesh, kubernetes, file("envoy.yaml"))];
    documents.push(fill(SERVICE, &[namespace]));
    if replicas.is_none() {
        documents.push(fill(AUTOSCALER, &[namespace]));
    }
    documents.extend([DISRUPTION_BUDGET, SERVICE_MONITOR].map(|template| fill(template, &[namespace])));
    Ok(rendering.title("for Kubernetes") + &documents.join("---\n"))
}

fn deployment(rendering: &Rendering<'_>, mesh: &Mesh, kubernetes: &Kubernetes, bootstrap: &str) -> String {
    let digest =
        Sha256::digest(bootstrap.as_bytes()).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let wasm = scalar(&rendering.options.wasm.to_string_lossy());
    let (init, volume) = match kubernetes.module_volume {
        ModuleVolume::Image => (String::new(), deploy::image_volume(mesh)),
        ModuleVolume::Init => {
            let values = [("image", scalar(&mesh.image)), ("wasm", wasm), ("dir", deploy::module_dir(rendering))];
            let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let init = format!("initContainers:\n{}", fill(INIT_CONTAINER, &values));
            (init, "- name: tollgate-module\n  emptyDir: {sizeLimit: 64Mi}\n".to_owned())
        }
    };
    let env = deploy::env(rendering, mesh);
    let values = [
        ("namespace", mesh.namespace.clone()),
        // With an autoscaler the number is its own.
        ("replicas", replicas(rendering).map(|count| format!("replicas: {count}")).unwrap_or_default()),
        ("digest", scalar(&digest)),
        ("init_containers", init),
        ("envoy_image", scalar(&kubernetes.envoy_image)),
        ("env", if env.is_empty() { env } else { format!("env:\n{env}") }),
        ("port", rendering.options.port.to_string()),
        ("mount", deploy::mount(rendering) + &deploy::secrets_mount(rendering)),
        ("volume", volume + &deploy::secrets_volume(rendering, mesh)),
    ];
    let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fill(DEPLOYMENT, &values)
}

/// How many pods share what each of them counts, where the config says so.
fn replicas(rendering: &Rendering<'_>) -> Option<u64> {
    Some(rendering.config.replicas).filter(|count| *count > 1)
}

/// Where the ConfigMap is mounted.
const CONFIG_DIR: &str = "/etc/tollgate";

/// What Kubernetes takes.
const CONFIG_MAP_BYTES: usize = 1 << 20;
