//! A chat completion as a request to the Messages API.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, not re-read for this.

use super::betas;
use super::blocks::Block;
use super::body::{self, Message};
use super::headers::{headers, path};
use super::messages::{self, Conversation};
use super::schema::{self, Format};
use super::search;
use super::thinking::{self, ThinkingParam};
use super::tools::{self, Choice, Declared};
use crate::error::{Error, Kind};
use crate::openai::Request;
use crate::openai::chat::Fault;
use crate::provider::given::Given;
use crate::provider::tools::{Choice as Asked, Names};
use crate::provider::{Body, Target, Upstream};
use crate::secret::Secret;

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: a value that Anthropic cannot be given, with its path. `UnsupportedEndpoint`.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    let names = Names::read(&tools::ALPHABET, given.text("tools"));
    let message = translate(request, target, &given, &names)?;
    let mut body = Vec::with_capacity(request.body.len() + 1024);
    serde_json::to_writer(&mut body, &message).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let headers = headers(request, target, key, &betas::of_chat(&given, target, message.has_uploads));
    Ok(Upstream { path: path(target, "/messages"), headers, body: Body::Whole(body) })
}

fn translate<'a>(
    request: &'a Request,
    target: &'a Target,
    given: &Given<'a>,
    names: &Names,
) -> Result<Message<'a>, Error> {
    let mut conversation = messages::translate(given.text("messages").unwrap_or_default(), names)?;
    let format = schema::format(given, target)?;
    if let Format::JsonObject = format {
        conversation.system.push(Block::plain(schema::JSON_INSTRUCTION));
    }
    let (tools, tool_choice) = offer(given, names, &conversation, format)?;
    let forced = tool_choice.as_ref().is_some_and(Choice::is_forced);
    let plan = thinking::plan(request, target, given, forced, conversation.lost_its_thoughts())?;
    let output_config = body::output_config(given, format, plan.effort)?;
    let stop_sequences = body::stop(given)?;
    let derived = matches!(plan.thinking, Some(ThinkingParam::Derived(_)));
    let sampling = body::sampling(given, target, derived || thinking::is_asked(given))?;
    let rest = body::rest(given, target, &conversation.system, &stop_sequences);
    Ok(Message {
        model: &target.model,
        max_tokens: plan.max_tokens,
        has_uploads: conversation.has_uploads(),
        system: conversation.system,
        messages: conversation.turns,
        tools,
        tool_choice,
        stop_sequences,
        sampling,
        stream: request.stream,
        metadata: body::metadata(given)?,
        service_tier: body::service_tier(given, target)?,
        thinking: plan.thinking,
        output_config,
        rest,
    })
}

/// The tools that the model gets, and which of them it must call.
fn offer<'a>(
    given: &Given<'a>,
    names: &Names,
    conversation: &Conversation<'a>,
    format: Format<'a>,
) -> Result<(Vec<Declared<'a>>, Option<Choice<'a>>), Fault> {
    let mut tools = given.text("tools").map(|tools| tools::translate(tools, names)).transpose()?.unwrap_or_default();
    let mut choice = None;
    if tools.is_empty() {
        tools.extend(conversation.called().into_iter().map(|name| Declared::bare(name, None, None)));
        choice = (!tools.is_empty()).then(|| Choice::of("none"));
    } else if let Some(raw) = given.raw("tool_choice") {
        let asked = Asked::read(raw).map_err(|fault| fault.at("tool_choice"))?;
        choice = Some(Choice::from(asked.upstream(names)));
    }
    if !tools.is_empty() && body::is_false(given, "parallel_tool_calls")? {
        let choice = choice.get_or_insert_with(|| Choice::of("auto"));
        choice.disable_parallel_tool_use = choice.type_ != "none";
    }
    if let Some(search) = search::translate(given)? {
        tools.push(Declared::Search(search));
        // The history's tools need not be barred at the price of the search.
        choice = choice.filter(|choice| choice.type_ != "none" || given.text("tool_choice") == Some("\"none\""));
    }
    if let Format::Tool(schema) = format {
        choice = Some(answer_by_tool(choice, given));
        tools.push(Declared::bare(schema::JSON_TOOL.into(), Some(schema::JSON_TOOL_DESCRIPTION), Some(schema)));
    }
    Ok((tools, choice))
}

/// The choice where the answer itself comes as a tool call. Where the client's own tools may be called too, some tool
/// must be; where the client has the model think, none can be forced.
fn answer_by_tool<'a>(choice: Option<Choice<'a>>, given: &Given<'a>) -> Choice<'a> {
    let json_tool = || Choice::tool(schema::JSON_TOOL.into());
    let mut chosen = match choice {
        _ if thinking::is_asked(given) => Choice::of("auto"),
        Some(choice) if choice.type_ == "none" => json_tool(),
        Some(choice) if choice.type_ == "tool" => return choice,
        Some(choice) => Choice { type_: "any", ..choice },
        None if given.text("tools").is_some_and(|tools| tools.contains('{')) => Choice::of("any"),
        None => json_tool(),
    };
    chosen.disable_parallel_tool_use |= chosen.type_ == "tool";
    chosen
}
