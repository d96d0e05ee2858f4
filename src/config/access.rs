//! `models` of keys and teams: which models they may use.
//!
//! A list names model groups, aliases, access groups of `model_info.access_groups`, and patterns such as `openai/*`.
//! LiteLLM's `all-proxy-models` and `all-team-models` open everything, `no-default-models` nothing.

use std::collections::BTreeSet;

use super::names::{Known, with_provider};
use super::read::Node;
use super::wildcard::Pattern;
use super::{Config, Key};

/// LiteLLM's names for "every model" and "what the team may use".
const ALL: [&str; 2] = ["all-proxy-models", "all-team-models"];

/// LiteLLM's name for "no model".
const NONE: &str = "no-default-models";

/// Which models a list opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// As typed; `None`: all.
    typed: Option<Vec<String>>,
    names: BTreeSet<String>,
    patterns: Vec<Pattern>,
    access_groups: Vec<String>,
}

impl Access {
    /// The list as typed; `None` where it opens everything.
    pub fn typed(&self) -> Option<&[String]> {
        self.typed.as_deref()
    }

    /// Whether it opens `name`: that name itself, what it is an alias of, or an access group of the model group behind
    /// it.
    pub fn allows(&self, config: &Config, name: &str) -> bool {
        if self.typed.is_none() || self.has(name) {
            return true;
        }
        let meant = config.names.meant(name);
        if self.has(meant) || with_provider(meant).is_some_and(|full| self.has(&full)) {
            return true;
        }
        let group = config.resolve(meant).map_or(meant, |resolved| resolved.name);
        self.access_groups.iter().any(|access_group| config.names.opens(access_group, group))
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.matches(name)
    }

    fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// Reads a list; `own` are names that only this key has.
    pub(super) fn read(node: &Node<'_>, known: &Known, own: impl Fn(&str) -> bool) -> Self {
        if node.is_absent() {
            return Self::default();
        }
        if node.is_empty() {
            node.fault::<()>("expected at least one model, found none: without `models` all are allowed");
        }
        let mut access = Self { typed: Some(Vec::new()), ..Self::default() };
        let mut opens_all = false;
        for item in node.items() {
            let Some(name) = item.required_name() else { continue };
            opens_all |= ALL.contains(&name.as_str());
            access.add(&item, &name, known, &own);
            access.typed.iter_mut().for_each(|typed| typed.push(name.clone()));
        }
        if opens_all { Self::default() } else { access }
    }

    fn add(&mut self, item: &Node<'_>, name: &str, known: &Known, own: &impl Fn(&str) -> bool) {
        if ALL.contains(&name) || name == NONE {
            return;
        }
        if Pattern::is_one(name) {
            return match Pattern::parse(name).filter(|pattern| known.overlaps(pattern)) {
                Some(pattern) => self.patterns.push(pattern),
                None => item.fault("expected a pattern with one `*` that a model_name matches").unwrap_or(()),
            };
        }
        let (is_name, is_group) = (known.is_alias(name) || known.has(name) || own(name), known.is_access_group(name));
        if is_name {
            self.names.insert(name.to_owned());
        }
        if is_group {
            self.access_groups.push(name.to_owned());
        }
        if !is_name && !is_group {
            item.fault::<()>(known.unknown(item, name));
        }
    }
}

impl Key {
    /// What `name` is called after the key's own aliases.
    pub fn meant<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// Whether the key, and its team, may use the model `name`.
    pub fn may_use(&self, config: &Config, name: &str) -> bool {
        let meant = self.meant(name);
        let allows = |access: &Access| access.has(name) || access.allows(config, meant);
        allows(&self.models) && self.team_models.as_deref().is_none_or(allows)
    }

    /// The models that it may use, as typed: its own list, else its team's; `None`: all.
    pub fn listed_models(&self) -> Option<&[String]> {
        self.models.typed().or_else(|| self.team_models.as_deref()?.typed())
    }
}
