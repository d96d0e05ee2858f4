//! How far each LiteLLM key is supported: nothing in a config is ignored in silence.
//!
//! The data is in `table`; here is the walk that grades a document. A grade says what this release does, not what the
//! key could mean some day.

#[rustfmt::skip]
mod table;

use std::fmt;

use serde_json::Value;

use super::fault::nearest;

/// How far a key is supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It does what it does in LiteLLM.
    Exact,
    /// It does nearly that.
    Approximate,
    /// It does nothing.
    Unsupported,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Approximate => "approximate",
            Self::Unsupported => "unsupported",
        })
    }
}

/// A key that occurs in a config, graded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: `model_list[0].litellm_params.weight`.
    pub path: String,
    /// How far it is supported.
    pub grade: Grade,
    /// Why; empty where there is nothing to say.
    pub reason: String,
    /// What to use instead, never empty for what is unsupported; empty where nothing comes nearer to LiteLLM.
    pub instead: String,
}

impl fmt::Display for Finding {
    /// `<grade> <path>: <reason>; instead: <instead>`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, grade, reason, instead } = self;
        let part = |before: &str, text: &str| if text.is_empty() { String::new() } else { format!("{before}{text}") };
        write!(f, "{grade:11}  {path}{}{}", part(": ", reason), part("; instead: ", instead))
    }
}

/// Why a key has its grade.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why {
    reason: &'static str,
    /// What to use instead.
    instead: &'static str,
}

/// Keys with one grade and one reason.
#[derive(Debug)]
pub(super) struct Row {
    grade: Grade,
    why: Why,
    /// Names, or values; a `*` at one end of a name stands for anything.
    keys: &'static [&'static str],
}

/// A mapping of the config whose keys are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Document,
    ModelList,
    LitellmParams,
    ModelInfo,
    RouterSettings,
    LitellmSettings,
    GeneralSettings,
    Tollgate,
    TollgateKey,
    TollgateTeam,
    TollgateUser,
    TollgateModelBudget,
    TollgateBudgetLimit,
    TollgateEndUser,
    TollgateBudget,
    TollgateShadow,
    TollgateIdentity,
    TollgateIdentityMap,
    TollgateRateLimitService,
    TollgateSecrets,
    StrategyArgs,
}

impl Section {
    /// What is known about `key`.
    pub(super) fn row(self, key: &str) -> Option<&'static Row> {
        let is_here = |row: &&Row| row.keys.iter().any(|pattern| fits(pattern, key));
        table::rows(self).iter().find(is_here)
    }

    /// The known keys, patterns left out.
    pub(super) fn keys(self) -> impl Iterator<Item = &'static str> {
        table::rows(self).iter().flat_map(|row| row.keys).copied().filter(|key| !key.contains('*'))
    }

    /// The keys that hold sections.
    fn nested(self) -> impl Iterator<Item = &'static str> {
        table::NESTED.iter().filter(move |(outer, ..)| *outer == self).map(|(_, name, _)| *name)
    }

    /// The section, or list of sections, that `key` holds.
    fn inner(self, key: &str) -> Option<Self> {
        let (_, _, inner) = table::NESTED.iter().find(|(outer, name, _)| *outer == self && *name == key)?;
        Some(*inner)
    }
}

fn fits(pattern: &str, key: &str) -> bool {
    if let Some(end) = pattern.strip_prefix('*') {
        return key.ends_with(end);
    }
    pattern.strip_suffix('*').map_or(pattern == key, |start| key.starts_with(start))
}

/// Every key of `document`, in its order.
pub fn findings(document: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(document, Section::Document, "", &mut findings);
    findings
}

/// Every value of a key that is graded by its value.
fn grade_values(rows: &'static [Row], value: &Value, path: &str, findings: &mut Vec<Finding>) {
    if let Some(list) = value.as_array() {
        list.iter().enumerate().for_each(|(i, item)| grade_values(rows, item, &format!("{path}[{i}]"), findings));
        return;
    }
    let row = rows.iter().find(|row| row.keys.iter().any(|known| value == known));
    let known = || rows.iter().flat_map(|row| row.keys).copied();
    findings.push(row.map_or_else(
        || unknown(path.to_owned(), "not a value we know", value.as_str().unwrap_or_default(), known()),
        |row| row.finding(path.to_owned()),
    ));
}

fn walk(value: &Value, section: Section, path: &str, findings: &mut Vec<Finding>) {
    if let Some(list) = value.as_array() {
        list.iter().enumerate().for_each(|(i, item)| walk(item, section, &format!("{path}[{i}]"), findings));
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let values = table::VALUES.iter().find(|(outer, name, _)| *outer == section && name == key);
        match (section.inner(key), values) {
            (Some(inner), _) => walk(member, inner, &path, findings),
            (None, Some((_, _, rows))) => grade_values(rows, member, &path, findings),
            (None, None) => findings.push(grade(section, key, path)),
        }
    }
}

