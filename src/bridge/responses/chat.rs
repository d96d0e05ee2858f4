//! What is read of a chat completion and of its chunks. A vendor behind the bridge may speak OpenAI's language itself,
//! in its own dialect: a member of another shape is as good as absent.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Literal;
use crate::openai::chat::Raw;
use crate::openai::usage::{ResponseWire, Usage, Wire};

/// A chat completion or a chunk of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Completion<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) created: Raw<'a>,
    #[serde(borrow)]
    pub(super) model: Raw<'a>,
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Raw<'a>,
    #[serde(borrow)]
    pub(super) service_tier: Raw<'a>,
}

/// An answer, or what a chunk adds to one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    index: Raw<'a>,
    #[serde(borrow)]
    message: Raw<'a>,
    #[serde(borrow)]
    delta: Raw<'a>,
    #[serde(borrow)]
    finish_reason: Raw<'a>,
    #[serde(borrow)]
    logprobs: Raw<'a>,
}

/// What an assistant says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'a> {
    #[serde(borrow)]
    content: Raw<'a>,
    #[serde(borrow)]
    refusal: Raw<'a>,
    #[serde(borrow)]
    reasoning_content: Raw<'a>,
    #[serde(borrow)]
    reasoning: Raw<'a>,
    #[serde(borrow)]
    thinking_blocks: Raw<'a>,
    #[serde(borrow)]
    tool_calls: Raw<'a>,
    #[serde(borrow)]
    annotations: Raw<'a>,
    #[serde(borrow)]
    images: Raw<'a>,
    #[serde(borrow)]
    pub(super) provider_specific_fields: Raw<'a>,
}

/// A call, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'a> {
    #[serde(borrow)]
    index: Raw<'a>,
    #[serde(borrow)]
    pub(super) id: Option<Literal<'a>>,
    #[serde(borrow)]
    pub(super) function: Function<'a>,
    #[serde(borrow)]
    pub(super) provider_specific_fields: Raw<'a>,
    #[serde(borrow)]
    pub(super) extra_content: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Literal<'a>>,
    #[serde(borrow)]
    pub(super) arguments: Raw<'a>,
}

impl<'a> Completion<'a> {
    /// Reads a completion or a chunk; `None` where it is none.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The answer: the first one, if there are others.
    pub(super) fn choice(&self) -> Option<&Choice<'a>> {
        self.choices.as_ref()?.iter().find(|choice| number(choice.index).unwrap_or(0) == 0)
    }

    pub(super) fn created(&self) -> Option<u64> {
        number(self.created)
    }

    pub(super) fn usage(&self) -> Option<ResponseWire> {
        let wire: Wire = serde_json::from_str(self.usage?.get()).ok()?;
        Some(ResponseWire::from(&Usage::from(&wire)))
    }
}

impl<'a> Choice<'a> {
    /// The message, or the delta.
    pub(super) fn said(&self) -> Said<'a> {
        self.message.or(self.delta).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    pub(super) fn finish_reason(&self) -> Option<&'a str> {
        text(self.finish_reason).map(Literal::inner)
    }

    /// The elements of `logprobs.content`.
    pub(super) fn logprobs(&self) -> Vec<&'a RawValue> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Logprobs<'a> {
            #[serde(borrow)]
            content: Option<Vec<&'a RawValue>>,
        }
        let logprobs: Option<Logprobs<'a>> = self.logprobs.and_then(|raw| serde_json::from_str(raw.get()).ok());
        logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default()
    }
}

impl<'a> Said<'a> {
    /// The texts of the content: one, or those of its parts.
    pub(super) fn content(&self) -> Vec<Literal<'a>> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Part<'a> {
            #[serde(borrow)]
            text: Raw<'a>,
        }
        match self.content {
            Some(raw) if raw.get().starts_with('[') => {
                let parts: Vec<Part<'a>> = list(self.content);
                parts.into_iter().filter_map(|part| text(part.text)).collect()
            }
            raw => text(raw).into_iter().collect(),
        }
    }

    pub(super) fn refusal(&self) -> Option<Literal<'a>> {
        text(self.refusal)
    }

    /// The readable reasoning; `reasoning` is what some servers call it.
    pub(super) fn reasoning(&self) -> Option<Literal<'a>> {
        text(self.reasoning_content).or_else(|| text(self.reasoning))
    }

    pub(super) fn thinking_blocks(&self) -> Vec<super::seal::Block<'a>> {
        list(self.thinking_blocks)
    }

    pub(super) fn calls(&self) -> Vec<Call<'a>> {
        list(self.tool_calls)
    }

    pub(super) fn annotations(&self) -> Vec<&'a RawValue> {
        list(self.annotations)
    }

    /// The data of the images: what stands behind `base64,` in their URLs.
    pub(super) fn images(&self) -> Vec<Cow<'a, str>> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Image<'a> {
            #[serde(borrow)]
            image_url: Url<'a>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Url<'a> {
            #[serde(borrow)]
            url: Raw<'a>,
        }
        let images: Vec<Image<'a>> = list(self.images);
        let urls = images.into_iter().filter_map(|image| text(image.image_url.url)?.decode());
        urls.map(|url| url.split_once("base64,").map_or(url.clone(), |(_, data)| data.to_owned().into())).collect()
    }
}

impl<'a> Call<'a> {
    pub(super) fn index(&self) -> Option<u64> {
        number(self.index)
    }

    /// The arguments as they are written inside quotes; `None` for an object, which some servers send.
    pub(super) fn arguments(&self) -> Option<&'a str> {
        self.function.arguments.and_then(Literal::new).map(Literal::inner)
    }
}

/// A string that says something.
fn text(raw: Raw<'_>) -> Option<Literal<'_>> {
    raw.and_then(Literal::new).filter(|text| !text.inner().is_empty())
}

fn number(raw: Raw<'_>) -> Option<u64> {
    raw?.get().parse().ok()
}

/// The elements of an array that are of the expected shape.
fn list<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Vec<T> {
    let elements: Vec<&'a RawValue> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    elements.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
}
