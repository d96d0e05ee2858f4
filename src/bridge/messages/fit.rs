//! What of a bridged request only some models take: `thinking` and `cache_control`.
//!
//! Claude takes both from whoever serves it. Gemini has a cache of that kind too. All others get a word for how hard to
//! think, and no marks for a cache that they don't have: OpenAI refuses members that it doesn't know. Which models these
//! are, and the words for a budget, is LiteLLM's knowledge.

use memchr::memmem;
use serde::Deserialize;

use crate::json::Index;
use crate::openai::Request;
use crate::provider::{Target, params};

/// Where marks of the cache stand in a chat completion.
const MARKS: [&str; 5] = [
    "messages[*].content[*].cache_control",
    "messages[*].cache_control",
    "messages[*].tool_calls[*].cache_control",
    "tools[*].cache_control",
    "tools[*].function.cache_control",
];

/// `chat` as the model of `target` takes it; `None` where it is the same.
pub(super) fn fit(client: &Request, chat: &Request, target: &Target) -> Option<Request> {
    let is_claude = is_one_of(target, &["claude", "anthropic"]);
    let mut drops: Vec<&str> = Vec::new();
    let mut added = None;
    if !is_claude {
        let thinks = ["thinking", "output_config"].into_iter().filter(|name| chat.index.get(name).is_some());
        drops.extend(thinks);
        added = effort(client, target).map(|word| ("reasoning_effort", format!("\"{word}\"")));
    }
    let has_marks = memmem::find(&chat.body, b"\"cache_control\"").is_some();
    if has_marks && !is_claude && !is_one_of(target, &["gemini"]) {
        drops.extend(MARKS);
    }
    if drops.is_empty() && added.is_none() {
        return None;
    }
    params::edited(chat, &drops, added)
}

fn is_one_of(target: &Target, names: &[&str]) -> bool {
    let is = |text: &str| {
        let text = text.to_ascii_lowercase();
        names.iter().any(|name| text.contains(name))
    };
    is(&target.model) || is(&target.base_model) || is(target.vendor.prefix)
}

/// How hard the model is to think, in OpenAI's words; `None` where nobody says.
fn effort(client: &Request, target: &Target) -> Option<&'static str> {
    #[derive(Deserialize)]
    struct Thinking<'a> {
        #[serde(rename = "type")]
        type_: &'a str,
        #[serde(default)]
        budget_tokens: u64,
    }
    let declared = declared(client);
    match client.index.read::<Thinking<'_>>(&client.body, "thinking").ok().flatten() {
        Some(Thinking { type_: "enabled", budget_tokens }) => Some(word_of(budget_tokens)),
        Some(Thinking { type_: "adaptive", .. }) => declared.or(Some("medium")),
        // A model that cannot think need not be told.
        Some(Thinking { type_: "disabled", .. }) => target.supports_reasoning.then_some("none"),
        Some(_) | None => declared.filter(|_| target.supports_reasoning),
    }
}

/// `output_config.effort`; OpenAI's scale ends before Anthropic's does.
fn declared(client: &Request) -> Option<&'static str> {
    let config = client.body.get(client.index.get("output_config")?.value.clone())?;
    match Index::parse(config).ok()?.read::<&str>(config, "effort").ok()?? {
        "low" => Some("low"),
        "medium" => Some("medium"),
        "high" | "max" => Some("high"),
        "xhigh" => Some("xhigh"),
        _ => None,
    }
}

const fn word_of(budget_tokens: u64) -> &'static str {
    match budget_tokens {
        4096.. => "high",
        2048.. => "medium",
        1024.. => "low",
        _ => "minimal",
    }
}
