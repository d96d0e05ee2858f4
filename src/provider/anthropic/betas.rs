//! Which betas a request needs, by what is in it.
//!
//! Source: LiteLLM 1.109.1, `llms/anthropic/common_utils.py` and `llms/anthropic/chat/transformation.py`, read
//! 2026-11-23; Anthropic, "Beta headers" <https://platform.claude.com/docs/en/api/beta-headers>, not re-read for this.

use serde::Deserialize;

use super::thinking::Generation;
use crate::openai::chat::Raw;
use crate::provider::Target;
use crate::provider::given::Given;

const FILES: &str = "files-api-2025-04-14";
const ADVANCED_TOOLS: &str = "advanced-tool-use-2025-11-20";
const CONTEXT: &str = "context-management-2025-06-27";

/// The beginnings of the types of Anthropic's own tools, each with its beta.
const TOOLS: &[(&str, &str)] = &[
    ("advisor_20260301", "advisor-tool-2026-03-01"),
    ("code_execution_20250522", "code-execution-2025-05-22"),
    ("code_execution_20250825", "code-execution-2025-08-25"),
    ("computer_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
    ("memory_", CONTEXT),
    ("tool_search_tool_", ADVANCED_TOOLS),
    ("web_fetch_", "web-fetch-2025-09-10"),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tool<'a> {
    #[serde(rename = "type")]
    type_: Option<&'a str>,
    #[serde(borrow)]
    allowed_callers: Raw<'a>,
    #[serde(borrow)]
    input_examples: Raw<'a>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Function<'a> {
    #[serde(borrow)]
    allowed_callers: Raw<'a>,
    #[serde(borrow)]
    input_examples: Raw<'a>,
}

/// The betas of a chat completion; `has_uploads`: it refers to uploaded files.
pub(super) fn of_chat(given: &Given<'_>, target: &Target, has_uploads: bool) -> Vec<&'static str> {
    let mut betas = of_message(given);
    betas.extend(has_uploads.then_some(FILES));
    let tools: Vec<Tool<'_>> = given.text("tools").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    betas.extend(tools.iter().flat_map(of_tool));
    let has = |name: &str, word: &str| given.text(name).is_some_and(|text| text.contains(word));
    betas.extend(has("mcp_servers", "{").then_some("mcp-client-2025-04-04"));
    betas.extend(has("container", "\"skills\"").then_some("skills-2025-10-02"));
    let has_effort = has("output_config", "\"effort\"") && !Generation::of(&target.model).is_adaptive();
    betas.extend(has_effort.then_some("effort-2025-11-24"));
    betas
}

/// The betas of a request in Anthropic's own shape, whose client asks for all others by itself.
pub(super) fn of_message(given: &Given<'_>) -> Vec<&'static str> {
    let edits = given.text("context_management").map(edits).unwrap_or_default();
    let is_compaction = |edit: &String| edit == "compact_20260112";
    let betas = [
        (edits.iter().any(is_compaction), "compact-2026-01-12"),
        (!edits.iter().all(is_compaction), CONTEXT),
        (given.text("output_format").is_some(), "structured-outputs-2025-11-13"),
        (given.text("speed") == Some("\"fast\""), "fast-mode-2026-02-01"),
    ];
    betas.into_iter().filter(|(is_used, _)| *is_used).map(|(_, beta)| beta).collect()
}

fn of_tool(tool: &Tool<'_>) -> Vec<&'static str> {
    let function = tool.function.as_ref();
    let callers = tool.allowed_callers.or(function.and_then(|function| function.allowed_callers));
    let examples = tool.input_examples.or(function.and_then(|function| function.input_examples));
    let is_advanced = callers.is_some_and(|raw| raw.get().contains("\"code_execution_"))
        || examples.is_some_and(|raw| raw.get().starts_with('[') && raw.get() != "[]");
    let type_ = tool.type_.unwrap_or_default();
    let own = TOOLS.iter().filter(|(beginning, _)| type_.starts_with(beginning)).map(|(_, beta)| *beta);
    own.chain(is_advanced.then_some(ADVANCED_TOOLS)).collect()
}

/// The types of the edits of a context.
fn edits(text: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Management {
        edits: Vec<Edit>,
    }
    #[derive(Deserialize)]
    struct Edit {
        #[serde(rename = "type")]
        type_: String,
    }
    let management: Option<Management> = serde_json::from_str(text).ok();
    management.map(|all| all.edits.into_iter().map(|edit| edit.type_).collect()).unwrap_or_default()
}
