//! AWS's signatures, checked as AWS checks them: the canonical request is made anew from what arrived.
//!
//! Written from knowledge of AWS's "Create a signed AWS API request"
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>; the page was not read
//! for it. Checked against signatures of botocore's.

use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

/// The keys that are known here: AWS's own example, and another.
const KEYS: &[(&str, &str)] =
    &[("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), ("AKIDOTHER", "another+secret/of+the+mock")];

/// SHA-256's block, in bytes.
const BLOCK_BYTES: usize = 64;

/// Checks the signature of a request.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn verify(head: &Parts, body: &[u8]) -> Result<(), &'static str> {
    let authorization = text(head, "authorization").ok_or("Missing Authentication Token")?;
    let fields = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("the algorithm is unknown")?;
    let field = |name: &str| fields.split(',').find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
    let (Some(credential), Some(signed), Some(signature)) =
        (field("Credential"), field("SignedHeaders"), field("Signature"))
    else {
        return Err("the authorization header is incomplete");
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let &[key, date, region, service, "aws4_request"] = scope.as_slice() else {
        return Err("the credential has another form");
    };
    let (_, secret) = KEYS.iter().find(|(id, _)| *id == key).ok_or("The security token is invalid.")?;
    let time = text(head, "x-amz-date").filter(|time| time.starts_with(date)).ok_or("the date is another")?;
    if !["host", "x-amz-date"].iter().all(|name| signed.split(';').any(|found| found == *name)) {
        return Err("host and date must be signed");
    }
    let payload = hex(&Sha256::digest(body));
    if text(head, "x-amz-content-sha256").is_some_and(|told| told != payload) {
        return Err("the payload has another hash");
    }
    let canonical = canonical(head, signed, &payload).ok_or("a signed header is missing")?;
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let mut chain = format!("AWS4{secret}").into_bytes();
    for part in [date, region, service, "aws4_request", &to_sign] {
        chain = hmac(&chain, part.as_bytes());
    }
    if hex(&chain) == signature {
        Ok(())
    } else {
        Err("The request signature we calculated does not match the signature you provided.")
    }
}

fn canonical(head: &Parts, signed: &str, payload: &str) -> Option<String> {
    let mut canonical = format!("{}\n{}\n\n", head.method, encoded(head.uri.path()));
    for name in signed.split(';') {
        let value = text(head, name)?.split_whitespace().collect::<Vec<_>>().join(" ");
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    canonical.push_str(&format!("\n{signed}\n{payload}"));
    Some(canonical)
}

/// The path as it came, every segment encoded once more, as for every service but S3.
fn encoded(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn text<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|value| value.to_str().ok())
}

/// Source: RFC 2104 <https://www.rfc-editor.org/rfc/rfc2104>, not read for it.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = if key.len() > BLOCK_BYTES { Sha256::digest(key).to_vec() } else { key.to_vec() };
    block.resize(BLOCK_BYTES, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
