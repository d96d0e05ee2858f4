//! JSON schemas: those of tools, and the one that an answer is to keep to.
//!
//! A tool's schema keeps, at its root, what Converse's models read: `type`, `properties`, `required`,
//! `additionalProperties`; references are replaced by what they refer to. The schema of an answer goes as text, closed
//! at every depth; for Claude without the constraints that it refuses.
//!
//! Source: AWS, "Structured outputs" <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>, not
//! re-read for this; requests captured from LiteLLM 1.109.1.

use std::cell::Cell;

use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::model::Model;
use crate::json::Members;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw, ResponseFormat};
use crate::provider::given::Given;

/// The tool whose arguments are the answer, for models that cannot be held to a schema otherwise.
pub(super) const JSON_TOOL: &str = "json_tool_call";

/// The form that the answer is to have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format<'a> {
    /// Any; some JSON object too, which Converse has no word for.
    Text,
    /// This schema, by `outputConfig`.
    Native(Schema<'a>),
    /// This schema, by a tool that must be called.
    Tool(Schema<'a>),
}

/// `json_schema` of a `response_format`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schema<'a> {
    pub(super) schema: &'a RawValue,
    name: Option<Literal<'a>>,
    description: Option<Literal<'a>>,
    is_claudes: bool,
}

impl<'a> Schema<'a> {
    /// What a tool with this schema says of itself.
    pub(super) fn description(&self) -> Text<'a> {
        self.description.map_or_else(|| Text::Plain(JSON_TOOL.into()), Text::Literal)
    }
}

/// Reads `response_format`.
pub(super) fn format<'a>(given: &Given<'a>, model: Model<'a>, is_thinking: bool) -> Result<Format<'a>, Fault> {
    let Some(text) = given.text("response_format") else { return Ok(Format::Text) };
    read_format(text, model, is_thinking).map_err(|fault| fault.at("response_format"))
}

fn read_format<'a>(text: &'a str, model: Model<'a>, is_thinking: bool) -> Result<Format<'a>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Outer<'a> {
        #[serde(borrow)]
        name: Raw<'a>,
        #[serde(borrow)]
        description: Raw<'a>,
        #[serde(borrow)]
        schema: Raw<'a>,
    }
    let format: ResponseFormat<'a> = chat::object(text)?;
    match &*chat::required(format.type_, "type")? {
        "text" | "json_object" => return Ok(Format::Text),
        "json_schema" => (),
        _ => return Err(Fault::wrong_value("text, json_object or json_schema").at("type")),
    }
    let outer = format.json_schema.ok_or(Fault::missing("an object").at("json_schema"))?;
    let outer: Outer<'a> = chat::object(outer.get()).map_err(|fault| fault.at("json_schema"))?;
    let schema = outer.schema.ok_or(Fault::missing("an object"));
    let schema = schema.and_then(|raw| match raw.get().starts_with('{') {
        true => Ok(raw),
        false => Err(Fault::wrong_type("an object")),
    });
    let schema = schema.map_err(|fault| fault.at("json_schema.schema"))?;
    let [name, description] = [outer.name, outer.description].map(|raw| raw.and_then(Literal::new));
    let description = description.filter(|text| !text.is_blank());
    let schema = Schema { schema, name, description, is_claudes: model.is_claude() };
    Ok(if model.keeps_schema(is_thinking) { Format::Native(schema) } else { Format::Tool(schema) })
}

/// `outputConfig` with a schema.
impl Serialize for Schema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Config<'a> {
            text_format: Format<'a>,
        }
        #[derive(Serialize)]
        struct Format<'a> {
            #[serde(rename = "type")]
            type_: &'static str,
            structure: Structure<'a>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Structure<'a> {
            json_schema: Definition<'a>,
        }
        #[derive(Serialize)]
        struct Definition<'a> {
            schema: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            name: Option<Literal<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            description: Option<Literal<'a>>,
        }
        let refused: &[&str] = if self.is_claudes { &REFUSED } else { &[] };
        let closed = Placed {
            raw: self.schema,
            place: Place::Schema,
            levels: MAX_LEVELS,
            rewriting: Rewriting::Closing(refused),
        };
        let schema = serde_json::to_string(&closed).map_err(S::Error::custom)?;
        let json_schema = Definition { schema, name: self.name, description: self.description };
        let text_format = Format { type_: "json_schema", structure: Structure { json_schema } };
        Config { text_format }.serialize(serializer)
    }
}

/// The schema of a tool's input.
#[derive(Debug)]
pub(super) struct Input<'a> {
    members: Members<'a>,
    /// Whether references can be replaced: none is circular, and all of it together is not too much.
    inlines: bool,
}

