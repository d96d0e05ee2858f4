//! JSON schemas: those of tools, and the one that an answer is to keep to.
//!
//! Anthropic's structured outputs take a subset of JSON schema: an object must be closed, and number, length and size
//! constraints are refused. A schema is rewritten accordingly, member by member in its own order, since the model
//! writes its answer in that order.
//!
//! Source: Anthropic, "Structured outputs" <https://platform.claude.com/docs/en/build-with-claude/structured-outputs>,
//! read 2026-11-23: `output_format` with its beta header has become `output_config.format` without one.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::Members;
use crate::openai::chat::{self, Fault, JsonSchema, Raw, ResponseFormat};
use crate::provider::Target;
use crate::provider::given::Given;

/// The tool whose arguments are the answer, for models that cannot be held to a schema otherwise.
pub(super) const JSON_TOOL: &str = "json_tool_call";

/// What the JSON tool says of itself.
pub(super) const JSON_TOOL_DESCRIPTION: &str = "Gives the final answer. Call it once, with the complete answer.";

/// What a model is told that is to answer with some JSON object.
pub(super) const JSON_INSTRUCTION: &str =
    "Answer with exactly one valid JSON object and nothing else: no prose before or after it, no code fence around it.";

/// The form that the answer is to have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format<'a> {
    /// Any.
    Text,
    /// Some JSON object: the model is asked for it.
    JsonObject,
    /// This schema, by Anthropic's structured outputs.
    Native(&'a RawValue),
    /// This schema, by a tool that must be called.
    Tool(&'a RawValue),
}

/// Reads `response_format`.
pub(super) fn format<'a>(given: &Given<'a>, target: &Target) -> Result<Format<'a>, Fault> {
    let Some(text) = given.text("response_format") else { return Ok(Format::Text) };
    read_format(text, target).map_err(|fault| fault.at("response_format"))
}

fn read_format<'a>(text: &'a str, target: &Target) -> Result<Format<'a>, Fault> {
    let format: ResponseFormat<'a> = chat::object(text)?;
    match &*chat::required(format.type_, "type")? {
        "text" => return Ok(Format::Text),
        "json_object" => return Ok(Format::JsonObject),
        "json_schema" => (),
        _ => return Err(Fault::wrong_value("text, json_object or json_schema").at("type")),
    }
    let outer = format.json_schema.ok_or(Fault::missing("an object").at("json_schema"))?;
    let outer: JsonSchema<'a> = chat::object(outer.get()).map_err(|fault| fault.at("json_schema"))?;
    let schema = outer.schema.ok_or(Fault::missing("an object"));
    let schema = schema.and_then(|raw| match raw.get().starts_with('{') {
        true => Ok(raw),
        false => Err(Fault::wrong_type("an object")),
    });
    let schema = schema.map_err(|fault| fault.at("json_schema.schema"))?;
    Ok(if target.supports_response_schema { Format::Native(schema) } else { Format::Tool(schema) })
}

/// The schema of a tool's input, given the type that Anthropic insists on.
#[derive(Debug)]
pub(super) struct Typed<'a>(pub(super) Raw<'a>);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Deserialize)]
        struct Type<'a> {
            #[serde(borrow, rename = "type")]
            _type: Option<&'a RawValue>,
        }
        let has_type = |raw: &RawValue| matches!(serde_json::from_str(raw.get()), Ok(Type { _type: Some(_) }));
        if let Some(raw) = self.0.filter(|raw| has_type(raw)) {
            return raw.serialize(serializer);
        }
        let members = self.0.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Members(Vec::new()));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "object")?;
        if members.0.is_empty() {
            map.serialize_entry("properties", &serde_json::Map::new())?;
        }
        for (key, value) in members.0.iter().filter(|(key, _)| key != "type") {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A schema in the subset that structured outputs take.
#[derive(Debug)]
pub(super) struct Closed<'a>(pub(super) &'a RawValue);

/// What the value of a schema's keyword is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Schema,
    /// An object whose values are schemas.
    Schemas,
    /// An array of schemas.
    List,
    Other,
}

/// The keywords that structured outputs refuse; of `minItems` they take 0 and 1.
const REFUSED: [&str; 11] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

