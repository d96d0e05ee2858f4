//! What the pods of a gateway need: keys from a Secret, the module from an image.

use super::template::{fill, item, scalar};
use super::{Mesh, Rendering};
use crate::config::Secrets;
use crate::provider::Credential;

const POD_PATCH: &str = include_str!("pod_patch.yaml");

/// A patch of a Deployment, for its container `container`; with the module as an image volume where `volume` is set.
pub(super) fn pod_patch(rendering: &Rendering<'_>, mesh: &Mesh, container: &str, volume: bool) -> String {
    let env = env(rendering, mesh);
    let (mut mounts, mut volumes) = match volume {
        true => (mount(rendering), image_volume(mesh)),
        false => (String::new(), String::new()),
    };
    mounts += &secrets_mount(rendering);
    volumes += &secrets_volume(rendering, mesh);
    if !mounts.is_empty() {
        (mounts, volumes) = (format!("volumeMounts:\n{mounts}"), format!("volumes:\n{volumes}"));
    }
    let env = if env.is_empty() { env } else { format!("env:\n{env}") };
    fill(POD_PATCH, &[("container", container), ("env", &env), ("mounts", &mounts), ("volumes", &volumes)])
}

/// Each variable that the config refers to, from the Secret. Those that it does not name itself may be missing there.
pub(super) fn env(rendering: &Rendering<'_>, mesh: &Mesh) -> String {
    let (secret, document) = (scalar(&mesh.secret), rendering.document.to_string());
    let entry = |name: &String| {
        let optional = if document.contains(&format!("\"os.environ/{name}\"")) { "" } else { ", optional: true" };
        let name = scalar(name);
        format!("- {{name: {name}, valueFrom: {{secretKeyRef: {{name: {secret}, key: {name}{optional}}}}}}}\n")
    };
    rendering.environment.iter().map(entry).collect()
}

/// Where the module is mounted: its directory.
pub(super) fn mount(rendering: &Rendering<'_>) -> String {
    item(&format!("{{name: tollgate-module, mountPath: {}, readOnly: true}}\n", module_dir(rendering)))
}

/// The directory of the module.
pub(super) fn module_dir(rendering: &Rendering<'_>) -> String {
    scalar(&rendering.options.wasm.parent().map(|dir| dir.to_string_lossy().into_owned()).unwrap_or_default())
}

/// The module's image as a volume: Kubernetes 1.33.
pub(super) fn image_volume(mesh: &Mesh) -> String {
    item(&format!("name: tollgate-module\nimage: {{reference: {}, pullPolicy: IfNotPresent}}\n", scalar(&mesh.image)))
}

/// Where the files of `api_key: sds/NAME` are mounted: nothing where there is no such key, or a server has them.
pub(super) fn secrets_mount(rendering: &Rendering<'_>) -> String {
    let mount = |folder| item(&format!("{{name: tollgate-secrets, mountPath: {}, readOnly: true}}\n", scalar(folder)));
    secrets_folder(rendering).map(mount).unwrap_or_default()
}

/// The Secret with these files, each a key `NAME.yaml`: beside the one with the variables, which no file may show.
pub(super) fn secrets_volume(rendering: &Rendering<'_>, mesh: &Mesh) -> String {
    let secret = scalar(&format!("{}-sds", mesh.secret));
    let volume = item(&format!("name: tollgate-secrets\nsecret: {{secretName: {secret}}}\n"));
    secrets_folder(rendering).map(|_| volume).unwrap_or_default()
}

/// That the keys do not come from a server whose cluster nothing in this target makes.
pub(super) fn no_secret_server(rendering: &Rendering<'_>) -> Result<(), String> {
    match &rendering.config.secrets {
        Secrets::Cluster(cluster) if is_injecting(rendering) => {
            Err(format!("tollgate.secrets: expected `path` with this target, where nobody makes the cluster {cluster}"))
        }
        Secrets::Cluster(_) | Secrets::Folder(_) => Ok(()),
    }
}

fn secrets_folder<'a>(rendering: &Rendering<'a>) -> Option<&'a str> {
    match &rendering.config.secrets {
        Secrets::Folder(folder) if is_injecting(rendering) => Some(folder),
        Secrets::Cluster(_) | Secrets::Folder(_) => None,
    }
}

fn is_injecting(rendering: &Rendering<'_>) -> bool {
    rendering.config.deployments.iter().any(|one| matches!(one.target.credential, Credential::Injected(_)))
}
