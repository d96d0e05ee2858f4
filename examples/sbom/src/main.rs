//! The software bill of materials of the module, as CycloneDX 1.5 in JSON.
//!
//! ```text
//! cargo metadata --format-version 1 --locked --filter-platform wasm32-unknown-unknown --features host | sbom > tollgate.cdx.json
//! ```
//!
//! It lists what is linked into `tollgate.wasm`: the packages that the library reaches by normal dependencies on the
//! platform and with the features that the metadata was asked for. Procedural macros are among them, as their output is
//! in the module. There is no time, no random serial number and no path in it: same input, same bytes.
//!
//! Sources: CycloneDX, "Specification v1.5" <https://cyclonedx.org/docs/1.5/json/>; The Cargo Book, "cargo metadata"
//! <https://doc.rust-lang.org/cargo/commands/cargo-metadata.html>, read 2026-11-23.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::bom::{Bom, SpecVersion};
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::validation::Validate as _;
use serde::Deserialize;

#[derive(Deserialize)]
struct Workspace {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    root: String,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

fn main() -> ExitCode {
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text).map_err(|fault| fault.to_string());
    match read
        .and_then(|_| bill(&text))
        .and_then(|bill| std::io::stdout().write_all(&bill).map_err(|fault| fault.to_string()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "sbom: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn bill(metadata: &str) -> Result<Vec<u8>, String> {
    let workspace: Workspace =
        serde_json::from_str(metadata).map_err(|fault| format!("no `cargo metadata`: {fault}"))?;
    let linked = workspace.linked();
    let packages: BTreeMap<_, _> = workspace.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let named = |id: &str| packages.get(id).copied().ok_or_else(|| "a package is missing in the metadata".to_owned());
    let mut components = BTreeMap::new();
    let mut dependencies = BTreeMap::new();
    for (id, needs) in &linked {
        let package = named(id)?;
        let mut refs = needs.iter().map(|id| named(id).map(Package::reference)).collect::<Result<Vec<_>, _>>()?;
        refs.sort();
        components.insert(package.reference(), package.component(*id == workspace.resolve.root)?);
        dependencies.insert(package.reference(), refs);
    }
    let root = components.remove(&named(&workspace.resolve.root)?.reference());
    let dependency = |(dependency_ref, dependencies)| Dependency { dependency_ref, dependencies };
    let bom = Bom {
        spec_version: SpecVersion::V1_5,
        serial_number: None,
        metadata: Some(Metadata { component: root, ..Metadata::default() }),
        components: Some(Components(components.into_values().collect())),
        dependencies: Some(Dependencies(dependencies.into_iter().map(dependency).collect())),
        ..Bom::default()
    };
    if !bom.validate_version(SpecVersion::V1_5).passed() {
        return Err("the bill breaks the rules of CycloneDX".to_owned());
    }
    let mut out = Vec::new();
    bom.output_as_json_v1_5(&mut out).map_err(|fault| fault.to_string())?;
    out.push(b'\n');
    Ok(out)
}

impl Workspace {
    /// Each package that is linked in, and what it needs itself.
    fn linked(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let nodes: BTreeMap<_, _> = self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut found = BTreeMap::new();
        let mut open = vec![self.resolve.root.as_str()];
        while let Some(id) = open.pop() {
            let deps = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
            let normal = deps.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
            let needs: BTreeSet<&str> = normal.map(|edge| edge.pkg.as_str()).collect();
            open.extend(needs.iter().filter(|id| !found.contains_key(**id)));
            found.insert(id, needs);
        }
        found
    }
}

impl Package {
    /// What it is called within the bill: not cargo's id, which has this machine's paths in it.
    fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn component(&self, is_root: bool) -> Result<Component, String> {
        let kind = if is_root { Classification::Application } else { Classification::Library };
        let mut component = Component::new(kind, &self.name, &self.version, Some(self.reference()));
        let license = self.license.as_ref().map(|text| LicenseChoice::expression(&text.replace('/', " OR ")));
        component.licenses = license.map(|license| Licenses(vec![license]));
        if !is_root {
            let purl = Purl::new("cargo", &self.name, &self.version);
            component.purl = Some(purl.map_err(|fault| format!("{}: {fault}", self.reference()))?);
        }
        Ok(component)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::bill;

    /// A workspace with a dependency of each kind, at a path.
    fn metadata(path: &str) -> String {
        let id = |name: &str| format!("path+file://{path}#{name}@1.0.0");
        let package =
            |name: &str| json!({"id": id(name), "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0"});
        let edge = |name: &str, kind: Value| json!({"pkg": id(name), "dep_kinds": [{"kind": kind}]});
        let names = ["own", "linked", "deep", "builder", "tester"];
        json!({
            "packages": names.map(package),
            "resolve": {"root": id("own"), "nodes": [
                {"id": id("own"), "deps": [edge("linked", Value::Null), edge("builder", json!("build")), edge("tester", json!("dev"))]},
                {"id": id("linked"), "deps": [edge("deep", Value::Null)]},
                {"id": id("deep"), "deps": []},
                {"id": id("builder"), "deps": []},
                {"id": id("tester"), "deps": []},
            ]},
        })
        .to_string()
    }

    #[test]
    fn what_is_linked_is_listed_and_nothing_else() {
        let bill: Value = serde_json::from_slice(&bill(&metadata("/a")).unwrap()).unwrap();
        let components = bill["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["deep", "linked"]);
        assert_eq!(components[0]["purl"], "pkg:cargo/deep@1.0.0");
        assert_eq!(components[0]["licenses"], json!([{"expression": "MIT OR Apache-2.0"}]));
        assert_eq!(bill["metadata"]["component"]["name"], "own");
        assert_eq!(bill["dependencies"][2], json!({"ref": "own@1.0.0", "dependsOn": ["linked@1.0.0"]}));
    }

    #[test]
    fn where_it_was_built_and_when_is_not_in_it() {
        assert_eq!(bill(&metadata("/a")).unwrap(), bill(&metadata("/elsewhere/b")).unwrap());
    }

    #[test]
    fn other_input_is_told() {
        assert!(bill("{}").unwrap_err().starts_with("no `cargo metadata`: "));
    }
}
