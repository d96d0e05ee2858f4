//! What a vendor's answer has elsewhere than OpenAI's, put where clients of OpenAI and of LiteLLM look for it.
//!
//! - `reasoning` becomes `reasoning_content`.
//! - A list of content (Mistral's reasoning models) becomes a text and its `reasoning_content`.
//! - Reasons to finish that OpenAI does not know become those that it does, and an answer with tool calls ends with
//!   `tool_calls`.
//! - Usage beside the choices of a chunk leaves it: the stream tells it in a chunk of its own, as OpenAI does.
//!
//! All other bytes stay. An answer in which a few searches find nothing to do is not looked into.
//!
//! Source: Groq, "Reasoning" <https://console.groq.com/docs/reasoning>; OpenRouter, "Reasoning tokens"
//! <https://openrouter.ai/docs/use-cases/reasoning-tokens>; Mistral, "Reasoning"
//! <https://docs.mistral.ai/capabilities/reasoning>; none re-read for this. LITELLM.md 3 and 3.5.

use std::ops::Range;

use memchr::memmem;

use crate::json::edit::{self, Change};
use crate::json::scan::{Member, members_of};
use crate::json::{Index, Shape, Splice};

/// The reasons to finish of other servers, and OpenAI's.
const REASONS: &[(&str, &[u8])] = &[
    ("eos", b"\"stop\""),
    ("eos_token", b"\"stop\""),
    ("end_turn", b"\"stop\""),
    ("stop_sequence", b"\"stop\""),
    ("max_tokens", b"\"length\""),
    ("model_length", b"\"length\""),
    ("tool_use", b"\"tool_calls\""),
];

/// A whole answer in OpenAI's shape, `by_tool` where its content is in the call of a tool of ours; `None` where it is in
/// that shape.
pub(super) fn answer(body: &[u8], by_tool: bool) -> Option<Vec<u8>> {
    let has = |needle: &[u8]| memmem::find(body, needle).is_some();
    let may_differ = has_reasoning(body) || has(b"\"tool_calls\"") || has_odd_reason(body);
    if may_differ { edited(body, "message", by_tool).map(|(body, _)| body) } else { None }
}

/// The chunk `data` in OpenAI's shape and the usage taken out of it; `None` where it is in that shape.
pub(super) fn chunk(data: &[u8], by_tool: bool) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let has = |needle: &[u8]| memmem::find(data, needle).is_some();
    let may_differ = has(b"\"usage\"") || has(b"\"tool_calls\"") || has_reasoning(data) || has_odd_reason(data);
    if may_differ { edited(data, "delta", by_tool) } else { None }
}

fn has_reasoning(text: &[u8]) -> bool {
    memmem::find(text, b"\"reasoning\"").is_some() || has_list_of_content(text)
}

fn has_list_of_content(text: &[u8]) -> bool {
    values(text, b"\"content\"").any(|value| value.starts_with(b"["))
}

/// What stands behind each `name` that is the name of a member.
fn values<'a>(text: &'a [u8], name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(text, name).filter_map(move |at| {
        let after = text.get(at + name.len()..).unwrap_or_default().trim_ascii_start();
        after.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
    })
}

fn has_odd_reason(text: &[u8]) -> bool {
    let known = [&b"null"[..], b"\"stop\"", b"\"length\"", b"\"tool_calls\"", b"\"content_filter\""];
    values(text, b"\"finish_reason\"").any(|value| !known.iter().any(|known| value.starts_with(known)))
}

/// The edited text and the usage that was taken out.
fn edited(text: &[u8], said: &str, by_tool: bool) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let index = Index::parse(text).ok()?;
    let choices = index.get("choices").filter(|member| member.shape == Shape::Array)?;
    let choices = edit::elements(text, choices.value.clone())?;
    let takes_usage = said == "delta" && !choices.is_empty();
    let is_usage = |member: &Member| takes_usage && member.key == "usage" && member.shape == Shape::Object;
    let usage = index.members().iter().rfind(|member| is_usage(member));
    let usage = usage.and_then(|member| text.get(member.value.clone())).map(<[u8]>::to_vec);
    let mut splice = Splice::default();
    let change = |member: &Member| if is_usage(member) { Change::Drop } else { Change::Keep };
    edit::object(&index, change, &[], &mut splice).then_some(())?;
    for choice in choices {
        edit_choice(text, choice, said, by_tool, &mut splice)?;
    }
    if splice == Splice::default() { None } else { Some((splice.apply(text)?, usage)) }
}

