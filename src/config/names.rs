//! What a name stands for: an alias, a model group, or a pattern of names.
//!
//! The order is LiteLLM's: `model_group_alias`, then a `model_name`, then the pattern that says most of the name. A name
//! without a provider matches the patterns of the provider that it implies, too: `gpt-4o` is one of `openai/*`.
//!
//! Source: LiteLLM 1.109.1, `litellm_core_utils/routing_common_utils.py` and `pattern_match_deployments.py`, read
//! 2026-11-23.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::fault::Wrong;
use super::read::Node;
use super::wildcard::{MAX_NAME_BYTES, Pattern};
use super::{Config, Group, vendor};
use crate::routing::Pool;

/// The most faults for which names that were meant are looked for.
const MAX_HINTS: usize = 50;

/// Where an alias leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// A model group, or a name that one of the patterns matches.
    pub to: String,
    /// Whether lists of models leave it out.
    pub hidden: bool,
}

/// The names that are not just those of groups.
#[derive(Debug, Default)]
pub struct Names {
    aliases: BTreeMap<String, Alias>,
    /// The groups that are patterns, those that say most first.
    patterns: Vec<(Pattern, String)>,
    /// `model_info.access_groups`: which groups each of them opens.
    access_groups: BTreeMap<String, BTreeSet<String>>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// The group's own name, from the config.
    pub name: &'a str,
    /// The group.
    pub group: &'a Group,
    /// What the `*` in the group's name stands for.
    pub captured: Option<String>,
}

impl Resolved<'_> {
    /// The deployments that can be asked for the name: of a pattern, those that its model can be asked of.
    pub fn pool(&self) -> Rc<Pool> {
        let Some(captured) = &self.captured else { return self.group.pool.clone() };
        let made = self.group.pool.deployments().iter().filter_map(|deployment| deployment.with_model(captured));
        Rc::new(Pool::new(made.map(Rc::new).collect()))
    }
}

impl Names {
    fn new(groups: &BTreeSet<String>, access_groups: BTreeMap<String, BTreeSet<String>>) -> Self {
        let parsed = groups.iter().filter_map(|name| Some((Pattern::parse(name)?, name.clone())));
        let mut patterns: Vec<(Pattern, String)> = parsed.collect();
        patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        Self { aliases: BTreeMap::new(), patterns, access_groups }
    }

    /// The aliases that lists of models show.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().filter(|(_, alias)| !alias.hidden).map(|(name, _)| name.as_str())
    }

    /// What `name` is called after its alias, if it has one.
    pub(super) fn meant<'n>(&'n self, name: &'n str) -> &'n str {
        self.aliases.get(name).map_or(name, |alias| &alias.to)
    }

    /// Whether the access group `name` opens `group`.
    pub(super) fn opens(&self, name: &str, group: &str) -> bool {
        self.access_groups.get(name).is_some_and(|groups| groups.contains(group))
    }

    /// The group of the pattern that matches `name`, and what its `*` stands for.
    fn matched(&self, name: &str) -> Option<(&str, String)> {
        if self.patterns.is_empty() || name.len() > MAX_NAME_BYTES {
            return None;
        }
        let find = |name: &str| {
            let mut found = self.patterns.iter().filter_map(|(pattern, group)| Some((group, pattern.capture(name)?)));
            found.next().map(|(group, captured)| (group.as_str(), captured.to_owned()))
        };
        find(name).or_else(|| find(&with_provider(name)?))
    }
}

/// `name` with the provider that it implies before it.
pub(super) fn with_provider(name: &str) -> Option<Cow<'_, str>> {
    let prefix = if name.contains('/') { None } else { vendor::implied(name) };
    prefix.map(|prefix| Cow::Owned(format!("{prefix}/{name}")))
}

