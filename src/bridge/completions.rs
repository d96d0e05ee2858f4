//! OpenAI's text completions in terms of chat completions: the prompt is what a user says.
//!
//! Source: OpenAI, "Create completion" <https://platform.openai.com/docs/api-reference/completions/create>, not re-read
//! for this. That one prompt becomes one user message is LiteLLM's choice.
//!
//! # Limits
//!
//! Several prompts in one request, prompts in tokens, `echo`, `suffix` and `best_of` are refused: a chat has nothing like
//! them. `logprobs` asks the vendor for them, but they do not come back: their two shapes have too little in common.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Bridge;
use crate::error::{Error, Kind};
use crate::json::scan::Member;
use crate::json::{Literal, Shape, Text};
use crate::openai::chat::{self, Fault, Raw};
use crate::openai::{Endpoint, Request};

/// `/v1/completions`.
#[derive(Debug)]
pub(super) struct Completions;

impl Bridge for Completions {
    fn request(&self, client: &Request) -> Result<Request, Error> {
        let chat = Request::parse(Endpoint::ChatCompletions, chat_body(client)?)?;
        Ok(Request { headers: client.headers.clone(), ..chat })
    }

    fn response(&self, _client: &Request, chat: &[u8], _now_secs: u64) -> Result<Vec<u8>, Error> {
        let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a chat completion");
        let chat: Completion<'_> = serde_json::from_slice(chat).map_err(|_| bad())?;
        let choices = chat.choices.into_iter().map(|choice| Answer {
            text: choice.message.and_then(|message| words(message.content)).unwrap_or(Text::Plain("".into())),
            index: choice.index,
            logprobs: None,
            finish_reason: choice.finish_reason.or(Some("stop".into())),
        });
        let whole = TextCompletion {
            id: completion_id(chat.id.as_deref()),
            object: OBJECT,
            created: chat.created,
            model: chat.model,
            choices: choices.collect(),
            usage: chat.usage,
        };
        serde_json::to_vec(&whole).map_err(|_| bad())
    }

    fn events(&self, client: &Request, _now_secs: u64) -> Box<dyn super::Events> {
        Box::new(Events { include_usage: client.include_usage })
    }
}

const OBJECT: &str = "text_completion";

/// Members of a text completion that a chat has nothing like, and the values that ask for nothing.
const LACKING: [(&str, &[&str]); 3] = [("best_of", &["1"]), ("echo", &["false"]), ("suffix", &["\"\""])];

/// What is not carried over as it is.
const BUILT: [&str; 4] = ["logprobs", "prompt", "stream_options", "model"];

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a RawValue,
}

fn chat_body(client: &Request) -> Result<Vec<u8>, Error> {
    let value = |member: &Member| client.body.get(member.value.clone()).unwrap_or_default();
    for (name, idle) in LACKING {
        let asked = client.index.get(name).filter(|member| member.shape != Shape::Null);
        if asked.is_some_and(|member| !idle.iter().any(|idle| idle.as_bytes() == value(member))) {
            let message = format!("the provider has no text completions of its own, and a chat has no '{name}'");
            return Err(Error::new(Kind::UnsupportedParameter, message).with_param(name));
        }
    }
    let mut body = Vec::with_capacity(client.body.len() + 64);
    let mut put = |name: &str, value: &[u8]| {
        body.push(if body.is_empty() { b'{' } else { b',' });
        // Writing a string to memory cannot fail.
        let _written = serde_json::to_writer(&mut body, name);
        body.push(b':');
        body.extend_from_slice(value);
    };
    let messages = [Message { role: "user", content: prompt(client)? }];
    put("model", &serde_json::to_vec(&client.model).unwrap_or_default());
    put("messages", &serde_json::to_vec(&messages).unwrap_or_default());
    let goes =
        |member: &&Member| !BUILT.contains(&&*member.key) && !LACKING.iter().any(|(name, _)| *name == member.key);
    client.index.members().iter().filter(goes).for_each(|member| put(&member.key, value(member)));
    if client.stream {
        put("stream_options", br#"{"include_usage":true}"#);
    }
    if let Some(count) = client.index.read::<u64>(&client.body, "logprobs")? {
        put("logprobs", b"true");
        put("top_logprobs", count.to_string().as_bytes());
    }
    body.push(b'}');
    Ok(body)
}

/// The one prompt.
fn prompt(client: &Request) -> Result<&RawValue, Error> {
    let raw = client.index.read::<&RawValue>(&client.body, "prompt")?;
    let raw = raw.ok_or_else(|| Error::from(Fault::missing("a string").at("prompt")))?;
    let one = match Literal::new(raw) {
        Some(_) => Some(raw),
        None => match chat::elements(raw.get())?.as_slice() {
            [one] if Literal::new(one).is_some() => Some(*one),
            _ => None,
        },
    };
    one.ok_or_else(|| {
        Fault::wrong_value("one prompt, in text: the provider has no text completions of its own").at("prompt").into()
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Completion<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    created: u64,
    #[serde(borrow)]
    model: Raw<'a>,
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    usage: Raw<'a>,
}

/// A choice of a whole answer, or of a chunk.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'a> {
    index: u64,
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
}

#[derive(Serialize)]
struct TextCompletion<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: Raw<'a>,
    choices: Vec<Answer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Raw<'a>,
}

#[derive(Serialize)]
struct Answer<'a> {
    text: Text<'a>,
    index: u64,
    logprobs: Option<()>,
    finish_reason: Option<Cow<'a, str>>,
}

fn completion_id(chat_id: Option<&str>) -> String {
    let id = chat_id.unwrap_or_default();
    format!("cmpl-{}", id.strip_prefix("chatcmpl-").unwrap_or(id))
}

fn words(raw: Raw<'_>) -> Option<Text<'_>> {
    Literal::new(raw?).map(Text::Literal)
}

/// The chunks of a stream.
#[derive(Debug)]
struct Events {
    include_usage: bool,
}

impl super::Events for Events {
    fn chunk(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Ok(chunk) = serde_json::from_slice::<Completion<'_>>(chunk) else { return };
        let usage = chunk.usage.filter(|raw| self.include_usage && raw.get() != "null");
        let said = chunk.choices.into_iter().filter_map(|choice| {
            let text = choice.delta.and_then(|delta| words(delta.content));
            let is_empty = matches!(&text, None | Some(Text::Plain(_)))
                || matches!(&text, Some(Text::Literal(text)) if text.inner().is_empty());
            let text = text.unwrap_or(Text::Plain("".into()));
            let Choice { index, finish_reason, .. } = choice;
            (!is_empty || finish_reason.is_some()).then_some(Answer { text, index, logprobs: None, finish_reason })
        });
        let choices: Vec<Answer<'_>> = said.collect();
        if choices.is_empty() && usage.is_none() {
            return;
        }
        let id = completion_id(chunk.id.as_deref());
        let chunk = TextCompletion { id, object: OBJECT, created: chunk.created, model: chunk.model, choices, usage };
        out.extend_from_slice(b"data: ");
        let _written = serde_json::to_writer(&mut *out, &chunk);
        out.extend_from_slice(b"\n\n");
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.append(&mut error.body());
        out.extend_from_slice(b"\n\n");
    }
}