fn edit_choice(text: &[u8], range: Range<usize>, said: &str, by_tool: bool, splice: &mut Splice) -> Option<()> {
    let Some(choice) = members_of(text, range) else { return Some(()) };
    let said = choice.get(said).filter(|member| member.shape == Shape::Object);
    let said = said.and_then(|member| members_of(text, member.value.clone()));
    let calls = said.as_ref().and_then(|said| said.get("tool_calls"));
    let is_whole = choice.get("message").is_some();
    let has_calls = is_whole && calls.is_some_and(|calls| calls.shape == Shape::Array && calls.value.len() > 2);
    let change = |member: &Member| match member.key.as_str() {
        "finish_reason" if by_tool && text.get(member.value.clone()) == Some(b"\"tool_calls\"") => {
            Change::Set(b"\"stop\"".to_vec())
        }
        "finish_reason" if by_tool => Change::Keep,
        "finish_reason" if member.shape == Shape::String => reason(text, member, has_calls),
        _ => Change::Keep,
    };
    edit::object(&choice, change, &[], splice).then_some(())?;
    match said {
        Some(said) if by_tool => edit_called(text, &said, splice),
        Some(said) => edit_said(text, &said, splice),
        None => Some(()),
    }
}

/// Makes the arguments of a call the content.
fn edit_called(text: &[u8], said: &Index, splice: &mut Splice) -> Option<()> {
    let Some(calls) = said.get("tool_calls").filter(|member| member.shape == Shape::Array) else {
        return edit_said(text, said, splice);
    };
    let call = edit::elements(text, calls.value.clone())?.into_iter().next().and_then(|call| members_of(text, call));
    let function = call.and_then(|call| members_of(text, call.get("function")?.value.clone()));
    let arguments = function.and_then(|function| text.get(function.get("arguments")?.value.clone()));
    let content = arguments.map(<[u8]>::to_vec).unwrap_or_else(|| b"null".to_vec());
    let change = |member: &Member| match member.key.as_str() {
        "tool_calls" => Change::Drop,
        "content" => Change::Set(content.clone()),
        "reasoning" if member.shape == Shape::String => Change::Rename("reasoning_content"),
        _ => Change::Keep,
    };
    let added = said.get("content").is_none().then(|| ("content", content.clone()));
    edit::object(said, change, added.as_slice(), splice).then_some(())
}

fn reason(text: &[u8], member: &Member, has_calls: bool) -> Change {
    let written = text.get(member.value.clone()).unwrap_or_default();
    let bare = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
    let known = REASONS.iter().find(|(other, _)| other.as_bytes() == bare);
    match (bare, known) {
        (b"" | b"stop", _) if has_calls => Change::Set(b"\"tool_calls\"".to_vec()),
        (b"", _) => Change::Set(b"null".to_vec()),
        (_, Some((_, ours))) => Change::Set(ours.to_vec()),
        _ => Change::Keep,
    }
}

fn edit_said(text: &[u8], said: &Index, splice: &mut Splice) -> Option<()> {
    let is_told = said.get("reasoning_content").is_some_and(|member| member.shape != Shape::Null);
    let content = said.get("content").filter(|member| member.shape == Shape::Array);
    let parts = content.and_then(|member| Parts::of(text, member.value.clone()));
    let mut added = Vec::new();
    if let Some(thought) = parts.as_ref().and_then(|parts| parts.thought.clone()).filter(|_| !is_told) {
        added.push(("reasoning_content", thought));
    }
    let change = |member: &Member| match (member.key.as_str(), &parts) {
        ("reasoning", _) if !is_told && member.shape == Shape::String => Change::Rename("reasoning_content"),
        // Where both are there, one of them empty, the empty one must not hide the other.
        ("reasoning_content", _) if member.shape == Shape::Null && said.get("reasoning").is_some() => Change::Drop,
        ("content", Some(parts)) => Change::Set(parts.said.clone()),
        _ => Change::Keep,
    };
    edit::object(said, change, &added, splice).then_some(())?;
    match said.get("tool_calls").filter(|member| member.shape == Shape::Array) {
        Some(calls) => type_calls(text, calls.value.clone(), splice),
        None => Some(()),
    }
}

