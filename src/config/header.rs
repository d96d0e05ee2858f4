//! `extra_headers` and `organization`: headers that a deployment adds to every attempt.

use super::read::Node;
use crate::provider::Vendor;

/// Headers that belong to the connection, to the body's framing, or to Envoy and the gateway.
const REFUSED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What only Envoy and the gateway may say.
const RESERVED: &[&str] = &["x-envoy-", "x-tollgate-"];

/// The headers of a deployment, lower-case names.
pub(super) fn headers(params: &Node<'_>, vendor: Option<&Vendor>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, node) in params.section("extra_headers").members() {
        let name = name.to_ascii_lowercase();
        if let Some(message) = objection(&name) {
            node.fault::<()>(message);
        } else if headers.iter().any(|(other, _)| *other == name) {
            node.fault::<()>("expected each header once, found a name that differs by case alone");
        } else if let Some(value) = value(&node) {
            headers.push((name, value));
        }
    }
    let organization =
        value(&params.at("organization")).filter(|_| vendor.is_some_and(|vendor| vendor.prefix.ends_with("openai")));
    if let Some(organization) = organization.filter(|_| !headers.iter().any(|(name, _)| name == "openai-organization"))
    {
        headers.push(("openai-organization".to_owned(), organization));
    }
    headers
}

fn objection(name: &str) -> Option<&'static str> {
    if name.is_empty() || !name.bytes().all(is_token) {
        return Some("expected a header name");
    }
    if REFUSED.contains(&name) || RESERVED.iter().any(|start| name.starts_with(start)) {
        return Some("expected a header that a config may set, found one that is the proxy's own");
    }
    None
}

/// A header's value, which may be a credential: no message quotes it.
fn value(node: &Node<'_>) -> Option<String> {
    let value = node.secret()?;
    if value.expose().chars().any(char::is_control) {
        return node.fault("expected a header value, found control characters");
    }
    Some(value.expose().to_owned())
}

/// Source: RFC 9110, 5.6.2 "Tokens" <https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2>, read 2026-11-23.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
