//! The entries in a config that is there already: checked against its models before anything is written.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::{load, yaml};
use super::carry::Entries;
use crate::config::{Config, Env, Fault};

/// The config `text` of the file `path` with `entries` in it. A config without a section `tollgate` stays as it is typed,
/// comments and all, and gets one at its end.
///
/// # Errors
///
/// All faults of the merged config, one a line.
pub(super) fn into(path: &Path, text: &str, entries: &mut Entries) -> Result<String, String> {
    let typed = load::parse(path, text)?;
    drop_unknown_models(&typed, entries);
    let merged = merged(&typed, entries);
    if let Err(faults) = compile(&merged) {
        let line = |fault: &Fault| format!("{}: with the keys: {fault}", path.display());
        return Err(faults.iter().map(line).collect::<Vec<_>>().join("\n"));
    }
    if typed.get("tollgate").is_none() {
        let gap = if text.ends_with('\n') { "" } else { "\n" };
        let whole = format!("{text}{gap}{}", yaml::dump(&json!({"tollgate": entries.section()})));
        // Not where the text ends in a way that takes the section in: `...`, a block scalar, a flow mapping.
        if yaml::parse(&whole).as_ref() == Ok(&merged) {
            return Ok(whole);
        }
    }
    entries.note("config", "written anew: its comments and its order are not in the output");
    Ok(yaml::dump(&merged))
}

fn compile(document: &Value) -> Result<Config, Vec<Fault>> {
    Config::compile(document, Env::Lenient(&load::variable))
}

/// Takes out of the lists what the config does not know: a narrower list, never an empty one, which would open all.
fn drop_unknown_models(typed: &Value, entries: &mut Entries) {
    let Err(faults) = compile(&merged(typed, entries)) else { return };
    let paths: BTreeSet<String> = faults.into_iter().map(|fault| fault.path).collect();
    let before = |list: &str| typed.pointer(&format!("/tollgate/{list}")).and_then(Value::as_array).map_or(0, Vec::len);
    let (keys_before, teams_before) = (before("keys"), before("teams"));
    let mut notes = Vec::new();
    let keys = entries.keys.iter_mut().enumerate().map(|(i, key)| ("keys", keys_before.saturating_add(i), key));
    let teams = entries.teams.iter_mut().enumerate().map(|(i, team)| ("teams", teams_before.saturating_add(i), team));
    for (list, i, entry) in keys.chain(teams) {
        let place = format!("tollgate.{list}[{i}]");
        let name = ["key_alias", "team_id", "key_sha256"].iter().find_map(|name| entry.get(*name)?.as_str());
        let who = format!("{} {}", list.trim_end_matches('s'), name.unwrap_or_default());
        let Some(entry) = entry.as_object_mut() else { continue };
        for (field, name) in narrow(entry, &place, &paths) {
            notes.push((who.clone(), format!("{field}: {name} is not carried over: the config has no such model")));
        }
    }
    notes.iter().for_each(|(who, note)| entries.note(who, note));
}

/// The field and the name of each that was taken out of `entry`.
fn narrow(entry: &mut Map<String, Value>, place: &str, faults: &BTreeSet<String>) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(models) = entry.get_mut("models").and_then(Value::as_array_mut) {
        let mut position = 0_usize;
        models.retain(|model| {
            let is_known = !faults.contains(&format!("{place}.models[{position}]"));
            position = position.saturating_add(1);
            if !is_known {
                out.push(("models", model.as_str().unwrap_or_default().to_owned()));
            }
            is_known
        });
        if models.is_empty() {
            models.push(json!("no-default-models"));
        }
    }
    for field in ["model_max_budget", "aliases", "budget_fallbacks"] {
        let Some(members) = entry.get_mut(field).and_then(Value::as_object_mut) else { continue };
        members.retain(|name, _| {
            let own = format!("{place}.{field}.{name}");
            let is_known = !faults.iter().any(|path| *path == own || path.starts_with(&format!("{own}[")));
            if !is_known {
                out.push((field, name.clone()));
            }
            is_known
        });
    }
    out
}

/// The document with the entries after those that it has.
fn merged(typed: &Value, entries: &Entries) -> Value {
    let mut document = typed.clone();
    let Some(root) = document.as_object_mut() else { return document };
    let section = root.entry("tollgate").or_insert_with(|| json!({}));
    if section.is_null() {
        *section = json!({});
    }
    let lists = [("keys", &entries.keys), ("teams", &entries.teams), ("users", &entries.users)];
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let Some(section) = section.as_object_mut() else { return document };
        let place = section.entry(name).or_insert_with(|| json!([]));
        if let Some(place) = place.as_array_mut() {
            place.extend(list.iter().cloned());
        }
    }
    document
}
