//! A chat completion as a request to the Messages API.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, read 2026-11-23.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::blocks::Block;
use super::messages::{self, Conversation, Turn};
use super::params::{self, Params};
use super::schema::{self, Closed, Format, Members};
use super::thinking::{Effort, Generation, Thinking};
use super::tools::{self, Choice, Declared, Names};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::chat::{self, Fault, Raw};
use crate::openai::{Endpoint, Request};
use crate::provider::{Body, Target, Upstream};

/// The bound on an answer where neither the client nor the model's entry has one: every Claude can do it.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// The version of the API that this folder speaks.
const VERSION: &str = "2023-06-01";
/// What a key of an Anthropic subscription begins with: it goes into another header.
const OAUTH_PREFIX: &str = "sk-ant-oat";
const OAUTH_BETA: &str = "oauth-2025-04-20";
const FILES_BETA: &str = "files-api-2025-04-14";

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: a value that Anthropic cannot be given, with its path. `UnsupportedEndpoint`.
pub fn request(request: &Request, target: &Target) -> Result<Upstream, Error> {
    if request.endpoint != Endpoint::ChatCompletions {
        params::check(request, target)?;
    }
    let params = Params::new(request)?;
    let names = Names::read(params.text("tools"));
    let message = translate(request, target, &params, &names)?;
    let mut body = Vec::with_capacity(request.body.len() + 1024);
    serde_json::to_writer(&mut body, &message).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let has_uploads = message.has_uploads;
    Ok(Upstream { path: path(target), headers: headers(target, has_uploads), body: Body::Whole(body) })
}

fn path(target: &Target) -> String {
    let base = target.base_path.strip_suffix("/v1").unwrap_or(&target.base_path);
    format!("{base}/v1/messages")
}

fn headers(target: &Target, has_uploads: bool) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned()), ("anthropic-version", VERSION.to_owned())];
    let key = target.api_key.as_ref().map(|key| key.expose());
    let is_oauth = key.is_some_and(|key| key.starts_with(OAUTH_PREFIX));
    match key {
        Some(key) if is_oauth => headers.push(("authorization", format!("Bearer {key}"))),
        Some(key) => headers.push(("x-api-key", key.to_owned())),
        None => (),
    }
    let betas: Vec<_> = is_oauth.then_some(OAUTH_BETA).into_iter().chain(has_uploads.then_some(FILES_BETA)).collect();
    if !betas.is_empty() {
        headers.push(("anthropic-beta", betas.join(",")));
    }
    headers
}

#[derive(Serialize)]
struct Message<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Declared<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<Literal<'a>>,
    #[serde(flatten)]
    sampling: Sampling<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<ThinkingParam<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(flatten)]
    rest: Rest<'a>,
    #[serde(skip)]
    has_uploads: bool,
}

#[derive(Default, Serialize)]
struct Sampling<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Temperature<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Raw<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Temperature<'a> {
    Asked(&'a RawValue),
    Highest(u8),
}

#[derive(Serialize)]
struct Metadata<'a> {
    user_id: Text<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ThinkingParam<'a> {
    Asked(&'a RawValue),
    Derived(Thinking),
}

/// `output_config`: the client's own members, ours over them.
#[derive(Default)]
struct OutputConfig<'a> {
    own: Vec<(String, &'a RawValue)>,
    format: Option<&'a RawValue>,
    effort: Option<Effort>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.format.is_none() && self.effort.is_none()
    }
}

impl Serialize for OutputConfig<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct JsonSchema<'a> {
            #[serde(rename = "type")]
            type_: &'static str,
            schema: Closed<'a>,
        }
        let ours = |key: &str| (key == "format" && self.format.is_some()) || (key == "effort" && self.effort.is_some());
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.own.iter().filter(|(key, _)| !ours(key)) {
            map.serialize_entry(key, value)?;
        }
        if let Some(schema) = self.format {
            map.serialize_entry("format", &JsonSchema { type_: "json_schema", schema: Closed(schema) })?;
        }
        if let Some(effort) = self.effort {
            map.serialize_entry("effort", &effort)?;
        }
        map.end()
    }
}

