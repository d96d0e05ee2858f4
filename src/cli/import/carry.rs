//! Keys, teams and users in the config's words, and what they lose.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::export::Export;
use super::said;
use crate::time;

type Object = Map<String, Value>;

/// The section's lists, and what is to be told of them.
pub(super) struct Entries {
    pub(super) keys: Vec<Value>,
    pub(super) teams: Vec<Value>,
    pub(super) users: Vec<Value>,
    notes: Vec<String>,
}

impl Entries {
    /// The same for the same export, whatever its order.
    pub(super) fn of(export: Export) -> Self {
        let mut made = Self { keys: Vec::new(), teams: Vec::new(), users: Vec::new(), notes: export.notes };
        let blocked: BTreeSet<String> = export
            .teams
            .iter()
            .filter(|team| said(team, "blocked").is_some())
            .filter_map(|team| Some(team.get("team_id")?.as_str()?.to_owned()))
            .collect();
        let (mut digests, mut aliases) = (BTreeSet::new(), BTreeSet::new());
        let mut keys = export.keys;
        keys.sort_by_cached_key(|(digest, key)| (text(key, "key_alias"), digest.clone()));
        for (digest, key) in keys {
            if digests.insert(digest.clone()) {
                made.key(&digest, &key, &mut aliases, &blocked);
            }
        }
        made.teams(export.teams);
        made.users(export.users);
        made
    }

    /// What stands under `tollgate:`.
    pub(super) fn section(&self) -> Value {
        let lists = [("keys", &self.keys), ("teams", &self.teams), ("users", &self.users)];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        Value::Object(lists.map(|(name, list)| (name.to_owned(), Value::Array(list.clone()))).collect())
    }

    /// Says something about `who`.
    pub(super) fn note(&mut self, who: &str, text: &str) {
        self.notes.push(format!("{who}: {text}"));
    }

    /// Everything that was said, one a line, and the sum.
    pub(super) fn report(&self) -> String {
        let mut out: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        let (keys, teams, users) = (self.keys.len(), self.teams.len(), self.users.len());
        let _ = writeln!(out, "{keys} keys, {teams} teams, {users} users; {} notes", self.notes.len());
        out
    }

    fn key(&mut self, digest: &str, key: &Object, aliases: &mut BTreeSet<String>, blocked: &BTreeSet<String>) {
        let alias = text(key, "key_alias");
        let short: String = digest.chars().take(8).collect();
        let who = format!("key {}", alias.clone().unwrap_or_else(|| format!("{short}...")));
        if text(key, "team_id").as_deref() == Some(UI_TEAM) {
            return self.note(&who, "left out: it is a session of LiteLLM's user interface");
        }
        if said(key, "deleted_at").is_some() {
            return self.note(&who, "left out: it is deleted");
        }
        let mut entry = Object::new();
        entry.insert("key_sha256".to_owned(), json!(digest));
        if let Some(alias) = alias {
            let own = if aliases.insert(alias.clone()) { alias } else { format!("{alias}-{short}") };
            if own.ends_with(&short) {
                self.note(&who, &format!("another key has this alias too: it is called {own}"));
            }
            entry.insert("key_alias".to_owned(), json!(own));
        }
        copy(key, &mut entry, &["team_id", "user_id", "models", "aliases", "budget_fallbacks", "blocked"]);
        if text(key, "team_id").is_some_and(|team| blocked.contains(&team)) {
            entry.insert("blocked".to_owned(), json!(true));
            self.note(&who, "blocked, because its team is");
        }
        if let Some(expires) = text(key, "expires") {
            match instant(&expires) {
                Some(instant) => drop(entry.insert("expires".to_owned(), json!(instant))),
                // Who cannot tell when a key ends must not let it live for ever.
                None => {
                    entry.insert("blocked".to_owned(), json!(true));
                    self.note(
                        &who,
                        "expires: expected a timestamp, found something else: blocked, set expires and unblock it",
                    );
                }
            }
        }
        self.terms(&who, key, &mut entry);
        self.left(&who, key, KEY_LEFT);
        self.keys.push(Value::Object(entry));
    }

