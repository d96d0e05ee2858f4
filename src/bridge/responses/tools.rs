//! The tools: flat functions become nested ones, a custom tool a function of one string, the web search an option.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::unsupported;
use crate::error::Error;
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw};

/// What OpenAI runs itself.
///
/// Source: the types of the official Python SDK, `types/responses/tool.py`, read 2026-11-23.
const HOSTED: &[&str] = &[
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
];

/// The name of the one argument of a custom tool's function; LiteLLM's.
pub(super) const CUSTOM_ARGUMENT: &str = "content";

/// What the tools and the choice among them come to.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) choice: Option<Choice<'a>>,
    pub(super) search: Option<Search<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    Function {
        #[serde(rename = "type")]
        type_: &'static str,
        function: Function<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Raw<'a>,
    },
    /// In the shape of chat completions already, or the vendor's own.
    Native(&'a RawValue),
}

#[derive(Debug, Serialize)]
pub(super) struct Function<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Raw<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Parameters<'a> {
    Own(&'a RawValue),
    Custom(serde_json::Value),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Choice<'a> {
    Word(Text<'a>),
    Function {
        #[serde(rename = "type")]
        type_: &'static str,
        function: Named<'a>,
    },
    Native(&'a RawValue),
}

#[derive(Debug, Serialize)]
pub(super) struct Named<'a> {
    name: Cow<'a, str>,
}

/// `web_search_options`
#[derive(Debug, Serialize)]
pub(super) struct Search<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    search_context_size: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_location: Option<Location<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filters: Raw<'a>,
}

#[derive(Debug, Serialize)]
struct Location<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    approximate: Place<'a>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    city: Raw<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    country: Raw<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    region: Raw<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    timezone: Raw<'a>,
}

/// A tool as the client writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
    #[serde(borrow)]
    parameters: Raw<'a>,
    #[serde(borrow)]
    strict: Raw<'a>,
    #[serde(borrow)]
    function: Raw<'a>,
    #[serde(borrow)]
    format: Raw<'a>,
    #[serde(borrow)]
    search_context_size: Raw<'a>,
    #[serde(borrow)]
    user_location: Raw<'a>,
    #[serde(borrow)]
    filters: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
}

/// The tools and the choice among them.
pub(super) fn offer<'a>(tools: Raw<'a>, choice: Raw<'a>) -> Result<Offer<'a>, Error> {
    let mut offer = Offer::default();
    let elements = tools.map(|raw| chat::elements(raw.get())).transpose().map_err(|fault| fault.at("tools"))?;
    for (i, raw) in elements.unwrap_or_default().into_iter().enumerate() {
        offer.add(raw, i)?;
    }
    match choice {
        Some(raw) => offer.choose(raw).map(|()| offer),
        None => Ok(offer),
    }
}

/// The names of the custom tools.
pub(super) fn custom_names(tools: &RawValue) -> Vec<String> {
    let tools: Vec<Given<'_>> = chat::objects(tools.get()).unwrap_or_default();
    let custom = tools.iter().filter(|tool| tool.type_.map(RawValue::get) == Some("\"custom\""));
    custom.filter_map(|tool| chat::string(tool.name?).ok().map(Cow::into_owned)).collect()
}

impl<'a> Offer<'a> {
    /// Adds tool `i`.
    fn add(&mut self, raw: &'a RawValue, i: usize) -> Result<(), Error> {
        let in_tools = |fault: Fault| fault.in_element("tools", i);
        let given: Given<'a> = chat::object(raw.get()).map_err(in_tools)?;
        let type_ = chat::required(given.type_, "type").map_err(in_tools)?;
        match &*type_ {
            "function" if given.function.is_some() => self.tools.push(Tool::Native(raw)),
            "function" => self.tools.push(given.function().map_err(in_tools)?),
            "custom" => self.tools.push(given.custom().map_err(in_tools)?),
            // web_search, web_search_preview and both with a date behind.
            search if search.starts_with("web_search") && given.name.is_none() => {
                self.search = Some(given.search().map_err(in_tools)?);
            }
            hosted if HOSTED.contains(&hosted) => {
                let why = "the provider of this model does not run this tool";
                return Err(unsupported(format!("tools[{i}].type"), hosted, why));
            }
            _ => self.tools.push(Tool::Native(raw)),
        }
        Ok(())
    }

