//! The plugin's configuration as Envoy hands it over: a `google.protobuf.Struct` on the wire, or JSON text.
//!
//! Envoy's documentation says that a `Struct` arrives as JSON; Envoy 1.40 hands over its protobuf bytes (seen in a
//! test). A `StringValue` arrives as its text. Both are read.
//!
//! Source: Protocol Buffers, "Encoding" <https://protobuf.dev/programming-guides/encoding/> and
//! `google/protobuf/struct.proto`, read 2026-11-23.

use serde_json::{Map, Number, Value};

/// The deepest nesting read, as serde_json's own.
const MAX_DEPTH: usize = 128;

/// Reads a configuration; `None` when it is neither.
pub fn read(bytes: &[u8]) -> Option<Value> {
    match serde_json::from_slice(bytes) {
        Ok(json) => Some(json),
        Err(_) => object(bytes, 0),
    }
}

/// One field of a message: its number and its payload.
pub(crate) enum Payload<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
}

/// The fields of a message that are left.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next field; the outer `None` is a fault, the inner one the end.
    pub(crate) fn next(&mut self) -> Option<Option<(u64, Payload<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(*self.take(8)?.first_chunk()?),
            2 => {
                let len = self.varint()?.try_into().ok()?;
                Payload::Bytes(self.take(len)?)
            }
            _ => return None,
        };
        Some(Some((tag >> 3, payload)))
    }
}

/// `Struct { map<string, Value> fields = 1; }`
fn object(bytes: &[u8], depth: usize) -> Option<Value> {
    let mut map = Map::new();
    let mut fields = Fields(bytes);
    while let Some((number, payload)) = fields.next()? {
        if let (1, Payload::Bytes(entry)) = (number, payload) {
            let (key, value) = entry_of(entry, depth)?;
            map.insert(key, value);
        }
    }
    Some(Value::Object(map))
}

/// A map entry: `string key = 1; Value value = 2;`
fn entry_of(bytes: &[u8], depth: usize) -> Option<(String, Value)> {
    let (mut key, mut value) = (String::new(), Value::Null);
    let mut fields = Fields(bytes);
    while let Some((number, payload)) = fields.next()? {
        match (number, payload) {
            (1, Payload::Bytes(text)) => key = std::str::from_utf8(text).ok()?.to_owned(),
            (2, Payload::Bytes(message)) => value = value_of(message, depth + 1)?,
            _ => {}
        }
    }
    Some((key, value))
}

/// `ListValue { repeated Value values = 1; }`
fn list(bytes: &[u8], depth: usize) -> Option<Value> {
    let mut values = Vec::new();
    let mut fields = Fields(bytes);
    while let Some((number, payload)) = fields.next()? {
        if let (1, Payload::Bytes(message)) = (number, payload) {
            values.push(value_of(message, depth + 1)?);
        }
    }
    Some(Value::Array(values))
}

/// `Value`: null 1, number 2, string 3, bool 4, struct 5, list 6.
fn value_of(bytes: &[u8], depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut value = Value::Null;
    let mut fields = Fields(bytes);
    while let Some((number, payload)) = fields.next()? {
        value = match (number, payload) {
            (1, Payload::Varint(_)) => Value::Null,
            (2, Payload::Fixed64(bits)) => number_of(f64::from_le_bytes(bits)),
            (3, Payload::Bytes(text)) => Value::String(std::str::from_utf8(text).ok()?.to_owned()),
            (4, Payload::Varint(flag)) => Value::Bool(flag != 0),
            (5, Payload::Bytes(message)) => object(message, depth)?,
            (6, Payload::Bytes(message)) => list(message, depth)?,
            _ => value,
        };
    }
    Some(value)
}

/// Every number of a `Struct` is a double; a whole one is an integer to its reader.
fn number_of(double: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if double.fract() == 0.0 && double.abs() <= EXACT {
        return Value::from(double as i64);
    }
    Number::from_f64(double).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut len = bytes.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(bytes);
        out
    }

    fn encode(value: &Value) -> Vec<u8> {
        match value {
            Value::Null => vec![8, 0],
            Value::Bool(flag) => vec![32, u8::from(*flag)],
            Value::Number(number) => [&[17][..], &number.as_f64().unwrap().to_le_bytes()].concat(),
            Value::String(text) => field(3, text.as_bytes()),
            Value::Array(values) => {
                field(6, &values.iter().flat_map(|value| field(1, &encode(value))).collect::<Vec<_>>())
            }
            Value::Object(_) => field(5, &encode_object(value)),
        }
    }

    fn encode_object(value: &Value) -> Vec<u8> {
        let entry =
            |(key, value): (&String, &Value)| field(1, &[field(1, key.as_bytes()), field(2, &encode(value))].concat());
        value.as_object().unwrap().iter().flat_map(entry).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn protobuf_and_json_say_the_same() {
        let value = json!({"model_list": [{"a": 1, "b": -2.5, "c": null, "d": [true, false, []], "e": {"é": "x".repeat(300)}}], "n": 1e15});
        let wire = encode_object(&value);
        assert_eq!(read(&wire).unwrap(), json!({"model_list": value["model_list"], "n": 1_000_000_000_000_000_i64}));
        assert_eq!(read(value.to_string().as_bytes()).unwrap(), value);
        for cut in 0..wire.len() {
            let _ = read(&wire[..cut]);
        }
        let mut deep = json!(1);
        (0..200).for_each(|_| deep = json!([deep]));
        assert_eq!(read(&encode_object(&json!({ "deep": deep }))), None);
    }
}
