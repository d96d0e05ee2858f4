//! Token counts that a test can predict.
//!
//! Unless the script says otherwise: prompt tokens are the bytes of the request body divided by four, rounded up;
//! completion tokens are the words of the answer; nothing comes from a cache.

use crate::script::{Script, ScriptedUsage};

/// Counts the tokens of one exchange; `prompt` includes what a cache gave or took.
pub(crate) fn count(script: &Script, body_bytes: usize, answer: &str) -> ScriptedUsage {
    script.shape.usage.unwrap_or_else(|| ScriptedUsage {
        prompt: body_bytes.div_ceil(4) as u64,
        completion: answer.split_whitespace().count() as u64,
        ..ScriptedUsage::default()
    })
}
