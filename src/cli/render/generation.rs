//! From one VM to the next in a running Envoy: `--format dynamic` over files that are there.
//!
//! The two roles find each other in the memory of one VM, and Envoy makes another VM wherever `vm_config` differs: another
//! module, or other environment variables. Envoy takes up clusters and listeners one after the other, and connections go
//! on through the old listener until it has drained. Were the clusters given the new VM in place, every request of the old
//! listener would find none of its attempts there. So the clusters of another VM get other names, which end with a digest
//! of its `vm_config`; their statistics keep the name. All that were there before stay beside them, until `--drained` says
//! that nobody needs them: which listener Envoy serves, the files do not tell, for it may have refused the last one.
//!
//! What is counted is in Envoy's shared data, which belongs to the `vm_id` and not to the code: both VMs see the same.
//! Each record's name or first bytes say which layout it has. A module that does not know the layout of a record that it
//! shares takes it for empty, so a module that changes a layout must change the record's name, and begins to count anew.
//!
//! # Limits
//!
//! - A cluster that the config names is somebody else's: its filter must be given another name and place by hand.
//! - A kept cluster keeps its VM in memory, on every worker.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::template::item;
use super::{CDS, LDS};
use crate::bytes::hex;
use crate::cli::yaml;

/// Which clusters are there beside each other.
#[derive(Debug, Default)]
pub(super) struct Generation {
    /// What the names of the clusters end with.
    pub(super) suffix: String,
    /// The clusters of the VMs before.
    kept: Vec<Value>,
    /// Whether the listener that is there has another VM.
    pub(super) is_new: bool,
    /// What the names of the files of the clusters and the listener end with.
    pub(super) file_suffix: String,
}

impl Generation {
    /// The one of `vm_config`, for Envoys that are started anew for another VM: files of other names.
    ///
    /// An Envoy whose files are gone serves on with what it has.
    pub(super) fn of_files(vm_config: &Value) -> Self {
        Self { file_suffix: format!("-{}", digest(vm_config)), ..Self::default() }
    }

    /// What the file `name` is called.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}{}.yaml", name.trim_end_matches(".yaml"), self.file_suffix)
    }

    /// The one that `vm_config` begins or goes on with, by the files of `dir`.
    ///
    /// # Errors
    ///
    /// A file that this command has not written, or that cannot be read.
    pub(super) fn in_dir(dir: &Path, vm_config: &Value, drained: bool) -> Result<Self, String> {
        let (clusters, listeners) = (resources(&dir.join(CDS))?, resources(&dir.join(LDS))?);
        let before = listeners.iter().find_map(gateway).and_then(|config| config.get("vm_config"));
        let attempts = || clusters.iter().filter_map(|cluster| Some((cluster, attempt(cluster)?)));
        let ours = attempts().find(|(_, config)| config.get("vm_config") == Some(vm_config));
        let suffix = match ours.and_then(|(cluster, config)| suffix(cluster, config)) {
            Some(suffix) => suffix.to_owned(),
            None if before.is_none() => String::new(),
            None => format!("_{}", digest(vm_config)),
        };
        let is_new = before.is_some_and(|before| before != vm_config);
        let is_kept = |config: &Value| {
            let vm = config.get("vm_config");
            vm != Some(vm_config) && (!drained || (is_new && vm == before))
        };
        let kept = attempts().filter(|(_, config)| is_kept(config)).map(|(cluster, _)| cluster.clone()).collect();
        Ok(Self { suffix, kept, is_new, file_suffix: String::new() })
    }

    /// How many clusters of before there are.
    pub(super) fn kept_count(&self) -> usize {
        self.kept.len()
    }

    /// They as further entries of the list.
    pub(super) fn kept(&self) -> String {
        let about = if self.kept.is_empty() { "" } else { ABOUT_KEPT };
        let clusters = self.kept.iter().map(|cluster| item(&yaml::dump(cluster)));
        about.to_owned() + &clusters.collect::<String>()
    }
}

/// The resources of a file; none where there is no such file.
fn resources(path: &Path) -> Result<Vec<Value>, String> {
    let told = |fault: String| format!("{}: {fault}", path.display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(told(fault.to_string())),
    };
    let document = yaml::parse(&text).map_err(told)?;
    let list = document.get("resources").and_then(Value::as_array);
    list.cloned().ok_or_else(|| told("expected a list of resources, found something else".to_owned()))
}

/// The role `attempt` of a cluster: the plugin's configuration.
fn attempt(cluster: &Value) -> Option<&Value> {
    let options = cluster.get("typed_extension_protocol_options")?.as_object()?;
    options.values().find_map(|options| plugin(options.get("http_filters")?, "attempt"))
}

/// The role `gateway` of a listener: the plugin's configuration.
fn gateway(listener: &Value) -> Option<&Value> {
    let chains = listener.get("filter_chains")?.as_array()?;
    let filters = chains.iter().filter_map(|chain| chain.get("filters")?.as_array()).flatten();
    filters.into_iter().find_map(|filter| plugin(filter.pointer("/typed_config/http_filters")?, "gateway"))
}

fn plugin<'v>(http_filters: &'v Value, root_id: &str) -> Option<&'v Value> {
    let configs = http_filters.as_array()?.iter().filter_map(|filter| filter.pointer("/typed_config/config"));
    configs.into_iter().find(|config| config.get("root_id").is_some_and(|id| id == root_id))
}

/// What Envoy's name of a cluster has more than the config's.
fn suffix<'v>(cluster: &'v Value, attempt: &Value) -> Option<&'v str> {
    cluster.get("name")?.as_str()?.strip_prefix(attempt.pointer("/configuration/value/cluster")?.as_str()?)
}

/// The first digits of a digest.
fn digest(vm_config: &Value) -> String {
    hex(&Sha256::digest(vm_config.to_string())).chars().take(DIGITS).collect()
}

const ABOUT_KEPT: &str = "# Of another VM, for what the listener before has under way. `--drained` leaves them out.\n";

/// Enough for two that must differ.
const DIGITS: usize = 8;
