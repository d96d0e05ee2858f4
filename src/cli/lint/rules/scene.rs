//! What all rules look at: which filters, routes and clusters are Tollgate's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cli::lint::mesh::{Cluster, Filter, Manager, Mesh, Route, configuration};
use crate::cli::lint::plan::Plan;
use crate::cli::lint::tree::At;
use crate::config::{Address, Fault};

/// The filter state in which the filter names the cluster of the next attempt.
pub(super) const CLUSTER_KEY: &str = "wasm.tollgate.cluster";

/// One of the two roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Gateway,
    Attempt,
}

/// A filter of ours.
#[derive(Clone, Debug)]
pub(super) struct Plugin<'v> {
    /// `listener tollgate` or `cluster openai`.
    pub(super) resource: String,
    /// Its `PluginConfig`.
    pub(super) at: At<'v>,
    /// Its position in its chain.
    pub(super) position: usize,
}

/// What the rules look at.
pub(in crate::cli::lint) struct Scene<'s> {
    pub(super) mesh: &'s Mesh<'s>,
    /// What the config needs.
    pub(super) plan: Option<&'s Plan>,
    /// The config in the dump, where another one was given.
    pub(super) running: Option<&'s Value>,
    /// The faults of the config in the dump.
    pub(super) faults: &'s [Fault],
    /// The connection managers with the role `gateway`.
    pub(super) gateways: Vec<(&'s Manager<'s>, Plugin<'s>)>,
    /// The clusters with the role `attempt`.
    pub(super) attempts: Vec<(&'s Cluster<'s>, Plugin<'s>)>,
    /// What Envoy calls the clusters that attempts go to: those that a matcher of ours names, those with the role, those of
    /// the plan that no matcher gives another name.
    pub(super) targets: BTreeSet<&'s str>,
    /// What our matchers say: the config's name of a cluster, and Envoy's.
    pub(super) matched: BTreeSet<(&'s str, &'s str)>,
}

impl<'s> Scene<'s> {
    pub(in crate::cli::lint) fn new(
        mesh: &'s Mesh<'s>,
        plan: Option<&'s Plan>,
        running: Option<&'s Value>,
        faults: &'s [Fault],
    ) -> Self {
        let attempts: Vec<_> = mesh
            .clusters
            .iter()
            .flat_map(|cluster| {
                plugins(&cluster.filters, Role::Attempt, cluster.resource()).map(move |one| (cluster, one))
            })
            .collect();
        let gateways: Vec<_> = gateways(mesh).collect();
        let routes = gateways.iter().flat_map(|(manager, _)| routes(manager));
        let matched: BTreeSet<_> = routes.filter_map(|route| entries(route)).flatten().collect();
        let planned = plan.iter().flat_map(|plan| plan.clusters.keys()).map(String::as_str);
        let planned = planned.filter(|name| matched.iter().all(|(known, _)| known != name));
        let clusters = matched.iter().map(|(_, cluster)| *cluster);
        let targets = planned.chain(clusters).chain(attempts.iter().map(|(one, _)| one.name)).collect();
        Self { targets, matched, mesh, plan, running, faults, gateways, attempts }
    }

    /// Where the config says that `cluster` leads, by Envoy's name.
    pub(super) fn address(&self, cluster: &str) -> Option<&'s Address> {
        let plan = self.plan?;
        let mut names = self.matched.iter().filter(|(name, to)| *to == cluster && !name.is_empty());
        names.find_map(|(name, _)| plan.clusters.get(*name)).or_else(|| plan.clusters.get(cluster))
    }

    /// Whether the role `attempt` of `cluster` takes what is meant for `name`.
    pub(super) fn takes(&self, cluster: &str, name: &str) -> bool {
        let mut plugins = self.attempts.iter().filter(|(one, _)| one.name == cluster);
        cluster == name || plugins.any(|(_, plugin)| told(plugin).as_deref() == Some(name))
    }

    /// Both roles, wherever they are.
    pub(super) fn plugins(&self) -> impl Iterator<Item = &Plugin<'s>> {
        let gateways = self.gateways.iter().map(|(_, plugin)| plugin);
        gateways.chain(self.attempts.iter().map(|(_, plugin)| plugin))
    }

    /// The connection managers with the role `gateway`, each once.
    pub(super) fn managers(&self) -> impl Iterator<Item = &'s Manager<'s>> {
        let mut last: Option<&str> = None;
        self.gateways.iter().map(|(manager, _)| *manager).filter(move |manager| {
            let is_new = last != Some(manager.at.path.as_str());
            last = Some(manager.at.path.as_str());
            is_new
        })
    }

    /// The routes that lead to a provider: those whose cluster the filter chooses, and those to a target.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&'s Manager<'s>, &'s Route<'s>)> {
        let all = self.managers().flat_map(|manager| routes(manager).map(move |route| (manager, route)));
        all.filter(|(_, route)| entries(route).is_some() || self.leads_to_target(route))
    }

    /// The existing clusters that attempts go to.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &'s Cluster<'s>> {
        self.mesh.clusters.iter().filter(|cluster| self.targets.contains(cluster.name))
    }

    /// Whether `route` names one of the targets itself.
    pub(super) fn leads_to_target(&self, route: &Route<'_>) -> bool {
        let weighted = route.action.get("weighted_clusters").map(|at| at.list("clusters")).unwrap_or_default();
        let named = weighted.iter().filter_map(|one| one.text("name")).chain(route.action.text("cluster"));
        named.into_iter().any(|name| self.targets.contains(name))
    }
}

