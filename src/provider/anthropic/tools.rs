//! Tools, their names, and the choice among them.
//!
//! Source: Anthropic, "Define tools" <https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools>, not re-read for this.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::schema::Typed;
use super::search::WebSearch;
use crate::json::Literal;
use crate::openai::chat::{self, Fault, Function, Raw, Tool};

/// The longest name of a tool.
const MAX_NAME_BYTES: usize = 128;

/// The names that Anthropic refuses, each with the one sent in its place.
///
/// A name that is taken gets a number that no other name of the request gets, so that many of them cost no more than
/// each for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    theirs: BTreeMap<String, String>,
    ours: BTreeMap<String, String>,
}

impl Names {
    /// Reads the names of `tools`, a JSON array. Tools that make no sense have none: [`translate`] refuses them.
    pub(super) fn read(tools: Option<&str>) -> Self {
        let names = tools.map(declared).unwrap_or_default();
        let mut renamed = Self::default();
        if names.iter().all(|name| is_name(name)) {
            return renamed;
        }
        let declared: BTreeSet<&str> = names.iter().map(|name| &**name).collect();
        let mut number = 1_u64;
        for &name in declared.iter().filter(|name| !is_name(name)) {
            let mut candidate = alike(name, "");
            while declared.contains(candidate.as_str()) || renamed.ours.contains_key(&candidate) {
                number += 1;
                candidate = alike(name, &format!("_{number}"));
            }
            renamed.theirs.insert(name.to_owned(), candidate.clone());
            renamed.ours.insert(candidate, name.to_owned());
        }
        renamed
    }

    /// The name that Anthropic gets.
    pub(super) fn upstream<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        match self.theirs.get(&*name) {
            Some(theirs) => Cow::Owned(theirs.clone()),
            None if is_name(&name) => name,
            None => Cow::Owned(alike(&name, "")),
        }
    }

    /// The client's name for one of Anthropic's; `None` where they are the same.
    pub(super) fn downstream(&self, name: &str) -> Option<&str> {
        self.ours.get(name).map(String::as_str)
    }
}

fn declared(tools: &str) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        function: Option<Function<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Function<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let tools: Vec<Tool<'_>> = serde_json::from_str(tools).unwrap_or_default();
    tools.into_iter().filter_map(|tool| Some(tool.function?.name)).collect()
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_name_byte)
}

/// The same text with `_` for every character outside Anthropic's alphabet.
pub(super) fn replace_bad(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && is_name_byte(c as u8) { c } else { '_' }).collect()
}

/// A name that Anthropic takes, made of `name`, with `suffix` at its end.
fn alike(name: &str, suffix: &str) -> String {
    let mut alike = replace_bad(name);
    alike.truncate(MAX_NAME_BYTES.saturating_sub(suffix.len()));
    if alike.is_empty() {
        alike.push('_');
    }
    alike + suffix
}

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

/// Translates `tool_choice`.
pub(super) fn choice<'a>(raw: &'a RawValue, names: &Names) -> Result<Choice<'a>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named<'a> {
        #[serde(borrow, rename = "type")]
        type_: Raw<'a>,
        #[serde(borrow)]
        function: Raw<'a>,
        #[serde(borrow)]
        name: Raw<'a>,
    }
    if Literal::new(raw).is_some() {
        return word(&chat::string(raw)?);
    }
    if !raw.get().starts_with('{') {
        return Err(Fault::wrong_type("a string or an object"));
    }
    let named: Named<'a> = chat::object(raw.get())?;
    let type_ = chat::required(named.type_, "type")?;
    let name = match &*type_ {
        "function" => {
            let function = named.function.ok_or(Fault::missing("an object").at("function"))?;
            let function: Function<'a> = chat::object(function.get()).map_err(|fault| fault.at("function"))?;
            chat::required(function.name, "name").map_err(|fault| fault.at("function"))?
        }
        "tool" => chat::required(named.name, "name")?,
        other => return word(other).map_err(|fault| fault.at("type")),
    };
    Ok(Choice::tool(names.upstream(name)))
}

fn word(word: &str) -> Result<Choice<'static>, Fault> {
    match word {
        "auto" => Ok(Choice::of("auto")),
        "required" | "any" => Ok(Choice::of("any")),
        "none" => Ok(Choice::of("none")),
        _ => Err(Fault::wrong_value("auto, required, none or a function")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn names_come_back_and_never_collide() {
        let long = "x".repeat(200);
        let all = ["get_weather", "get.weather", "get weather", "wetter_für", &long, ""];
        let tools: Vec<_> = all.iter().map(|n| format!(r#"{{"function":{{"name":"{n}"}}}}"#)).collect();
        let names = Names::read(Some(&format!("[{}]", tools.join(","))));
        let mut seen = Vec::new();
        for name in all {
            let theirs = names.upstream(name.into());
            assert!(is_name(&theirs), "{theirs}");
            assert!(!seen.contains(&theirs), "{theirs} twice");
            assert_eq!(names.downstream(&theirs).unwrap_or(&theirs), name);
            seen.push(theirs);
        }
    }
}
