//! What is seen of a request afterwards, and what must not be.

use super::Hit;
use super::scene::Scene;
use crate::cli::lint::mesh::Manager;
use crate::cli::lint::plan::METRIC_LABELS;
use crate::cli::lint::tree::At;
use crate::telemetry::RecordFields;

/// How a field of the record is called in filter state.
const FIELD: &str = "wasm.tollgate.";

/// Fields that Envoy's own say as well, or that are all of them.
const OTHERWISE: [&str; 3] = ["cluster", "duration_ms", "log"];

/// Headers that hold a client's credential.
const SECRETS: [&str; 6] = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "proxy-authorization"];

/// Every string inside `at`, with its place.
fn texts<'v>(at: &At<'v>, found: &mut Vec<(At<'v>, &'v str)>) {
    if let Some(text) = at.value.as_str() {
        found.push((at.clone(), text));
    }
    at.items().iter().for_each(|item| texts(item, found));
    at.members().iter().for_each(|(_, member)| texts(member, found));
}

fn log_texts<'v>(manager: &Manager<'v>) -> Vec<(At<'v>, &'v str)> {
    let mut found = Vec::new();
    manager.at.list("access_log").iter().for_each(|log| texts(log, &mut found));
    found
}

/// The fields that the config makes filter state of.
fn wanted(scene: &Scene<'_>) -> Vec<&'static str> {
    scene.plan.map_or_else(|| RecordFields::ALL.names().collect(), |plan| plan.fields.clone())
}

/// The access log is the only record of who spent what.
pub(super) fn access_log(scene: &Scene<'_>) -> Vec<Hit> {
    if wanted(scene).is_empty() {
        return Vec::new();
    }
    let without = scene.managers().filter(|manager| !log_texts(manager).iter().any(|(_, text)| text.contains(FIELD)));
    let hit = |manager: &Manager<'_>| {
        let message = format!("no access log has a field {FIELD}*: nobody sees which key spent what on which model");
        let lines: String = wanted(scene).into_iter().filter(|name| !OTHERWISE.contains(name)).map(line).collect();
        let fix = format!(
            "access_log:\n- name: envoy.access_loggers.stdout\n  typed_config:\n    \"@type\": \
             type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog\n    log_format:\n      \
             omit_empty_values: true\n      json_format:\n        response_code: \"%RESPONSE_CODE%\"\n{lines}"
        );
        Hit::new(&manager.resource, &manager.at, message, fix)
    };
    without.map(hit).collect()
}

fn line(name: &str) -> String {
    format!("        {name}: \"%FILTER_STATE({FIELD}{name}:PLAIN)%\"\n")
}

/// An access log that has some fields of the record, and not all.
pub(super) fn access_log_fields(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for manager in scene.managers() {
        let texts = log_texts(manager);
        let has = |name: &str| {
            let operator = format!("{FIELD}{name}");
            texts.iter().any(|(_, text)| {
                text.match_indices(&operator).any(|(at, found)| {
                    let after = text.get(at.saturating_add(found.len())..).unwrap_or_default();
                    !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                })
            })
        };
        if has("log") || !texts.iter().any(|(_, text)| text.contains(FIELD)) {
            continue;
        }
        let lacking: Vec<&str> =
            wanted(scene).into_iter().filter(|name| !OTHERWISE.contains(name) && !has(name)).collect();
        if !lacking.is_empty() {
            let message = format!("the access log lacks {}", lacking.join(", "));
            let fix: String = lacking.into_iter().map(|name| line(name).trim_start().to_owned()).collect();
            hits.push(Hit::new(&manager.resource, &manager.at, message, fix));
        }
    }
    hits
}

/// A credential in a log is a credential lost.
pub(super) fn access_log_secret(scene: &Scene<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for manager in scene.managers() {
        for (at, text) in log_texts(manager) {
            let lower = text.to_ascii_lowercase();
            let is_logged = |name: &&&str| {
                lower == **name
                    || ["%req(", "?"].iter().any(|before| {
                        [")", "?", ":"].iter().any(|after| lower.contains(&format!("{before}{name}{after}")))
                    })
            };
            if let Some(name) = SECRETS.iter().find(is_logged) {
                let message = format!("the access log has the header {name}, which holds the client's key");
                hits.push(Hit::new(
                    &manager.resource,
                    &at,
                    message,
                    format!("# remove {name}; who it was is %FILTER_STATE({FIELD}key_alias:PLAIN)%"),
                ));
            }
        }
    }
    hits
}

/// A key may stand in the query; Envoy's default format has it.
pub(super) fn access_log_query(scene: &Scene<'_>) -> Vec<Hit> {
    const FORMS: [&str; 4] = ["%REQ(:PATH", "?:PATH", "%REQ(X-ENVOY-ORIGINAL-PATH", "%PATH(WQ"];
    let fix = "path: \"%PATH(NQ:PATH)%\"";
    let mut hits = Vec::new();
    for manager in scene.managers() {
        for (at, text) in log_texts(manager) {
            if FORMS.iter().any(|form| text.to_ascii_uppercase().contains(form)) {
                let message = "the access log has the path with its query, in which a client may have put its key";
                hits.push(Hit::new(&manager.resource, &at, message, fix));
            }
        }
        for log in manager.at.list("access_log") {
            let Some(typed) = log.get("typed_config").and_then(|config| config.typed()) else { continue };
            let is_text = ["StdoutAccessLog", "StderrAccessLog", "FileAccessLog"].contains(&typed.kind);
            let formats = ["log_format", "format", "json_format", "typed_json_format"];
            if is_text && formats.iter().all(|name| typed.message.get(name).is_none()) {
                let message =
                    "the access log has Envoy's default format: the path with its query, in which a key may be";
                hits.push(Hit::new(&manager.resource, &log, message, fix));
            }
        }
    }
    hits
}

/// Without `stats_tags` the filter's counters have no labels: their names hold them.
pub(super) fn stats_tags(scene: &Scene<'_>) -> Vec<Hit> {
    let Some(bootstrap) = &scene.mesh.bootstrap else { return Vec::new() };
    let tags = bootstrap.get("stats_config").map(|at| at.list("stats_tags")).unwrap_or_default();
    let has = |label: &&&str| tags.iter().any(|tag| tag.text("tag_name") == Some(**label));
    let lacking: Vec<&str> = METRIC_LABELS.iter().filter(|label| !has(label)).copied().collect();
    if lacking.is_empty() || scene.gateways.is_empty() {
        return Vec::new();
    }
    let message =
        format!("stats_config.stats_tags lacks {}: the filter's counters have them in their names", lacking.join(", "));
    vec![Hit::new("bootstrap", bootstrap, message, "# take stats_config from `tollgate render --target envoy`")]
}