impl Config {
    /// What `name` stands for; `None` where no model has it.
    pub fn resolve(&self, name: &str) -> Option<Resolved<'_>> {
        let name = self.names.meant(name);
        match self.groups.get_key_value(name).filter(|_| !Pattern::is_one(name)) {
            Some((name, group)) => Some(Resolved { name, group, captured: None }),
            None => {
                let (name, captured) = self.names.matched(name)?;
                Some(Resolved { name, group: self.groups.get(name)?, captured: Some(captured) })
            }
        }
    }
}

/// The names of a document while it is read: also those of deployments that have faults.
pub(super) struct Known {
    pub(super) groups: BTreeSet<String>,
    pub(super) names: Names,
}

impl Known {
    pub(super) fn read(model_list: &Node<'_>, router: &Node<'_>) -> Self {
        let mut groups = BTreeSet::new();
        let mut access_groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for item in model_list.quietly(Node::sections) {
            let Some(name) = item.at("model_name").quietly(Node::name) else { continue };
            for access_group in item.at("model_info").at("access_groups").names().unwrap_or_default() {
                access_groups.entry(access_group).or_default().insert(name.clone());
            }
            groups.insert(name);
        }
        let mut known = Self { names: Names::new(&groups, access_groups), groups };
        known.names.aliases = known.aliases(&router.section("model_group_alias"));
        known
    }

    /// The name of a model group.
    pub(super) fn group(&self, node: &Node<'_>) -> Option<String> {
        let name = node.required_name()?;
        if self.groups.contains(&name) { Some(name) } else { node.fault(self.unknown(node, &name)) }
    }

    /// A name that can be asked for: aliases become what they stand for.
    pub(super) fn name(&self, node: &Node<'_>) -> Option<String> {
        let name = node.required_name()?;
        let meant = self.names.meant(&name);
        if self.has(meant) { Some(meant.to_owned()) } else { node.fault(self.unknown(node, &name)) }
    }

    /// Whether `name`, which is no alias, is a group's or fits a pattern.
    pub(super) fn has(&self, name: &str) -> bool {
        self.groups.contains(name) || self.names.matched(name).is_some()
    }

    /// Whether `name` is an access group.
    pub(super) fn is_access_group(&self, name: &str) -> bool {
        self.names.access_groups.contains_key(name)
    }

    /// Whether `name` is an alias.
    pub(super) fn is_alias(&self, name: &str) -> bool {
        self.names.aliases.contains_key(name)
    }

    /// Whether some name that can be asked for matches `pattern`.
    pub(super) fn overlaps(&self, pattern: &Pattern) -> bool {
        let mut names = self.groups.iter().chain(self.names.aliases.keys());
        names.any(|name| pattern.matches(name)) || self.names.patterns.iter().any(|(other, _)| pattern.overlaps(other))
    }

    /// What is wrong with a `name` at `node` that nothing has.
    pub(super) fn unknown(&self, node: &Node<'_>, name: &str) -> Wrong {
        let wrong = Wrong::from("expected a model_name of model_list").found(format!("`{name}`"));
        let wrong = wrong.hint("write a model_name of model_list, or add a deployment of this name there");
        if node.reader.fault_count() > MAX_HINTS {
            return wrong;
        }
        wrong.near(name, self.groups.iter().chain(self.names.aliases.keys()).map(String::as_str))
    }

    /// `{alias: group}` or `{alias: {model: group, hidden: true}}`.
    fn aliases(&self, section: &Node<'_>) -> BTreeMap<String, Alias> {
        let members = section.members();
        let names: BTreeSet<&str> = members.iter().map(|(name, _)| *name).collect();
        let alias = |(name, node): &(&str, Node<'_>)| {
            let is_item = node.object().is_some();
            let (model, hidden) = (if is_item { node.at("model") } else { node.clone() }, node.at("hidden"));
            let hidden = is_item && hidden.flag().unwrap_or(false);
            let to = model.required_name()?;
            if names.contains(to.as_str()) {
                return model.fault("expected a model_name of model_list, found another alias");
            }
            if !self.has(&to) {
                return model.fault(self.unknown(&model, &to));
            }
            Some(((*name).to_owned(), Alias { to, hidden }))
        };
        members.iter().filter_map(alias).collect()
    }
}
