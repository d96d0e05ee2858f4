//! An OCI image layout: blobs by their digests, and the index of what they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oci_spec::image::{Descriptor, ImageIndexBuilder, MediaType, OciLayoutBuilder, Sha256Digest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::bytes::hex;

/// Blobs and what the index lists.
#[derive(Default)]
pub(super) struct Layout {
    blobs: BTreeMap<String, Vec<u8>>,
    listed: Vec<Descriptor>,
}

impl Layout {
    /// Keeps `bytes`; where they are found again.
    pub(super) fn blob(&mut self, kind: MediaType, bytes: Vec<u8>) -> Result<Descriptor, String> {
        let digest = sha256(&bytes);
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let parsed: Sha256Digest = digest.parse().map_err(|fault| format!("sha256:{digest}: {fault}"))?;
        self.blobs.insert(digest, bytes);
        Ok(Descriptor::new(kind, size, parsed))
    }

    /// Keeps `document` as JSON, its members in the order of their names.
    pub(super) fn json(&mut self, kind: MediaType, document: &impl Serialize) -> Result<Descriptor, String> {
        self.blob(kind, json(document)?)
    }

    /// Lists `descriptor` in the index, by `name` if it has one.
    pub(super) fn list(&mut self, mut descriptor: Descriptor, name: Option<&str>) {
        let name = name.map(|name| (REFERENCE_NAME.to_owned(), name.to_owned()));
        descriptor.set_annotations(name.map(|name| [name].into_iter().collect()));
        self.listed.push(descriptor);
    }

    /// Every file of the layout, by its path in it.
    pub(super) fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(self.listed.clone())
            .build()
            .map_err(|fault| fault.to_string())?;
        let version = OciLayoutBuilder::default().image_layout_version("1.0.0").build();
        let version = version.map_err(|fault| fault.to_string())?;
        let blobs = self.blobs.iter().map(|(digest, bytes)| (format!("blobs/sha256/{digest}"), bytes.clone()));
        let mut files: BTreeMap<_, _> = blobs.collect();
        files.insert("index.json".to_owned(), json(&index)?);
        files.insert("oci-layout".to_owned(), json(&version)?);
        Ok(files)
    }

    /// Writes it into `folder`, in the place of a layout that is there.
    ///
    /// # Errors
    ///
    /// The folder holds something else, or cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), String> {
        let files = self.files()?;
        clear(folder, &files)?;
        for (path, bytes) in files {
            write(&folder.join(path), &bytes)?;
        }
        Ok(())
    }
}

/// Removes the blobs of an earlier layout. Whatever is no layout is left alone.
fn clear(folder: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let told = |fault: std::io::Error| format!("{}: {fault}", folder.display());
    let mut found = BTreeSet::new();
    match std::fs::read_dir(folder) {
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(told(fault)),
        Ok(entries) => {
            for entry in entries {
                found.insert(entry.map_err(told)?.file_name().to_string_lossy().into_owned());
            }
        }
    }
    let known = ["blobs", "index.json", "oci-layout"];
    if let Some(other) = found.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("{}: expected an OCI image layout or nothing, found {other}", folder.display()));
    }
    let blobs = folder.join("blobs/sha256");
    for entry in std::fs::read_dir(&blobs).into_iter().flatten() {
        let path = entry.map_err(told)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !files.contains_key(&format!("blobs/sha256/{name}")) {
            std::fs::remove_file(&path).map_err(told)?;
        }
    }
    Ok(())
}

/// Writes `bytes` to the file `path`, with the folders that it needs.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| std::fs::write(path, bytes)).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// JSON with its members in the order of their names: the library's own maps have none.
pub(super) fn json(document: &impl Serialize) -> Result<Vec<u8>, String> {
    let value = serde_json::to_value(document).map_err(|fault| fault.to_string())?;
    serde_json::to_vec(&value).map_err(|fault| fault.to_string())
}

/// SHA-256 in hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";
