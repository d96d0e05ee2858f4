//! The request for a token, and how its answer is read.
//!
//! Source: RFC 6749, "The OAuth 2.0 Authorization Framework" <https://www.rfc-editor.org/rfc/rfc6749>, sections 4.4, 5.1,
//! 5.2 and 6. Google, Microsoft and IBM differ in the grant alone; the metadata server in a header.

use std::fmt;

use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::jwt::{self, Assertion};
use super::pem;
use super::source::{Grant, Source};
use crate::secret::Secret;
use crate::units::Millis;

/// How long a token endpoint may take.
pub const TIMEOUT: Millis = Millis::from_secs(10);

/// A token that says no lifetime is used this long.
const UNSAID_SECS: u64 = 300;

/// The longest life that is believed.
const LONGEST_SECS: u64 = 86_400;

/// The longest token. Google's have at most 2 KiB; those of Entra ID with many groups have more.
const LONGEST_TOKEN: usize = 16 << 10;

/// A request to a token endpoint.
#[derive(Debug)]
pub struct Call<'a> {
    /// All headers, the pseudo-headers among them.
    pub headers: Vec<(&'static str, &'a str)>,
    /// The form; none for the metadata server. It holds secrets.
    pub body: Option<Secret>,
}

/// A token, and how long it is good.
#[derive(Debug)]
pub struct Granted {
    /// The token itself.
    pub token: Secret,
    /// From the moment at which it was asked for.
    pub lifetime: Millis,
}

/// Why there is no token: without a secret, and without the endpoint's own words, which may hold some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request could not be signed.
    Unsigned,
    /// Envoy has no such cluster, or no way to it.
    NoRoute,
    /// The endpoint hung up.
    NoAnswer,
    /// It refused, with OAuth's word for why and the vendor's own number.
    Refused {
        /// The HTTP status.
        status: u16,
        /// `invalid_grant AADSTS7000215`, or empty.
        code: String,
    },
    /// It answered something else than a token.
    Nonsense,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("Envoy could not sign with the private key"),
            Self::NoRoute => f.write_str("Envoy has no such cluster, or no host in it"),
            Self::NoAnswer => f.write_str("the token endpoint did not answer"),
            Self::Refused { status, code } if code.is_empty() => write!(f, "the token endpoint answered {status}"),
            Self::Refused { status, code } => write!(f, "the token endpoint answered {status}: {code}"),
            Self::Nonsense => f.write_str("the token endpoint answered no access token"),
        }
    }
}

impl Source {
    /// What is sent. `sign` makes the signature of a text, RSASSA-PKCS1-v1_5 with SHA-256, with a private key in DER.
    ///
    /// # Errors
    ///
    /// `Unsigned`.
    pub fn call(&self, now: Millis, sign: impl FnOnce(&[u8], &[u8]) -> Option<Vec<u8>>) -> Result<Call<'_>, Failure> {
        let method = if self.grant == Grant::Metadata { "GET" } else { "POST" };
        let scheme = if self.address.tls { "https" } else { "http" };
        let mut headers = vec![
            (":method", method),
            (":scheme", scheme),
            (":authority", self.authority.as_str()),
            (":path", self.path.as_str()),
            ("accept", "application/json"),
            ("user-agent", concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
        ];
        headers.push(match self.grant {
            Grant::Metadata => ("metadata-flavor", "Google"),
            _ => ("content-type", "application/x-www-form-urlencoded"),
        });
        Ok(Call { headers, body: self.form(now, sign)? })
    }

    fn form(&self, now: Millis, sign: impl FnOnce(&[u8], &[u8]) -> Option<Vec<u8>>) -> Result<Option<Secret>, Failure> {
        let form = match &self.grant {
            Grant::Metadata => return Ok(None),
            Grant::ServiceAccount { email, key_id, private_key, audience } => {
                let unsigned = Assertion { email, key_id: key_id.as_deref(), audience }.unsigned(now);
                let der = pem::der(private_key.expose()).ok_or(Failure::Unsigned)?;
                let signature = sign(&der, unsigned.as_bytes()).ok_or(Failure::Unsigned)?;
                let assertion = jwt::signed(&unsigned, &signature);
                form(&[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)])
            }
            Grant::RefreshToken { client_id, client_secret, refresh_token } => form(&[
                ("grant_type", "refresh_token"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("refresh_token", refresh_token.expose()),
            ]),
            Grant::ClientSecret { client_id, client_secret, scope } => form(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.expose()),
                ("scope", scope),
            ]),
            Grant::ApiKey(key) => {
                form(&[("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key.expose())])
            }
        };
        Ok(Some(Secret::new(form)))
    }
}

/// Reads the answer of any token endpoint; `status` 0 is none.
///
/// # Errors
///
/// There is no token in it.
pub fn read(status: u16, body: &[u8]) -> Result<Granted, Failure> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    if !(200..300).contains(&status) {
        let code = json.as_ref().map(code).unwrap_or_default();
        return Err(if status == 0 { Failure::NoAnswer } else { Failure::Refused { status, code } });
    }
    let json = json.ok_or(Failure::Nonsense)?;
    let token = json.get("access_token").and_then(Value::as_str).ok_or(Failure::Nonsense)?;
    // What is no word of visible characters cannot stand in a header.
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::Nonsense);
    }
    let secs = match json.get("expires_in") {
        None | Some(Value::Null) => UNSAID_SECS,
        Some(Value::String(text)) => text.parse().map_err(|_| Failure::Nonsense)?,
        Some(secs) => secs.as_f64().ok_or(Failure::Nonsense)?.max(0.0) as u64,
    };
    if secs == 0 {
        return Err(Failure::Nonsense);
    }
    Ok(Granted { token: Secret::new(token), lifetime: Millis::from_secs(secs.min(LONGEST_SECS)) })
}

/// What of an error may be told: `error` (OAuth), `errorCode` (IBM), the `AADSTS` number (Microsoft).
fn code(json: &Value) -> String {
    let is_word = |word: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        (1..=64).contains(&word.len()) && word.chars().all(is_plain)
    };
    let named = ["error", "errorCode"].into_iter().filter_map(|name| json.get(name)?.as_str()).filter(is_word);
    let description = json.get("error_description").and_then(Value::as_str).unwrap_or_default();
    let number = description.split(':').next().filter(|word| word.starts_with("AADSTS")).filter(is_word);
    named.chain(number).collect::<Vec<_>>().join(" ")
}

fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}
