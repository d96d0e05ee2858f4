//! Anthropic's Messages in terms of chat completions.
//!
//! A client that speaks Anthropic's language is served by any vendor. Strings go through as they are written, escapes
//! and all; what Anthropic has and OpenAI's shape has no place for is LiteLLM's extension of it (`thinking`,
//! `thinking_blocks`, `cache_control`) or is listed below.
//!
//! | file | what it translates |
//! | --- | --- |
//! | `request`, `turns`, `blocks`, `tools`, `schema` | the request |
//! | `fit` | the parts of it that only some models take |
//! | `response`, `events`, `reply` | the answer, whole or in events |
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, "Tool use"
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview>, not re-read for this; "Streaming messages"
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>, read 2026-11-23. What goes into a chat completion
//! is LiteLLM's choice, but for the following.
//!
//! # Choices
//!
//! - `disable_parallel_tool_use` becomes `parallel_tool_calls: false`; a `tool_choice` without tools is left out, which
//!   OpenAI would refuse.
//! - A document in plain text becomes text; results of a search in the history become text too.
//! - A tool result's pictures follow it in a user message, since OpenAI's tool messages are text alone.
//! - A `system` message amid the conversation stays one.
//! - Tools that run at Anthropic are refused, web search aside; so are `mcp_servers`.
//! - `standard_only` of `service_tier` is OpenAI's `default`.
//! - An answer with calls stops with `tool_use` whatever the vendor says; an empty text is left out of it.
//! - `effort` of `output_config` goes to a model that reasons even where `thinking` is not said.
//!
//! # Limits
//!
//! - `is_error` of a tool result is lost, unless it has no text: then it says so. `container`, `context_management` and
//!   members of a tool that steer Anthropic alone are lost.
//! - The input tokens of a stream are told at its end: at its beginning nobody knows them.
//! - Pictures that a model makes have no place in an answer.

mod blocks;
mod events;
mod fit;
mod reply;
mod request;
mod response;
mod schema;
mod tools;
mod turns;

use super::Bridge;
use crate::error::Error;
use crate::openai::Request;
use crate::provider::Target;

/// `/v1/messages`.
#[derive(Debug)]
pub(super) struct Messages;

impl Bridge for Messages {
    fn request(&self, client: &Request) -> Result<Request, Error> {
        request::request(client)
    }

    fn fit(&self, client: &Request, chat: &Request, target: &Target) -> Option<Request> {
        fit::fit(client, chat, target)
    }

    fn response(&self, client: &Request, chat: &[u8], _now_secs: u64) -> Result<Vec<u8>, Error> {
        response::response(client, chat)
    }

    fn events(&self, client: &Request, _now_secs: u64) -> Box<dyn super::Events> {
        Box::new(events::Events::new(client))
    }
}

#[cfg(test)]
mod tests;
