//! The form that an answer is to have: Anthropic's schema as OpenAI's strict one.
//!
//! OpenAI's strict mode wants every object closed and each of its properties required.
//!
//! Source: OpenAI, "Structured outputs" <https://platform.openai.com/docs/guides/structured-outputs>, Anthropic,
//! "Structured outputs" <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>, not re-read for this.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::Body;
use crate::json::Index;
use crate::openai::chat::{self, Fault, Raw};

/// `response_format`.
#[derive(Serialize)]
pub(super) struct ResponseFormat {
    #[serde(rename = "type")]
    type_: &'static str,
    json_schema: JsonSchema,
}

#[derive(Serialize)]
struct JsonSchema {
    name: &'static str,
    schema: Box<RawValue>,
    strict: bool,
}

/// The name of a schema that has none.
const NAME: &str = "structured_output";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    schema: Raw<'a>,
}

/// Reads `output_format`, else `output_config.format`.
pub(super) fn format(body: Body<'_>) -> Result<Option<ResponseFormat>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Config<'a> {
        #[serde(borrow)]
        format: Raw<'a>,
    }
    let (format, path) = match (body.raw("output_format"), body.text("output_config")) {
        (Some(format), _) => (Some(format), "output_format"),
        (None, Some(config)) => {
            let config: Config<'_> = chat::object(config).map_err(|fault| fault.at("output_config"))?;
            (config.format.filter(|raw| raw.get() != "null"), "output_config.format")
        }
        (None, None) => (None, ""),
    };
    format.map(read).transpose().map_err(|fault| fault.at(path))
}

fn read(raw: &RawValue) -> Result<ResponseFormat, Fault> {
    let format: Format<'_> = chat::object(raw.get())?;
    if chat::required(format.type_, "type")? != "json_schema" {
        return Err(Fault::wrong_value("json_schema").at("type"));
    }
    let schema = format.schema.filter(|raw| raw.get().starts_with('{'));
    let schema = schema.ok_or(Fault::missing("an object").at("schema"))?;
    let mut closed = Vec::with_capacity(schema.get().len() + 64);
    close(schema.get().as_bytes(), &mut closed);
    let closed = String::from_utf8(closed).ok().and_then(|text| RawValue::from_string(text).ok());
    let schema = closed.unwrap_or_else(|| schema.to_owned());
    let json_schema = JsonSchema { name: NAME, schema, strict: true };
    Ok(ResponseFormat { type_: "json_schema", json_schema })
}

/// Writes `schema` with every object in it closed; what is no object goes on as it is. No deeper than the text is.
fn close(schema: &[u8], out: &mut Vec<u8>) {
    let Ok(index) = Index::parse(schema) else { return out.extend_from_slice(schema) };
    let value = |key: &str| index.get(key).and_then(|member| schema.get(member.value.clone()));
    let is_object = value("type") == Some(b"\"object\"");
    let properties = value("properties").filter(|_| is_object).and_then(|text| Index::parse(text).ok());
    out.push(b'{');
    for member in index.members() {
        if properties.is_some() && matches!(member.key.as_str(), "additionalProperties" | "required") {
            continue;
        }
        name(&member.key, out);
        let value = schema.get(member.value.clone()).unwrap_or_default();
        match member.key.as_str() {
            "properties" | "$defs" | "definitions" => close_each_member(value, out),
            "anyOf" | "oneOf" | "allOf" => close_each_element(value, out),
            "items" => close(value, out),
            _ => out.extend_from_slice(value),
        }
    }
    if let Some(properties) = properties {
        name("additionalProperties", out);
        out.extend_from_slice(b"false");
        name("required", out);
        let all: Vec<&str> = properties.members().iter().map(|member| member.key.as_str()).collect();
        // Writing strings to memory cannot fail.
        let _written = serde_json::to_writer(&mut *out, &all);
    }
    out.push(b'}');
}

fn close_each_member(object: &[u8], out: &mut Vec<u8>) {
    let Ok(index) = Index::parse(object) else { return out.extend_from_slice(object) };
    out.push(b'{');
    for member in index.members() {
        name(&member.key, out);
        close(object.get(member.value.clone()).unwrap_or_default(), out);
    }
    out.push(b'}');
}

fn close_each_element(array: &[u8], out: &mut Vec<u8>) {
    let Ok(elements) = serde_json::from_slice::<Vec<&RawValue>>(array) else { return out.extend_from_slice(array) };
    out.push(b'[');
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        close(element.get().as_bytes(), out);
    }
    out.push(b']');
}

fn name(key: &str, out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    let _written = serde_json::to_writer(&mut *out, key);
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn every_object_is_closed_and_keeps_its_order() {
        for (schema, expected) in [
            (r#"{"type":"object"}"#, r#"{"type":"object"}"#),
            (
                r#"{"type":"object","required":["b"],"properties":{"b":{"type":"array","items":{"properties":{},"type":"object"}},"a":{"anyOf":[{"type":"null"},true]}}}"#,
                r#"{"type":"object","properties":{"b":{"type":"array","items":{"properties":{},"type":"object","additionalProperties":false,"required":[]}},"a":{"anyOf":[{"type":"null"},true]}},"additionalProperties":false,"required":["b","a"]}"#,
            ),
        ] {
            let mut out = Vec::new();
            close(schema.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
