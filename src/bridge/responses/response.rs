//! A whole chat completion as a response.

use super::chat::{Call, Choice, Completion, Said};
use super::item::{self, Item};
use super::shell::{Shell, State};
use super::tools;
use crate::error::{Error, Kind};
use crate::json::Literal;
use crate::openai::Request;

/// `chat` as the answer to `client`.
///
/// # Errors
///
/// `BadUpstream`: it is no chat completion.
pub(super) fn response(client: &Request, chat: &[u8], now_secs: u64) -> Result<Vec<u8>, Error> {
    let bad = || Error::new(Kind::BadUpstream, "the provider's answer is not a chat completion");
    let completion = Completion::read(chat).ok_or_else(bad)?;
    let choice = completion.choice().ok_or_else(bad)?;
    let mut shell = Shell::new(client, now_secs);
    shell.name(&completion);
    let state = State::of(choice.finish_reason().unwrap_or_default());
    let mut items = items(choice, state, &custom_names(client));
    for (i, item) in items.iter_mut().enumerate() {
        if let Item::Call(call) = item
            && call.call_id.is_empty()
        {
            call.call_id = shell.item_id("call", i as u64);
        }
    }
    let last = items.len().saturating_sub(1);
    let written = items.iter().enumerate().map(|(i, item)| {
        // What cut the answer short cut its last item.
        let status = if i == last { state.status() } else { State::Completed.status() };
        let mut out = Vec::new();
        item.write(&shell.item_id(item.prefix(), i as u64), status, &mut out);
        out
    });
    let written: Vec<Vec<u8>> = written.collect();
    let output: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
    let mut out = Vec::with_capacity(chat.len() + 1024);
    shell.write(state, &output, completion.usage().as_ref(), &mut out);
    Ok(out)
}

/// The names of the custom tools that a request declares.
pub(super) fn custom_names(client: &Request) -> Vec<String> {
    let raw = client.index.get("tools").and_then(|member| client.body.get(member.value.clone()));
    raw.and_then(|raw| serde_json::from_slice(raw).ok()).map(tools::custom_names).unwrap_or_default()
}

fn items(choice: &Choice<'_>, state: State<'_>, custom: &[String]) -> Vec<Item> {
    let said = choice.said();
    let mut items = reasoning(&said);
    items.extend(said.images().iter().map(|data| Item::Image(item::quoted(data))));
    let mut message = item::Message::default();
    for text in said.content() {
        message.text().0.extend_from_slice(text.inner().as_bytes());
    }
    if let Some(refusal) = said.refusal() {
        message.refusal().0.extend_from_slice(refusal.inner().as_bytes());
    }
    let calls = said.calls();
    // An answer that is complete says something, if nothing.
    let is_silent = items.is_empty() && calls.is_empty() && matches!(state, State::Completed);
    if message.parts().into_iter().flatten().next().is_none() && is_silent {
        message.text();
    }
    if message.text.is_some() {
        said.annotations().into_iter().for_each(|raw| message.annotations.push(&item::annotation(raw)));
        choice.logprobs().into_iter().for_each(|raw| message.logprobs.push(raw.get().as_bytes()));
    }
    if let Some(fields) = said.provider_specific_fields {
        message.provider_specific_fields = fields.get().as_bytes().to_vec();
    }
    if message.parts().into_iter().flatten().next().is_some() {
        items.push(Item::Message(message));
    }
    items.extend(calls.iter().map(|call| Item::Call(begun(call, custom))));
    items
}

fn reasoning(said: &Said<'_>) -> Vec<Item> {
    let bytes = |text: Option<Literal<'_>>| text.map(|text| text.inner().as_bytes().to_vec()).unwrap_or_default();
    let blocks = said.thinking_blocks();
    if blocks.is_empty() {
        let text = bytes(said.reasoning());
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![Item::Reasoning(item::Reasoning { text, ..item::Reasoning::default() })]
        };
    }
    let item = |block: &super::seal::Block<'_>| item::Reasoning {
        text: bytes(block.thinking.and_then(Literal::new)),
        signature: bytes(block.signature.and_then(Literal::new)),
        redacted: bytes(block.data.and_then(Literal::new)),
    };
    blocks.iter().map(|block| Item::Reasoning(item(block))).collect()
}

/// A call as far as this piece of it goes.
pub(super) fn begun(call: &Call<'_>, custom: &[String]) -> item::Call {
    let bytes = |text: Option<Literal<'_>>| text.map(|text| text.inner().as_bytes().to_vec()).unwrap_or_default();
    let name = call.function.name.and_then(Literal::decode);
    let mut begun = item::Call {
        call_id: bytes(call.id),
        name: bytes(call.function.name),
        is_custom: name.is_some_and(|name| custom.iter().any(|custom| *custom == name)),
        ..item::Call::default()
    };
    grow(&mut begun, call);
    begun
}

/// Appends the arguments of a piece.
pub(super) fn grow(begun: &mut item::Call, call: &Call<'_>) {
    match (call.arguments(), call.function.arguments) {
        (Some(arguments), _) => begun.arguments.extend_from_slice(arguments.as_bytes()),
        // An object, which some servers send.
        (None, Some(raw)) => begun.arguments.extend(item::quoted(raw.get())),
        (None, None) => (),
    }
    begun.keep("provider_specific_fields", call.provider_specific_fields);
    begun.keep("extra_content", call.extra_content);
}