fn grade(section: Section, key: &str, path: String) -> Finding {
    match section.row(key) {
        Some(row) => row.finding(path),
        None => unknown(path, "not a LiteLLM key we know", key, section.keys().chain(section.nested())),
    }
}

/// What nobody knows, and which of the `known` names may have been meant.
fn unknown<'w>(path: String, reason: &str, typed: &str, known: impl Iterator<Item = &'w str>) -> Finding {
    let near = nearest(typed, known).map(|word| format!("`{word}`, if that was meant"));
    let instead = near.unwrap_or_else(|| table::LEAVE_OUT.to_owned());
    Finding { path, grade: Grade::Unsupported, reason: reason.to_owned(), instead }
}

impl Row {
    fn finding(&self, path: String) -> Finding {
        let Why { reason, instead } = self.why;
        Finding { path, grade: self.grade, reason: reason.to_owned(), instead: instead.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{Grade, Section, findings, table};

    #[wasm_bindgen_test(unsupported = test)]
    fn a_section_has_each_key_once() {
        let inner = table::NESTED.iter().map(|(_, _, inner)| *inner);
        for (section, key, _) in table::VALUES {
            assert!(section.row(key).is_some(), "{section:?}: {key}");
        }
        for section in inner.chain([Section::Document, Section::TollgateModelBudget, Section::TollgateBudgetLimit]) {
            let mut seen = BTreeSet::new();
            for key in section.keys() {
                assert!(seen.insert(key), "{section:?}: {key}");
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_unsupported_has_a_reason_and_a_substitute() {
        let sections = table::NESTED.iter().map(|(_, _, inner)| *inner).chain([Section::Document]);
        let values = table::VALUES.iter().flat_map(|(_, _, rows)| *rows);
        for row in sections.flat_map(table::rows).chain(values) {
            let is_whole = !row.why.reason.is_empty() && !row.why.instead.is_empty();
            assert!(is_whole || row.grade != Grade::Unsupported, "{row:?}");
            assert!(!row.why.reason.is_empty() || row.grade == Grade::Exact, "{row:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn keys_are_graded_where_they_stand() {
        let rows = [
            (json!({"router_settings": {"routing_strategy": "simple-shuffle"}}), Grade::Exact),
            (json!({"router_settings": {"routing_strategy": "usage-based-routing"}}), Grade::Approximate),
            (json!({"router_settings": {"routing_strategy": "fastest"}}), Grade::Unsupported),
            (json!({"router_settings": {"routing_strategy_args": {"ttl": 1}}}), Grade::Exact),
            (json!({"router_settings": {"routing_strategy_args": {"ttft_percentile": 1}}}), Grade::Unsupported),
            (json!({"router_settings": {"optional_pre_call_checks": ["enforce_model_rate_limits"]}}), Grade::Exact),
            (json!({"router_settings": {"optional_pre_call_checks": ["router_budget_limiting"]}}), Grade::Exact),
            (json!({"router_settings": {"routing_groups": []}}), Grade::Unsupported),
            (json!({"tollgate": {"shadow": [{"percent": 1}]}}), Grade::Exact),
            (json!({"model_list": [{"litellm_params": {"input_cost_per_token": 1}}]}), Grade::Exact),
            (
                json!({"model_list": [{"litellm_params": {"input_cost_per_token_above_200k_tokens": 1}}]}),
                Grade::Approximate,
            ),
            (json!({"model_list": [{"litellm_params": {"input_cost_per_second": 1}}]}), Grade::Approximate),
            (json!({"model_list": [{"litellm_params": {"input_cost_per_token_flex": 1}}]}), Grade::Exact),
            (json!({"model_list": [{"litellm_params": {"input_cost_per_token_batches": 1}}]}), Grade::Unsupported),
            (json!({"model_list": [{"litellm_params": {"input_cost_per_pixel": 1}}]}), Grade::Unsupported),
            (json!({"model_list": [{"model_info": {"supports_reasoning": true}}]}), Grade::Exact),
            (json!({"model_list": [{"model_info": {"supports_vision": true}}]}), Grade::Exact),
            (json!({"model_list": [{"model_info": {"supports_audio_input": true}}]}), Grade::Unsupported),
            (json!({"weight": 1}), Grade::Unsupported),
        ];
        for (document, grade) in rows {
            let found: Vec<Grade> = findings(&document).into_iter().map(|finding| finding.grade).collect();
            assert_eq!(found, [grade], "{document}");
        }
    }
}
