//! A response that is asked for as a chat completion that is.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::items;
use super::tools::{self, Offer};
use crate::error::{Error, Kind};
use crate::json::scan::Member;
use crate::json::{Literal, Shape};
use crate::openai::chat::{self, Fault, Raw};
use crate::openai::{Endpoint, Request};

/// What needs a store, or a worker that outlives the request.
const STATEFUL: &[(&str, &str)] = &[
    ("previous_response_id", "this provider keeps no responses: send the whole conversation as input"),
    ("conversation", "this provider keeps no conversations: send the whole conversation as input"),
    ("prompt", "this provider keeps no prompts: send its text as instructions"),
];

/// What is not passed on as it is: translated, or without a meaning in a chat completion.
const OWN: &[&str] = &[
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "messages",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "reasoning",
    "store",
    "stream",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "truncation",
];

/// The chat completion that stands for `client`.
///
/// # Errors
///
/// The client's: what cannot be said in a chat completion, with its path.
pub(super) fn request(client: &Request) -> Result<Request, Error> {
    let given = Members(client);
    given.check()?;
    let input = given.raw("input").ok_or(Fault::missing("a string or an array").at("input"))?;
    let messages = items::translate(given.raw("instructions"), input)?;
    if messages.is_empty() {
        return Err(Fault::wrong_value("at least one item").at("input").into());
    }
    let offer = tools::offer(given.raw("tools"), given.raw("tool_choice"))?;
    let mut body = Body::default();
    body.member("model", &client.model);
    body.member("messages", &messages);
    given.write_tools(&offer, &mut body);
    given.write_reasoning(&mut body)?;
    given.write_text(&mut body)?;
    given.write_logprobs(&mut body)?;
    given.write_rest(&mut body);
    Request::parse(Endpoint::ChatCompletions, body.end())
}

/// The error for a value that only OpenAI has.
pub(super) fn unsupported(param: String, value: &str, why: &str) -> Error {
    let message = format!("'{param}': {value} is not supported for this model: {why}");
    Error::new(Kind::UnsupportedParameter, message).with_param(param)
}

/// The members of the client's body.
struct Members<'a>(&'a Request);

/// The body of the chat completion; each name is written once.
#[derive(Default)]
struct Body {
    text: Vec<u8>,
    names: Vec<String>,
}

impl Body {
    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        if self.names.iter().any(|written| written == name) {
            return;
        }
        self.text.push(if self.names.is_empty() { b'{' } else { b',' });
        // Writing to memory cannot fail, and none of our types refuses to be written.
        let _written = serde_json::to_writer(&mut self.text, name);
        self.text.push(b':');
        let _written = serde_json::to_writer(&mut self.text, value);
        self.names.push(name.to_owned());
    }

    fn some(&mut self, name: &str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.text.push(b'}');
        self.text
    }
}

impl<'a> Members<'a> {
    fn value(&self, member: &Member) -> Raw<'a> {
        serde_json::from_slice(self.0.body.get(member.value.clone())?).ok()
    }

    /// The member `name`; `None` where it is absent or null.
    fn raw(&self, name: &str) -> Raw<'a> {
        self.value(self.0.index.get(name).filter(|member| member.shape != Shape::Null)?)
    }

    /// Refuses what needs a state.
    fn check(&self) -> Result<(), Error> {
        for (name, why) in STATEFUL {
            if self.raw(name).is_some() {
                return Err(unsupported((*name).to_owned(), "it", why));
            }
        }
        if self.0.index.read(&self.0.body, "background")?.unwrap_or(false) {
            let why = "this provider answers while the client waits";
            return Err(unsupported("background".to_owned(), "true", why));
        }
        Ok(())
    }

    fn write_tools(&self, offer: &Offer<'_>, body: &mut Body) {
        if !offer.tools.is_empty() {
            body.member("tools", &offer.tools);
            body.some("tool_choice", offer.choice.as_ref());
            body.some("parallel_tool_calls", self.raw("parallel_tool_calls"));
        }
        body.some("web_search_options", offer.search.as_ref());
    }

    fn write_reasoning(&self, body: &mut Body) -> Result<(), Fault> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Reasoning<'a> {
            #[serde(borrow)]
            effort: Raw<'a>,
        }
        let Some(raw) = self.raw("reasoning") else { return Ok(()) };
        if Literal::new(raw).is_some() {
            body.member("reasoning_effort", raw);
            return Ok(());
        }
        let reasoning: Reasoning<'_> = chat::object(raw.get()).map_err(|fault| fault.at("reasoning"))?;
        body.some("reasoning_effort", reasoning.effort);
        Ok(())
    }

    fn write_text(&self, body: &mut Body) -> Result<(), Fault> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Config<'a> {
            #[serde(borrow)]
            format: Raw<'a>,
            #[serde(borrow)]
            verbosity: Raw<'a>,
        }
        let Some(raw) = self.raw("text") else { return Ok(()) };
        let text: Config<'_> = chat::object(raw.get()).map_err(|fault| fault.at("text"))?;
        if let Some(format) = text.format {
            write_format(format, body).map_err(|fault| fault.at("text.format"))?;
        }
        body.some("verbosity", text.verbosity);
        Ok(())
    }

    /// `top_logprobs`, and whether there are to be any: a chat completion has a flag for that.
    fn write_logprobs(&self, body: &mut Body) -> Result<(), Error> {
        let include: Vec<String> = self.0.index.read(&self.0.body, "include")?.unwrap_or_default();
        let is_included = include.iter().any(|what| what == "message.output_text.logprobs");
        let top = self.raw("top_logprobs").filter(|top| is_included || top.get() != "0");
        if is_included || top.is_some() {
            body.member("logprobs", &true);
        }
        body.some("top_logprobs", top);
        Ok(())
    }

    /// What chat completions call the same, or only the vendor or the gateway knows.
    fn write_rest(&self, body: &mut Body) {
        body.some("max_tokens", self.raw("max_output_tokens"));
        if self.0.stream {
            body.member("stream", &true);
            body.member("stream_options", &serde_json::json!({"include_usage": true}));
        }
        for member in self.0.index.members().iter().filter(|member| !OWN.contains(&member.key.as_str())) {
            // Of members with the same name the last one counts.
            body.some(&member.key, self.raw(&member.key));
        }
    }
}

fn write_format(raw: &RawValue, body: &mut Body) -> Result<(), Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Format<'a> {
        #[serde(borrow, rename = "type")]
        type_: Raw<'a>,
        #[serde(borrow)]
        name: Raw<'a>,
        #[serde(borrow)]
        description: Raw<'a>,
        #[serde(borrow)]
        schema: Raw<'a>,
        #[serde(borrow)]
        strict: Raw<'a>,
    }
    #[derive(Serialize)]
    struct Nested<'a> {
        #[serde(rename = "type")]
        type_: &'static str,
        json_schema: Schema<'a>,
    }
    #[derive(Serialize)]
    struct Schema<'a> {
        name: Raw<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Raw<'a>,
        schema: &'a RawValue,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Raw<'a>,
    }
    let Format { type_, name, description, schema, strict } = chat::object(raw.get())?;
    match &*chat::required(type_, "type")? {
        "text" => (),
        "json_schema" => {
            let schema = schema.ok_or(Fault::missing("an object").at("schema"))?;
            let json_schema = Schema { name, description, schema, strict };
            body.member("response_format", &Nested { type_: "json_schema", json_schema });
        }
        _ => body.member("response_format", raw),
    }
    Ok(())
}
