//! A chat completion as a request to Converse.
//!
//! Source: AWS, "Converse" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>,
//! "ConverseStream" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>, not re-read
//! for this; what goes where is LiteLLM's.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::blocks::Reading;
use super::body::{Additional, Converse, Fields, Inference, Member, OutputConfig, Path, Tier, ToolConfig};
use super::messages::{self, Context};
use super::model::Model;
use super::params::{INFERENCE, TOP_LEVEL, passing};
use super::schema::{self, Format};
use super::thinking::{self, Plan};
use super::tools::{self, Chosen, Declared, Tools};
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::json::Members;
use crate::openai::Request;
use crate::openai::chat::{self, Fault};
use crate::provider::given::Given;
use crate::provider::tools::{Choice, Names};
use crate::provider::{Body, Target, Upstream};
use crate::secret::Secret;

/// Where Claude says how much of its answer was thinking.
const THINKING_TOKENS: &str = "/usage/output_tokens_details";

/// The path, headers and body of `request` at `target`.
///
/// # Errors
///
/// The client's: a value that Bedrock cannot be given, with its path.
pub(super) fn request(request: &Request, target: &Target, key: Option<&Secret>) -> Result<Upstream, Error> {
    let given = Given::of(request);
    let names = Names::read(&tools::ALPHABET, given.text("tools"));
    let converse = translate(request, target, &given, &names)?;
    let mut body = Vec::with_capacity(request.body.len() + 1024);
    serde_json::to_writer(&mut body, &converse).map_err(|_| Error::new(Kind::Internal, "cannot write the request"))?;
    let operation = if request.stream { "converse-stream" } else { "converse" };
    Ok(Upstream { path: path(target, operation), headers: headers(key), body: Body::Whole(body) })
}

/// `/model/{id}/{operation}`, all of the id in one segment: an ARN has colons and slashes.
///
/// A signature covers the path as it is sent, encoded once more; what is not unreserved (RFC 3986) is encoded here, so
/// that there is one way to write it.
pub(super) fn path(target: &Target, operation: &str) -> String {
    let mut path = format!("{}/model/", target.base_path);
    for byte in target.model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path.push('/');
    path.push_str(operation);
    path
}

/// The headers; a signature, where there is no key, is Envoy's to add.
pub(super) fn headers(key: Option<&Secret>) -> Vec<(&'static str, String)> {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(key.map(|key| ("authorization", format!("Bearer {}", key.expose()))));
    headers
}

fn translate<'a>(
    request: &'a Request,
    target: &'a Target,
    given: &Given<'a>,
    names: &'a Names,
) -> Result<Converse<'a>, Fault> {
    let model = Model::of(target);
    let plan = thinking::plan(request, given, model)?;
    let format = schema::format(given, model, plan.is_thinking())?;
    let offer = offer(given, names, model, format, plan.is_thinking())?;
    let has_tools = offer.config.is_some() || !offer.native.is_empty();
    let context = Context { model, names, has_tools, guards: given.text("guardrailConfig").is_some() };
    let conversation = messages::translate(given.text("messages").unwrap_or_default(), context)?;
    let response_fields = response_fields(given, &plan)?;
    let output_config = match format {
        Format::Native(schema) => Some(OutputConfig::Ours(schema)),
        Format::Text | Format::Tool(_) => given.raw("outputConfig").map(OutputConfig::Asked),
    };
    Ok(Converse {
        messages: conversation.turns,
        system: conversation.system,
        inference_config: inference(given, target, model, &plan)?,
        output_config,
        fields: fields(given, target, model, plan, &offer)?,
        tool_config: offer.config,
        response_fields,
        top_level: top_level(given)?,
    })
}

/// The tools that the model gets.
struct Offer<'a> {
    config: Option<ToolConfig<'a>>,
    native: Vec<&'a RawValue>,
    /// Whether calls may come together, where the client says so.
    parallel: Option<bool>,
}

