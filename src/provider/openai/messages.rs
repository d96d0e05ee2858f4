//! Messages as a vendor takes them: roles, members and parts that it refuses are edited where they stand.
//!
//! A conversation in which one pass over its quotes finds nothing to edit is not looked into.

use std::ops::Range;

use memchr::{memchr_iter, memmem};

use super::dialect::{Content, Messages, Names, Reasoning};
use super::{family, reasoning};
use crate::json::edit::{self, Change};
use crate::json::scan::{Member, members_of};
use crate::json::{Index, Shape, Splice};
use crate::openai::Request;
use crate::provider::Target;

/// Writes into `splice` what becomes of the messages of `request` at `target`.
pub(super) fn edit(request: &Request, target: &Target, splice: &mut Splice) -> Option<()> {
    let text = request.body.as_slice();
    let Some(list) = request.index.get("messages").filter(|member| member.shape == Shape::Array) else {
        return Some(());
    };
    let rules = Rules::of(request, target);
    if !rules.may_edit(text.get(list.value.clone())?) {
        return Some(());
    }
    let items = edit::elements(text, list.value.clone())?;
    let mut dropped = Vec::with_capacity(items.len());
    for item in &items {
        let message = Message::of(text, item.clone());
        let is_empty = rules.messages.drops_empty && message.as_ref().is_some_and(Message::is_empty);
        dropped.push(is_empty);
        if let Some(message) = message.filter(|_| !is_empty) {
            rules.edit(&message, splice)?;
        }
    }
    if !dropped.contains(&true) {
        return Some(());
    }
    edit::drop_items(&items, &dropped, list.value.start.saturating_add(1), splice).then_some(())
}

/// What is edited for one target.
struct Rules {
    messages: Messages,
    knows_developer: bool,
    is_openais: bool,
    takes_cache_control: bool,
    thinks: bool,
    /// What an assistant's message without reasoning gets, where the vendor wants some in each.
    placeholder: bool,
    flattens: bool,
}

impl Rules {
    fn of(request: &Request, target: &Target) -> Self {
        let dialect = &target.vendor.dialect;
        let messages = dialect.messages;
        let has = |needle: &[u8]| memmem::find(&request.body, needle).is_some();
        let has_files = || has(b"\"image_url\"") || has(b"\"file\"");
        Self {
            messages,
            knows_developer: (messages.knows_developer)(target),
            is_openais: family::is_openais(target),
            takes_cache_control: (messages.takes_cache_control)(target),
            thinks: messages.thinks && (target.supports_reasoning || target.base_model.contains("magistral")),
            placeholder: dialect.reasoning == Reasoning::Switch
                && target.supports_reasoning
                && reasoning::is_on(request, target),
            flattens: match messages.content {
                Content::Text => true,
                Content::TextWithoutFiles => !has_files(),
                Content::List | Content::AssistantLines => false,
            },
        }
    }

    /// Whether there may be anything to edit in the conversation `text`.
    fn may_edit(&self, text: &[u8]) -> bool {
        let looks_closer = self.messages.drops_empty
            || self.messages.names != Names::All
            || self.messages.content != Content::List
            || self.placeholder;
        looks_closer || memchr_iter(b'"', text).any(|at| self.marks(text.get(at + 1..).unwrap_or_default()))
    }

    /// Whether what stands behind a quote may have to be edited. One pass over the quotes is cheap: a picture has none.
    fn marks(&self, after: &[u8]) -> bool {
        match after.first() {
            Some(b':' | b' ' | b'\n' | b'\r' | b'\t') => {
                value_of(after).is_some_and(|value| value.starts_with(b"null"))
            }
            Some(b'd') => !self.knows_developer && after.starts_with(b"developer\""),
            Some(b'c') => !self.takes_cache_control && after.starts_with(b"cache_control\""),
            Some(b'i') => {
                let url = after.strip_prefix(b"image_url\"").and_then(value_of);
                url.is_some_and(|url| url.starts_with(b"\""))
            }
            _ => self.messages.without.iter().any(|name| after.starts_with(name.as_bytes())),
        }
    }

    /// Whether a null content goes: OpenAI's own servers take it, and get it byte for byte.
    fn drops_null(&self, content: Option<&Vec<u8>>) -> bool {
        content.is_none() && !self.is_openais
    }

    fn edit(&self, message: &Message<'_>, splice: &mut Splice) -> Option<()> {
        let content = self.content(message);
        let mut added = Vec::new();
        if self.placeholder && message.role == Role::Assistant && message.index.get("reasoning_content").is_none() {
            added.push(("reasoning_content", b"\" \"".to_vec()));
        }
        let change = |member: &Member| self.change(message, member, content.as_ref());
        edit::object(&message.index, change, &added, splice).then_some(())?;
        match message.index.get("content") {
            Some(list) if content.is_none() && list.shape == Shape::Array => {
                self.edit_parts(message, list.value.clone(), splice)
            }
            _ => Some(()),
        }
    }

