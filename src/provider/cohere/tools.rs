//! Tools, and the choice among them.
//!
//! Source: Cohere, "Chat" <https://docs.cohere.com/reference/chat>, not re-read for this; its SDK's `v2/client.py`, read
//! 2026-11-23: `tool_choice` is `REQUIRED` or `NONE`, and absent for a free choice.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::Literal;
use crate::openai::chat::{self, Fault};
use crate::provider::given::Given;
use crate::provider::tools::Choice;

/// What the model may call, and whether it must.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    pub(super) tools: Option<Tools<'a>>,
    pub(super) choice: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tools<'a> {
    AsGiven(&'a RawValue),
    Chosen(Vec<&'a RawValue>),
}

/// Reads `tools` and `tool_choice`; a choice without tools is none.
///
/// # Errors
///
/// The client's.
pub(super) fn offer<'a>(given: &Given<'a>) -> Result<Offer<'a>, Fault> {
    let Some(raw) = given.raw("tools") else { return Ok(Offer::default()) };
    let all = chat::elements(raw.get()).map_err(|fault| fault.at("tools"))?;
    let as_given = |choice| Offer { tools: Some(Tools::AsGiven(raw)), choice };
    let Some(choice) = given.raw("tool_choice").filter(|_| !all.is_empty()) else { return Ok(as_given(None)) };
    match chosen(choice).map_err(|fault| fault.at("tool_choice"))? {
        Choice::Auto => Ok(as_given(None)),
        Choice::Any => Ok(as_given(Some("REQUIRED"))),
        Choice::None => Ok(as_given(Some("NONE"))),
        Choice::Tool(name) => {
            let tools: Vec<_> = all.into_iter().filter(|tool| is_named(tool, &name)).collect();
            if tools.is_empty() {
                return Err(Fault::wrong_value("the name of one of tools").at("tool_choice.function.name"));
            }
            Ok(Offer { tools: Some(Tools::Chosen(tools)), choice: Some("REQUIRED") })
        }
    }
}

/// Cohere's own words, and OpenAI's.
fn chosen(raw: &RawValue) -> Result<Choice<'_>, Fault> {
    match raw.get() {
        "\"REQUIRED\"" => Ok(Choice::Any),
        "\"NONE\"" => Ok(Choice::None),
        _ => Choice::read(raw),
    }
}

fn is_named(tool: &RawValue, name: &str) -> bool {
    let tool: chat::Tool<'_> = chat::object(tool.get()).unwrap_or_default();
    let function = tool.function.and_then(|raw| chat::object::<chat::Function<'_>>(raw.get()).ok());
    let found = function.and_then(|function| function.name).and_then(Literal::new).and_then(Literal::decode);
    found.is_some_and(|found| found == name)
}
