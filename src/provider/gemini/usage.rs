//! Token counts.
//!
//! Source: Google, "UsageMetadata" <https://ai.google.dev/api/generate-content#UsageMetadata>, not re-read for this;
//! LITELLM.md 3.2: the thoughts are beside the candidates' tokens, unless the total says that they are among them.

use serde::Deserialize;

use crate::openai::Usage;

/// `usageMetadata`; a count that is not there is zero.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Counts {
    prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    total_token_count: Option<u64>,
}

impl Counts {
    /// The counts in the meaning that all providers share. What Google's search read is not billed as input: it counts
    /// only where the answer `is_grounded` on none.
    pub(super) fn usage(&self, is_grounded: bool) -> Usage {
        let prompt = self.prompt_token_count.unwrap_or(0);
        let candidates = self.candidates_token_count.unwrap_or(0);
        let thoughts = self.thoughts_token_count.unwrap_or(0);
        let tools = self.tool_use_prompt_token_count.unwrap_or(0);
        let without_thoughts = prompt.saturating_add(candidates).saturating_add(tools);
        let among = self.total_token_count == Some(without_thoughts);
        Usage {
            input_tokens: prompt.saturating_add(if is_grounded { 0 } else { tools }),
            output_tokens: if among { candidates } else { candidates.saturating_add(thoughts) },
            cached_tokens: self.cached_content_token_count.unwrap_or(0).min(prompt),
            reasoning_tokens: thoughts,
            ..Usage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn thoughts_are_counted_once() {
        let counts = |total| Counts {
            prompt_token_count: Some(10),
            candidates_token_count: Some(7),
            thoughts_token_count: Some(5),
            tool_use_prompt_token_count: Some(3),
            total_token_count: total,
            ..Counts::default()
        };
        for (total, is_grounded, expected) in
            [(Some(25), false, (13, 12)), (Some(20), false, (13, 7)), (None, true, (10, 12))]
        {
            let usage = counts(total).usage(is_grounded);
            assert_eq!((usage.input_tokens, usage.output_tokens, usage.reasoning_tokens), (expected.0, expected.1, 5));
        }
    }
}
