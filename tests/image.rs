//! `tollgate image`, read back by the rules of the OCI specifications, and by skopeo.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: it stops at a fault")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MODULE: &[u8] = b"\0asm\x01\0\0\0\0\x05\x04note";
const SBOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","version":1}"#;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[test]
fn every_blob_is_what_its_descriptor_says_and_nothing_else_is_there() {
    let layout = build("rules", &[]);
    assert_eq!(json_at(&layout.join("oci-layout")), json!({"imageLayoutVersion": "1.0.0"}));
    let mut reached = BTreeSet::new();
    let index = json_at(&layout.join("index.json"));
    let mut open: Vec<Value> = index["manifests"].as_array().unwrap().clone();
    while let Some(descriptor) = open.pop() {
        let bytes = blob(&layout, &descriptor);
        reached.insert(descriptor["digest"].as_str().unwrap().to_owned());
        if descriptor["mediaType"] == INDEX || descriptor["mediaType"] == MANIFEST {
            let document: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!((&document["schemaVersion"], &document["mediaType"]), (&json!(2), &descriptor["mediaType"]));
            for member in ["manifests", "layers"] {
                open.extend(document[member].as_array().into_iter().flatten().cloned());
            }
            open.extend(["config", "subject"].iter().filter_map(|member| document.get(*member)).cloned());
        }
    }
    let stored: BTreeSet<String> = fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| format!("sha256:{}", entry.unwrap().file_name().display()))
        .collect();
    assert_eq!(stored, reached);
}

#[test]
fn the_image_has_one_layer_with_the_module_under_both_names_for_each_architecture() {
    let layout = build("image", &[]);
    let index = document(&layout, &named(&layout, "9.9"));
    let platforms: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|one| one["platform"].clone()).collect();
    assert_eq!(platforms, ["amd64", "arm64"].map(|name| json!({"architecture": name, "os": "linux"})));
    for (descriptor, platform) in index["manifests"].as_array().unwrap().iter().zip(platforms) {
        let manifest = document(&layout, descriptor);
        assert_eq!(manifest["annotations"]["module.wasm.image/variant"], "compat");
        let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(blob(&layout, layer).as_slice()).read_to_end(&mut plain).unwrap();
        let config = document(&layout, &manifest["config"]);
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.image.config.v1+json");
        assert_eq!(config["rootfs"], json!({"type": "layers", "diff_ids": [digest(&plain)]}));
        assert_eq!((&config["architecture"], &config["os"]), (&platform["architecture"], &json!("linux")));
        assert_eq!(config.get("created"), None);
        files_of(&plain);
    }
}

/// As an agent reads them: the first `plugin.wasm`; and as a runtime unpacks them.
fn files_of(plain: &[u8]) {
    let mut archive = tar::Archive::new(plain);
    let mut entries = archive.entries().unwrap();
    let mut first = entries.next().unwrap().unwrap();
    assert_eq!(first.path().unwrap(), Path::new("plugin.wasm"));
    let (mode, mtime) = (first.header().mode().unwrap(), first.header().mtime().unwrap());
    assert_eq!((mode, mtime, first.header().uid().unwrap()), (0o644, 0, 0));
    let mut module = Vec::new();
    first.read_to_end(&mut module).unwrap();
    assert_eq!(module, MODULE);
    let second = entries.next().unwrap().unwrap();
    assert_eq!(second.path().unwrap(), Path::new("tollgate.wasm"));
    assert_eq!(second.link_name().unwrap().unwrap(), Path::new("plugin.wasm"));
    assert!(entries.next().is_none());
}

#[test]
fn the_artifact_has_the_two_layers_that_agents_want() {
    let layout = build("artifact", &[]);
    let manifest = document(&layout, &named(&layout, "9.9-wasm"));
    let layers = manifest["layers"].as_array().unwrap();
    let kinds: Vec<_> = layers.iter().map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm"]
    );
    let about = document(&layout, &layers[0]);
    assert_eq!((&about["type"], &about["config"]["root_ids"]), (&json!("envoy_proxy"), &json!(["gateway", "attempt"])));
    assert_eq!(blob(&layout, &layers[1]), MODULE);
}

#[test]
fn the_bill_of_materials_refers_to_the_image() {
    let folder = scratch("sbom");
    fs::write(folder.join("sbom.json"), SBOM).unwrap();
    let layout = build_in(&folder, &["--sbom", folder.join("sbom.json").to_str().unwrap()]);
    let index = json_at(&layout.join("index.json"));
    let kind = "application/vnd.cyclonedx+json";
    let listed = index["manifests"].as_array().unwrap().iter().find(|one| one["artifactType"] == kind).unwrap();
    let manifest = document(&layout, listed);
    assert_eq!(manifest["artifactType"], kind);
    assert_eq!(manifest["subject"]["digest"], named(&layout, "9.9")["digest"]);
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    assert_eq!(blob(&layout, &manifest["layers"][0]), SBOM.as_bytes());
}

#[test]
fn two_builds_in_two_places_are_the_same_byte_for_byte() {
    let (one, two) = (build("place-one", &[]), build("another-place/two", &[]));
    assert_eq!(tree(&one), tree(&two));
    assert_eq!(fs::read(one.with_extension("tar")).unwrap(), fs::read(two.with_extension("tar")).unwrap());
}

#[test]
fn a_build_over_an_older_one_leaves_nothing_of_it() {
    let folder = scratch("again");
    let layout = build_in(&folder, &["--tag", "1.0"]);
    let fresh = tree(&build("fresh", &[]));
    fs::write(layout.join("blobs/sha256/stale"), "stale").unwrap();
    assert_eq!(tree(&build_in(&folder, &[])), fresh);
}

