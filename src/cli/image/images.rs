//! The image for container runtimes, the artifact for agents that read modules, the bill of materials, the archive.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use oci_spec::OciSpecError;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, HistoryBuilder, ImageConfiguration, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, PlatformBuilder, RootFsBuilder,
};
use serde_json::{Value, json};

use super::Input;
use super::layout::{self, Layout};

/// What was made.
pub(super) struct Made {
    /// The image's digest.
    pub(super) image: String,
    /// The artifact's digest.
    pub(super) artifact: String,
    /// How long the layer is, compressed.
    pub(super) layer_bytes: usize,
    /// The archive for `docker load`.
    pub(super) archive: Vec<u8>,
}

/// Where Envoy runs.
const ARCHITECTURES: [Arch; 2] = [Arch::Amd64, Arch::ARM64];

/// Puts the images into `layout`.
///
/// # Errors
///
/// What a library refused.
pub(super) fn build(input: &Input, layout: &mut Layout) -> Result<Made, String> {
    let layer = Layer::of(input).map_err(text)?;
    let (image, _) = image(input, &layer, layout)?;
    layout.list(image.clone(), Some(&input.tag));
    let artifact = artifact(input, layout)?;
    layout.list(artifact.clone(), Some(&format!("{}-wasm", input.tag)));
    if let Some(sbom) = &input.sbom {
        let referrer = referrer(sbom, &image, layout)?;
        layout.list(referrer, None);
    }
    Ok(Made {
        image: image.digest().to_string(),
        artifact: artifact.digest().to_string(),
        layer_bytes: layer.compressed.len(),
        archive: archive(input, &layer)?,
    })
}

/// The image's only layer.
struct Layer {
    compressed: Vec<u8>,
    /// SHA-256 of the layer before compression, in hex.
    diff_id: String,
}

impl Layer {
    fn of(input: &Input) -> std::io::Result<Self> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = header(input.epoch, input.wasm.len());
        // First, and a file of its own: Istio's agent takes the first entry of this name for the module.
        archive.append_data(&mut header, PLUGIN, input.wasm.as_slice())?;
        header.set_entry_type(tar::EntryType::Link);
        header.set_size(0);
        archive.append_link(&mut header, FILE, PLUGIN)?;
        let plain = archive.into_inner()?;
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        gzip.write_all(&plain)?;
        Ok(Self { compressed: gzip.finish()?, diff_id: layout::sha256(&plain) })
    }
}

/// A file that anyone may read, of nobody in particular.
fn header(epoch: u64, len: usize) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(len).unwrap_or(u64::MAX));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header
}

/// One manifest for each architecture, all with the same layer; and what `docker` calls the first of them.
fn image(input: &Input, layer: &Layer, layout: &mut Layout) -> Result<(Descriptor, Value), String> {
    let mut manifests = Vec::new();
    let mut saved = Value::Null;
    let blob = layout.blob(MediaType::ImageLayerGzip, layer.compressed.clone())?;
    for architecture in ARCHITECTURES {
        let config = layout.json(MediaType::ImageConfig, &config(&architecture, layer).map_err(text)?)?;
        if saved.is_null() {
            saved = json!([{"Config": path(&config), "Layers": [path(&blob)], "RepoTags": [format!("tollgate:{}", input.tag)]}]);
        }
        let manifest = manifest(config, vec![blob.clone()]).annotations(compat()).build().map_err(text)?;
        let mut manifest = layout.json(MediaType::ImageManifest, &manifest)?;
        let platform = PlatformBuilder::default().os(Os::Linux).architecture(architecture).build();
        manifest.set_platform(Some(platform.map_err(text)?));
        manifests.push(manifest);
    }
    let index = ImageIndexBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .annotations(annotations())
        .build()
        .map_err(text)?;
    Ok((layout.json(MediaType::ImageIndex, &index)?, saved))
}