fn place(keyword: &str) -> Place {
    match keyword {
        "properties" | "$defs" | "definitions" => Place::Schemas,
        "anyOf" | "allOf" | "oneOf" | "prefixItems" => Place::List,
        "items" | "not" => Place::Schema,
        _ => Place::Other,
    }
}

impl Serialize for Closed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Placed(self.0, Place::Schema, MAX_LEVELS).serialize(serializer)
    }
}

/// How deep a schema is rewritten: each level reads all below it once more, and Anthropic takes none that deep.
const MAX_LEVELS: u8 = 40;

/// A value, its place, and how many levels below it are rewritten.
struct Placed<'a>(&'a RawValue, Place, u8);

impl Serialize for Placed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.get();
        let Some(levels) = self.2.checked_sub(1) else { return self.0.serialize(serializer) };
        match (self.1, text.as_bytes().first()) {
            (Place::Schema, Some(b'{')) => match serde_json::from_str(text) {
                Ok(members) => close(&members, levels, serializer),
                Err(_) => self.0.serialize(serializer),
            },
            (Place::Schemas, Some(b'{')) => match serde_json::from_str::<Members<'_>>(text) {
                Ok(all) => {
                    let each = all.0.iter().map(|(key, raw)| (key, Placed(raw, Place::Schema, levels)));
                    serializer.collect_map(each)
                }
                Err(_) => self.0.serialize(serializer),
            },
            (Place::List | Place::Schema, Some(b'[')) => match serde_json::from_str::<Vec<&RawValue>>(text) {
                Ok(all) => serializer.collect_seq(all.iter().map(|raw| Placed(raw, Place::Schema, levels))),
                Err(_) => self.0.serialize(serializer),
            },
            _ => self.0.serialize(serializer),
        }
    }
}

fn close<S: Serializer>(members: &Members<'_>, levels: u8, serializer: S) -> Result<S::Ok, S::Error> {
    let is_object = members.0.iter().any(|(key, value)| {
        key == "properties" || (key == "type" && value.get().contains("\"object\"") && !value.get().starts_with('{'))
    });
    let kept = |(key, value): &&(String, &RawValue)| match key.as_str() {
        "additionalProperties" => !is_object,
        "minItems" => matches!(value.get(), "0" | "1"),
        keyword => !REFUSED.contains(&keyword),
    };
    let mut map = serializer.serialize_map(None)?;
    for (key, value) in members.0.iter().filter(kept) {
        map.serialize_entry(key, &Placed(value, place(key), levels))?;
    }
    if is_object {
        map.serialize_entry("additionalProperties", &false)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_schema_is_closed_at_every_depth_and_keeps_its_order() {
        let open = r##"{"type":"object","properties":{"type":{"type":"string","maxLength":3},"z":{"type":["object","null"],"properties":{"minimum":{"type":"integer","minimum":1}},"additionalProperties":true},"a":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/n"}}},"$defs":{"n":{"anyOf":[{"type":"object"},{"enum":["object"]}]}}}"##;
        let closed = r##"{"type":"object","properties":{"type":{"type":"string"},"z":{"type":["object","null"],"properties":{"minimum":{"type":"integer"}},"additionalProperties":false},"a":{"type":"array","minItems":1,"items":{"$ref":"#/$defs/n"}}},"$defs":{"n":{"anyOf":[{"type":"object","additionalProperties":false},{"enum":["object"]}]}},"additionalProperties":false}"##;
        assert_eq!(serde_json::to_string(&Closed(raw(open))).unwrap(), closed);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_tool_schema_always_has_a_type() {
        let write = |schema| serde_json::to_string(&Typed(schema)).unwrap();
        assert_eq!(write(None), r#"{"type":"object","properties":{}}"#);
        assert_eq!(write(Some(raw("{}"))), r#"{"type":"object","properties":{}}"#);
        assert_eq!(write(Some(raw(r#"{"properties":{"a":{}}}"#))), r#"{"type":"object","properties":{"a":{}}}"#);
        assert_eq!(write(Some(raw(r#"{"b": 1,"type":"object"}"#))), r#"{"b": 1,"type":"object"}"#);
    }
}
