//! OpenAI's web search as Anthropic's own tool.
//!
//! Source: Anthropic, "Web search tool" <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool>,
//! read 2026-11-23. The numbers of searches are LiteLLM's.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::json::Members;
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::given::Given;

/// The tool: `{"type":…,"name":"web_search","max_uses":…,"user_location":…}`.
#[derive(Debug, Serialize)]
pub(super) struct WebSearch<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_location: Option<Location<'a>>,
}

/// Where the user roughly is: `city`, `region`, `country`, `timezone`.
#[derive(Debug)]
struct Location<'a>(Members<'a>);

impl Serialize for Location<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", "approximate")?;
        for (key, value) in self.0.0.iter().filter(|(key, _)| key != "type") {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Options<'a> {
    #[serde(borrow)]
    search_context_size: Raw<'a>,
    #[serde(borrow)]
    user_location: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Whereabouts<'a> {
    #[serde(borrow)]
    approximate: Raw<'a>,
}

/// Translates `web_search_options`.
pub(super) fn translate<'a>(given: &Given<'a>) -> Result<Option<WebSearch<'a>>, Fault> {
    let Some(text) = given.text("web_search_options") else { return Ok(None) };
    read(text).map(Some).map_err(|fault| fault.at("web_search_options"))
}

fn read<'a>(text: &'a str) -> Result<WebSearch<'a>, Fault> {
    let options: Options<'a> = chat::object(text)?;
    let size = options.search_context_size.map(chat::string).transpose();
    let max_uses = match size.map_err(|fault| fault.at("search_context_size"))?.as_deref() {
        Some("low") => Some(1),
        Some("medium") => Some(5),
        Some("high") => Some(10),
        Some(_) | None => None,
    };
    let user_location = options.user_location.map(location).transpose();
    let user_location = user_location.map_err(|fault| fault.at("user_location"))?;
    Ok(WebSearch { type_: "web_search_20250305", name: "web_search", max_uses, user_location })
}

fn location(raw: &RawValue) -> Result<Location<'_>, Fault> {
    let whereabouts: Whereabouts<'_> = chat::object(raw.get())?;
    let place = whereabouts.approximate.ok_or(Fault::missing("an object"));
    place.and_then(|raw| chat::object(raw.get())).map(Location).map_err(|fault| fault.at("approximate"))
}
