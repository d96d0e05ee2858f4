//! `tollgate import-keys`: what LiteLLM keeps in its database, as the config's section `tollgate:`.
//!
//! It reads the answers of LiteLLM's own API, as they are:
//!
//! | answer of | shape |
//! | --- | --- |
//! | `/key/list?return_full_object=true` | `{"keys": [{"token": "<sha256>", ...}], "total_pages": 1}` |
//! | `/key/info?key=<sha256>` | `{"key": "<sha256>", "info": {...}}` |
//! | `/team/list`, `/v2/team/list` | `[{"team_id": ...}]`, `{"teams": [...]}` |
//! | `/user/list`, `/user/info` | `{"users": [{"user_id": ...}]}`, `{"user_id": ..., "user_info": {...}}` |
//!
//! LiteLLM keeps the SHA-256 of a key and so does the config: clients go on with the keys that they have, and nobody has
//! to see one. What cannot be carried over is told for each key, with what to do instead.
//!
//! # Limits
//!
//! What has been spent stays behind: every window begins at 0. A budget without a duration, which has no next window, is
//! told with what is left of it. In LiteLLM a user's budget is for the keys that belong to no team; here it is for all
//! keys of the user.
//!
//! Source: LiteLLM 1.109.1, `models/verification_token.py`, `models/team.py`, `models/user.py`, `models/budget.py`,
//! `proxy/management_endpoints/key_management_endpoints.py`, read 2026-11-23.

mod carry;
mod export;
mod merge;

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use self::carry::Entries;
use self::export::Export;
use super::{Failure, load, say, yaml};

/// `tollgate import-keys`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportKeys {
    /// Answers of LiteLLM's /key/list?return_full_object=true, /key/info, /team/list, /user/list; JSON, in any order
    #[arg(value_name = "FILE", required = true)]
    exports: Vec<PathBuf>,
    /// LiteLLM's config.yaml, to write the keys into; without it the section `tollgate:` alone is written
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to write; standard output unless given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Reads the exports, writes the config, tells on standard error what is not in it.
pub(super) fn run(args: &ImportKeys) -> Result<(), Failure> {
    let mut export = Export::default();
    for path in &args.exports {
        let told = |fault: String| format!("{}: {fault}", path.display());
        export.read(&load::read(path)?).map_err(told)?;
    }
    let mut entries = Entries::of(export);
    let text = match &args.config {
        None => yaml::dump(&json!({"tollgate": entries.section()})),
        Some(path) => merge::into(path, &load::read(path)?, &mut entries)?,
    };
    match &args.output {
        None => say(&text)?,
        Some(path) => std::fs::write(path, text).map_err(|fault| format!("{}: {fault}", path.display()))?,
    }
    let _ = std::io::stderr().write_all(entries.report().as_bytes());
    Ok(())
}

/// A member that says something: `null`, `[]`, `{}`, `""`, `false` and `0` are LiteLLM's defaults.
fn said<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Bool(true) => true,
    })
}
