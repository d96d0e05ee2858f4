//! The Responses API of OpenAI itself: an answer and its events pass through as they are, and their usage is read.
//!
//! Source: OpenAI, "The response object" <https://platform.openai.com/docs/api-reference/responses/object>, "Streaming
//! events" <https://developers.openai.com/api/reference/resources/responses/streaming-events>, read 2026-11-23 in
//! excerpts; the official Python SDK's types, read on the same day.
//!
//! # Limits
//!
//! - An answer made in the background (`background: true`) says no usage when it is accepted, and nobody asks for it
//!   through this gateway later: its prompt is estimated and its output is not counted.
//! - What is stored at the provider (`previous_response_id`, `conversation`, `store`) is stored at the deployment that
//!   made it. A later request may go to another one, which does not know it.

mod response;
mod stream;

pub(super) use response::response;
pub(super) use stream::Stream;