    fn change(&self, message: &Message<'_>, member: &Member, content: Option<&Vec<u8>>) -> Change {
        let is_assistant = message.role == Role::Assistant;
        let names = match message.role {
            Role::Tool => self.messages.names != Names::Users,
            Role::User => self.messages.names != Names::Tools,
            Role::Developer | Role::Assistant | Role::Other => self.messages.names == Names::All,
        };
        match member.key.as_str() {
            "role" if message.role == Role::Developer && !self.knows_developer => Change::Set(b"\"system\"".to_vec()),
            "name" if !names => Change::Drop,
            "cache_control" if !self.takes_cache_control => Change::Drop,
            _ if is_assistant
                && member.shape == Shape::Null
                && (member.key != "content" || self.drops_null(content)) =>
            {
                Change::Drop
            }
            key if is_assistant && self.messages.without.contains(&key) => Change::Drop,
            "content" => content.cloned().map_or(Change::Keep, Change::Set),
            _ => Change::Keep,
        }
    }

    /// The content of a message, where it is another one here.
    fn content(&self, message: &Message<'_>) -> Option<Vec<u8>> {
        let member = message.index.get("content")?;
        let flat = match (self.flattens, self.messages.content) {
            (true, _) if member.shape == Shape::Array => message.joined(member, b""),
            (_, Content::AssistantLines) if member.shape == Shape::Array && message.role == Role::Assistant => {
                message.joined_texts(member)
            }
            _ => None,
        };
        if !self.thinks || message.role != Role::Assistant {
            return flat;
        }
        let thought = message.index.get("reasoning_content").filter(|member| member.shape == Shape::String);
        let thought = thought.and_then(|member| message.text.get(member.value.clone())).filter(|text| text.len() > 2);
        let Some(thought) = thought else { return flat };
        let said = flat.as_deref().or_else(|| message.text.get(member.value.clone()))?;
        if !said.starts_with(b"\"") {
            return flat;
        }
        let parts: [&[u8]; 3] =
            [br#"[{"type":"thinking","thinking":[{"type":"text","text":"#, thought, br#"}],"closed":true}"#];
        let mut content = parts.concat();
        if said.len() > 2 {
            content.extend_from_slice(br#",{"type":"text","text":"#);
            content.extend_from_slice(said);
            content.push(b'}');
        }
        content.push(b']');
        Some(content)
    }

    fn edit_parts(&self, message: &Message<'_>, list: Range<usize>, splice: &mut Splice) -> Option<()> {
        for item in edit::elements(message.text, list)? {
            let Some(part) = members_of(message.text, item) else { continue };
            let change = |member: &Member| match member.key.as_str() {
                "cache_control" if !self.takes_cache_control => Change::Drop,
                "image_url" if member.shape == Shape::String && message.role == Role::User => {
                    let url = message.text.get(member.value.clone()).unwrap_or_default();
                    Change::Set([b"{\"url\":", url, b"}"].concat())
                }
                _ => Change::Keep,
            };
            edit::object(&part, change, &[], splice).then_some(())?;
        }
        Some(())
    }
}

/// The value whose name has just ended.
fn value_of(after: &[u8]) -> Option<&[u8]> {
    after.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Developer,
    User,
    Assistant,
    Tool,
    Other,
}

struct Message<'a> {
    text: &'a [u8],
    index: Index,
    role: Role,
}

impl<'a> Message<'a> {
    fn of(text: &'a [u8], range: Range<usize>) -> Option<Self> {
        let index = members_of(text, range)?;
        let role: Option<String> = index.read(text, "role").ok().flatten();
        let role = match role.as_deref() {
            Some("developer") => Role::Developer,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("tool") => Role::Tool,
            _ => Role::Other,
        };
        Some(Self { text, index, role })
    }

    /// Whether an assistant's message says nothing.
    fn is_empty(&self) -> bool {
        let says = |member: &Member| match member.key.as_str() {
            "role" => false,
            "content" => !matches!(self.text.get(member.value.clone()), Some(b"\"\"" | b"null")),
            _ => member.shape != Shape::Null,
        };
        self.role == Role::Assistant && !self.index.members().iter().any(says)
    }

    /// The texts of all text parts, as they are written, as one string; `None` where there is no text.
    fn joined(&self, list: &Member, between: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"\"".to_vec();
        for (i, text) in self.texts(list)?.into_iter().flatten().enumerate() {
            if i > 0 {
                out.extend_from_slice(between);
            }
            out.extend_from_slice(text);
        }
        out.push(b'"');
        (out.len() > 2).then_some(out)
    }

    /// The same, a part a line, where all parts are texts.
    fn joined_texts(&self, list: &Member) -> Option<Vec<u8>> {
        let is_text_only = self.texts(list)?.iter().all(Option::is_some);
        self.joined(list, b"\\n").filter(|_| is_text_only)
    }

    /// What stands between the quotes of each part's text.
    fn texts(&self, list: &Member) -> Option<Vec<Option<&'a [u8]>>> {
        let items = edit::elements(self.text, list.value.clone())?;
        let text = |item: Range<usize>| {
            let part = members_of(self.text, item)?;
            let text = part.get("text").filter(|member| member.shape == Shape::String)?;
            self.text.get(text.value.start + 1..text.value.end - 1)
        };
        Some(items.into_iter().map(text).collect())
    }
}