fn config(architecture: &Arch, layer: &Layer) -> Result<ImageConfiguration, OciSpecError> {
    let rootfs = RootFsBuilder::default().typ("layers").diff_ids([format!("sha256:{}", layer.diff_id)]).build()?;
    ImageConfigurationBuilder::default()
        .architecture(architecture.clone())
        .os(Os::Linux)
        // Some runtimes want a config, and some a command, before they mount an image; nothing runs it.
        .config(ConfigBuilder::default().cmd([format!("/{FILE}")]).labels(annotations()).build()?)
        .rootfs(rootfs)
        .history([HistoryBuilder::default().created_by("tollgate image").build()?])
        .build()
}

/// The "oci" variant: what the module is for, and the module itself.
fn artifact(input: &Input, layout: &mut Layout) -> Result<Descriptor, String> {
    let runtime = json!({"type": "envoy_proxy", "abiVersions": [ABI], "config": {"root_ids": ["gateway", "attempt"]}});
    let mut about = layout.json(MediaType::from(WASM_CONFIG), &runtime)?;
    let mut module = layout.blob(MediaType::from(WASM_LAYER), input.wasm.clone())?;
    let titled = |title: &str| Some([("org.opencontainers.image.title".to_owned(), title.to_owned())].into());
    about.set_annotations(titled("runtime-config.json"));
    module.set_annotations(titled(PLUGIN));
    // Istio's agent wants two layers; the specification's own tool has the first one as the config, too.
    let config = layout.json(MediaType::from(WASM_CONFIG), &runtime)?;
    let manifest = manifest(config, vec![about, module]).build().map_err(text)?;
    layout.json(MediaType::ImageManifest, &manifest)
}

/// The bill of materials, referring to the image.
fn referrer(sbom: &[u8], image: &Descriptor, layout: &mut Layout) -> Result<Descriptor, String> {
    let kind = MediaType::from(CYCLONEDX);
    let empty = layout.blob(MediaType::EmptyJSON, b"{}".to_vec())?;
    let blob = layout.blob(kind.clone(), sbom.to_vec())?;
    let subject = Descriptor::new(image.media_type().clone(), image.size(), image.digest().clone());
    let manifest = manifest(empty, vec![blob]).artifact_type(kind.clone()).subject(subject).build().map_err(text)?;
    let mut listed = layout.json(MediaType::ImageManifest, &manifest)?;
    listed.set_artifact_type(Some(kind));
    Ok(listed)
}

fn manifest(config: Descriptor, layers: Vec<Descriptor>) -> ImageManifestBuilder {
    ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers)
        .annotations(annotations())
}

/// The image alone, as `docker save` writes it: an OCI layout with Docker's own list beside it.
fn archive(input: &Input, layer: &Layer) -> Result<Vec<u8>, String> {
    let mut layout = Layout::default();
    let (image, saved) = image(input, layer, &mut layout)?;
    layout.list(image, Some(&input.tag));
    let mut files = layout.files()?;
    files.insert("manifest.json".to_owned(), layout::json(&saved)?);
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        archive.append_data(&mut header(input.epoch, bytes.len()), path, bytes.as_slice()).map_err(text)?;
    }
    archive.into_inner().map_err(text)
}

#[expect(clippy::disallowed_types, reason = "the library's own type; `layout::json` puts it in order")]
type Annotations = std::collections::HashMap<String, String>;

/// What everything is said to be.
fn annotations() -> Annotations {
    let pairs = [
        ("org.opencontainers.image.title", env!("CARGO_PKG_NAME")),
        ("org.opencontainers.image.description", env!("CARGO_PKG_DESCRIPTION")),
        ("org.opencontainers.image.licenses", env!("CARGO_PKG_LICENSE")),
        ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What the specification asks for where the layer has a standard media type.
fn compat() -> Annotations {
    let mut all = annotations();
    all.insert("module.wasm.image/variant".to_owned(), "compat".to_owned());
    all
}

/// Where a layout keeps `blob`.
fn path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest().digest())
}

fn text(fault: impl ToString) -> String {
    fault.to_string()
}

/// The name that Istio and Envoy Gateway look for.
const PLUGIN: &str = "plugin.wasm";
/// The name that this project uses elsewhere.
const FILE: &str = "tollgate.wasm";

const ABI: &str = "proxy-wasm 0.2.1";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
