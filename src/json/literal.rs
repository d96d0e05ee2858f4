//! JSON strings carried from one document to another as they are written: never unescaped, never escaped again.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON string, quotes and escapes included.
#[derive(Clone, Copy, Debug)]
pub struct Literal<'a>(&'a RawValue);

impl<'a> Literal<'a> {
    /// `None` where `raw` is no string.
    pub fn new(raw: &'a RawValue) -> Option<Self> {
        raw.get().starts_with('"').then_some(Self(raw))
    }

    /// What stands between the quotes, escapes and all.
    pub fn inner(self) -> &'a str {
        let text = self.0.get();
        text.get(1..text.len().saturating_sub(1)).unwrap_or_default()
    }

    /// The string that is meant; `None` for half a surrogate pair, which no Rust string can hold.
    pub fn decode(self) -> Option<Cow<'a, str>> {
        let inner = self.inner();
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.0.get()).ok().map(Cow::Owned)
    }

    /// Whether it has nothing but white space in it. An exotic space (`\u00a0`) counts as text.
    pub fn is_blank(self) -> bool {
        let mut rest = self.inner().as_bytes();
        loop {
            rest = match rest {
                [] => return true,
                [b' ', tail @ ..] | [b'\\', b'n' | b'r' | b't', tail @ ..] => tail,
                _ => return false,
            };
        }
    }

    /// The length of the string that is meant, in bytes of UTF-8.
    pub fn decoded_len(self) -> u64 {
        let mut rest = self.inner().as_bytes();
        let mut len = 0;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let (bytes, skip) = escape_len(rest.get(at + 1..).unwrap_or_default());
            len += at + bytes;
            rest = rest.get(at + 1 + skip..).unwrap_or_default();
        }
        (len + rest.len()) as u64
    }
}

/// What an escape stands for and how long it is written, both in bytes and without the backslash.
fn escape_len(escape: &[u8]) -> (usize, usize) {
    let [b'u', digits @ ..] = escape else { return (1, 1) };
    let code = digits.get(..4).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| u16::from_str_radix(d, 16).ok());
    let bytes = match code.unwrap_or_default() {
        0..0x80 => 1,
        // Each half of a surrogate pair stands for half of four bytes.
        0x80..0x800 | 0xd800..0xe000 => 2,
        _ => 3,
    };
    (bytes, 5)
}

impl<'de: 'a, 'a> Deserialize<'de> for Literal<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Self::new(raw).ok_or_else(|| D::Error::custom("expected a string"))
    }
}

impl Serialize for Literal<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A string on its way out: as it came in, or of our own making.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Text<'a> {
    /// As it came in.
    Literal(Literal<'a>),
    /// Of our own making.
    Plain(Cow<'a, str>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn literal(text: &str) -> Literal<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn lengths_are_those_of_the_decoded_string() {
        for text in [r#""""#, r#""plain é""#, r#""a\n\"b\"\\""#, r#""\u0041\u00e9\u20ac\ud83d\ude00x""#] {
            let decoded: String = serde_json::from_str(text).unwrap();
            assert_eq!(literal(text).decoded_len(), decoded.len() as u64, "{text}");
            assert_eq!(literal(text).decode().unwrap(), decoded);
        }
        assert_eq!(literal(r#""\ud83d""#).decode(), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn white_space_is_blank_however_it_is_written() {
        for (text, blank) in [(r#""""#, true), (r#"" \n\t\r ""#, true), (r#"" \n.""#, false), (r#""\\n""#, false)] {
            assert_eq!(literal(text).is_blank(), blank, "{text}");
        }
        assert!(serde_json::from_str::<Literal<'_>>("1").is_err());
    }
}
