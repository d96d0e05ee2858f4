//! Tools, their names, and the choice among them.
//!
//! Source: Anthropic, "Define tools" <https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools>, not re-read for this.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::schema::Typed;
use super::search::WebSearch;
use crate::json::Literal;
use crate::openai::chat::{self, Fault, Function, Raw, Tool};
use crate::provider::tools::{self, Alphabet, Names};

/// The names that it takes.
pub(super) static ALPHABET: Alphabet = Alphabet { longest: 128, begins_with_letter: false };

/// A tool as Anthropic wants it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Declared<'a> {
    Custom {
        #[serde(rename = "type")]
        type_: &'static str,
        name: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<Description<'a>>,
        input_schema: Typed<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
        #[serde(flatten)]
        hints: Hints<'a>,
    },
    /// Anthropic's own tool, as it came.
    Native(&'a RawValue),
    /// The same, said in OpenAI's form.
    Renested {
        #[serde(rename = "type")]
        type_: Cow<'a, str>,
        name: Cow<'a, str>,
        #[serde(flatten)]
        members: BTreeMap<&'a str, &'a RawValue>,
    },
    Search(WebSearch<'a>),
}

/// What steers the use of a tool at Anthropic; it stands beside the function or in it.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Hints<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    allowed_callers: Raw<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    defer_loading: Raw<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    eager_input_streaming: Raw<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    input_examples: Raw<'a>,
}

impl<'a> Hints<'a> {
    fn of(tool: Raw<'a>, function: &'a RawValue) -> Self {
        let read = |raw: &'a RawValue| serde_json::from_str::<Self>(raw.get()).unwrap_or_default();
        let (tool, function) = (tool.map(read).unwrap_or_default(), read(function));
        Self {
            allowed_callers: tool.allowed_callers.or(function.allowed_callers),
            defer_loading: tool.defer_loading.or(function.defer_loading),
            eager_input_streaming: tool.eager_input_streaming.or(function.eager_input_streaming),
            input_examples: tool.input_examples.or(function.input_examples),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Description<'a> {
    Theirs(Literal<'a>),
    Ours(&'static str),
}

impl<'a> Declared<'a> {
    /// A tool with nothing but a name and a schema.
    pub(super) fn bare(name: Cow<'a, str>, description: Option<&'static str>, schema: Raw<'a>) -> Self {
        let description = description.map(Description::Ours);
        let hints = Hints::default();
        Self::Custom { type_: "custom", name, description, input_schema: Typed(schema), cache_control: None, hints }
    }
}

/// Translates `tools`, a JSON array.
pub(super) fn translate<'a>(tools: &'a str, names: &Names) -> Result<Vec<Declared<'a>>, Fault> {
    let all: Vec<Tool<'a>> = chat::objects(tools).map_err(|fault| fault.at("tools"))?;
    let mut declared = Vec::with_capacity(all.len() + 1);
    let raw = OnceCell::new();
    for (i, tool) in all.iter().enumerate() {
        let native = || raw.get_or_init(|| chat::elements(tools).unwrap_or_default()).get(i).copied();
        declared.push(declare(tool, names, native).map_err(|fault| fault.in_element("tools", i))?);
    }
    Ok(declared)
}

fn declare<'a>(tool: &Tool<'a>, names: &Names, native: impl Fn() -> Raw<'a>) -> Result<Declared<'a>, Fault> {
    let type_ = tool.type_.map(chat::string).transpose().map_err(|fault| fault.at("type"))?;
    let Some(function) = tool.function else {
        return match native() {
            Some(own) if type_.is_none_or(|type_| type_ != "function") => Ok(Declared::Native(own)),
            _ => Err(Fault::missing("an object").at("function")),
        };
    };
    let raw = function;
    let function: Function<'a> = chat::object(raw.get()).map_err(|fault| fault.at("function"))?;
    let named = chat::required(function.name, "name").map_err(|fault| fault.at("function"))?;
    if let Some(type_) = type_.filter(|type_| type_.starts_with("computer_")) {
        let members = function.parameters.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        return Ok(Declared::Renested { type_, name: named, members });
    }
    let description = function.description.map(chat::literal).transpose();
    let description = description.map_err(|fault| fault.at("function.description"))?;
    if function.parameters.is_some_and(|schema| !schema.get().starts_with('{')) {
        return Err(Fault::wrong_type("an object").at("function.parameters"));
    }
    Ok(Declared::Custom {
        type_: "custom",
        name: names.upstream(named),
        description: description.filter(|text| !text.inner().is_empty()).map(Description::Theirs),
        input_schema: Typed(function.parameters),
        cache_control: tool.cache_control.or(function.cache_control),
        hints: Hints::of(native(), raw),
    })
}

/// Which tools the model may, must or must not call.
#[derive(Debug, Serialize)]
pub(super) struct Choice<'a> {
    #[serde(rename = "type")]
    pub(super) type_: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disable_parallel_tool_use: bool,
}

impl<'a> Choice<'a> {
    pub(super) fn of(type_: &'static str) -> Self {
        Self { type_, name: None, disable_parallel_tool_use: false }
    }

    pub(super) fn tool(name: Cow<'a, str>) -> Self {
        Self { name: Some(name), ..Self::of("tool") }
    }

    /// Whether the model must call a tool: it cannot think first then.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self.type_, "any" | "tool")
    }
}

impl<'a> From<tools::Choice<'a>> for Choice<'a> {
    fn from(choice: tools::Choice<'a>) -> Self {
        match choice {
            tools::Choice::None => Self::of("none"),
            tools::Choice::Auto => Self::of("auto"),
            tools::Choice::Any => Self::of("any"),
            tools::Choice::Tool(name) => Self::tool(name),
        }
    }
}
