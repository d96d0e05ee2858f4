//! Tools, their names, and the choice among them.
//!
//! Source: AWS, "ToolSpecification"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html>, "ToolChoice"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html>, not re-read for this; "Tool"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Tool.html>, read 2026-11-23.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::blocks::{CachePoint, Reading};
use super::schema::Input;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw};

/// The longest name of a tool.
const MAX_NAME_BYTES: usize = 64;

/// The names that Bedrock refuses, each with the one sent in its place.
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

    /// The name that Bedrock gets.
    pub(super) fn upstream<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        match self.theirs.get(&*name) {
            Some(theirs) => Cow::Owned(theirs.clone()),
            None if is_name(&name) => name,
            None => Cow::Owned(alike(&name, "")),
        }
    }

    /// The client's name for one of Bedrock's.
    pub(super) fn downstream<'a>(&'a self, name: &'a str) -> &'a str {
        self.ours.get(name).map_or(name, String::as_str)
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

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_name(name: &str) -> bool {
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    begins_well && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_name_byte)
}

/// A name that Bedrock takes, made of `name` as LiteLLM does, with `suffix` at its end.
fn alike(name: &str, suffix: &str) -> String {
    let mut alike = String::with_capacity(name.len() + 1);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        alike.push('a');
    }
    alike.extend(name.chars().map(|c| if c.is_ascii() && is_name_byte(c as u8) { c } else { '_' }));
    alike.truncate(MAX_NAME_BYTES.saturating_sub(suffix.len()));
    alike + suffix
}

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

/// Which tools the model may or must call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice<'a> {
    None,
    Auto,
    Any,
    Tool(Cow<'a, str>),
}

impl Choice<'_> {
    /// Whether the model must call a tool: Claude cannot think first then.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self, Self::Any | Self::Tool(_))
    }
}

impl Serialize for Choice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nothing = BTreeMap::<&str, &str>::new();
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::None | Self::Auto => map.serialize_entry("auto", &nothing)?,
            Self::Any => map.serialize_entry("any", &nothing)?,
            Self::Tool(name) => map.serialize_entry("tool", &BTreeMap::from([("name", name)]))?,
        }
        map.end()
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
    Ok(Choice::Tool(names.upstream(name)))
}

fn word(word: &str) -> Result<Choice<'static>, Fault> {
    match word {
        "auto" => Ok(Choice::Auto),
        "required" | "any" => Ok(Choice::Any),
        "none" => Ok(Choice::None),
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
        let all = ["get_weather", "get.weather", "get weather", "1st", "a1st", "wetter_für", &long, ""];
        let tools: Vec<_> = all.iter().map(|n| format!(r#"{{"function":{{"name":"{n}"}}}}"#)).collect();
        let names = Names::read(Some(&format!("[{}]", tools.join(","))));
        let mut seen = Vec::new();
        for name in all {
            let theirs = names.upstream(name.into());
            assert!(is_name(&theirs), "{theirs}");
            assert!(!seen.contains(&theirs), "{theirs} twice");
            assert_eq!(names.downstream(&theirs), name);
            seen.push(theirs);
        }
    }
}
