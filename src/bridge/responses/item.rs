//! The items of an output. Their strings are kept as they are written between quotes, escapes and all: a piece is
//! appended as it came, and the whole is never decoded.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::seal;
use super::tools::CUSTOM_ARGUMENT;
use crate::json::Literal;
use crate::openai::chat::Raw;

/// An item, complete or on its way.
#[derive(Debug)]
pub(super) enum Item {
    Reasoning(Reasoning),
    Message(Message),
    Call(Call),
    /// The base64 of an image that the model made.
    Image(Vec<u8>),
}

/// A block of reasoning.
#[derive(Debug, Default)]
pub(super) struct Reasoning {
    pub(super) text: Vec<u8>,
    pub(super) signature: Vec<u8>,
    /// What only the provider can read, in place of a text.
    pub(super) redacted: Vec<u8>,
}

/// What the assistant says.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) text: Option<Vec<u8>>,
    pub(super) refusal: Option<Vec<u8>>,
    /// Whether the refusal came before the text.
    refused_first: bool,
    pub(super) annotations: List,
    pub(super) logprobs: List,
    pub(super) provider_specific_fields: Vec<u8>,
}

/// A call of a function or of a custom tool.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) call_id: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) arguments: Vec<u8>,
    pub(super) is_custom: bool,
    /// Members that the provider wants back, each with a comma before it.
    pub(super) extra: Vec<u8>,
}

/// Values of a JSON array with commas between them.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) text: Vec<u8>,
    pub(super) len: usize,
}

/// Which part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    Text,
    Refusal,
}

impl List {
    pub(super) fn push(&mut self, value: &[u8]) {
        if self.len > 0 {
            self.text.push(b',');
        }
        self.text.extend_from_slice(value);
        self.len += 1;
    }
}

impl Item {
    /// The beginning of its id.
    pub(super) fn prefix(&self) -> &'static str {
        match self {
            Self::Reasoning(_) => "rs",
            Self::Message(_) => "msg",
            Self::Call(call) if call.is_custom => "ctc",
            Self::Call(_) => "fc",
            Self::Image(_) => "ig",
        }
    }

    /// Writes it; `id` is as it is written between quotes.
    pub(super) fn write(&self, id: &[u8], status: &str, out: &mut Vec<u8>) {
        put(out, &[b"{\"id\":\"", id, b"\",\"type\":"]);
        match self {
            Self::Reasoning(reasoning) => reasoning.write(out),
            Self::Message(message) => {
                put(
                    out,
                    &[b"\"message\",\"status\":\"", status.as_bytes(), b"\",\"role\":\"assistant\",\"content\":["],
                );
                for (i, kind) in message.parts().into_iter().flatten().enumerate() {
                    put(out, &[if i > 0 { b"," } else { b"" }]);
                    message.write_part(kind, out);
                }
                out.push(b']');
                if !message.provider_specific_fields.is_empty() {
                    put(out, &[b",\"provider_specific_fields\":", &message.provider_specific_fields]);
                }
            }
            Self::Call(call) => call.write(status, out),
            Self::Image(data) => {
                put(out, &[b"\"image_generation_call\",\"status\":\"completed\",\"result\":\"", data, b"\""]);
            }
        }
        out.push(b'}');
    }
}

impl Reasoning {
    /// Everything behind `"type":`. It has no status: OpenAI refuses one where the item comes back to it.
    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[b"\"reasoning\",\"summary\":["]);
        if !self.text.is_empty() {
            self.write_part(out);
        }
        out.push(b']');
        if !self.redacted.is_empty() {
            put(out, &[b",\"encrypted_content\":"]);
            seal::redacted(&self.redacted, out);
        } else if !self.signature.is_empty() {
            put(out, &[b",\"encrypted_content\":"]);
            seal::readable(&self.text, &self.signature, out);
        }
    }

    /// The one part of the summary.
    pub(super) fn write_part(&self, out: &mut Vec<u8>) {
        put(out, &[b"{\"type\":\"summary_text\",\"text\":\"", &self.text, b"\"}"]);
    }
}

impl Message {
    /// The text to append to; whether it begins.
    pub(super) fn text(&mut self) -> (&mut Vec<u8>, bool) {
        let begins = self.text.is_none();
        self.refused_first |= begins && self.refusal.is_some();
        (self.text.get_or_insert_default(), begins)
    }

