//! What holds for every vendor and every endpoint: arbitrary JSON in gives a result or an error, never a trap, and
//! whatever goes out is well-formed.

use wasm_bindgen_test::wasm_bindgen_test;

use super::Asked;
use crate::json::Index;
use crate::openai::{Endpoint, Request};
use crate::provider::hostile::Hostile;
use crate::provider::vendor::VENDORS;
use crate::provider::{Body, Pass, Target, ended_early};

/// Names that some vendor reads, in requests or in answers.
const NAMES: &[&str] = &[
    "model",
    "messages",
    "role",
    "content",
    "type",
    "text",
    "tools",
    "tool_calls",
    "tool_choice",
    "function",
    "name",
    "arguments",
    "parameters",
    "id",
    "index",
    "delta",
    "choices",
    "message",
    "usage",
    "prompt_tokens",
    "error",
    "code",
    "image_url",
    "url",
    "file",
    "file_data",
    "input_audio",
    "data",
    "format",
    "thinking",
    "signature",
    "thinking_blocks",
    "cache_control",
    "response_format",
    "json_schema",
    "schema",
    "properties",
    "items",
    "anyOf",
    "enum",
    "$ref",
    "$defs",
    "stop",
    "stream",
    "stream_options",
    "include_usage",
    "max_tokens",
    "temperature",
    "n",
    "reasoning_effort",
    "system",
    "input",
    "instructions",
    "output",
    "candidates",
    "parts",
    "functionCall",
    "args",
    "finishReason",
    "usageMetadata",
    "responseId",
    "promptFeedback",
    "blockReason",
    "toolUse",
    "toolUseId",
    "contentBlock",
    "contentBlockIndex",
    "start",
    "reasoningContent",
    "stopReason",
    "inputTokens",
    "prompt_eval_count",
    "done",
    "done_reason",
    "tool_call_id",
    "tool_plan",
    "citations",
    "finish_reason",
    "embeddings",
    "values",
    "results",
    "documents",
    "query",
    "prompt",
    "content_block",
    "input_schema",
    "tool_use_id",
    "source",
    "media_type",
    "stop_reason",
    "input_tokens",
    "call_id",
    "summary",
    "encrypted_content",
    "logprobs",
    "reasoning_content",
    "reasoning",
    "refusal",
    "embedding",
    "item",
];

/// Strings that mean something to some vendor.
const WORDS: &[&str] = &[
    "user",
    "assistant",
    "system",
    "developer",
    "tool",
    "function",
    "text",
    "image_url",
    "input_text",
    "output_text",
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "text_delta",
    "input_json_delta",
    "message_delta",
    "message_stop",
    "function_call",
    "function_call_output",
    "message",
    "reasoning",
    "content-delta",
    "tool-call-start",
    "message-end",
    "json_schema",
    "json_object",
    "auto",
    "required",
    "none",
    "STOP",
    "MAX_TOKENS",
    "end_turn",
    "stop",
    "length",
    "",
    "é\u{1f600}",
    "data:image/png;base64,aGk=",
    "https://x.example/i.png",
    "data:",
    "{}",
    "{\"a\":1}",
    "{",
    "object",
    "string",
    "array",
];

const FRAMES: [&str; 4] = ["data: ", "event: x\ndata: ", "", "event: error\ndata: "];

struct Json(Hostile);