    fn teams(&mut self, mut teams: Vec<Object>) {
        teams.sort_by_cached_key(|team| text(team, "team_id"));
        teams.dedup_by_key(|team| text(team, "team_id"));
        for team in &teams {
            let who = format!("team {}", text(team, "team_id").unwrap_or_default());
            let mut entry = Object::new();
            copy(team, &mut entry, &["team_id", "models"]);
            self.terms(&who, team, &mut entry);
            self.left(&who, team, TEAM_LEFT);
            self.teams.push(Value::Object(entry));
        }
        if teams.is_empty() {
            return;
        }
        // Where teams are listed a key's team must be among them.
        let listed: BTreeSet<_> = teams.iter().filter_map(|team| text(team, "team_id")).collect();
        let named: BTreeSet<_> =
            self.keys.iter().filter_map(|key| Some(key.get("team_id")?.as_str()?.to_owned())).collect();
        for missing in named.difference(&listed) {
            self.teams.push(json!({"team_id": missing}));
            self.note(
                &format!("team {missing}"),
                "keys belong to it, but it is not among the teams that were given: listed without limits",
            );
        }
    }

    fn users(&mut self, mut users: Vec<Object>) {
        users.sort_by_cached_key(|user| text(user, "user_id"));
        users.dedup_by_key(|user| text(user, "user_id"));
        for user in &users {
            let who = format!("user {}", text(user, "user_id").unwrap_or_default());
            let mut entry = Object::new();
            copy(user, &mut entry, &["user_id"]);
            self.terms(&who, user, &mut entry);
            for name in ["model_max_budget", "tags"] {
                if entry.remove(name).is_some() {
                    self.note(&who, &format!("{name} is not carried over: use those of a key or a team"));
                }
            }
            // A user without limits needs no account.
            if entry.len() > 1 {
                self.left(&who, user, USER_LEFT);
                self.users.push(Value::Object(entry));
            }
        }
    }

    /// Budgets and limits, of the object itself or of the budget that it refers to; those of its models, and its tags.
    fn terms(&mut self, who: &str, from: &Object, entry: &mut Object) {
        let none = Object::new();
        let shared = from.get("litellm_budget_table").and_then(Value::as_object).unwrap_or(&none);
        for name in TERMS {
            // 0 is a cap like any other.
            let value = [from, shared].into_iter().find_map(|one| one.get(name).filter(|value| !value.is_null()));
            if let Some(value) = value {
                entry.insert(name.to_owned(), value.clone());
            }
        }
        for name in ["temp_budget_increase", "allowed_models"] {
            if said(shared, name).is_some() {
                self.note(
                    who,
                    &format!("litellm_budget_table.{name} is not carried over: set max_budget or models by hand"),
                );
            }
        }
        let mut windows = parsed(from.get("budget_limits"));
        for window in windows.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            window.retain(|name, _| ["max_budget", "budget_duration"].contains(&name.as_str()));
        }
        insert_said(entry, "budget_limits", windows);
        let metadata = parsed(from.get("metadata"));
        let metadata = metadata.as_object().unwrap_or(&none);
        let models = self.models(who, [from, shared], metadata);
        insert_said(entry, "model_max_budget", Value::Object(models));
        copy(metadata, entry, &["tags"]);
        self.metadata(who, metadata);
        self.spent(who, from, entry);
    }

    /// `model_max_budget`, with the limits of single models that LiteLLM keeps in `metadata`.
    fn models(&mut self, who: &str, from: [&Object; 2], metadata: &Object) -> Object {
        let mut models = Object::new();
        let own = from.into_iter().find_map(|one| said(one, "model_max_budget"));
        for (model, terms) in parsed(own).as_object().into_iter().flatten() {
            match terms.as_object() {
                Some(terms) => {
                    let mut entry = Object::new();
                    copy(
                        terms,
                        &mut entry,
                        &["max_budget", "budget_limit", "budget_duration", "time_period", "tpm_limit", "rpm_limit"],
                    );
                    models.insert(model.clone(), Value::Object(entry));
                }
                None => self.note(
                    who,
                    &format!("model_max_budget.{model}: expected an object, found something else: not carried over"),
                ),
            }
        }
        for (name, limit) in [("model_rpm_limit", "rpm_limit"), ("model_tpm_limit", "tpm_limit")] {
            for (model, value) in metadata.get(name).and_then(Value::as_object).into_iter().flatten() {
                let entry = models.entry(model.clone()).or_insert_with(|| json!({}));
                entry.as_object_mut().map(|entry| entry.insert(limit.to_owned(), value.clone()));
            }
        }
        models
    }

    /// The names of what else is in `metadata`: the values are nobody's business here.
    fn metadata(&mut self, who: &str, metadata: &Object) {
        let carried = ["tags", "model_rpm_limit", "model_tpm_limit"];
        let left: Vec<_> =
            metadata.keys().filter(|name| !carried.contains(&name.as_str())).map(String::as_str).collect();
        if !left.is_empty() {
            self.note(who, &format!("metadata is not carried over: {}", left.join(", ")));
        }
    }

    /// A cap for ever of which something is spent.
    fn spent(&mut self, who: &str, from: &Object, entry: &Object) {
        let number = |name: &str| from.get(name).and_then(Value::as_f64).unwrap_or_default();
        let (max, spend) = (entry.get("max_budget").and_then(Value::as_f64), number("spend"));
        if let Some(max) = max.filter(|_| spend > 0.0 && !entry.contains_key("budget_duration")) {
            let rest = (max - spend).max(0.0);
            self.note(who, &format!("max_budget has no budget_duration, and {spend:.2} of {max:.2} USD are spent: set it to {rest:.2} to go on from there"));
        }
    }

    fn left(&mut self, who: &str, from: &Object, table: &[(&str, &str)]) {
        for (name, advice) in table {
            if said(from, name).is_some() {
                self.note(who, &format!("{name} is not carried over: {advice}"));
            }
        }
    }
}