    fn choose(&mut self, raw: &'a RawValue) -> Result<(), Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Chosen<'a> {
            #[serde(borrow, rename = "type")]
            type_: Raw<'a>,
            #[serde(borrow)]
            name: Raw<'a>,
            #[serde(borrow)]
            mode: Raw<'a>,
            #[serde(borrow)]
            tools: Raw<'a>,
        }
        if let Some(word) = Literal::new(raw) {
            self.choice = Some(Choice::Word(Text::Literal(word)));
            return Ok(());
        }
        let at = |fault: Fault| fault.at("tool_choice");
        let chosen: Chosen<'a> = chat::object(raw.get()).map_err(at)?;
        let type_ = chat::required(chosen.type_, "type").map_err(at)?;
        self.choice = match &*type_ {
            "function" | "custom" if chosen.name.is_some() => {
                let name = chat::required(chosen.name, "name").map_err(at)?;
                Some(Choice::Function { type_: "function", function: Named { name } })
            }
            "allowed_tools" => {
                self.keep(chosen.tools).map_err(|fault| at(fault.at("tools")))?;
                chosen.mode.and_then(Literal::new).map(|mode| Choice::Word(Text::Literal(mode)))
            }
            "auto" | "none" | "required" => Some(Choice::Word(Text::Plain(Cow::Owned(type_.into_owned())))),
            "any" | "tool" => Some(Choice::Word(Text::Plain("required".into()))),
            search if search.starts_with("web_search") => None,
            hosted if HOSTED.contains(&hosted) => {
                let why = "the provider of this model does not run this tool";
                return Err(unsupported("tool_choice.type".to_owned(), hosted, why));
            }
            _ => Some(Choice::Native(raw)),
        };
        Ok(())
    }

    /// Leaves out the tools that are not among `allowed`.
    fn keep(&mut self, allowed: Raw<'a>) -> Result<(), Fault> {
        let allowed = allowed.ok_or(Fault::missing("an array"))?;
        let allowed: Vec<Given<'a>> = chat::objects(allowed.get())?;
        let names: Vec<Cow<'_, str>> = allowed.iter().filter_map(|tool| chat::string(tool.name?).ok()).collect();
        self.tools.retain(|tool| match tool {
            Tool::Function { function, .. } => names.contains(&function.name),
            Tool::Native(_) => true,
        });
        let is_search = |tool: &Given<'_>| tool.type_.is_some_and(|type_| type_.get().starts_with("\"web_search"));
        self.search = self.search.take().filter(|_| allowed.iter().any(is_search));
        Ok(())
    }
}

impl<'a> Given<'a> {
    fn function(&self) -> Result<Tool<'a>, Fault> {
        let parameters = self.parameters.map(Parameters::Own);
        let name = chat::required(self.name, "name")?;
        let function = Function { name, description: self.description, parameters, strict: self.strict };
        Ok(Tool::Function { type_: "function", function, cache_control: self.cache_control })
    }

    /// The function that stands for a custom tool; a grammar is told in words, and nobody enforces it.
    fn custom(&self) -> Result<Tool<'a>, Fault> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Format<'a> {
            #[serde(borrow)]
            syntax: Raw<'a>,
            #[serde(borrow)]
            definition: Raw<'a>,
        }
        let format: Format<'a> = match self.format {
            Some(raw) => chat::object(raw.get()).map_err(|fault| fault.at("format"))?,
            None => Format::default(),
        };
        let text = |raw: Raw<'a>| raw.and_then(|raw| chat::string(raw).ok());
        let description = match text(format.definition) {
            Some(definition) => {
                let syntax = text(format.syntax).unwrap_or_default();
                format!("The whole input of the tool, which must match this {syntax} grammar:\n{definition}")
            }
            None => "The whole input of the tool, as it is".to_owned(),
        };
        let parameters = serde_json::json!({
            "type": "object",
            "properties": {CUSTOM_ARGUMENT: {"type": "string", "description": description}},
            "required": [CUSTOM_ARGUMENT],
        });
        let name = chat::required(self.name, "name")?;
        let parameters = Some(Parameters::Custom(parameters));
        let function = Function { name, description: self.description, parameters, strict: None };
        Ok(Tool::Function { type_: "function", function, cache_control: self.cache_control })
    }

    fn search(&self) -> Result<Search<'a>, Fault> {
        let place = self.user_location.map(|raw| chat::object::<Place<'a>>(raw.get())).transpose();
        let place = place.map_err(|fault| fault.at("user_location"))?;
        Ok(Search {
            search_context_size: self.search_context_size,
            user_location: place.map(|approximate| Location { type_: "approximate", approximate }),
            filters: self.filters,
        })
    }
}