fn offer<'a>(
    given: &Given<'a>,
    names: &Names,
    model: Model<'a>,
    format: Format<'a>,
    is_thinking: bool,
) -> Result<Offer<'a>, Fault> {
    let reading = Reading { model, guards: false };
    let own = given.text("tools").map(|tools| tools::translate(tools, names, reading)).transpose()?;
    let Tools { mut declared, mut native } = own.unwrap_or_default();
    let choice = given.raw("tool_choice").map(Choice::read).transpose().map_err(|fault| fault.at("tool_choice"))?;
    let mut choice = choice.map(|choice| choice.upstream(names));
    if choice == Some(Choice::None) {
        declared.clear();
        native.clear();
    }
    let has_own = !declared.is_empty();
    if given.text("web_search_options").is_some() && model.is_nova() {
        declared.push(Declared::grounding());
    }
    choice = choice.filter(|choice| has_own && *choice != Choice::None);
    if let Format::Tool(schema) = format {
        declared.insert(0, Declared::answer(schema::JSON_TOOL, schema.description(), schema.schema));
        choice = answer_by_tool(choice, has_own, model);
    }
    if is_thinking && choice.as_ref().is_some_and(Choice::is_forced) {
        // Claude cannot be forced to call a tool while it thinks.
        choice = matches!(format, Format::Text | Format::Native(_)).then_some(Choice::Auto);
    }
    let config = (!declared.is_empty()).then_some(ToolConfig { tools: declared, tool_choice: choice.map(Chosen) });
    let parallel = given.flag("parallel_tool_calls")?.filter(|_| has_own && model.takes_parallel());
    Ok(Offer { config, native, parallel })
}

/// The choice where the answer itself comes as a tool call: where the client's own tools may be called too, some tool
/// must be.
fn answer_by_tool<'a>(choice: Option<Choice<'a>>, has_own: bool, model: Model<'_>) -> Option<Choice<'a>> {
    if !model.takes_tool_choice() {
        return None;
    }
    Some(match choice {
        Some(Choice::Tool(name)) => Choice::Tool(name),
        Some(_) => Choice::Any,
        None if has_own => Choice::Any,
        None => Choice::Tool(schema::JSON_TOOL.into()),
    })
}

fn inference<'a>(
    given: &Given<'a>,
    target: &Target,
    model: Model<'_>,
    plan: &Plan<'_>,
) -> Result<Inference<'a>, Fault> {
    // Claude refuses them since 4.7.
    let refuses = target.params.drop && model.is_claude() && model.generation().since(4, 7);
    let sampling = |name| Ok(given.number(name)?.filter(|_| !refuses));
    let (temperature, top_p, stop_sequences) = (sampling("temperature")?, sampling("top_p")?, stop(given)?);
    let mut own: BTreeMap<_, _> = INFERENCE.iter().filter_map(|name| Some((*name, given.raw(name)?))).collect();
    let ours = [
        ("maxTokens", plan.max_tokens.is_some()),
        ("topP", top_p.is_some()),
        ("stopSequences", !stop_sequences.is_empty()),
    ];
    own.retain(|name, _| !ours.contains(&(*name, true)));
    Ok(Inference { max_tokens: plan.max_tokens, temperature, top_p, stop_sequences, own })
}

fn stop<'a>(given: &Given<'a>) -> Result<Vec<Literal<'a>>, Fault> {
    let Some(raw) = given.raw("stop") else { return Ok(Vec::new()) };
    let all = match Literal::new(raw) {
        Some(one) => vec![one],
        None if raw.get().starts_with('[') => {
            let each = chat::elements(raw.get()).map_err(|fault| fault.at("stop"))?.into_iter().enumerate();
            each.map(|(i, raw)| chat::literal(raw).map_err(|f| f.in_element("stop", i))).collect::<Result<_, _>>()?
        }
        None => return Err(Fault::wrong_type("a string or an array").at("stop")),
    };
    Ok(all.into_iter().filter(|stop| !stop.inner().is_empty()).collect())
}

