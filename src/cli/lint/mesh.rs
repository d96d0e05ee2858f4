//! An Envoy's configuration as the rules look at it: its HTTP connection managers with their filters and routes, and its
//! clusters with theirs.
//!
//! The same resources come from a bootstrap, from files of resources and from a config dump, where those of the bootstrap
//! and those of a control plane stand side by side. Filters that are discovered by themselves (`config_discovery`: Istio's
//! way) are looked up by name.
//!
//! Source: Envoy, "admin/v3/config_dump_shared.proto"
//! <https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump_shared.proto>, not re-read for this; and a dump
//! of Envoy 1.40.0, read 2026-11-23.

use std::collections::BTreeMap;

use serde_json::Value;

use super::source::Envoy;
use super::tree::{At, Typed};
use super::version::Version;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Mesh<'v> {
    /// Of a running Envoy, or of the one that wrote the dump.
    pub(super) version: Option<Version>,
    /// In the order of the documents.
    pub(super) managers: Vec<Manager<'v>>,
    pub(super) clusters: Vec<Cluster<'v>>,
    /// `stats_config` of the bootstrap, or the bootstrap itself.
    pub(super) bootstrap: Option<At<'v>>,
    /// Whether a control plane has more than what is here.
    pub(super) is_partial: bool,
    /// The hosts of clusters that are discovered, where the dump says: by the cluster's name.
    pub(super) hosts: BTreeMap<&'v str, usize>,
}

/// An HTTP connection manager.
#[derive(Debug)]
pub(super) struct Manager<'v> {
    /// `listener 0.0.0.0_8080`.
    pub(super) resource: String,
    pub(super) listener: At<'v>,
    pub(super) at: At<'v>,
    pub(super) filters: Vec<Filter<'v>>,
    pub(super) routes: Option<Routes<'v>>,
}

/// A route configuration.
#[derive(Clone, Debug)]
pub(super) struct Routes<'v> {
    pub(super) at: At<'v>,
    /// Those that a request can come to; which go to Tollgate's clusters is for the rules to find.
    pub(super) all: Vec<Route<'v>>,
}

/// A route, and the virtual host that it is in.
#[derive(Clone, Debug)]
pub(super) struct Route<'v> {
    /// `route tollgate, virtual host *`.
    pub(super) resource: String,
    pub(super) host: At<'v>,
    pub(super) at: At<'v>,
    /// Its `route` member.
    pub(super) action: At<'v>,
    /// The matcher that chooses its cluster, if one does.
    pub(super) matcher: Option<At<'v>>,
}

/// A cluster.
#[derive(Debug)]
pub(super) struct Cluster<'v> {
    pub(super) name: &'v str,
    pub(super) at: At<'v>,
    /// Its `HttpProtocolOptions`.
    pub(super) protocol: Option<At<'v>>,
    pub(super) filters: Vec<Filter<'v>>,
}

/// An HTTP filter, of a connection manager or of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Filter<'v> {
    pub(super) name: &'v str,
    /// The last part of its type: `Wasm`, `Router`.
    pub(super) kind: &'v str,
    /// Its entry in the list.
    pub(super) at: At<'v>,
    /// Its configuration, where that is known.
    pub(super) message: Option<At<'v>>,
}

impl Cluster<'_> {
    /// `cluster openai`.
    pub(super) fn resource(&self) -> String {
        format!("cluster {}", self.name)
    }
}

/// The resources of every document, unread.
#[derive(Default)]
struct Resources<'v> {
    listeners: Vec<At<'v>>,
    clusters: Vec<At<'v>>,
    routes: BTreeMap<&'v str, At<'v>>,
    extensions: BTreeMap<&'v str, At<'v>>,
    endpoints: Vec<At<'v>>,
    bootstrap: Option<At<'v>>,
    is_partial: bool,
}

impl<'v> Mesh<'v> {
    /// Reads what `envoy` says.
    pub(super) fn read(envoy: &'v Envoy) -> Self {
        let mut found = Resources::default();
        for (prefix, value) in &envoy.parts {
            found.add_document(&At::new(value, prefix.as_str()));
        }
        let running =
            envoy.server_info.as_ref().and_then(|info| Version::of_server_info(info.get("version")?.as_str()?));
        let node = found.bootstrap.as_ref().and_then(|bootstrap| bootstrap.get("node"));
        let clusters = found.clusters.iter().map(|at| cluster(at, &found.extensions)).collect();
        Self {
            version: running.or_else(|| Version::of_node(&node?)),
            managers: found.listeners.iter().flat_map(|at| managers(at, &found)).collect(),
            clusters,
            hosts: found.endpoints.iter().filter_map(hosts).collect(),
            is_partial: found.is_partial,
            bootstrap: found.bootstrap,
        }
    }

