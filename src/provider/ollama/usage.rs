//! Token counts.
//!
//! Source: Ollama, "Generate a chat message" <https://docs.ollama.com/api/chat>, not re-read for this:
//! `prompt_eval_count`, `eval_count`. A server that has the prompt in its cache may leave out the former.

use crate::openai::Usage;

/// What a server says it counted; `None` where it does not say both.
pub(super) fn usage(prompt_eval_count: Option<u64>, eval_count: Option<u64>) -> Option<Usage> {
    Some(Usage { input_tokens: prompt_eval_count?, output_tokens: eval_count?, ..Usage::default() })
}