#[test]
fn the_time_of_the_files_is_the_one_that_was_asked_for() {
    let folder = scratch("epoch");
    let mut command = image(&folder, &[]);
    assert!(command.env("SOURCE_DATE_EPOCH", "1700000000").status().unwrap().success());
    let archive = fs::read(folder.join("oci.tar")).unwrap();
    for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
        assert_eq!(entry.unwrap().header().mtime().unwrap(), 1_700_000_000);
    }
    let output = image(&folder, &[]).env("SOURCE_DATE_EPOCH", "today").output().unwrap();
    expect_fault(&output, 1, "SOURCE_DATE_EPOCH: expected seconds since 1970");
}

#[test]
fn what_is_no_module_no_tag_no_bill_or_no_layout_is_told() {
    let folder = scratch("faults");
    fs::write(folder.join("text"), "no module").unwrap();
    fs::create_dir_all(folder.join("home")).unwrap();
    fs::write(folder.join("home/letter.txt"), "dear").unwrap();
    let text = folder.join("text").display().to_string();
    let home = folder.join("home").display().to_string();
    for (args, code, fault) in [
        (["--wasm", &text], 1, "text: expected a WebAssembly module"),
        (["--wasm", "/no/such.wasm"], 1, "/no/such.wasm: "),
        (["--sbom", &text], 1, "text: expected a bill of materials in CycloneDX's JSON"),
        (["--tag", "a/b"], 2, "--tag: expected letters"),
        (["--output", &home], 1, "home: expected an OCI image layout or nothing, found letter.txt"),
    ] {
        expect_fault(&image(&folder, &args).output().unwrap(), code, fault);
    }
    assert!(folder.join("home/letter.txt").exists());
}

#[test]
fn skopeo_reads_the_layout_and_the_archive() {
    let skopeo = root().join("target/skopeo/skopeo");
    assert!(skopeo.exists(), "skopeo is missing: sh tests/setup.sh skopeo");
    let layout = build("skopeo", &[]);
    let run = |args: &[&str]| -> String {
        let output = Command::new(&skopeo).arg("--insecure-policy").args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (oci, tar) = (format!("oci:{}:9.9", layout.display()), layout.with_extension("tar").display().to_string());
    let seen: Value = serde_json::from_str(&run(&["inspect", &oci])).unwrap();
    assert_eq!((&seen["Os"], &seen["Layers"].as_array().map(Vec::len)), (&json!("linux"), &Some(1)));
    let tags: Value = serde_json::from_str(&run(&["list-tags", &format!("docker-archive:{tar}")])).unwrap();
    assert_eq!(tags["Tags"], json!(["tollgate:9.9"]));
    run(&["copy", &format!("docker-archive:{tar}"), &format!("dir:{}", layout.with_file_name("loaded").display())]);
    // Copying checks every digest; a registry gets what a folder gets.
    let copy = layout.with_file_name("copy");
    run(&["copy", "--all", &oci, &format!("dir:{}", copy.display())]);
    let artifact = format!("oci:{}:9.9-wasm", layout.display());
    run(&["copy", &artifact, &format!("dir:{}", layout.with_file_name("artifact").display())]);
    let digest = named(&layout, "9.9")["digest"].as_str().unwrap().to_owned();
    assert_eq!(digest, self::digest(&fs::read(copy.join("manifest.json")).unwrap()));
}

#[test]
fn the_module_knows_nothing_of_the_machine_that_built_it() {
    let path = root().join("dist/tollgate.wasm");
    let module = fs::read(&path).unwrap_or_else(|_| panic!("dist/tollgate.wasm is missing: make build"));
    let text = String::from_utf8_lossy(&module);
    if !text.contains("/cargo/registry/") {
        println!("skipped: dist/tollgate.wasm was not built by `make build`");
        return;
    }
    let root = root().display().to_string();
    for place in [root.as_str(), "/.cargo/", "/home/"] {
        assert!(!text.contains(place), "{place} is in dist/tollgate.wasm");
    }
}

/// A layout made from [`MODULE`] in a folder of its own.
fn build(name: &str, more: &[&str]) -> PathBuf {
    build_in(&scratch(name), more)
}

fn build_in(folder: &Path, more: &[&str]) -> PathBuf {
    let output = image(folder, more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("oci")
}

/// Later arguments take the place of earlier ones.
fn image(folder: &Path, more: &[&str]) -> Command {
    fs::write(folder.join("module.wasm"), MODULE).unwrap();
    let mut arguments = vec![
        ("--wasm", folder.join("module.wasm").display().to_string()),
        ("--output", folder.join("oci").display().to_string()),
        ("--tag", "9.9".to_owned()),
    ];
    arguments.retain(|(name, _)| !more.contains(name));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("image").args(more).env_remove("SOURCE_DATE_EPOCH");
    command.args(arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]));
    command
}

fn expect_fault(output: &Output, code: i32, fault: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(fault), "{text}");
}

/// The descriptor that the index lists by this name.
fn named(layout: &Path, name: &str) -> Value {
    let index = json_at(&layout.join("index.json"));
    let all = index["manifests"].as_array().unwrap();
    all.iter().find(|one| one["annotations"]["org.opencontainers.image.ref.name"] == name).unwrap().clone()
}

/// The content of a blob, checked against its descriptor.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let name = descriptor["digest"].as_str().unwrap();
    let bytes = fs::read(layout.join("blobs").join(name.replace(':', "/"))).unwrap();
    assert_eq!((digest(&bytes).as_str(), descriptor["size"].as_u64()), (name, Some(bytes.len() as u64)));
    bytes
}

fn document(layout: &Path, descriptor: &Value) -> Value {
    serde_json::from_slice(&blob(layout, descriptor)).unwrap()
}

fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

fn json_at(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Every file below `folder`.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => drop(found.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap())),
            }
        }
    }
    found
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