    /// The cluster `name`.
    pub(super) fn cluster(&self, name: &str) -> Option<&Cluster<'v>> {
        self.clusters.iter().find(|cluster| cluster.name == name)
    }
}

impl<'v> Resources<'v> {
    fn add_document(&mut self, root: &At<'v>) {
        if let Some(configs) = root.get("configs") {
            configs.items().iter().for_each(|part| self.add_dump(part));
            return;
        }
        for resource in root.list("resources") {
            self.add(&resource);
        }
        if root.get("static_resources").is_some() || root.get("dynamic_resources").is_some() {
            self.add_static(root);
            self.bootstrap = Some(root.clone());
        }
    }

    fn add_static(&mut self, bootstrap: &At<'v>) {
        if let Some(resources) = bootstrap.get("static_resources") {
            self.listeners.extend(resources.list("listeners"));
            self.clusters.extend(resources.list("clusters"));
        }
        let dynamic = bootstrap.get("dynamic_resources");
        let asks = |name: &str| dynamic.as_ref().and_then(|dynamic| dynamic.get(name));
        let is_asked = |at: &At<'_>| at.get("path_config_source").is_none() && at.get("path").is_none();
        self.is_partial |= ["lds_config", "cds_config"].into_iter().filter_map(asks).any(|at| is_asked(&at));
    }

    /// One part of a dump. The bootstrap's resources have parts of their own there.
    fn add_dump(&mut self, part: &At<'v>) {
        let states = ["active_state", "warming_state"];
        let active = |entry: &At<'v>| states.iter().find_map(|state| entry.find(&[state, "listener"]));
        let all = |names: [&str; 2], member: &str| -> Vec<At<'v>> {
            names.iter().flat_map(|name| part.list(name)).filter_map(|entry| entry.get(member)).collect()
        };
        match part.typed().map(|typed| typed.kind).unwrap_or_default() {
            "BootstrapConfigDump" => self.bootstrap = part.get("bootstrap"),
            "ListenersConfigDump" => {
                self.listeners.extend(part.list("static_listeners").iter().filter_map(|entry| entry.get("listener")));
                self.listeners.extend(part.list("dynamic_listeners").iter().filter_map(active));
            }
            "ClustersConfigDump" => {
                self.clusters.extend(all(["static_clusters", "dynamic_active_clusters"], "cluster"));
                self.clusters
                    .extend(part.list("dynamic_warming_clusters").iter().filter_map(|entry| entry.get("cluster")));
            }
            "RoutesConfigDump" => {
                let routes = all(["static_route_configs", "dynamic_route_configs"], "route_config");
                self.routes.extend(routes.into_iter().map(|at| (at.name(), at)));
            }
            "EcdsConfigDump" => {
                let filters = part.list("ecds_filters").into_iter().filter_map(|entry| entry.get("ecds_filter"));
                self.extensions.extend(filters.map(|at| (at.name(), at)));
            }
            "EndpointsConfigDump" => {
                self.endpoints.extend(all(["static_endpoint_configs", "dynamic_endpoint_configs"], "endpoint_config"));
            }
            _ => {}
        }
    }

    /// A resource of a file, by its type.
    fn add(&mut self, at: &At<'v>) {
        match at.typed().map(|typed| typed.kind).unwrap_or_default() {
            "Listener" => self.listeners.push(at.clone()),
            "Cluster" => self.clusters.push(at.clone()),
            "RouteConfiguration" => _ = self.routes.insert(at.name(), at.clone()),
            "TypedExtensionConfig" => _ = self.extensions.insert(at.name(), at.clone()),
            _ => {}
        }
    }
}

