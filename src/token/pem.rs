//! A private key in PEM.
//!
//! Source: RFC 7468, "Textual Encodings of PKIX, PKCS, and CMS Structures" <https://www.rfc-editor.org/rfc/rfc7468>,
//! section 10.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The DER of the PKCS #8 key that stands in `pem`. Line breaks that were escaped twice are taken for line breaks: keys
/// that went through a shell often have them.
pub(super) fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let der = STANDARD.decode(body.replace("\\n", "").split_ascii_whitespace().collect::<String>()).ok()?;
    // A SEQUENCE that is no stub: what is in it is Envoy's to judge.
    (der.len() > 64 && der.first() == Some(&0x30)).then_some(der)
}
