//! What is linted: a bootstrap, a config dump, or a running Envoy that is asked for one.
//!
//! A bootstrap may read its listeners, clusters and routes from files (`path_config_source`); those are read too. Files of
//! secrets are not.
//!
//! # Limits
//!
//! An admin address is `http://`: Envoy's admin interface has no TLS. A bootstrap whose resources come from a control plane
//! says nothing of them: dump the running Envoy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use url::Url;

use crate::cli::yaml;

/// The longest that a running Envoy may take for an answer. A dump of a large mesh takes seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest dump that is read, in bytes: Envoys with ten thousand clusters stay below it.
const LIMIT_BYTES: u64 = 512 << 20;

/// How deep files that name files are followed.
const MAX_DEPTH: usize = 3;

/// An Envoy's configuration, in one document or several.
#[derive(Debug)]
pub struct Envoy {
    /// What the user named.
    pub source: String,
    /// Each with what its paths begin with.
    pub(super) parts: Vec<(String, Value)>,
    /// `/server_info`, from a running one.
    pub(super) server_info: Option<Value>,
}

impl Envoy {
    /// Reads the file, or asks the admin address, `target`.
    ///
    /// # Errors
    ///
    /// A message that starts with the target: it cannot be read, is no YAML or JSON, or no configuration of Envoy's.
    pub fn read(target: &str) -> Result<Self, String> {
        let is_url = target.contains("://");
        let envoy = if is_url { Self::ask(target) } else { Self::open(Path::new(target)) };
        // What stands before an @ may be a password.
        let shown = target.rsplit('@').next().unwrap_or_default();
        envoy.map_err(|fault| format!("{shown}: {fault}"))
    }

    /// A document that is at hand.
    ///
    /// # Errors
    ///
    /// It is no configuration of Envoy's.
    pub fn from_value(source: &str, value: Value) -> Result<Self, String> {
        let is_known =
            ["configs", "resources", "static_resources", "staticResources", "dynamic_resources", "dynamicResources"]
                .iter()
                .any(|key| value.get(key).is_some());
        if !is_known {
            let expected = "a bootstrap (static_resources), a /config_dump (configs) or a file of resources";
            return Err(format!("expected {expected}, found none of them"));
        }
        Ok(Self { source: source.to_owned(), parts: vec![("$".to_owned(), value)], server_info: None })
    }

    fn open(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|fault| fault.to_string())?;
        let mut envoy = Self::from_value(&path.to_string_lossy(), parse(&text)?)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        envoy.follow(folder)?;
        Ok(envoy)
    }

    /// Reads the files that its documents name.
    fn follow(&mut self, folder: &Path) -> Result<(), String> {
        let mut from = 0;
        for _ in 0..MAX_DEPTH {
            let mut files = Vec::new();
            self.parts.iter().skip(from).for_each(|(_, value)| named_files(value, &mut files));
            from = self.parts.len();
            for file in files {
                let path = [PathBuf::from(&file), folder.join(&file)].into_iter().find(|path| path.exists());
                let prefix = format!("{file}: $");
                if self.parts.iter().any(|(known, _)| *known == prefix) {
                    continue;
                }
                let path = path.ok_or_else(|| format!("names the file {file}, which is not here"))?;
                let text = std::fs::read_to_string(&path).map_err(|fault| format!("{file}: {fault}"))?;
                self.parts.push((prefix, parse(&text).map_err(|fault| format!("{file}: {fault}"))?));
            }
        }
        Ok(())
    }

    fn ask(url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|fault| fault.to_string())?;
        let is_bare = parsed.username().is_empty() && parsed.password().is_none() && parsed.query().is_none();
        if parsed.scheme() != "http" || !is_bare {
            return Err("expected an admin address such as http://127.0.0.1:9901".to_owned());
        }
        let base = url.trim_end_matches('/');
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).build();
        let agent = config.new_agent();
        let get = |path: &str| -> Result<Value, String> {
            let mut answer = agent.get(format!("{base}{path}")).call().map_err(|fault| format!("{path}: {fault}"))?;
            let text = answer.body_mut().with_config().limit(LIMIT_BYTES).read_to_string();
            let text = text.map_err(|fault| format!("{path}: {fault}"))?;
            serde_json::from_str(&text).map_err(|fault| format!("{path}: expected JSON: {fault}"))
        };
        let mut envoy = Self::from_value(url, get("/config_dump?include_eds")?)?;
        envoy.server_info = Some(get("/server_info")?);
        Ok(envoy)
    }
}

/// A dump is JSON, and may be large; all else is YAML.
fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{')
        && let Ok(value) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    yaml::parse(text)
}

/// The files that `value` reads its resources from, but for secrets.
fn named_files(value: &Value, files: &mut Vec<String>) {
    let members = value.as_object().into_iter().flatten();
    for (key, member) in members {
        match key.as_str() {
            "path_config_source" | "pathConfigSource" => {
                let path = member.get("path").and_then(Value::as_str);
                files.extend(path.map(str::to_owned));
            }
            "sds_config" | "sdsConfig" | "configs" => {}
            _ => named_files(member, files),
        }
    }
    value.as_array().into_iter().flatten().for_each(|item| named_files(item, files));
}
