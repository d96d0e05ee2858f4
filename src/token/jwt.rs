//! The assertion that a Google service account signs to get a token.
//!
//! Source: Google, "Using OAuth 2.0 for Server to Server Applications", section "HTTP/REST"
//! <https://developers.google.com/identity/protocols/oauth2/service-account>, not re-read for this; RFC 7523, "JSON Web
//! Token (JWT) Profile for OAuth 2.0" <https://www.rfc-editor.org/rfc/rfc7523>.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::units::Millis;

/// Google's bound on the life of an assertion.
const LIFETIME_SECS: u64 = 3600;

/// All of Google Cloud, as LiteLLM asks for it; what the account may do decides.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    typ: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

/// Who asserts, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assertion<'a> {
    pub(super) email: &'a str,
    pub(super) key_id: Option<&'a str>,
    /// The token endpoint's URL.
    pub(super) audience: &'a str,
}

impl Assertion<'_> {
    /// What is signed: `header.claims`.
    pub(super) fn unsigned(&self, now: Millis) -> String {
        let iat = now.0 / 1000;
        let header = Header { alg: "RS256", typ: "JWT", kid: self.key_id };
        let exp = iat.saturating_add(LIFETIME_SECS);
        let claims = Claims { iss: self.email, scope: SCOPE, aud: self.audience, iat, exp };
        let [header, claims] = [serde_json::to_vec(&header), serde_json::to_vec(&claims)]
            .map(|part| URL_SAFE_NO_PAD.encode(part.unwrap_or_default()));
        format!("{header}.{claims}")
    }
}

/// The whole assertion.
pub(super) fn signed(unsigned: &str, signature: &[u8]) -> String {
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}