/// Parameters that go on as they are.
struct Rest<'a>(Vec<(&'a str, &'a RawValue)>);

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn translate<'a>(
    request: &'a Request,
    target: &'a Target,
    params: &Params<'a>,
    names: &Names,
) -> Result<Message<'a>, Error> {
    let mut conversation = messages::translate(params.text("messages").unwrap_or_default(), names)?;
    let format = schema::format(params, target)?;
    if let Format::JsonObject = format {
        conversation.system.push(Block::plain(schema::JSON_INSTRUCTION));
    }
    let (tools, tool_choice) = offer(params, names, &conversation, format)?;
    let forced = tool_choice.as_ref().is_some_and(Choice::is_forced);
    let plan = think(request, target, params, forced || conversation.lost_its_thoughts())?;
    let mut output_config = OutputConfig { effort: plan.effort, ..output_config(params)? };
    if let Format::Native(schema) = format {
        output_config.format = Some(schema);
    }
    let stop_sequences = stop(params)?;
    let derived = matches!(plan.thinking, Some(ThinkingParam::Derived(_)));
    let sampling = sampling(params, target, derived || is_thinking(params))?;
    let mut rest = params.passing();
    rest.retain(|(name, _)| match *name {
        "system" => conversation.system.is_empty(),
        "stop_sequences" => stop_sequences.is_empty(),
        _ => true,
    });
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
        metadata: metadata(params)?,
        thinking: plan.thinking,
        output_config,
        rest: Rest(rest),
    })
}

/// The tools that the model gets, and which of them it must call.
fn offer<'a>(
    params: &Params<'a>,
    names: &Names,
    conversation: &Conversation<'a>,
    format: Format<'a>,
) -> Result<(Vec<Declared<'a>>, Option<Choice<'a>>), Fault> {
    let mut tools = params.text("tools").map(|tools| tools::translate(tools, names)).transpose()?.unwrap_or_default();
    let mut choice = None;
    if tools.is_empty() {
        tools.extend(conversation.called().into_iter().map(|name| Declared::bare(name, None, None)));
        choice = (!tools.is_empty()).then(|| Choice::of("none"));
    } else if let Some(raw) = params.raw("tool_choice") {
        choice = Some(tools::choice(raw, names).map_err(|fault| fault.at("tool_choice"))?);
    }
    if !tools.is_empty() && is_false(params, "parallel_tool_calls")? {
        let choice = choice.get_or_insert_with(|| Choice::of("auto"));
        choice.disable_parallel_tool_use = choice.type_ != "none";
    }
    if let Format::Tool(schema) = format {
        choice = Some(answer_by_tool(choice, params));
        tools.push(Declared::bare(schema::JSON_TOOL.into(), Some(schema::JSON_TOOL_DESCRIPTION), Some(schema)));
    }
    Ok((tools, choice))
}

/// The choice where the answer itself comes as a tool call. Where the client's own tools may be called too, some tool
/// must be; where the client has the model think, none can be forced.
fn answer_by_tool<'a>(choice: Option<Choice<'a>>, params: &Params<'a>) -> Choice<'a> {
    let json_tool = || Choice::tool(schema::JSON_TOOL.into());
    let mut chosen = match choice {
        _ if is_thinking(params) => Choice::of("auto"),
        Some(choice) if choice.type_ == "none" => json_tool(),
        Some(choice) if choice.type_ == "tool" => return choice,
        Some(choice) => Choice { type_: "any", ..choice },
        None if params.text("tools").is_some_and(|tools| tools.contains('{')) => Choice::of("any"),
        None => json_tool(),
    };
    chosen.disable_parallel_tool_use |= chosen.type_ == "tool";
    chosen
}

/// Whether the client turned thinking on in Anthropic's own words.
fn is_thinking(params: &Params<'_>) -> bool {
    params.text("thinking").is_some_and(|text| !text.contains("\"disabled\""))
}

struct ThinkPlan<'a> {
    max_tokens: u64,
    thinking: Option<ThinkingParam<'a>>,
    effort: Option<Effort>,
}

/// Decides on thinking and on the bound of the answer; derived thinking gives way where it is `barred`.
fn think<'a>(
    request: &Request,
    target: &Target,
    params: &Params<'a>,
    barred: bool,
) -> Result<ThinkPlan<'a>, Fault> {
    let default_tokens = target.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
    let max_tokens = request.max_output_tokens.unwrap_or(default_tokens);
    let mut plan = ThinkPlan { max_tokens, thinking: params.raw("thinking").map(ThinkingParam::Asked), effort: None };
    let word = params.raw("reasoning_effort").map(chat::string).transpose();
    let word = word.map_err(|fault| fault.at("reasoning_effort"))?;
    let Some(effort) = word.as_deref().map(Effort::read).transpose()?.flatten() else { return Ok(plan) };
    if !target.supports_reasoning || plan.thinking.is_some() {
        return Ok(plan);
    }
    let generation = Generation::of(&target.model);
    if generation.is_adaptive() {
        plan.effort = Some(generation.effort(effort));
        let thinking = Thinking::Adaptive { display: "summarized" };
        plan.thinking = (!barred).then_some(ThinkingParam::Derived(thinking));
    } else if !barred {
        let (budget, max_tokens) = effort.budget(request.max_output_tokens, default_tokens);
        plan.max_tokens = max_tokens;
        plan.thinking = budget.map(|budget_tokens| ThinkingParam::Derived(Thinking::Enabled { budget_tokens }));
    }
    Ok(plan)
}

