//! Envoy's foreign function `sign`: what it is given, and what it gives.
//!
//! Source: Envoy, `source/extensions/common/wasm/foreign.cc` and `ext/sign.proto`
//! <https://github.com/envoyproxy/envoy/tree/main/source/extensions/common/wasm>, the former read 2026-11-23; Envoy 1.37.

use crate::config::document::{Fields, Payload};

/// The name of the function.
pub const NAME: &str = "sign";

/// `SignArguments { string hash_function = 1; bytes private_key = 2; bytes text = 3; }`, the key in DER.
pub fn arguments(private_key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(private_key.len() + text.len() + 32);
    for (number, bytes) in [(1_u8, b"sha256".as_slice()), (2, private_key), (3, text)] {
        out.push(number << 3 | 2);
        let mut len = bytes.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(bytes);
    }
    out
}

/// The signature in `SignResult { bool result = 1; bytes signature = 2; string error = 3; }`.
pub fn signature(result: &[u8]) -> Option<Vec<u8>> {
    let (mut is_signed, mut signature) = (false, None);
    let mut fields = Fields(result);
    while let Some((number, payload)) = fields.next()? {
        match (number, payload) {
            (1, Payload::Varint(flag)) => is_signed = flag != 0,
            (2, Payload::Bytes(bytes)) => signature = Some(bytes.to_vec()),
            _ => {}
        }
    }
    signature.filter(|signature| is_signed && !signature.is_empty())
}
