//! What a config needs of the Envoy that serves it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cli::render;
use crate::config::identity::{self, From, Identity};
use crate::config::{self, Address, Config};
use crate::telemetry::RecordFields;
use crate::telemetry::metric::LABELS;

/// What one config needs.
#[derive(Debug)]
pub(super) struct Plan {
    /// The config as typed.
    pub(super) document: Value,
    /// Where attempts go, by the cluster's name.
    pub(super) clusters: BTreeMap<String, Address>,
    /// Where the filter itself asks: the cluster's name, and for what.
    pub(super) others: BTreeMap<String, &'static str>,
    /// The longest request body, in bytes.
    pub(super) body_bytes: u64,
    /// What the buffer of a virtual host should be, in bytes: the longest body or answer, and some room.
    pub(super) buffer_bytes: u64,
    /// How long a stream may be silent, in seconds: longer than any deployment may take.
    pub(super) idle_secs: u64,
    /// The environment variables that the filter asks for.
    pub(super) variables: BTreeSet<String>,
    /// The fields of the record that become filter state.
    pub(super) fields: Vec<&'static str>,
    /// Whom the config trusts to have verified the client.
    pub(super) identities: Identities,
}

/// Whom `tollgate.identity` takes names from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Identities {
    /// `from: jwt`, where jwt_authn leaves it.
    pub(super) jwt: bool,
    /// `from: header`.
    pub(super) header: bool,
}

impl Plan {
    /// The plan of `document`, which compiles to `config`.
    pub(super) fn new(document: &Value, config: &Config) -> Self {
        let deployments = config.deployments.iter();
        let tokens = config.token_sources();
        let mut others: BTreeMap<String, &'static str> =
            tokens.iter().map(|source| (source.cluster.clone(), "access tokens")).collect();
        others.extend(
            config.rate_limit_service.iter().map(|service| (service.cluster.clone(), "the rate limit service")),
        );
        let sources = &config.mesh.sources;
        // Other filters may leave claims, too, under their own names.
        let is_jwt_authn = |source: &Identity| source.from == From::Jwt && source.subject.contains(identity::JWT_AUTHN);
        Self {
            document: document.clone(),
            clusters: deployments.map(|one| (one.cluster.clone(), one.address.clone())).collect(),
            others,
            body_bytes: config.max_request_bytes,
            buffer_bytes: render::buffer_limit(config),
            idle_secs: render::idle_timeout_secs(config),
            variables: config::environment(document),
            fields: fields(config.record_fields),
            identities: Identities {
                jwt: sources.iter().any(is_jwt_authn),
                header: sources.iter().any(|source| source.from == From::Header),
            },
        }
    }
}

fn fields(wanted: RecordFields) -> Vec<&'static str> {
    if wanted == RecordFields::NONE { Vec::new() } else { wanted.names().collect() }
}

/// What becomes a label of the filter's counters.
pub(super) const METRIC_LABELS: &[&str] = &LABELS;

/// The longest body where no config says one, in bytes: LiteLLM's users send images in 32 MiB.
pub(super) const BODY_BYTES: u64 = 32 << 20;
