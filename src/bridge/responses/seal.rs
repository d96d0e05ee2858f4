//! Reasoning as the client keeps it between two requests: `encrypted_content` is a JSON array of the provider's own
//! blocks, each of them with what proves it (a signature, or data that only the provider reads).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Literal;
use crate::openai::chat::Raw;

/// A block of reasoning, as a chat completion carries it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) type_: Raw<'a>,
    #[serde(borrow)]
    pub(super) thinking: Raw<'a>,
    #[serde(borrow)]
    pub(super) signature: Raw<'a>,
    #[serde(borrow)]
    pub(super) data: Raw<'a>,
}

impl Block<'_> {
    fn is_proven(&self) -> bool {
        let has = |raw: Raw<'_>| raw.and_then(Literal::new).is_some_and(|text| !text.inner().is_empty());
        match self.type_.map(RawValue::get) {
            Some("\"thinking\"") => has(self.signature),
            Some("\"redacted_thinking\"") => has(self.data),
            _ => false,
        }
    }
}

/// Writes the `encrypted_content` of a readable block, a JSON string; both texts are as they are written inside quotes.
pub(super) fn readable(thinking: &[u8], signature: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#""[{\"type\":\"thinking\",\"thinking\":\""#);
    escape(thinking, out);
    out.extend_from_slice(br#"\",\"signature\":\""#);
    escape(signature, out);
    out.extend_from_slice(br#"\"}]""#);
}

/// Writes the `encrypted_content` of a block that only the provider can read.
pub(super) fn redacted(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#""[{\"type\":\"redacted_thinking\",\"data\":\""#);
    escape(data, out);
    out.extend_from_slice(br#"\"}]""#);
}

/// Writes JSON text inside a JSON string: it holds no control character any more.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// The blocks in an `encrypted_content`; none where somebody else made it.
pub(super) fn open(encrypted_content: Raw<'_>) -> Vec<Box<RawValue>> {
    let text = encrypted_content.and_then(Literal::new).and_then(Literal::decode);
    let blocks = text.and_then(|text| serde_json::from_str::<Vec<Box<RawValue>>>(&text).ok());
    let is_proven = |raw: &RawValue| serde_json::from_str::<Block<'_>>(raw.get()).is_ok_and(|block| block.is_proven());
    blocks.unwrap_or_default().into_iter().filter(|raw| is_proven(raw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_sealed_is_opened() {
        let mut sealed = Vec::new();
        readable(br#"a \"b\" \n \u00e9"#, b"c2ln", &mut sealed);
        let raw: Box<RawValue> = serde_json::from_slice(&sealed).unwrap();
        let blocks = open(Some(&raw));
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].get(), r#"{"type":"thinking","thinking":"a \"b\" \n \u00e9","signature":"c2ln"}"#);
        sealed.clear();
        redacted(b"ZGF0YQ==", &mut sealed);
        let raw: Box<RawValue> = serde_json::from_slice(&sealed).unwrap();
        assert_eq!(open(Some(&raw))[0].get(), r#"{"type":"redacted_thinking","data":"ZGF0YQ=="}"#);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_somebody_else_made_is_ignored() {
        for text in
            [r#""gAAAAAB""#, r#""[1,{\"type\":\"text\"}]""#, r#""[{\"type\":\"thinking\",\"thinking\":\"x\"}]""#, "1"]
        {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            assert!(open(Some(&raw)).is_empty(), "{text}");
        }
    }
}