/// The connection managers of a listener.
fn managers<'v>(listener: &At<'v>, found: &Resources<'v>) -> Vec<Manager<'v>> {
    let chains = listener.list("filter_chains").into_iter().chain(listener.get("default_filter_chain"));
    let filters = chains.flat_map(|chain| chain.list("filters"));
    let typed = filters.filter_map(|filter| filter.get("typed_config")?.typed());
    let managers = typed.filter(|typed| typed.kind == "HttpConnectionManager");
    managers
        .map(|Typed { message: at, .. }| Manager {
            resource: format!("listener {}", label(listener)),
            listener: listener.clone(),
            filters: at.list("http_filters").iter().map(|entry| filter(entry, &found.extensions)).collect(),
            routes: routes(&at, found),
            at,
        })
        .collect()
}

/// The name of a listener, or its address where it has none.
fn label(listener: &At<'_>) -> String {
    let socket = || listener.find(&["address", "socket_address"]);
    match (listener.name(), socket()) {
        ("", Some(at)) => {
            format!("{}:{}", at.text("address").unwrap_or_default(), at.number("port_value").unwrap_or_default())
        }
        (name, _) => name.to_owned(),
    }
}

/// The routes of a connection manager: in its own place, or discovered.
fn routes<'v>(manager: &At<'v>, found: &Resources<'v>) -> Option<Routes<'v>> {
    let named = || found.routes.get(manager.get("rds")?.text("route_config_name")?).cloned();
    let at = manager.get("route_config").or_else(named)?;
    let specifiers: BTreeMap<&str, At<'v>> = at
        .list("cluster_specifier_plugins")
        .iter()
        .filter_map(|plugin| plugin.get("extension"))
        .map(|extension| (extension.name(), extension))
        .collect();
    let mut all = Vec::new();
    for host in at.list("virtual_hosts") {
        for (i, route) in host.list("routes").into_iter().enumerate() {
            let Some(action) = route.get("route") else { continue };
            let label = if route.name().is_empty() { i.to_string() } else { route.name().to_owned() };
            let extension = action.find(&["inline_cluster_specifier_plugin", "extension"]);
            let extension = extension.or_else(|| specifiers.get(action.text("cluster_specifier_plugin")?).cloned());
            let typed = extension.and_then(|extension| extension.get("typed_config")?.typed());
            all.push(Route {
                resource: format!("route {label} of virtual host {}", host.name()),
                host: host.clone(),
                at: route,
                action,
                matcher: typed.filter(|typed| typed.kind == "MatcherClusterSpecifier").map(|typed| typed.message),
            });
            if all.last().is_some_and(|route| is_catch_all(&route.at)) {
                break;
            }
        }
    }
    Some(Routes { at, all })
}

/// Whether no request comes to the routes behind this one.
fn is_catch_all(route: &At<'_>) -> bool {
    let is_it = |at: At<'_>| at.text("prefix") == Some("/") && at.members().len() == 1;
    route.get("match").is_some_and(is_it)
}

fn cluster<'v>(at: &At<'v>, extensions: &BTreeMap<&'v str, At<'v>>) -> Cluster<'v> {
    let protocol = at.find(&["typed_extension_protocol_options", HTTP_OPTIONS]);
    let protocol = protocol.and_then(|options| options.typed()).map(|typed| typed.message);
    let filters = protocol.as_ref().map(|options| options.list("http_filters")).unwrap_or_default();
    let filters = filters.iter().map(|entry| filter(entry, extensions)).collect();
    Cluster { name: at.name(), at: at.clone(), protocol, filters }
}

fn filter<'v>(at: &At<'v>, extensions: &BTreeMap<&'v str, At<'v>>) -> Filter<'v> {
    let name = at.name();
    let discovered = || {
        let discovery = at.get("config_discovery")?;
        let found = extensions.get(name).and_then(|extension| extension.get("typed_config"));
        found.or_else(|| discovery.get("default_config"))
    };
    let typed = at.get("typed_config").or_else(discovered).and_then(|config| config.typed());
    let kind = typed.as_ref().map(|typed| typed.kind).unwrap_or_default();
    Filter { name, kind, at: at.clone(), message: typed.map(|typed| typed.message) }
}

/// How many hosts an assignment has.
fn hosts<'v>(at: &At<'v>) -> Option<(&'v str, usize)> {
    let localities = at.list("endpoints");
    let count = localities.iter().map(|locality| locality.list("lb_endpoints").len()).sum();
    Some((at.text("cluster_name")?, count))
}

/// The configuration of a plugin in an `Any`: a `Struct`, or JSON in a string.
pub(super) fn configuration(plugin: &At<'_>) -> Option<Value> {
    let value = plugin.get("configuration")?.get("value")?.value;
    match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    }
}

const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