/// What goes into `additionalModelRequestFields`.
fn fields<'a>(
    given: &Given<'a>,
    target: &'a Target,
    model: Model<'_>,
    plan: Plan<'a>,
    offer: &Offer<'a>,
) -> Result<Fields<'a>, Fault> {
    let mut fields = Fields::default();
    for (name, raw) in members(given, "additionalModelRequestFields")? {
        fields.put(&name, Additional::Asked(raw));
    }
    passing(given, target).into_iter().for_each(|(name, raw)| fields.put(name, Additional::Asked(raw)));
    if let Some(disable) = offer.parallel.map(|parallel| !parallel) {
        let chosen = offer.config.as_ref().is_some_and(|config| config.tool_choice.is_some());
        let type_ = (!chosen).then_some("auto");
        fields.put("tool_choice", Additional::Parallel { type_, disable_parallel_tool_use: disable });
    }
    match given.number("top_k")?.or(given.number("topK")?) {
        Some(top_k) if model.is_claude() => fields.put("top_k", Additional::Asked(top_k)),
        Some(top_k) if model.is_nova() => fields.put("inferenceConfig", Additional::TopK { top_k }),
        Some(_) | None => (),
    }
    let effort = plan.effort;
    plan.fields.into_iter().for_each(|(name, field)| fields.put(name, Additional::Thought(field)));
    let mut output_config: BTreeMap<String, Additional<'a>> = BTreeMap::new();
    if model.is_claude() || given.text("output_config").is_some() {
        output_config.extend(effort.map(|effort| ("effort".to_owned(), Additional::Word(effort))));
        let asked = members(given, "output_config")?.into_iter();
        output_config.extend(asked.map(|(name, raw)| (name, Additional::Asked(raw))));
    }
    if !output_config.is_empty() {
        fields.put("output_config", Additional::Members(output_config));
    }
    if !offer.native.is_empty() {
        fields.put("tools", Additional::Native(offer.native.clone()));
    }
    let betas = betas(given, target, model, offer);
    if !betas.is_empty() && model.is_claude() {
        fields.put("anthropic_beta", Additional::Words(betas));
    }
    Ok(fields)
}

fn members<'a>(given: &Given<'a>, name: &'static str) -> Result<Vec<(String, &'a RawValue)>, Fault> {
    let members = given.text(name).map(chat::object::<Members<'a>>).transpose().map_err(|fault| fault.at(name))?;
    Ok(members.map(|members| members.0).unwrap_or_default())
}

/// Anthropic's betas: the client's, the config's, and those that Anthropic's own tools need.
fn betas(given: &Given<'_>, target: &Target, model: Model<'_>, offer: &Offer<'_>) -> Vec<String> {
    let asked: Vec<String> =
        given.text("anthropic_beta").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let configured = target.extra_headers.iter().filter(|(name, _)| name == "anthropic-beta");
    let configured = configured.flat_map(|(_, value)| value.split(',')).map(|beta| beta.trim().to_owned());
    let mut betas: Vec<String> = Vec::new();
    for beta in asked.into_iter().chain(configured) {
        if !betas.contains(&beta) {
            betas.push(beta);
        }
    }
    if offer.native.iter().any(|tool| tool.get().contains("\"computer_")) {
        let generation = model.generation();
        let beta = match () {
            () if generation.since(4, 6) => "computer-use-2025-11-24",
            () if generation.since(3, 7) => "computer-use-2025-01-24",
            () => "computer-use-2024-10-22",
        };
        betas.push(beta.to_owned());
    }
    betas
}

fn response_fields<'a>(given: &Given<'a>, plan: &Plan<'_>) -> Result<Vec<Path<'a>>, Fault> {
    const NAME: &str = "additionalModelResponseFieldPaths";
    let asked = given.text(NAME).map(chat::elements).transpose().map_err(|fault| fault.at(NAME))?;
    let ours = plan.mentions_thinking().then_some(Path::Ours(THINKING_TOKENS));
    Ok(ours.into_iter().chain(asked.into_iter().flatten().map(Path::Asked)).collect())
}

fn top_level<'a>(given: &Given<'a>) -> Result<BTreeMap<&'a str, Member<'a>>, Fault> {
    let own = TOP_LEVEL.iter().filter_map(|name| Some((*name, Member::Asked(given.raw(name)?))));
    let mut members: BTreeMap<&'a str, Member<'a>> = own.collect();
    if let Some(tier) = given.raw("service_tier") {
        let word = chat::string(tier).map_err(|fault| fault.at("service_tier"))?;
        let type_ = match &*word {
            "auto" | "default" => "default",
            "flex" => "flex",
            "priority" => "priority",
            _ => return Err(Fault::wrong_value("one of auto, default, flex, priority").at("service_tier")),
        };
        members.entry("serviceTier").or_insert(Member::Tier(Tier { type_ }));
    }
    Ok(members)
}
