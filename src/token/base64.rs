//! Base64: of a PEM file, and of a JWT.
//!
//! Source: RFC 4648, "The Base16, Base32, and Base64 Data Encodings" <https://www.rfc-editor.org/rfc/rfc4648>,
//! sections 4 and 5.

const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `bytes` in the URL-safe alphabet, without padding.
pub(super) fn encode_url(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        let digits = [18, 12, 6, 0].map(|shift| URL_SAFE.get((bits >> shift & 63) as usize).copied().unwrap_or(b'A'));
        out.extend(digits.iter().take(group.len() + 1).map(|&digit| char::from(digit)));
    }
    out
}

/// The bytes of `text` in the standard alphabet; white space is skipped, padding ends it. `None` for anything else.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut digits = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    for byte in digits.by_ref().take_while(|&byte| byte != b'=') {
        bits = bits << 6 | digit(byte)?;
        count += 1;
        if count % 4 == 0 {
            out.extend_from_slice(bits.to_be_bytes().get(1..)?);
            bits = 0;
        }
    }
    match count % 4 {
        1 => return None,
        2 => out.push((bits >> 4) as u8),
        3 => out.extend_from_slice(((bits >> 2) as u16).to_be_bytes().as_slice()),
        _ => {}
    }
    digits.all(|byte| byte == b'=').then_some(out)
}

fn digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(digit))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode_url};
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_vectors_of_the_rfc_go_both_ways() {
        let rows =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, encoded) in rows {
            assert_eq!(encode_url(plain.as_bytes()), encoded.trim_end_matches('='));
            assert_eq!(decode(encoded).unwrap(), plain.as_bytes());
            assert_eq!(decode(encoded.trim_end_matches('=')).unwrap(), plain.as_bytes());
        }
        assert_eq!(encode_url(&[0xfb, 0xff, 0xfe]), "-__-");
        assert_eq!(decode("+//\n+").unwrap(), [0xfb, 0xff, 0xfe]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_base64_is_none() {
        for text in ["A", "AAAAA", "A*==", "Zg==Zg", "-_"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
