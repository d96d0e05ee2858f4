//! A JSON schema for a model that does not keep to one: it has to call a tool whose arguments are the answer.
//!
//! The client never sees the tool: its call becomes the content again, in [`super::reshape`].
//!
//! Source: LITELLM.md 3.5, Groq and Azure; Groq, "Structured outputs" <https://console.groq.com/docs/structured-outputs>,
//! not re-read for this.

use crate::error::{Error, Kind};
use crate::json::scan::members_of;
use crate::json::{Index, Shape};
use crate::openai::{Endpoint, Request};
use crate::provider::Target;

/// The name of the tool: LiteLLM's.
const TOOL: &str = "json_tool_call";

/// The tool and the choice that forces it, as JSON.
pub(super) struct Forced {
    pub(super) tools: Vec<u8>,
    pub(super) choice: Vec<u8>,
}

/// Whether the answer to `request` comes as a call.
pub(super) fn is_by_tool(request: &Request, target: &Target) -> bool {
    let is_chat = request.endpoint == Endpoint::ChatCompletions;
    is_chat && !(target.vendor.dialect.takes_schema)(target) && schema(request).is_some()
}

/// The tool that stands for the schema of `request`, where `target` needs one.
///
/// # Errors
///
/// The client's: it has tools of its own.
pub(super) fn forced(request: &Request, target: &Target) -> Result<Option<Forced>, Error> {
    let Some(schema) = schema(request).filter(|_| is_by_tool(request, target)) else { return Ok(None) };
    if request.index.get("tools").is_some_and(|tools| tools.shape == Shape::Array && tools.value.len() > 2) {
        let message = "invalid value for 'response_format': this model has no JSON schema of its own, and with tools of \
                       the client's none can stand for it";
        return Err(Error::new(Kind::InvalidValue, message).with_param("response_format"));
    }
    let head = format!(r#"[{{"type":"function","function":{{"name":"{TOOL}","parameters":"#);
    Ok(Some(Forced {
        tools: [head.as_bytes(), schema, b"}}]"].concat(),
        choice: format!(r#"{{"type":"function","function":{{"name":"{TOOL}"}}}}"#).into_bytes(),
    }))
}

/// The schema that a request asks for.
fn schema(request: &Request) -> Option<&[u8]> {
    let member = |index: &Index, name| index.get(name).filter(|member| member.shape == Shape::Object).cloned();
    let format = members_of(&request.body, member(&request.index, "response_format")?.value)?;
    let named = members_of(&request.body, member(&format, "json_schema")?.value)?;
    request.body.get(member(&named, "schema")?.value)
}
