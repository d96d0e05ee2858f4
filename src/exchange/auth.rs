//! Who asks: the holder of a key, or somebody whom Envoy has verified.
//!
//! A key that is known decides, whoever else the client is: it was sent on purpose. One that is blocked or has expired
//! is refused, verified or not. A credential that is no key, such as the token that `jwt_authn` has verified, says
//! nothing: then, and where there is none, the sources of `tollgate.identity` are asked in their order. What stands for
//! the caller is read from Envoy only then, a host call for each part.

use sha2::{Digest as _, Sha256};

use super::locks::Locks;
use super::{Caller, Headers};
use crate::config::identity::From;
use crate::config::{Config, Digest, Identity, Principal, equal};
use crate::error::{Error, Kind};
use crate::store::Store;
use crate::units::Millis;

/// What a caller is judged by beside the headers of the request.
pub struct Scene<'a, S> {
    /// Now.
    pub now: Millis,
    /// What all workers share.
    pub store: &'a S,
    /// Reads a property of the stream, by its path with zero bytes between the parts.
    pub property: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

impl<S> std::fmt::Debug for Scene<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("now", &self.now).finish_non_exhaustive()
    }
}

/// How a browser, which cannot set headers, says its key among the subprotocols of a WebSocket.
///
/// Source: OpenAI, "Realtime API with WebSocket" <https://platform.openai.com/docs/guides/realtime-websocket>, not
/// re-read for this.
pub(super) const KEY_PROTOCOL: &[u8] = b"openai-insecure-api-key.";

/// Where a key may stand, first found wins; where identities are verified, the first that is known does.
///
/// Source: OpenAI, Anthropic, Azure and Google SDKs; the order is LiteLLM's.
const CREDENTIALS: [&str; 5] = ["x-litellm-api-key", "authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// The longest subject, team or user that is read: the longest SPIFFE id.
///
/// Source: SPIFFE, "The SPIFFE Identity and Verifiable Identity Document", 2.3, not re-read for this.
const SUBJECT_BYTES_MAX: usize = 2048;

/// Who sends the request, and the user that Envoy has verified, where no key says which that is.
///
/// # Errors
///
/// `InvalidApiKey`.
pub(super) fn authenticate(
    config: &Config,
    headers: &Headers,
    is_upgrade: bool,
    scene: &Scene<'_, impl Store>,
) -> Result<(Caller, Option<String>), Error> {
    let in_protocol = protocols(headers).filter_map(|protocol| protocol.strip_prefix(KEY_PROTOCOL));
    let sent = credentials(headers).chain(in_protocol.take(1).filter(|_| is_upgrade));
    let mut is_unknown = false;
    for key in sent.take(if config.mesh.sources.is_empty() { 1 } else { usize::MAX }) {
        let digest: Digest = Sha256::digest(key).into();
        if config.master_key.is_some_and(|master| equal(&master, &digest)) {
            return Ok((Caller::Master, None));
        }
        if let Some(i) = config.key_by_digest(&digest) {
            return open(config, i, scene).map(|()| (Caller::Key(i), None));
        }
        is_unknown = true;
    }
    match verified(config, headers, scene.property) {
        Some(found @ (Caller::Verified(Principal::Key(i), _), _)) => open(config, i, scene).map(|()| found),
        Some(found) => Ok(found),
        None if config.allow_anonymous => Ok((Caller::Anonymous, None)),
        None if is_unknown => Err(refused("the API key is not known")),
        None => Err(refused("no API key was given")),
    }
}

fn refused(message: &str) -> Error {
    Error::new(Kind::InvalidApiKey, message)
}

/// Whether the key at this position opens anything.
fn open(config: &Config, i: usize, scene: &Scene<'_, impl Store>) -> Result<(), Error> {
    match config.keys.get(i) {
        Some(key) if key.blocked || Locks::has(scene.store, &key.alias) => Err(refused("the API key is blocked")),
        Some(key) if key.expires.is_some_and(|expires| expires <= scene.now) => Err(refused("the API key has expired")),
        _ => Ok(()),
    }
}

/// Whom Envoy has verified: the first source that leads to somebody.
fn verified(
    config: &Config,
    headers: &Headers,
    property: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Option<(Caller, Option<String>)> {
    config.mesh.sources.iter().find_map(|source| {
        let read = |name: &str| match source.from {
            From::Header => one(headers, name),
            From::Jwt | From::Peer => text(&property(name)?),
        };
        if source.from == From::Peer && property(MTLS)? != [1] {
            return None;
        }
        lead(config, source, &read)
    })
}

/// Whom one source leads to.
fn lead(config: &Config, source: &Identity, read: &dyn Fn(&str) -> Option<String>) -> Option<(Caller, Option<String>)> {
    let subject = read(&source.subject)?;
    let rule = source.rule(&subject);
    let principal = match rule {
        Some(rule) => rule.principal(),
        None => Principal::Member(config.mesh.member(&read(source.team.as_deref()?)?)?),
    };
    if principal.key(config)?.user_id.is_some() {
        return Some((Caller::Verified(principal, None), None));
    }
    let said = || source.user.as_deref().and_then(read);
    let user = rule.and_then(|rule| rule.user.clone()).or_else(said).unwrap_or(subject);
    Some((Caller::Verified(principal, config.mesh.user(&user)), Some(user)))
}

/// The value of a header that came once: of two, one may be the client's own.
fn one(headers: &Headers, name: &str) -> Option<String> {
    let mut values = headers.iter().filter(|(found, _)| *found == name.as_bytes());
    match (values.next(), values.next()) {
        (Some((_, value)), None) => text(value),
        _ => None,
    }
}

/// What can be a name.
fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= SUBJECT_BYTES_MAX)?.trim();
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// Whether the client has shown a certificate: one byte.
///
/// Source: Envoy, "Attributes", connection attributes
/// <https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes>, not re-read for this.
const MTLS: &str = "connection\0mtls";

fn credentials(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    CREDENTIALS.iter().filter_map(|name| {
        let value = headers.get(name)?.trim_ascii();
        let value = match value.split_first_chunk::<7>() {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
            _ => value,
        };
        (!value.is_empty()).then_some(value)
    })
}

/// The subprotocols that a WebSocket's client offers.
pub(super) fn protocols(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let lists = headers.iter().filter(|(name, _)| *name == b"sec-websocket-protocol");
    lists.flat_map(|(_, list)| list.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