fn text(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Copies the members that say something.
fn copy(from: &Object, to: &mut Object, names: &[&str]) {
    for name in names {
        if let Some(value) = said(from, name) {
            to.insert((*name).to_owned(), value.clone());
        }
    }
}

fn insert_said(entry: &mut Object, name: &str, value: Value) {
    let one = Object::from_iter([(name.to_owned(), value)]);
    copy(&one, entry, &[name]);
}

/// Some answers have objects as JSON in a string.
fn parsed(value: Option<&Value>) -> Value {
    match value {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(value) => value.clone(),
        None => Value::Null,
    }
}

/// A timestamp; without a zone it is UTC, as for LiteLLM.
fn instant(text: &str) -> Option<String> {
    [text.to_owned(), format!("{text}Z")].into_iter().find(|text| time::rfc3339(text).is_some())
}

/// Source: LiteLLM 1.109.1, `constants.py`, `UI_SESSION_TOKEN_TEAM_ID`.
const UI_TEAM: &str = "litellm-dashboard";

const TERMS: [&str; 7] =
    ["max_budget", "soft_budget", "budget_duration", "rpm_limit", "tpm_limit", "tpd_limit", "max_parallel_requests"];

const GROUPS: &str = "name the models in `models`, or give deployments the group in model_info.access_groups";
const ORGANIZATION: &str = "there are no accounts of organizations: give its budget to a team";
const ROUTER: &str = "routing is the same for all: use groups of their own with their own settings";
const OBJECTS: &str = "MCP servers, vector stores and agents are not served";

const KEY_LEFT: &[(&str, &str)] = &[
    ("access_group_ids", GROUPS),
    ("agent_id", OBJECTS),
    ("allowed_cache_controls", "there is no cache"),
    ("allowed_model_region", "name the models of that region in `models`"),
    ("allowed_routes", "a key may use every endpoint: narrow it with Envoy's rbac filter in front"),
    ("auto_rotate", "keys do not rotate: add the next key, and remove the last one when nobody uses it"),
    ("config", "settings are the same for all keys"),
    ("object_permission", OBJECTS),
    ("object_permission_id", OBJECTS),
    ("org_id", ORGANIZATION),
    ("organization_id", ORGANIZATION),
    ("permissions", "settings are the same for all keys"),
    ("project_id", "there are no accounts of projects: give its budget to a team, or to a tag"),
    ("router_settings", ROUTER),
];

const TEAM_LEFT: &[(&str, &str)] = &[
    ("access_group_ids", GROUPS),
    ("blocked", "its keys are blocked one by one"),
    ("default_team_member_models", "give the keys of its members `models`"),
    ("litellm_model_table", "aliases of a team: use a key's `aliases`, or router_settings.model_group_alias for all"),
    ("model_id", "aliases of a team: use a key's `aliases`, or router_settings.model_group_alias for all"),
    ("object_permission", OBJECTS),
    ("organization_id", ORGANIZATION),
    ("policies", "there are no guardrails"),
    ("router_settings", ROUTER),
    ("team_memberships", "budgets of a member within a team: give the member's key the budget"),
];

const USER_LEFT: &[(&str, &str)] = &[
    ("models", "a user's models: give them to the keys of the user"),
    ("object_permission", OBJECTS),
    ("policies", "there are no guardrails"),
];