impl<'a> Input<'a> {
    pub(super) fn of(schema: Raw<'a>) -> Self {
        let members = schema.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Members(Vec::new()));
        let mut input = Self { members, inlines: false };
        let has_references = schema.is_some_and(|raw| raw.get().contains("\"$ref\""));
        input.inlines = has_references && {
            let budget = Cell::new(MAX_INLINED);
            let measured =
                input.rewritten(Rewriting::Inlining(&Definitions { all: input.definitions(), budget: &budget }));
            measured && budget.get() > 0
        };
        input
    }

    /// Whether every part can be written with references replaced.
    fn rewritten(&self, rewriting: Rewriting<'_, 'a>) -> bool {
        let parts = self.members.0.iter().filter(|(key, _)| !is_definitions(key));
        let mut all = parts.map(|(key, raw)| Placed { raw, place: place(key), levels: MAX_LEVELS, rewriting });
        all.all(|placed| serde_json::to_writer(std::io::sink(), &placed).is_ok())
    }

    fn definitions(&self) -> Vec<(String, &'a RawValue)> {
        let of = |(key, raw): &(String, &'a RawValue)| {
            let inner: Members<'a> = serde_json::from_str(raw.get()).ok()?;
            Some(inner.0.into_iter().map(|(name, raw)| (format!("#/{key}/{name}"), raw)).collect::<Vec<_>>())
        };
        self.members.0.iter().filter(|(key, _)| is_definitions(key)).filter_map(of).flatten().collect()
    }
}

fn is_definitions(key: &str) -> bool {
    key == "$defs" || key == "definitions"
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const TYPES: [&str; 6] = ["\"array\"", "\"boolean\"", "\"integer\"", "\"null\"", "\"number\"", "\"string\""];
        let budget = Cell::new(MAX_INLINED);
        let definitions = Definitions { all: self.definitions(), budget: &budget };
        let rewriting = if self.inlines { Rewriting::Inlining(&definitions) } else { Rewriting::Nothing };
        let member = |name: &str| self.members.0.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
        let placed = |raw, place| Placed { raw, place, levels: MAX_LEVELS, rewriting };
        let mut map = serializer.serialize_map(None)?;
        match member("type").filter(|raw| TYPES.contains(&raw.get())) {
            Some(type_) => map.serialize_entry("type", type_)?,
            None => map.serialize_entry("type", "object")?,
        }
        match member("properties").filter(|raw| raw.get().starts_with('{')) {
            Some(raw) => map.serialize_entry("properties", &placed(raw, Place::Schemas))?,
            None => map.serialize_entry("properties", &serde_json::Map::new())?,
        }
        match member("required").filter(|raw| raw.get().starts_with('[')) {
            Some(raw) => map.serialize_entry("required", raw)?,
            None => map.serialize_entry("required", &[(); 0])?,
        }
        if let Some(raw) = member("additionalProperties") {
            map.serialize_entry("additionalProperties", &placed(raw, Place::Schema))?;
        }
        let kept = self.members.0.iter().filter(|(key, _)| !self.inlines && is_definitions(key) && self.refers());
        for (key, raw) in kept {
            map.serialize_entry(key, raw)?;
        }
        map.end()
    }
}

impl Input<'_> {
    fn refers(&self) -> bool {
        self.members.0.iter().any(|(key, raw)| !is_definitions(key) && raw.get().contains("\"$ref\""))
    }
}

/// What references refer to, and how many more may be replaced.
#[derive(Debug)]
struct Definitions<'b, 'a> {
    all: Vec<(String, &'a RawValue)>,
    budget: &'b Cell<u32>,
}

/// How many references are replaced at most, each by a copy.
const MAX_INLINED: u32 = 1000;

/// How deep a schema is rewritten: each level reads all below it once more, and no model takes one that deep. A
/// circular reference ends here.
const MAX_LEVELS: u8 = 40;

/// The keywords that Claude's structured outputs refuse; of `minItems` they take 0 and 1.
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

/// What is done to a schema.
#[derive(Clone, Copy, Debug)]
enum Rewriting<'b, 'a> {
    Nothing,
    /// Every object is closed, and these keywords go.
    Closing(&'static [&'static str]),
    /// References give way to what they refer to.
    Inlining(&'b Definitions<'b, 'a>),
}

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

fn place(keyword: &str) -> Place {
    match keyword {
        "properties" | "$defs" | "definitions" | "patternProperties" => Place::Schemas,
        "anyOf" | "allOf" | "oneOf" | "prefixItems" => Place::List,
        "items" | "not" | "additionalProperties" => Place::Schema,
        _ => Place::Other,
    }
}

/// A value, its place, and how many levels below it are rewritten.
#[derive(Clone, Copy, Debug)]
struct Placed<'b, 'a> {
    raw: &'a RawValue,
    place: Place,
    levels: u8,
    rewriting: Rewriting<'b, 'a>,
}

impl Serialize for Placed<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.raw.get();
        let Some(levels) = self.levels.checked_sub(1) else {
            return match self.rewriting {
                Rewriting::Inlining(_) => Err(S::Error::custom("too deep")),
                Rewriting::Nothing | Rewriting::Closing(_) => self.raw.serialize(serializer),
            };
        };
        if let Rewriting::Nothing = self.rewriting {
            return self.raw.serialize(serializer);
        }
        let below = |raw, place| Placed { raw, place, levels, ..*self };
        match (self.place, text.as_bytes().first()) {
            (Place::Schema, Some(b'{')) => match serde_json::from_str(text) {
                Ok(members) => self.schema(&members, levels, serializer),
                Err(_) => self.raw.serialize(serializer),
            },
            (Place::Schemas, Some(b'{')) => match serde_json::from_str::<Members<'_>>(text) {
                Ok(all) => serializer.collect_map(all.0.iter().map(|(key, raw)| (key, below(raw, Place::Schema)))),
                Err(_) => self.raw.serialize(serializer),
            },
            (Place::List | Place::Schema, Some(b'[')) => match serde_json::from_str::<Vec<&RawValue>>(text) {
                Ok(all) => serializer.collect_seq(all.iter().map(|raw| below(raw, Place::Schema))),
                Err(_) => self.raw.serialize(serializer),
            },
            _ => self.raw.serialize(serializer),
        }
    }
}

