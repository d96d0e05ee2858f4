//! Tools, their names, and the choice among them.
//!
//! Source: AWS, "ToolSpecification"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html>, "ToolChoice"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html>, not re-read for this; "Tool"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Tool.html>, read 2026-11-23.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::blocks::{CachePoint, Reading};
use super::schema::Input;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::tools::{Alphabet, Choice, Names};

/// The names that it takes.
pub(super) static ALPHABET: Alphabet = Alphabet { longest: 64, begins_with_letter: true };

/// An entry of `toolConfig.tools`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Declared<'a> {
    ToolSpec(ToolSpec<'a>),
    CachePoint(CachePoint<'a>),
    SystemTool(SystemTool),
    /// Bedrock's own entry, as it came.
    #[serde(untagged)]
    Native(&'a RawValue),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolSpec<'a> {
    name: Cow<'a, str>,
    description: Text<'a>,
    input_schema: Json<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    json: Input<'a>,
}

/// A tool that Bedrock runs itself.
#[derive(Serialize)]
pub(super) struct SystemTool {
    name: &'static str,
}

impl<'a> Declared<'a> {
    /// The tool whose arguments are the answer.
    pub(super) fn answer(name: &'static str, description: Text<'a>, schema: &'a RawValue) -> Self {
        let input_schema = Json { json: Input::of(Some(schema)) };
        Self::ToolSpec(ToolSpec { name: name.into(), description, input_schema, strict: false })
    }

    /// Nova's web search.
    pub(super) fn grounding() -> Self {
        Self::SystemTool(SystemTool { name: "nova_grounding" })
    }
}

/// What the client's tools come to.
#[derive(Default)]
pub(super) struct Tools<'a> {
    pub(super) declared: Vec<Declared<'a>>,
    /// Anthropic's own tools, which Converse takes among the model's own fields.
    pub(super) native: Vec<&'a RawValue>,
}

/// OpenAI's tool, Anthropic's, or Bedrock's.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    function: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
    #[serde(borrow)]
    input_schema: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
    #[serde(borrow, rename = "toolSpec")]
    tool_spec: Raw<'a>,
    #[serde(borrow, rename = "systemTool")]
    system_tool: Raw<'a>,
    #[serde(borrow, rename = "cachePoint")]
    cache_point: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
    #[serde(borrow)]
    parameters: Raw<'a>,
    #[serde(borrow)]
    strict: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
}

/// Translates `tools`, a JSON array.
pub(super) fn translate<'a>(tools: &'a str, names: &Names, reading: Reading<'a>) -> Result<Tools<'a>, Fault> {
    let all: Vec<Tool<'a>> = chat::objects(tools).map_err(|fault| fault.at("tools"))?;
    let raw = chat::elements(tools).map_err(|fault| fault.at("tools"))?;
    let mut translated = Tools::default();
    for (i, (tool, raw)) in all.iter().zip(raw).enumerate() {
        translated.take(tool, raw, names, reading).map_err(|fault| fault.in_element("tools", i))?;
    }
    Ok(translated)
}

impl<'a> Tools<'a> {
    fn take(&mut self, tool: &Tool<'a>, raw: &'a RawValue, names: &Names, reading: Reading<'a>) -> Result<(), Fault> {
        if tool.tool_spec.or(tool.system_tool).or(tool.cache_point).is_some() {
            self.declared.push(Declared::Native(raw));
            return Ok(());
        }
        let type_ = tool.type_.map(chat::string).transpose().map_err(|fault| fault.at("type"))?.unwrap_or_default();
        if is_anthropics(&type_) {
            self.native.push(raw);
            return Ok(());
        }
        let (function, step) = match (tool.function, tool.input_schema) {
            (Some(function), _) => {
                (chat::object::<Function<'a>>(function.get()).map_err(|fault| fault.at("function"))?, "function.")
            }
            (None, Some(parameters)) => {
                let [name, description] = [tool.name, tool.description];
                (Function { name, description, parameters: Some(parameters), ..Function::default() }, "")
            }
            (None, None) => return Err(Fault::missing("an object").at("function")),
        };
        let point = reading.cache_point(tool.cache_control.or(function.cache_control));
        let spec =
            spec(function, names, reading).map_err(|fault| if step.is_empty() { fault } else { fault.at("function") });
        self.declared.push(Declared::ToolSpec(spec?));
        self.declared.extend(point.map(Declared::CachePoint));
        Ok(())
    }
}

/// Whether a tool of this type is one that Anthropic's models know by themselves.
fn is_anthropics(type_: &str) -> bool {
    ["computer_", "bash_", "text_editor_"].iter().any(|start| type_.starts_with(start))
}

fn spec<'a>(function: Function<'a>, names: &Names, reading: Reading<'a>) -> Result<ToolSpec<'a>, Fault> {
    let name = names.upstream(chat::required(function.name, "name")?);
    let description = function.description.map(chat::literal).transpose().map_err(|fault| fault.at("description"))?;
    if function.parameters.is_some_and(|schema| !schema.get().starts_with('{')) {
        return Err(Fault::wrong_type("an object").at("parameters"));
    }
    let strict = reading.model.takes_strict() && function.strict.is_some_and(|strict| strict.get() == "true");
    let description = description.filter(|text: &Literal<'a>| !text.is_blank());
    Ok(ToolSpec {
        description: description.map_or_else(|| Text::Plain(name.clone()), Text::Literal),
        name,
        input_schema: Json { json: Input::of(function.parameters) },
        strict,
    })
}

/// `toolChoice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen<'a>(pub(super) Choice<'a>);

impl Serialize for Chosen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing = BTreeMap::<&str, &str>::new();
        let mut map = serializer.serialize_map(Some(1))?;
        match &self.0 {
            Choice::None | Choice::Auto => map.serialize_entry("auto", &nothing)?,
            Choice::Any => map.serialize_entry("any", &nothing)?,
            Choice::Tool(name) => map.serialize_entry("tool", &BTreeMap::from([("name", name)]))?,
        }
        map.end()
    }
}
