//! The module as OCI images, without a Docker daemon: what Istio, Envoy Gateway, Kubernetes and `docker` each read.
//!
//! | name in the layout | what it is | who reads it |
//! | --- | --- | --- |
//! | `<tag>` | an image of one layer with `/plugin.wasm` and `/tollgate.wasm` (the same file), nothing else | Istio's and Envoy Gateway's agents ("compat" variant), image volumes, `COPY --from`, `docker`, `skopeo`, `crane` |
//! | `<tag>-wasm` | an artifact with the module's bytes as they are ("oci" variant) | Istio's and Envoy Gateway's agents, `oras` |
//! | no name | the software bill of materials, referring to `<tag>` | `oras discover`, `cosign`, scanners |
//!
//! `<tag>` is an index of one manifest for each architecture: the files are the same, but a node pulls no image that is
//! said to be for another one. Beside the layout stands `<layout>.tar`: `<tag>` as `docker load` and `ctr images import`
//! take it.
//!
//! ## Same input, same bytes
//!
//! No time, user, path or order of this machine is in the output: two runs give the same digests. `SOURCE_DATE_EPOCH` is
//! the time of the files in the layer, 0 unless set.
//!
//! # Limits
//!
//! The image has no program in it, so it cannot be an init container by itself: mount it as an image volume, or copy
//! from it into an image that has a `cp`.
//!
//! Sources: OCI, "Image Layout Specification" and "Image Manifest Specification" 1.1
//! <https://github.com/opencontainers/image-spec>; solo.io, "Wasm Image Specification"
//! <https://github.com/solo-io/wasm/tree/master/spec>; Istio, `pkg/wasm/imagefetcher.go`, read 2026-11-23.

mod images;
mod layout;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::layout::Layout;
use super::{Failure, load, say};

/// `tollgate image`.
#[derive(Debug, clap::Args)]
pub(super) struct Image {
    /// The module
    #[arg(long, value_name = "FILE", default_value = "tollgate.wasm")]
    wasm: PathBuf,
    /// Its software bill of materials (CycloneDX JSON), attached to the image
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// The image's tag
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// The folder of the OCI image layout; it must be empty, or one that this command has written
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// What an image is made from, checked.
struct Input {
    wasm: Vec<u8>,
    sbom: Option<Vec<u8>>,
    tag: String,
    /// Seconds since 1970.
    epoch: u64,
}

/// Writes the layout and the archive, and says what is in them.
pub(super) fn run(args: &Image) -> Result<(), Failure> {
    let input = input(args)?;
    let mut layout = Layout::default();
    let made = images::build(&input, &mut layout)?;
    let archive = archive_path(&args.output);
    layout.write(&args.output)?;
    layout::write(&archive, &made.archive)?;
    say(&report(&input, &made, &args.output, &archive))
}

fn input(args: &Image) -> Result<Input, Failure> {
    let read = |path: &Path| std::fs::read(path).map_err(|fault| format!("{}: {fault}", path.display()));
    let wasm = read(&args.wasm)?;
    if !wasm.starts_with(WASM_1) {
        return Err(format!("{}: expected a WebAssembly module, found something else", args.wasm.display()).into());
    }
    let sbom = args.sbom.as_deref().map(|path| read(path).and_then(|text| checked_sbom(path, text))).transpose()?;
    let is_tag = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if args.tag.is_empty()
        || args.tag.len() > MAX_TAG_BYTES
        || !args.tag.chars().all(is_tag)
        || args.tag.starts_with(['.', '-'])
    {
        let text =
            format!("--tag: expected letters, digits, `_`, `.` and `-`, {MAX_TAG_BYTES} at most, found another string");
        return Err(Failure::Usage(text));
    }
    Ok(Input { wasm, sbom, tag: args.tag.clone(), epoch: epoch()? })
}

fn checked_sbom(path: &Path, text: Vec<u8>) -> Result<Vec<u8>, String> {
    let document: Option<Value> = serde_json::from_slice(&text).ok();
    match document.as_ref().and_then(|document| document.get("bomFormat")?.as_str()) {
        Some("CycloneDX") => Ok(text),
        _ => Err(format!("{}: expected a bill of materials in CycloneDX's JSON, found something else", path.display())),
    }
}

/// Source: Reproducible Builds, "SOURCE_DATE_EPOCH" <https://reproducible-builds.org/specs/source-date-epoch/>.
fn epoch() -> Result<u64, String> {
    let Some(text) = load::variable("SOURCE_DATE_EPOCH") else { return Ok(0) };
    text.parse().map_err(|_| "SOURCE_DATE_EPOCH: expected seconds since 1970, found another string".to_owned())
}

/// `dist/oci` -> `dist/oci.tar`.
fn archive_path(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or(folder.as_os_str()).to_owned();
    name.push(".tar");
    folder.with_file_name(name)
}

fn report(input: &Input, made: &images::Made, folder: &Path, archive: &Path) -> String {
    let (folder, archive, tag) = (folder.display(), archive.display(), &input.tag);
    let sbom = if input.sbom.is_some() { "with its bill of materials" } else { "without a bill of materials" };
    format!(
        "module   {} bytes, {} as a layer\n\
         image    {folder}:{tag} {}, {sbom}\n\
         artifact {folder}:{tag}-wasm {}\n\
         archive  {archive}\n",
        input.wasm.len(),
        made.layer_bytes,
        made.image,
        made.artifact,
    )
}

/// The magic number and version 1.
const WASM_1: &[u8] = b"\0asm\x01\0\0\0";

/// Less than the 128 of the distribution specification, for the suffix.
const MAX_TAG_BYTES: usize = 120;
