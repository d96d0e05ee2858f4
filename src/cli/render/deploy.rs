//! What the pods of a gateway need: keys from a Secret, the module from an image.

use super::template::{fill, item, scalar};
use super::{Mesh, Rendering};

const POD_PATCH: &str = include_str!("pod_patch.yaml");

/// A patch of a Deployment, for its container `container`; with the module as an image volume where `volume` is set.
pub(super) fn pod_patch(rendering: &Rendering<'_>, mesh: &Mesh, container: &str, volume: bool) -> String {
    let env = env(rendering, mesh);
    let (mounts, volumes) = match volume {
        true => (format!("volumeMounts:\n{}", mount(rendering)), format!("volumes:\n{}", image_volume(mesh))),
        false => (String::new(), String::new()),
    };
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
