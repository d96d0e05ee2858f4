//! Which Envoy it is.

use std::fmt;

use super::tree::At;

/// Major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u64, pub(super) u64);

/// The first with `refresh_cluster_on_retry`, which fallbacks are made of.
pub(super) const OLDEST: Version = Version(1, 39);

/// The first on which one cluster can have a target for each priority, with a buffer for its retries
/// (`request_body_buffer_limit`).
pub(super) const OLDEST_BY_PRIORITY: Version = Version(1, 36);

impl Version {
    /// Of `9e55809337.../1.40.0/Clean/RELEASE/BoringSSL`.
    pub(super) fn of_server_info(text: &str) -> Option<Self> {
        text.split('/').find_map(|part| {
            let mut numbers = part.split('.').map(str::parse);
            let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
            numbers.next().map(|_| Self(major, minor))
        })
    }

    /// Of a `node`, which Envoy fills in by itself.
    pub(super) fn of_node(node: &At<'_>) -> Option<Self> {
        let version = node.find(&["user_agent_build_version", "version"])?;
        // Protobuf leaves a zero out.
        let number = |name: &str| version.number(name).unwrap_or_default();
        Some(Self(number("major_number"), number("minor_number")))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_from_envoys_own_words() {
        for (text, version) in [
            ("9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL", Some(Version(1, 40))),
            ("abc/1.39.0-dev/Modified/DEBUG/BoringSSL", Some(Version(1, 39))),
            ("", None),
        ] {
            assert_eq!(Version::of_server_info(text), version, "{text}");
        }
    }
}
