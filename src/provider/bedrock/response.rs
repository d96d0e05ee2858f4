//! A whole answer of Converse as a chat completion.
//!
//! Source: AWS, "Converse", Response Syntax
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>, not re-read for this; "ContentBlock"
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>, read 2026-11-23.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::messages::unwrapped;
use super::model::Model;
use super::schema::{self, Format};
use super::{thinking, usage};
use crate::error::{Error, Kind};
use crate::json::{Literal, Text};
use crate::openai::Request;
use crate::openai::chat::{Call, Called, Choice, Completion, Image, MadeImage, Raw, Reply};
use crate::provider::chunks::ID_PREFIX;
use crate::provider::given::Given;
use crate::provider::tools::Names;
use crate::provider::{Answer, Target};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Converse<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(borrow, default)]
    stop_reason: Cow<'a, str>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow, rename = "additionalModelResponseFields")]
    fields: Raw<'a>,
    #[serde(borrow)]
    trace: Raw<'a>,
    #[serde(borrow)]
    performance_config: Raw<'a>,
    #[serde(borrow)]
    service_tier: Raw<'a>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

/// What OpenAI's shape has no place for.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extras<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) performance_config: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Raw<'a>,
}

/// A block of content: one of these is there.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Block<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Reasoning<'a>>,
    #[serde(borrow)]
    citations_content: Raw<'a>,
    #[serde(borrow)]
    image: Option<Picture<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    #[serde(borrow)]
    pub(super) tool_use_id: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) input: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    reasoning_text: Option<ReasoningText<'a>>,
    #[serde(borrow)]
    redacted_content: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReasoningText<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
    #[serde(borrow)]
    signature: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Picture<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    #[serde(borrow)]
    source: PictureSource<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PictureSource<'a> {
    #[serde(borrow)]
    bytes: Cow<'a, str>,
}

/// Reads a whole answer; `now_secs` is Unix time.
///
/// # Errors
///
/// `BadUpstream`: it is no answer of Converse's.
pub(super) fn response(request: &Request, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a message");
    let converse: Converse<'_> = serde_json::from_slice(body).map_err(|_| bad())?;
    let form = Form::of(request, target);
    let mut parts = Parts::default();
    for block in converse.output.message.map(|message| message.content).unwrap_or_default() {
        parts.take(block, &form);
    }
    let usage = usage::read(converse.usage, converse.fields, converse.service_tier);
    let content_bytes = parts.bytes;
    let finish_reason = super::finish_reason(&converse.stop_reason, !parts.calls.is_empty());
    let thoughts: Vec<Box<RawValue>> = parts.thoughts.iter().filter_map(raw).collect();
    let Converse { trace, performance_config, service_tier, .. } = converse;
    let extras = Extras { trace, performance_config, service_tier };
    let reply = parts.reply(&thoughts, extras, asked_fields(request, converse.fields));
    let completion = Completion {
        id: &format!("{ID_PREFIX}{}", super::answer_id(request, now_secs)),
        object: "chat.completion",
        created: now_secs,
        model: &target.model,
        choices: vec![Choice { index: 0, message: reply, logprobs: None, finish_reason }],
        usage: usage.as_ref().map(Into::into),
    };
    let body = serde_json::to_vec(&completion).map_err(|_| bad())?;
    Ok(Answer { body: Some(body), usage, content_bytes })
}

/// The model's own fields, where the client asked for some.
fn asked_fields<'a>(request: &Request, fields: Raw<'a>) -> Raw<'a> {
    fields.filter(|_| request.index.get("additionalModelResponseFieldPaths").is_some())
}

fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

/// What of a request the form of its answer depends on.
#[derive(Debug)]
pub(super) struct Form {
    names: Names,
    /// Whether the answer comes as the arguments of a tool.
    pub(super) is_json_tool: bool,
}

impl Form {
    pub(super) fn of(request: &Request, target: &Target) -> Self {
        let (given, model) = (Given::of(request), Model::of(target));
        let is_thinking = thinking::plan(request, &given, model).is_ok_and(|plan| plan.is_thinking());
        let is_json_tool = matches!(schema::format(&given, model, is_thinking), Ok(Format::Tool(_)));
        Self { names: Names::read(&super::tools::ALPHABET, given.text("tools")), is_json_tool }
    }

    /// The client's name of a tool.
    pub(super) fn name<'a>(&'a self, theirs: &'a str) -> &'a str {
        self.names.downstream(theirs).unwrap_or(theirs)
    }

    /// Whether a tool of this name carries the answer itself.
    pub(super) fn is_answer(&self, name: &str) -> bool {
        self.is_json_tool && name == schema::JSON_TOOL
    }
}

/// A block of reasoning as clients keep it.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Thought<'a> {
    #[serde(rename = "thinking")]
    Thinking {
        thinking: Text<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Literal<'a>>,
    },
    #[serde(rename = "redacted_thinking")]
    Redacted { data: String },
}

/// What the blocks of a message come to.
#[derive(Default)]
struct Parts<'a> {
    text: Vec<Literal<'a>>,
    /// Characters of the text so far: what annotations count.
    chars: usize,
    thinking: Vec<Literal<'a>>,
    thoughts: Vec<Thought<'a>>,
    calls: Vec<Call<'a>>,
    images: Vec<Image<'a>>,
    citations: Vec<&'a RawValue>,
    annotations: Vec<Annotation<'a>>,
    /// The arguments of the JSON tool.
    json: Raw<'a>,
    bytes: u64,
}