    /// The refusal to append to; whether it begins.
    pub(super) fn refusal(&mut self) -> (&mut Vec<u8>, bool) {
        let begins = self.refusal.is_none();
        (self.refusal.get_or_insert_default(), begins)
    }

    /// The number of a part.
    pub(super) fn index_of(&self, kind: PartKind) -> usize {
        self.parts().into_iter().flatten().position(|part| part == kind).unwrap_or(0)
    }

    /// Its parts in their order.
    pub(super) fn parts(&self) -> [Option<PartKind>; 2] {
        let text = self.text.is_some().then_some(PartKind::Text);
        let refusal = self.refusal.is_some().then_some(PartKind::Refusal);
        if self.refused_first { [refusal, text] } else { [text, refusal] }
    }

    pub(super) fn write_part(&self, kind: PartKind, out: &mut Vec<u8>) {
        match kind {
            PartKind::Text => {
                put(out, &[b"{\"type\":\"output_text\",\"annotations\":[", &self.annotations.text]);
                put(out, &[b"],\"logprobs\":[", &self.logprobs.text]);
                put(out, &[b"],\"text\":\"", self.text.as_deref().unwrap_or_default(), b"\"}"]);
            }
            PartKind::Refusal => {
                let refusal = self.refusal.as_deref().unwrap_or_default();
                put(out, &[b"{\"type\":\"refusal\",\"refusal\":\"", refusal, b"\"}"]);
            }
        }
    }
}

impl Call {
    fn write(&self, status: &str, out: &mut Vec<u8>) {
        let type_ = if self.is_custom { "custom_tool_call" } else { "function_call" };
        put(
            out,
            &[b"\"", type_.as_bytes(), b"\",\"status\":\"", status.as_bytes(), b"\",\"call_id\":\"", &self.call_id],
        );
        put(out, &[b"\",\"name\":\"", &self.name, b"\","]);
        if self.is_custom {
            put(out, &[b"\"input\":\"", &self.input(), b"\""]);
        } else {
            put(out, &[b"\"arguments\":\"", &self.arguments, b"\""]);
        }
        put(out, &[&self.extra]);
    }

    /// Keeps what the provider wants back beside the call.
    pub(super) fn keep(&mut self, name: &str, value: Raw<'_>) {
        let name_in_extra = format!(",\"{name}\":");
        let has_it = memchr::memmem::find(&self.extra, name_in_extra.as_bytes()).is_some();
        if let Some(value) = value.filter(|_| !has_it) {
            put(&mut self.extra, &[name_in_extra.as_bytes(), value.get().as_bytes()]);
        }
    }

    /// The input of a custom tool: the one argument of its function, or all of them where that is not to be found.
    pub(super) fn input(&self) -> Vec<u8> {
        let quoted = [b"\"", self.arguments.as_slice(), b"\""].concat();
        let arguments: Option<String> = serde_json::from_slice(&quoted).ok();
        arguments.and_then(|text| unwrapped(&text)).unwrap_or_else(|| self.arguments.clone())
    }
}

fn unwrapped(arguments: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Arguments<'a> {
        #[serde(borrow)]
        content: &'a RawValue,
    }
    const { assert!(matches!(CUSTOM_ARGUMENT.as_bytes(), b"content")) };
    let arguments: Arguments<'_> = serde_json::from_str(arguments).ok()?;
    Literal::new(arguments.content).map(|text| text.inner().as_bytes().to_vec())
}

/// The annotation of a response for that of a chat completion: what is nested there is flat here.
pub(super) fn annotation(raw: &RawValue) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Annotation<'a> {
        #[serde(borrow)]
        url_citation: &'a RawValue,
    }
    let nested: Option<Annotation<'_>> = serde_json::from_str(raw.get()).ok();
    let members = nested.and_then(|nested| nested.url_citation.get().strip_prefix('{')).map(str::trim_start);
    match members {
        Some("}") | None => raw.get().as_bytes().to_vec(),
        Some(members) => [b"{\"type\":\"url_citation\",", members.as_bytes()].concat(),
    }
}

/// Text of our own as it is written between quotes.
pub(super) fn quoted(text: &str) -> Vec<u8> {
    let written = serde_json::to_vec(text).unwrap_or_default();
    written.get(1..written.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

/// Appends all of `parts`.
pub(super) fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
