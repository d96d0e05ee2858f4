//! The filter that adds a key which ours never sees: `api_key: sds/NAME`.
//!
//! Source: Envoy, "Credential injector"
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/credential_injector_filter>, "Generic
//! credential" <https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/http/injected_credentials/generic/v3/generic.proto>,
//! and what Envoy 1.40.0 was seen to do, 2026-11-23.

use super::template::{fill, scalar};
use crate::config::Secrets;
use crate::provider::Injected;

const FILTER: &str = include_str!("injecting.yaml");
const FOLDER: &str = include_str!("secret_file.yaml");
const CLUSTER: &str = include_str!("secret_server.yaml");

/// The filter as an entry of `http_filters`; the secret comes from `secrets`.
pub(super) fn filter(injected: &Injected, secrets: &Secrets) -> String {
    let source = match secrets {
        Secrets::Folder(folder) => {
            let path = scalar(&format!("{folder}/{}.yaml", injected.name));
            fill(FOLDER, &[("path", path.as_str()), ("folder", &scalar(folder))])
        }
        Secrets::Cluster(cluster) => fill(CLUSTER, &[("cluster", &scalar(cluster))]),
    };
    let (header, prefix) = injected.header.parts();
    let prefix = if prefix.is_empty() { String::new() } else { format!("header_value_prefix: {}", scalar(prefix)) };
    let secret = scalar(&injected.name);
    fill(FILTER, &[("secret", secret.as_str()), ("source", &source), ("header", &scalar(header)), ("prefix", &prefix)])
}