impl<'a> Parts<'a> {
    /// Adds a block; one of an unknown type has no place in a completion.
    fn take(&mut self, block: Block<'a>, form: &Form) {
        if let Some(text) = block.text.and_then(Literal::new) {
            self.say(text);
        }
        if let Some(call) = block.tool_use {
            self.call(call, form);
        }
        if let Some(reasoning) = block.reasoning_content {
            self.think(reasoning);
        }
        if let Some(raw) = block.citations_content {
            self.cite(raw);
        }
        if let Some(picture) = block.image.filter(|picture| !picture.source.bytes.is_empty()) {
            let url = format!("data:image/{};base64,{}", picture.format, picture.source.bytes);
            let index = u32::try_from(self.images.len()).unwrap_or(u32::MAX);
            self.images.push(Image { type_: "image_url", image_url: MadeImage { url: url.into() }, index });
        }
    }

    fn say(&mut self, text: Literal<'a>) {
        self.bytes += text.decoded_len();
        self.chars += text.decode().map_or(0, |text| text.chars().count());
        self.text.push(text);
    }

    fn call(&mut self, call: ToolUse<'a>, form: &Form) {
        let arguments = call.input.map_or("{}", RawValue::get);
        self.bytes += arguments.len() as u64;
        if form.is_answer(&call.name) {
            self.json = call.input;
            return;
        }
        let id = call.tool_use_id.and_then(Literal::new).map_or(Text::Plain("".into()), Text::Literal);
        let name = Text::Plain(form.name(&call.name).to_owned().into());
        let function = Called { name: Some(name), arguments: Text::Plain(arguments.into()) };
        self.calls.push(Call { id, type_: "function", function });
    }

    fn think(&mut self, reasoning: Reasoning<'a>) {
        if let Some(ReasoningText { text, signature }) = reasoning.reasoning_text {
            let text = text.and_then(Literal::new);
            self.bytes += text.map_or(0, Literal::decoded_len);
            self.thinking.extend(text);
            let thinking = text.map_or(Text::Plain("".into()), Text::Literal);
            self.thoughts.push(Thought::Thinking { thinking, signature: signature.and_then(Literal::new) });
        }
        if let Some(data) = reasoning.redacted_content {
            self.thoughts.push(Thought::Redacted { data: unwrapped(&data).into_owned() });
        }
    }

    /// Text with what it rests on.
    fn cite(&mut self, raw: &'a RawValue) {
        self.citations.push(raw);
        let Ok(cited) = serde_json::from_str::<Cited<'a>>(raw.get()) else { return };
        let start = self.chars;
        cited.content.iter().filter_map(|part| part.text.and_then(Literal::new)).for_each(|text| self.say(text));
        let end = self.chars;
        let annotation = |citation: &Citation<'a>| citation.annotation(start, end);
        self.annotations.extend(cited.citations.iter().filter_map(annotation));
    }

    fn reply(self, thoughts: &'a [Box<RawValue>], extras: Extras<'a>, fields: Raw<'a>) -> Reply<'a> {
        let content = match self.json {
            Some(json) => Some(Text::Plain(json.get().into())),
            None if self.text.is_empty() && !self.calls.is_empty() => None,
            None => Some(joined(&self.text)),
        };
        let specific = Specific { extras, citations_content: self.citations, fields };
        Reply {
            role: "assistant",
            content,
            reasoning_content: (!self.thinking.is_empty()).then(|| joined(&self.thinking)),
            thinking_blocks: thoughts.iter().map(|thought| &**thought).collect(),
            tool_calls: self.calls,
            images: self.images,
            annotations: raw(&self.annotations).filter(|_| !self.annotations.is_empty()).map(Cow::Owned),
            provider_specific_fields: specific.raw(),
            ..Reply::default()
        }
    }
}

/// `provider_specific_fields`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Specific<'a> {
    #[serde(flatten)]
    pub(super) extras: Extras<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) citations_content: Vec<&'a RawValue>,
    #[serde(rename = "additionalModelResponseFields", skip_serializing_if = "Option::is_none")]
    pub(super) fields: Raw<'a>,
}

impl Specific<'_> {
    /// The object; `None` where there is nothing in it.
    pub(super) fn raw(&self) -> Option<Box<RawValue>> {
        raw(self).filter(|raw| raw.get() != "{}")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cited<'a> {
    #[serde(borrow)]
    content: Vec<Generated<'a>>,
    #[serde(borrow)]
    citations: Vec<Citation<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Generated<'a> {
    #[serde(borrow)]
    text: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Citation<'a> {
    #[serde(borrow)]
    title: Cow<'a, str>,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    location: Location<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Location<'a> {
    #[serde(borrow)]
    web: Option<Web<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Web<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

#[derive(Serialize)]
struct Annotation<'a> {
    #[serde(rename = "type")]
    type_: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    start_index: usize,
    end_index: usize,
    title: Cow<'a, str>,
    url: Cow<'a, str>,
}

impl<'a> Citation<'a> {
    /// OpenAI's annotation for a page of the web; there is none for a document.
    fn annotation(&self, start_index: usize, end_index: usize) -> Option<Annotation<'a>> {
        let url = match &self.location.web {
            Some(web) => web.url.clone(),
            None => self.source.clone(),
        };
        let url = Some(url).filter(|url| url.starts_with("http"))?;
        let url_citation = UrlCitation { start_index, end_index, title: self.title.clone(), url };
        Some(Annotation { type_: "url_citation", url_citation })
    }
}

/// One text out of many; a single one stays as it is written.
fn joined<'a>(texts: &[Literal<'a>]) -> Text<'a> {
    match texts {
        [one] => Text::Literal(*one),
        many => Text::Plain(Cow::Owned(many.iter().filter_map(|text| text.decode()).collect())),
    }
}
