//! Where the rate limit service is, and what happens without it.

use super::wire;
use crate::config::Address;
use crate::units::Millis;

/// `tollgate.rate_limit_service`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The Envoy cluster that leads to it.
    pub cluster: String,
    /// Where that cluster leads, for `render`; `None`: the cluster is somebody else's.
    pub address: Option<Address>,
    /// The domain, or namespace, that all counters are in.
    pub domain: String,
    /// How long a request may wait for its answer.
    pub timeout: Millis,
    /// `failure_mode: closed`: a request for which the service gives no answer is refused.
    pub fails_closed: bool,
    /// The cluster as a `GrpcService`: see [`wire::grpc_service`].
    pub target: String,
}

impl Service {
    /// A service behind `cluster`.
    pub fn new(cluster: String, address: Option<Address>, domain: String, timeout: Millis, fails_closed: bool) -> Self {
        let target = wire::grpc_service(&cluster);
        Self { cluster, address, domain, timeout, fails_closed, target }
    }
}

/// The gRPC service.
pub const SERVICE: &str = "envoy.service.ratelimit.v3.RateLimitService";

/// Its only method.
pub const METHOD: &str = "ShouldRateLimit";
