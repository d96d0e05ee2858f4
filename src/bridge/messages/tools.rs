//! Tools, their names, and the choice among them.
//!
//! Source: Anthropic, "Define tools" <https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools>, "Web
//! search tool" <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool>, not re-read for this;
//! OpenAI, "Function calling" <https://platform.openai.com/docs/guides/function-calling>, not re-read for this: a name
//! has 64 characters at most. How a longer one is cut is LiteLLM's choice.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::blocks::Members;
use super::request::Body;
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::openai::chat::{self, Fault, Raw};

/// The longest name of a function at OpenAI, in characters.
const MAX_NAME_CHARS: usize = 64;
/// How much of a longer name is kept before a part of its digest.
const KEPT_CHARS: usize = 55;
const DIGEST_BYTES: usize = 4;

/// What the model may call, and what it must.
#[derive(Default, Serialize)]
pub(super) struct Offer<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_search_options: Option<SearchOptions<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    function: Declared<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Raw<'a>,
}

#[derive(Serialize)]
struct Declared<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Raw<'a>,
}

#[derive(Serialize)]
struct SearchOptions<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_location: Option<Location<'a>>,
}

#[derive(Serialize)]
struct Location<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    approximate: Members<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        type_: &'static str,
        function: Name<'a>,
    },
}

#[derive(Serialize)]
struct Name<'a> {
    name: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    type_: Raw<'a>,
    #[serde(borrow)]
    name: Raw<'a>,
    #[serde(borrow)]
    description: Raw<'a>,
    #[serde(borrow)]
    input_schema: Raw<'a>,
    #[serde(borrow)]
    strict: Raw<'a>,
    #[serde(borrow)]
    cache_control: Raw<'a>,
    #[serde(borrow)]
    user_location: Raw<'a>,
}

/// Translates `tools`, `tool_choice` and `mcp_servers`.
///
/// # Errors
///
/// The client's: `UnsupportedParameter` for what runs at Anthropic alone.
pub(super) fn offer(body: Body<'_>) -> Result<Offer<'_>, Error> {
    if body.text("mcp_servers").is_some_and(|text| text.contains('{')) {
        return Err(at_anthropic_alone("mcp_servers"));
    }
    let Some(text) = body.text("tools") else { return Ok(Offer::default()) };
    let tools: Vec<Tool<'_>> = chat::objects(text).map_err(|fault| fault.at("tools"))?;
    let mut offer = Offer::default();
    for (i, tool) in tools.iter().enumerate() {
        offer.take(tool, i)?;
    }
    if !offer.tools.is_empty()
        && let Some(text) = body.text("tool_choice")
    {
        offer.choose(text).map_err(|fault| fault.at("tool_choice"))?;
    }
    Ok(offer)
}

fn at_anthropic_alone(param: impl Into<String>) -> Error {
    let message = "this runs at Anthropic, and the provider of this model has nothing like it";
    Error::new(Kind::UnsupportedParameter, message).with_param(param)
}

impl<'a> Offer<'a> {
    fn take(&mut self, tool: &Tool<'a>, i: usize) -> Result<(), Error> {
        let at = |fault: Fault| fault.in_element("tools", i);
        let type_ = tool.type_.filter(|raw| raw.get() != "null").map(chat::string).transpose();
        match type_.map_err(|fault| at(fault.at("type")))?.as_deref() {
            None | Some("custom") => (),
            Some(search) if search.starts_with("web_search_") => {
                let user_location = tool.user_location.map(location).transpose();
                let user_location = user_location.map_err(|fault| at(fault.at("user_location")))?;
                self.web_search_options = Some(SearchOptions { user_location });
                return Ok(());
            }
            Some(_) => return Err(at_anthropic_alone(format!("tools[{i}].type"))),
        }
        let name = short_name(chat::required(tool.name, "name").map_err(at)?);
        if tool.input_schema.is_some_and(|schema| !schema.get().starts_with('{')) {
            return Err(at(Fault::wrong_type("an object").at("input_schema")).into());
        }
        let declared =
            Declared { name, description: tool.description, parameters: tool.input_schema, strict: tool.strict };
        self.tools.push(Function { type_: "function", function: declared, cache_control: tool.cache_control });
        Ok(())
    }

    fn choose(&mut self, text: &'a str) -> Result<(), Fault> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Asked<'a> {
            #[serde(borrow, rename = "type")]
            type_: Raw<'a>,
            #[serde(borrow)]
            name: Raw<'a>,
            #[serde(borrow)]
            disable_parallel_tool_use: Raw<'a>,
        }
        let asked: Asked<'a> = chat::object(text)?;
        let choice = match &*chat::required(asked.type_, "type")? {
            "auto" => Choice::Word("auto"),
            "any" => Choice::Word("required"),
            "none" => Choice::Word("none"),
            "tool" => {
                let name = short_name(chat::required(asked.name, "name")?);
                Choice::Named { type_: "function", function: Name { name } }
            }
            _ => return Err(Fault::wrong_value("auto, any, tool or none").at("type")),
        };
        let is_serial = asked.disable_parallel_tool_use.is_some_and(|raw| raw.get() == "true");
        self.parallel_tool_calls = is_serial.then_some(false);
        self.tool_choice = Some(choice);
        Ok(())
    }
}

/// Where the user roughly is; OpenAI nests it.
fn location(raw: &RawValue) -> Result<Location<'_>, Fault> {
    let mut members: BTreeMap<&str, &RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| Fault::wrong_type("an object"))?;
    members.remove("type");
    Ok(Location { type_: "approximate", approximate: Members(members) })
}

/// The name as OpenAI takes it: the beginning of a longer one, and a part of its digest.
pub(super) fn short_name(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.chars().nth(MAX_NAME_CHARS).is_none() {
        return name;
    }
    let mut short: String = name.chars().take(KEPT_CHARS).chain(['_']).collect();
    for byte in Sha256::digest(name.as_bytes()).iter().take(DIGEST_BYTES) {
        // Writing to a string cannot fail.
        let _written = write!(short, "{byte:02x}");
    }
    Cow::Owned(short)
}

/// The client's names of the tools whose names were cut.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Reads the tools of a request.
    pub(super) fn of(client: &Request) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Named<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
        }
        let tools: Vec<Named<'_>> = client.index.read(&client.body, "tools").ok().flatten().unwrap_or_default();
        let cut = |tool: Named<'_>| match short_name(Cow::Borrowed(&*tool.name)) {
            Cow::Owned(short) => Some((short, tool.name.to_string())),
            Cow::Borrowed(_) => None,
        };
        Self(tools.into_iter().filter_map(cut).collect())
    }

    /// The client's name of a tool.
    pub(super) fn client<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_long_name_is_cut_as_litellm_cuts_it() {
        assert_eq!(short_name("n".repeat(64).into()), "n".repeat(64));
        assert_eq!(short_name("n".repeat(80).into()), format!("{}_feed930b", "n".repeat(55)));
    }
}