impl<'a> Placed<'_, 'a> {
    fn schema<S: Serializer>(&self, members: &Members<'a>, levels: u8, serializer: S) -> Result<S::Ok, S::Error> {
        let referred = match self.rewriting {
            Rewriting::Inlining(definitions) => definitions.referred(members).map_err(S::Error::custom)?,
            Rewriting::Nothing | Rewriting::Closing(_) => None,
        };
        let own = |key: &str| members.0.iter().any(|(found, _)| found == key);
        let referred = referred.iter().flat_map(|inner| &inner.0).filter(|(key, _)| !own(key));
        let is_object = members.0.iter().any(|(key, value)| {
            key == "properties"
                || (key == "type" && value.get().contains("\"object\"") && !value.get().starts_with('{'))
        });
        let mut map = serializer.serialize_map(None)?;
        for (key, raw) in members.0.iter().filter(|(key, raw)| self.keeps(key, raw, is_object)).chain(referred) {
            map.serialize_entry(key, &Placed { raw, place: place(key), levels, ..*self })?;
        }
        if let (Rewriting::Closing(_), true) = (self.rewriting, is_object) {
            map.serialize_entry("additionalProperties", &false)?;
        }
        map.end()
    }

    fn keeps(&self, key: &str, raw: &RawValue, is_object: bool) -> bool {
        match self.rewriting {
            Rewriting::Nothing => true,
            Rewriting::Inlining(_) => key != "$ref",
            Rewriting::Closing(refused) => match key {
                "additionalProperties" => !is_object,
                "minItems" => refused.is_empty() || matches!(raw.get(), "0" | "1"),
                key => !refused.contains(&key),
            },
        }
    }
}

impl<'a> Definitions<'_, 'a> {
    /// The members that the `$ref` among `members` stands for.
    fn referred(&self, members: &Members<'a>) -> Result<Option<Members<'a>>, &'static str> {
        let Some((_, raw)) = members.0.iter().find(|(key, _)| key == "$ref") else { return Ok(None) };
        let name = chat::string(raw).map_err(|_| "no reference")?;
        let left = self.budget.get().checked_sub(1).ok_or("too many references")?;
        self.budget.set(left);
        let (_, found) = self.all.iter().find(|(found, _)| *found == name).ok_or("nothing is referred to")?;
        let inner: Members<'a> = serde_json::from_str(found.get()).map_err(|_| "no schema")?;
        match inner.0.iter().any(|(key, _)| key == "$ref") {
            // A definition that is itself a reference, resolved in its turn.
            true => self.referred(&inner),
            false => Ok(Some(inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn input(text: &str) -> String {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        serde_json::to_string(&Input::of(Some(raw))).unwrap()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_tool_schema_has_what_models_read() {
        for (given, sent) in [
            ("{}", r#"{"type":"object","properties":{},"required":[]}"#),
            (
                r#"{"$schema":"x","type":["object","null"],"properties":{"a":{"type":"string"}},"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"a":{"type":"string"}},"required":[],"additionalProperties":false}"#,
            ),
            (
                r##"{"$defs":{"n":{"type":"string","title":"N"},"m":{"$ref":"#/$defs/n"}},"properties":{"a":{"$ref":"#/$defs/m","title":"A"},"b":{"items":{"$ref":"#/$defs/n"}}}}"##,
                r#"{"type":"object","properties":{"a":{"title":"A","type":"string"},"b":{"items":{"type":"string","title":"N"}}},"required":[]}"#,
            ),
            (
                r##"{"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}}}},"properties":{"a":{"$ref":"#/$defs/n"}}}"##,
                r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/n"}},"required":[],"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}}}}}"##,
            ),
        ] {
            assert_eq!(input(given), sent);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn references_that_multiply_are_kept() {
        let level =
            |n: u32| format!(r##""d{n}":{{"anyOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}}"##, n + 1);
        let levels: Vec<_> = (0..30).map(level).collect();
        let text = format!(
            r##"{{"$defs":{{{},"d30":{{}}}},"properties":{{"a":{{"$ref":"#/$defs/d0"}}}}}}"##,
            levels.join(",")
        );
        assert!(input(&text).len() < 2 * text.len());
    }
}
