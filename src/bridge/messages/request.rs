//! The request: members of the body, and the conversation in `turns`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::tools::{self, Offer};
use super::turns::{self, Message};
use super::{blocks, schema};
use crate::error::{Error, Kind};
use crate::json::Shape;
use crate::json::scan::Member;
use crate::openai::chat::{self, Fault, Raw};
use crate::openai::{Endpoint, Request};

/// Anthropic's members that do not go on as they are.
const BUILT: &[&str] = &[
    "container",
    "context_management",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream_options",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Raw<'a>,
    #[serde(flatten)]
    offer: Offer<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<schema::ResponseFormat>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(flatten)]
    rest: blocks::Members<'a>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// The chat completion that stands for `client`.
///
/// # Errors
///
/// The client's, with the path of what cannot be said otherwise.
pub(super) fn request(client: &Request) -> Result<Request, Error> {
    let body = Body { client };
    client.index.expect("max_tokens", &[Shape::Number])?;
    let Some(max_tokens) = client.max_output_tokens else {
        return Err(Fault::wrong_value("a whole number").at("max_tokens").into());
    };
    let chat = Chat {
        model: &client.model,
        messages: turns::translate(body.text("system"), body.text("messages").unwrap_or_default())?,
        max_tokens,
        stop: body.raw("stop_sequences").filter(|raw| raw.get() != "[]"),
        user: user(body)?,
        offer: tools::offer(body)?,
        thinking: body.raw("thinking"),
        output_config: output_config(body)?,
        response_format: schema::format(body)?,
        service_tier: service_tier(body)?,
        stream_options: client.stream.then_some(StreamOptions { include_usage: true }),
        rest: body.rest(),
    };
    let chat = serde_json::to_vec(&chat).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let chat = Request::parse(Endpoint::ChatCompletions, chat)?;
    Ok(Request { headers: client.headers.clone(), ..chat })
}

/// The members of a request's body by name.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) client: &'a Request,
}

impl<'a> Body<'a> {
    /// The text of the member `name`; `None` where it is absent or null.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        let member = self.client.index.get(name).filter(|member| member.shape != Shape::Null)?;
        std::str::from_utf8(self.client.body.get(member.value.clone())?).ok()
    }

    /// The same, ready to be written.
    pub(super) fn raw(self, name: &str) -> Raw<'a> {
        self.text(name).and_then(|text| serde_json::from_str(text).ok())
    }

    /// What goes on as it is. Of members with the same name the last one counts.
    fn rest(self) -> blocks::Members<'a> {
        let goes = |member: &&Member| !BUILT.contains(&member.key.as_str());
        let raw = |member: &Member| serde_json::from_slice(self.client.body.get(member.value.clone())?).ok();
        let members = self.client.index.members().iter().filter(goes);
        blocks::Members(members.filter_map(|member| Some((member.key.as_str(), raw(member)?))).collect())
    }
}

fn user(body: Body<'_>) -> Result<Raw<'_>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Metadata<'a> {
        #[serde(borrow)]
        user_id: Raw<'a>,
    }
    let Some(text) = body.text("metadata") else { return Ok(None) };
    let metadata: Metadata<'_> = chat::object(text).map_err(|fault| fault.at("metadata"))?;
    Ok(metadata.user_id.filter(|raw| raw.get() != "null"))
}

/// `output_config` for the models that have it; its `format` has a place of its own.
fn output_config(body: Body<'_>) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Fault> {
    let Some(text) = body.text("output_config") else { return Ok(None) };
    let mut config: serde_json::Map<_, _> =
        serde_json::from_str(text).map_err(|_| Fault::wrong_type("an object").at("output_config"))?;
    config.remove("format");
    Ok((!config.is_empty()).then_some(config))
}

/// `auto`, or `default` for Anthropic's `standard_only`; whatever else it is goes on.
fn service_tier(body: Body<'_>) -> Result<Raw<'_>, Fault> {
    let tier = body.raw("service_tier");
    match tier.map(RawValue::get) {
        Some("\"standard_only\"") => {
            serde_json::from_str("\"default\"").map(Some).map_err(|_| Fault::wrong_value("a string"))
        }
        _ => Ok(tier),
    }
}