fn output_config<'a>(params: &Params<'a>) -> Result<OutputConfig<'a>, Fault> {
    let own = params.text("output_config").map(chat::object::<Members<'a>>).transpose();
    let own = own.map_err(|fault| fault.at("output_config"))?.map(|members| members.0).unwrap_or_default();
    Ok(OutputConfig { own, ..OutputConfig::default() })
}

fn stop<'a>(params: &Params<'a>) -> Result<Vec<Literal<'a>>, Fault> {
    let Some(raw) = params.raw("stop") else { return Ok(Vec::new()) };
    let all = match Literal::new(raw) {
        Some(one) => vec![one],
        None if raw.get().starts_with('[') => {
            let each = chat::elements(raw.get()).map_err(|fault| fault.at("stop"))?.into_iter().enumerate();
            each.map(|(i, raw)| chat::literal(raw).map_err(|f| f.in_element("stop", i))).collect::<Result<_, _>>()?
        }
        None => return Err(Fault::wrong_type("a string or an array").at("stop")),
    };
    Ok(all.into_iter().filter(|stop| !stop.is_blank()).collect())
}

/// The sampling parameters. A thinking model takes none; where the model refuses them, `drop_params` drops them.
fn sampling<'a>(params: &Params<'a>, target: &Target, is_thinking: bool) -> Result<Sampling<'a>, Fault> {
    let asked = Sampling {
        temperature: params.raw("temperature").map(temperature).transpose()?,
        top_p: number(params, "top_p")?,
        top_k: number(params, "top_k")?,
    };
    let refused = target.drop_params && Generation::of(&target.model).refuses_sampling();
    Ok(if is_thinking || refused { Sampling::default() } else { asked })
}

fn temperature(raw: &RawValue) -> Result<Temperature<'_>, Fault> {
    let value: f64 =
        serde_json::from_str(raw.get()).map_err(|_| Fault::wrong_type("a number").at("temperature"))?;
    Ok(if value > 1.0 { Temperature::Highest(1) } else { Temperature::Asked(raw) })
}

fn number<'a>(params: &Params<'a>, name: &'static str) -> Result<Raw<'a>, Fault> {
    let raw = params.raw(name);
    match raw.map(|raw| serde_json::from_str::<f64>(raw.get())) {
        Some(Err(_)) => Err(Fault::wrong_type("a number").at(name)),
        Some(Ok(_)) | None => Ok(raw),
    }
}

fn is_false(params: &Params<'_>, name: &'static str) -> Result<bool, Fault> {
    match params.text(name) {
        None | Some("true") => Ok(false),
        Some("false") => Ok(true),
        Some(_) => Err(Fault::wrong_type("a boolean").at(name)),
    }
}

/// Who asks: `user`, else `metadata.user_id`; never what tells who the person is.
fn metadata<'a>(params: &Params<'a>) -> Result<Option<Metadata<'a>>, Fault> {
    let id = match params.raw("user") {
        Some(raw) => Some(chat::literal(raw).map_err(|fault| fault.at("user"))?),
        None => user_id(params.text("metadata")),
    };
    let id = id.filter(|id| id.decode().is_some_and(|text| !text.is_empty() && !is_personal(&text)));
    Ok(id.map(|id| Metadata { user_id: Text::Literal(id) }))
}

fn user_id(metadata: Option<&str>) -> Option<Literal<'_>> {
    let members: Members<'_> = chat::object(metadata?).ok()?;
    members.0.iter().find(|(key, _)| key == "user_id").and_then(|(_, value)| Literal::new(value))
}

/// Whether `text` looks like an e-mail address or a telephone number: Anthropic asks for neither.
fn is_personal(text: &str) -> bool {
    let is_mail = text.split_once('@').is_some_and(|(_, host)| host.contains('.'));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_phone = (7..=15).contains(&digits) && text.bytes().all(|b| b.is_ascii_digit() || b"+-(). ".contains(&b));
    is_mail || is_phone
}
