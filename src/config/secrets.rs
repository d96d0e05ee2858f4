//! `tollgate.secrets`: where Envoy has the secrets from that `api_key: sds/NAME` names. The filter has no use for it.

use super::keys::known_members;
use super::read::Node;
use super::support::Section;

/// Where Envoy looks for a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// The file `NAME.yaml` of this folder, taken up anew when another one is moved into its place.
    Folder(String),
    /// The SDS server behind this cluster of Envoy's, by gRPC.
    Cluster(String),
}

impl Default for Secrets {
    fn default() -> Self {
        Self::Folder("/etc/envoy/secrets".to_owned())
    }
}

/// `{path: /etc/envoy/secrets}` or `{cluster: sds}`.
pub(super) fn secrets(tollgate: &Node<'_>) -> Secrets {
    let node = tollgate.section("secrets");
    known_members(&node, Section::TollgateSecrets);
    match (node.at("path").name(), node.at("cluster").name()) {
        (Some(_), Some(_)) => {
            node.fault::<()>("expected `path` or `cluster`, found both");
            Secrets::default()
        }
        (Some(path), None) => Secrets::Folder(path.trim_end_matches('/').to_owned()),
        (None, Some(cluster)) => Secrets::Cluster(cluster),
        (None, None) => Secrets::default(),
    }
}
