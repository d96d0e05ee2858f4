//! OpenAI's Responses API in terms of chat completions.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `request`, `items`, `content`, `tools` | the request |
//! | `seal` | reasoning, as the client keeps it between two requests |
//! | `chat` | what is read of a chat completion and its chunks |
//! | `item`, `shell` | what a response is written as: its items, and all around them |
//! | `response`, `events` | the answer, whole or in events |
//!
//! Source: OpenAI, "Create a model response" <https://platform.openai.com/docs/api-reference/responses/create>, "The
//! response object" <https://platform.openai.com/docs/api-reference/responses/object>, not re-read for this; "Streaming
//! events" <https://developers.openai.com/api/reference/resources/responses/streaming-events>, read 2026-11-23 in
//! excerpts; the types of the official Python SDK, read on the same day.
//!
//! # Choices
//!
//! - Nothing is stored, and the answer says `store: false`. What needs a store (`previous_response_id`, `conversation`,
//!   `prompt`, an `item_reference`, `background: true`) is refused, not ignored: the model would miss half of the
//!   conversation.
//! - Reasoning survives a round trip without a store: `encrypted_content` holds the provider's own signed blocks, a JSON
//!   array of them, whether or not `include` asks for it. It is not encrypted; it holds no more than the summary does.
//!   Foreign `encrypted_content` is ignored and the summary goes upstream as `reasoning_content`.
//! - One block of reasoning is one item. A summary is told even if `reasoning.summary` does not ask for it.
//! - A developer speaks as the system: not every vendor knows the role.
//! - `max_output_tokens` is sent as `max_tokens`, which every vendor knows.
//! - A custom tool becomes a function with one string, `content`; its calls come back as `custom_tool_call`.
//! - `allowed_tools` leaves out the other tools: the same to a model that knows only what it is offered.
//! - An error amid the events is an `error` and then `response.failed`, as OpenAI does it.
//! - Ids are made of the chat completion's id and the number of the item.
//!
//! Compared with LiteLLM 1.109.1 (36 requests, body by body, on 2026-11-23), which makes a chat completion of a response in the same
//! way: it leaves an `item_reference` and the place of a web search out in silence, refuses `allowed_tools`, searches
//! files by itself, and sends `mcp` tools to Anthropic. The description of a custom tool's argument is in other words.
//!
//! # Limits
//!
//! - Hosted tools but the web search are refused. `tool_choice` cannot force a search; the model then decides.
//! - `truncation: auto` cuts nothing: a conversation that is too long is the provider's error. `max_tool_calls`,
//!   `include` beyond logprobs, `metadata` and `store` mean nothing to a chat completion and stay here; what can be is
//!   repeated in the answer.
//! - A past search of the web (`web_search_call`) is left out of the conversation; its text is in the message after it.
//!   Other items of hosted tools are refused. Reasoning that no assistant's item follows is left out.
//! - The final event repeats the whole answer, which is kept for it: up to 8 MiB, then the stream fails.
//! - Calls are done when the answer is: a chat completion does not say when one of them is.
//! - A fault that the vendor's language finds has the path of the chat completion's parameter.

mod chat;
mod content;
mod events;
mod item;
mod items;
mod request;
mod response;
mod seal;
mod shell;
mod tools;

use super::{Bridge, Events};
use crate::error::Error;
use crate::openai::Request;

/// `/v1/responses`
#[derive(Debug)]
pub(super) struct Responses;

impl Bridge for Responses {
    fn request(&self, client: &Request) -> Result<Request, Error> {
        request::request(client)
    }

    fn response(&self, client: &Request, chat: &[u8], now_secs: u64) -> Result<Vec<u8>, Error> {
        response::response(client, chat, now_secs)
    }

    fn events(&self, client: &Request, now_secs: u64) -> Box<dyn Events> {
        Box::new(events::Machine::new(client, now_secs))
    }
}

#[cfg(test)]
mod tests;
