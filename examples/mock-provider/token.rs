//! Token endpoints: Google's, its metadata server, Entra ID's, IBM's. Each checks what it is given and issues tokens
//! that `issued=1` asks for.
//!
//! | path | what it takes |
//! | --- | --- |
//! | `<prefix>/token` | the assertion of `service-account.json`, signature and all, or the refresh token `mock-refresh-token` |
//! | `<prefix>/computeMetadata/v1/.../token` | GET with `metadata-flavor: Google` and without `x-forwarded-for` |
//! | `<prefix>/<tenant>/oauth2/v2.0/token` | client `mock-client` with `mock-secret` |
//! | `<prefix>/identity/token` | API key `mock-api-key` |
//!
//! A token lives for an hour, or as long as `expires-in=N` says.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use ring::rsa::KeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use tokio::time::Instant;

use crate::reply::Reply;
use crate::script::Script;
use crate::value::{object, text_at};

const ACCOUNT: &str = include_str!("service-account.json");
const METADATA: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const LIFETIME_SECS: u64 = 3600;

/// The tokens that were given out, until they expire.
#[derive(Default)]
pub(crate) struct Issued(Mutex<BTreeMap<String, Instant>>);

/// Why no token is issued: status, `error`, and what a person is told.
type Refusal = (u16, &'static str, &'static str);

impl Issued {
    /// Answers a request for a token; `None` where it is for something else.
    pub(crate) fn answer(
        &self,
        head: &Parts,
        body: &Bytes,
        script: &Script,
        serial: impl Fn() -> u64,
    ) -> Option<Reply> {
        let path = head.uri.path();
        if !path.ends_with("/token") {
            return None;
        }
        let refused = script.fault.status.filter(|status| *status != 200);
        let checked = match refused {
            Some(status) => Err((status, "temporarily_unavailable", "mock-provider was told to refuse")),
            None => check(head, path, body),
        };
        Some(match checked {
            Ok(()) => self.issue(script, serial()),
            Err((status, error, description)) => Reply::json(
                StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
                &object! {"error": error, "error_description": description},
            ),
        })
    }

    fn issue(&self, script: &Script, serial: u64) -> Reply {
        let secs = script.shape.expires_in.unwrap_or(LIFETIME_SECS);
        let token = format!("ey.mock-token-{serial}");
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        tokens.retain(|_, end| *end > now);
        tokens.insert(token.clone(), now + Duration::from_secs(secs));
        let answer = object! {"access_token": token, "expires_in": secs, "token_type": "Bearer"};
        Reply::json(StatusCode::OK, &answer)
    }

    /// Whether the request's bearer token is one of these, and not expired.
    pub(crate) fn covers(&self, head: &Parts) -> bool {
        let header = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = header.strip_prefix("Bearer ").and_then(|token| tokens.get(token));
        end.is_some_and(|end| *end > Instant::now())
    }
}

fn check(head: &Parts, path: &str, body: &Bytes) -> Result<(), Refusal> {
    if path.ends_with(METADATA) {
        return check_metadata(head);
    }
    let is_form = head.headers.get("content-type").is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    if head.method != Method::POST || !is_form {
        return Err((400, "invalid_request", "expected a form by POST"));
    }
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let has = |name: &str, value: &str| form.get(name).is_some_and(|found| found == value);
    if path.ends_with("/oauth2/v2.0/token") {
        let is_known = has("client_id", "mock-client") && has("client_secret", "mock-secret");
        return match (has("grant_type", "client_credentials"), is_known) {
            (false, _) => Err((400, "unsupported_grant_type", "AADSTS70003: The grant type is not supported.")),
            (true, false) => Err((401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")),
            (true, true) if form.get("scope").is_some_and(|scope| scope.ends_with("/.default")) => Ok(()),
            (true, true) => Err((400, "invalid_scope", "AADSTS70011: The scope is not valid.")),
        };
    }
    if path.ends_with("/identity/token") {
        let is_known = has("grant_type", "urn:ibm:params:oauth:grant-type:apikey") && has("apikey", "mock-api-key");
        return if is_known { Ok(()) } else { Err((400, "BXNIM0415E", "Provided API key could not be found.")) };
    }
    match form.get("grant_type").map(String::as_str) {
        Some("urn:ietf:params:oauth:grant-type:jwt-bearer") => {
            verify(form.get("assertion").map_or("", String::as_str), &head_url(head))
        }
        Some("refresh_token")
            if has("client_id", "mock-client")
                && has("client_secret", "mock-secret")
                && has("refresh_token", "mock-refresh-token") =>
        {
            Ok(())
        }
        Some("refresh_token") => Err((400, "invalid_grant", "Token has been expired or revoked.")),
        _ => Err((400, "unsupported_grant_type", "Invalid grant_type")),
    }
}

fn check_metadata(head: &Parts) -> Result<(), Refusal> {
    let flavor = head.headers.get("metadata-flavor");
    if head.method != Method::GET || flavor.is_none_or(|flavor| flavor != "Google") {
        return Err((403, "forbidden", "Missing Metadata-Flavor:Google header."));
    }
    if head.headers.contains_key("x-forwarded-for") {
        return Err((403, "forbidden", "X-Forwarded-For is not allowed."));
    }
    Ok(())
}

/// The URL that the client must have used.
fn head_url(head: &Parts) -> String {
    let host = head.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    format!("http://{host}{}", head.uri)
}

/// Verifies an assertion of the account as Google does.
fn verify(assertion: &str, audience: &str) -> Result<(), Refusal> {
    const BAD: Refusal = (400, "invalid_grant", "Invalid JWT Signature.");
    let account: Value = serde_json::from_str(ACCOUNT).unwrap_or_default();
    let (signed, signature) = assertion.rsplit_once('.').ok_or(BAD)?;
    let (header, claims) = signed.split_once('.').ok_or(BAD)?;
    let key = public_key(text_at(&account, "/private_key").unwrap_or_default()).ok_or(BAD)?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    key.verify(signed.as_bytes(), &base64(signature).ok_or(BAD)?).map_err(|_| BAD)?;
    let [header, claims] = [header, claims]
        .map(|part| base64(part).and_then(|json| serde_json::from_slice::<Value>(&json).ok()).unwrap_or_default());
    if text_at(&header, "/alg") != Some("RS256") || text_at(&header, "/kid") != text_at(&account, "/private_key_id") {
        return Err(BAD);
    }
    if text_at(&claims, "/iss") != text_at(&account, "/client_email") || text_at(&claims, "/aud") != Some(audience) {
        return Err((400, "invalid_grant", "Invalid issuer or audience."));
    }
    if text_at(&claims, "/scope") != Some(SCOPE) {
        return Err((400, "invalid_scope", "Invalid OAuth scope."));
    }
    let (now, number) = (unix_secs(), |name: &str| claims.get(name)?.as_u64());
    match number("iat").zip(number("exp")) {
        Some((iat, exp)) if iat <= now + 60 && now < exp && exp > iat && exp - iat <= 3600 => Ok(()),
        _ => Err((400, "invalid_grant", "Invalid JWT: check your iat and exp values.")),
    }
}

fn public_key(pem: &str) -> Option<Vec<u8>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = KeyPair::from_pkcs8(&base64(&body)?).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

#[expect(clippy::disallowed_types, reason = "a provider has a clock")]
fn unix_secs() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Base64 in either alphabet, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}