/// Says of each call that begins here that it is one of a function, where the vendor doesn't.
fn type_calls(text: &[u8], calls: Range<usize>, splice: &mut Splice) -> Option<()> {
    for call in edit::elements(text, calls)? {
        let Some(call) = members_of(text, call) else { continue };
        let begins = call.get("id").is_some_and(|id| id.shape == Shape::String);
        let is_typed = call.get("type").is_some_and(|type_| type_.shape == Shape::String);
        if begins && !is_typed {
            let change = |member: &Member| if member.key == "type" { Change::Drop } else { Change::Keep };
            edit::object(&call, change, &[("type", b"\"function\"".to_vec())], splice).then_some(())?;
        }
    }
    Some(())
}

/// A list of content: its texts and its thoughts, each joined to one JSON string.
struct Parts {
    said: Vec<u8>,
    thought: Option<Vec<u8>>,
}

impl Parts {
    fn of(text: &[u8], list: Range<usize>) -> Option<Self> {
        let (mut said, mut thought) = (Vec::new(), Vec::new());
        for part in edit::elements(text, list)? {
            let part = members_of(text, part)?;
            if let Some(thinking) = part.get("thinking").filter(|member| member.shape == Shape::Array) {
                for inner in edit::elements(text, thinking.value.clone())? {
                    thought.extend_from_slice(inner_text(text, &members_of(text, inner)?));
                }
            } else {
                said.extend_from_slice(inner_text(text, &part));
            }
        }
        let quoted = |inner: &[u8]| [b"\"", inner, b"\""].concat();
        let thought = (!thought.is_empty()).then(|| quoted(&thought));
        let said = if said.is_empty() && thought.is_some() { b"null".to_vec() } else { quoted(&said) };
        Some(Self { said, thought })
    }
}

/// What stands between the quotes of a part's text.
fn inner_text<'a>(text: &'a [u8], part: &Index) -> &'a [u8] {
    let member = part.get("text").filter(|member| member.shape == Shape::String);
    member.and_then(|member| text.get(member.value.start + 1..member.value.end - 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_answer_is_edited_where_it_differs_and_nowhere_else() {
        for (body, expected) in [
            (r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{}}"#, None),
            (
                r#"{"choices":[{"message":{"content":"a", "reasoning" : "b\n"},"finish_reason":"eos"}]}"#,
                Some(
                    r#"{"choices":[{"message":{"content":"a", "reasoning_content" : "b\n"},"finish_reason":"stop"}]}"#,
                ),
            ),
            (
                r#"{"choices":[{"message":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"h\u00e9"}]},{"type":"text","text":"4"}]},"finish_reason":"stop"}]}"#,
                Some(
                    r#"{"choices":[{"message":{"reasoning_content":"h\u00e9","content":"4"},"finish_reason":"stop"}]}"#,
                ),
            ),
            (
                r#"{"choices":[{"message":{"content":"","tool_calls":[{"id":"1","type":"function"}]},"finish_reason":""}]}"#,
                Some(
                    r#"{"choices":[{"message":{"content":"","tool_calls":[{"id":"1","type":"function"}]},"finish_reason":"tool_calls"}]}"#,
                ),
            ),
            (r#"{"choices":[{"message":{"reasoning":null,"content":"a"},"finish_reason":"stop"}]}"#, None),
        ] {
            assert_eq!(text(answer(body.as_bytes(), false)).as_deref(), expected, "{body}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_chunk_gives_its_usage_away() {
        let (data, usage) =
            chunk(br#"{"id":"1","choices":[{"delta":{"content":"a"}}],"usage":{"total_tokens":3}}"#, false).unwrap();
        assert_eq!(data, br#"{"id":"1","choices":[{"delta":{"content":"a"}}]}"#);
        assert_eq!(usage.unwrap(), br#"{"total_tokens":3}"#);
        assert_eq!(chunk(br#"{"choices":[],"usage":{"total_tokens":3}}"#, false), None);
        assert_eq!(chunk(br#"{"choices":[{"delta":{"content":"a"}}],"usage":null}"#, false), None);
    }
}