impl Json {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.next() % from.len()]
    }

    fn value(&mut self, depth: usize) -> String {
        let kinds = if depth == 0 { 5 } else { 9 };
        match self.0.next() % kinds {
            0 => self.pick(&["null", "true", "false"]).to_owned(),
            1 => self.pick(&["0", "1", "-1", "1.5", "1e300", "18446744073709551616"]).to_owned(),
            2..=4 => serde_json::to_string(self.pick(WORDS)).unwrap(),
            5 | 6 => {
                let items: Vec<_> = (0..self.0.next() % 4).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => self.object(depth - 1),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        format!("{{{}}}", self.members(depth))
    }

    fn members(&mut self, depth: usize) -> String {
        let count = self.0.next() % 6;
        let each = |_| format!("\"{}\":{}", self.pick(NAMES), self.value(depth));
        (0..count).map(each).collect::<Vec<_>>().join(",")
    }

    /// A request that is well-formed as far as `Request::parse` looks.
    fn request(&mut self) -> Vec<u8> {
        let (messages, rest) = (self.value(4), self.members(3));
        let more = if rest.is_empty() { String::new() } else { format!(",{rest}") };
        let list = if messages.starts_with('[') { messages } else { format!("[{messages}]") };
        let tools = self.value(4);
        format!(
            r#"{{"model":"m","messages":{list},"input":{list},"documents":{list},"prompt":"p","query":"q","max_tokens":9,"tools":{tools}{more}}}"#
        )
        .into_bytes()
    }

    fn stream(&mut self) -> Vec<u8> {
        let events = (0..self.0.next() % 8).map(|_| {
            let frame = self.pick(&FRAMES);
            format!("{frame}{}\n{}", self.object(5), if frame.is_empty() { "" } else { "\n" })
        });
        events.collect::<String>().into_bytes()
    }
}

fn targets() -> impl Iterator<Item = Target> {
    VENDORS.iter().map(|vendor| Target::of(vendor.prefix, "m-1"))
}

fn asked(endpoint: Endpoint, body: Vec<u8>) -> Option<Asked> {
    if endpoint.is_form() || endpoint == Endpoint::Realtime {
        return None;
    }
    Request::parse(endpoint, body).ok().map(Asked::new)
}

#[wasm_bindgen_test(unsupported = test)]
fn arbitrary_requests_become_json_or_an_error() {
    let mut json = Json(Hostile(0x2545_f491_4f6c_dd1d));
    for target in targets() {
        for endpoint in Endpoint::ALL {
            for _ in 0..8 {
                let Some(asked) = asked(endpoint, json.request()) else { continue };
                if asked.check(&target).is_err() {
                    continue;
                }
                if let Ok((_, upstream)) = asked.ask(&target, target.credential.key())
                    && let Body::Whole(body) = upstream.body
                {
                    Index::parse(&body).unwrap_or_else(|fault| panic!("{}: {fault}", target.vendor.prefix));
                }
            }
        }
    }
}

const PLAIN: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"u"}],"input":"i","documents":["d"],"query":"q","prompt":"p","max_tokens":9}"#;

#[wasm_bindgen_test(unsupported = test)]
fn arbitrary_answers_become_json_or_an_error() {
    let mut json = Json(Hostile(0x9e37_79b9_7f4a_7c15));
    for target in targets() {
        for asked in Endpoint::ALL.into_iter().filter_map(|endpoint| asked(endpoint, PLAIN.to_vec())) {
            let Some((ask, _)) = asked.check(&target).and_then(|()| asked.ask(&target, None)).ok() else { continue };
            for _ in 0..10 {
                let body = json.object(6).into_bytes();
                if let Ok(answer) = ask.response(&asked, &target, &body, 1)
                    && let Some(body) = answer.body
                {
                    Index::parse(&body).unwrap_or_else(|fault| panic!("{}: {fault}", target.vendor.prefix));
                }
                let error = target.error(400 + (body.len() % 200) as u16, &body);
                Index::parse(&error.body_as(asked.client().endpoint.errors())).unwrap();
            }
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn arbitrary_streams_are_the_same_however_they_are_cut() {
    let mut json = Json(Hostile(0xd1b5_4a32_d192_ed03));
    for target in targets() {
        for asked in Endpoint::ALL.into_iter().filter_map(|endpoint| asked(endpoint, PLAIN.to_vec())) {
            let Some((ask, _)) = asked.check(&target).and_then(|()| asked.ask(&target, None)).ok() else { continue };
            for _ in 0..5 {
                let bytes = json.stream();
                let feed = |size: usize| {
                    let (mut stream, mut out) = (ask.stream(&asked, &target, 1), Vec::new());
                    for chunk in bytes.chunks(size) {
                        if stream.push(chunk, &mut out) == Pass::Unchanged {
                            out.extend_from_slice(chunk);
                        }
                    }
                    stream.finish(ended_early(), &mut out);
                    out
                };
                let whole = feed(bytes.len().max(1));
                for size in [1, 7] {
                    assert_eq!(feed(size), whole, "{} in pieces of {size}", target.vendor.prefix);
                }
            }
        }
    }
}