/// The cluster that a plugin is told it is in, by the config's name.
pub(super) fn told(plugin: &Plugin<'_>) -> Option<String> {
    Some(configuration(&plugin.at)?.get("cluster")?.as_str()?.to_owned())
}

fn routes<'v>(manager: &'v Manager<'v>) -> impl Iterator<Item = &'v Route<'v>> {
    manager.routes.iter().flat_map(|routes| &routes.all)
}

fn gateways<'v>(mesh: &'v Mesh<'v>) -> impl Iterator<Item = (&'v Manager<'v>, Plugin<'v>)> {
    mesh.managers.iter().flat_map(|manager| {
        plugins(&manager.filters, Role::Gateway, manager.resource.clone()).map(move |one| (manager, one))
    })
}

/// The config in the first gateway's plugin.
pub(in crate::cli::lint) fn gateway_configuration(mesh: &Mesh<'_>) -> Option<Value> {
    gateways(mesh).find_map(|(_, plugin)| configuration(&plugin.at))
}

/// What the matcher of `route` says, if it reads our filter state: the names that it knows, each with its cluster. The name
/// of what is taken where none matches is empty.
pub(super) fn entries<'v>(route: &'v Route<'v>) -> Option<BTreeMap<&'v str, &'v str>> {
    let matcher = route.matcher.as_ref()?.get("cluster_matcher")?;
    let tree = matcher.get("matcher_tree")?;
    let input = tree.find(&["input", "typed_config"])?.typed()?;
    if input.message.text("key") != Some(CLUSTER_KEY) {
        return None;
    }
    let cluster = |at: &At<'v>| at.find(&["action", "typed_config"])?.typed()?.message.text("cluster");
    let map = tree.find(&["exact_match_map", "map"]).map(|map| map.members()).unwrap_or_default();
    let named = map.iter().filter_map(|(name, at)| Some((*name, cluster(at)?)));
    Some(named.chain(matcher.get("on_no_match").and_then(|at| Some(("", cluster(&at)?)))).collect())
}

/// Our plugins of `role` among `filters`.
fn plugins<'v>(filters: &'v [Filter<'v>], role: Role, resource: String) -> impl Iterator<Item = Plugin<'v>> {
    let own = filters.iter().enumerate().filter_map(move |(position, filter)| {
        let at = filter.message.as_ref().filter(|_| filter.kind == "Wasm")?.get("config")?;
        (role_of(filter, &at) == Some(role)).then_some((position, at))
    });
    own.map(move |(position, at)| Plugin { resource: resource.clone(), at, position })
}

/// Whether a filter is ours, and which role it has, or was meant to have.
pub(super) fn role_of(filter: &Filter<'_>, plugin: &At<'_>) -> Option<Role> {
    let configuration = configuration(plugin);
    let has = |key: &str| configuration.as_ref().is_some_and(|value| value.get(key).is_some());
    let is_named = || mentions_us(filter, plugin);
    match plugin.text("root_id") {
        Some("gateway") if has("model_list") || is_named() => Some(Role::Gateway),
        Some("attempt") if has("cluster") || is_named() => Some(Role::Attempt),
        _ if !is_named() => None,
        _ if has("model_list") => Some(Role::Gateway),
        _ if has("cluster") => Some(Role::Attempt),
        _ => None,
    }
}

/// Whether a name, a VM or a module is called after us.
fn mentions_us(filter: &Filter<'_>, plugin: &At<'_>) -> bool {
    let vm = plugin.get("vm_config");
    let inside = |path: &[&str], name: &str| vm.as_ref().and_then(|vm| vm.find(path)?.text(name));
    let texts = [
        Some(filter.name),
        plugin.text("name"),
        inside(&[], "vm_id"),
        inside(&["code", "local"], "filename"),
        inside(&["code", "remote", "http_uri"], "uri"),
    ];
    texts.into_iter().flatten().any(|text| text.contains("tollgate"))
}
