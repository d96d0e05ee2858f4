//! The endpoints that clients may ask a model through.

use crate::error::Shape as ErrorShape;
use crate::json::Shape;

/// An endpoint with a model behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/completions`
    Completions,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/images/generations`
    ImageGenerations,
    /// `/v1/images/edits`
    ImageEdits,
    /// `/v1/audio/transcriptions`
    AudioTranscriptions,
    /// `/v1/audio/translations`
    AudioTranslations,
    /// `/v1/audio/speech`
    AudioSpeech,
    /// `/v1/moderations`
    Moderations,
    /// `/v1/rerank`, in Cohere's shape.
    Rerank,
    /// `/v1/responses`
    Responses,
    /// `/v1/messages`, in Anthropic's shape.
    Messages,
    /// `/v1/messages/count_tokens`, in Anthropic's shape.
    CountTokens,
    /// `/v1/realtime`, a WebSocket.
    Realtime,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::AudioTranscriptions,
        Self::AudioTranslations,
        Self::AudioSpeech,
        Self::Moderations,
        Self::Rerank,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::Realtime,
    ];

    /// The path below a base URL, `/chat/completions`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::ImageGenerations => "/images/generations",
            Self::ImageEdits => "/images/edits",
            Self::AudioTranscriptions => "/audio/transcriptions",
            Self::AudioTranslations => "/audio/translations",
            Self::AudioSpeech => "/audio/speech",
            Self::Moderations => "/moderations",
            Self::Rerank => "/rerank",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            Self::CountTokens => "/messages/count_tokens",
            Self::Realtime => "/realtime",
        }
    }

    /// Whether the answer is generated text, which costs output tokens.
    pub const fn generates(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions | Self::Responses | Self::Messages)
    }

    /// Whether the body is a form (`multipart/form-data`) and not JSON.
    pub const fn is_form(self) -> bool {
        matches!(self, Self::ImageEdits | Self::AudioTranscriptions | Self::AudioTranslations)
    }

    /// Whether its answers are no chat: they may be JSON, text, bytes or events, each as the client asked for.
    pub const fn is_media(self) -> bool {
        matches!(
            self,
            Self::ImageGenerations
                | Self::ImageEdits
                | Self::AudioTranscriptions
                | Self::AudioTranslations
                | Self::AudioSpeech
        )
    }

    /// The shape in which its clients expect errors.
    pub const fn errors(self) -> ErrorShape {
        match self {
            Self::Messages | Self::CountTokens => ErrorShape::Anthropic,
            _ => ErrorShape::OpenAi,
        }
    }

    /// The parts that a form must have beside `model`, each under one of its names.
    pub(super) const fn required_parts(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::AudioTranscriptions | Self::AudioTranslations => &[&["file"]],
            Self::ImageEdits => &[&["image", "image[]"], &["prompt"]],
            _ => &[],
        }
    }

    /// The member that a JSON body must have beside `model`, with the shapes it may take.
    pub(super) const fn required(self) -> Option<(&'static str, &'static [Shape])> {
        match self {
            Self::ChatCompletions | Self::Messages | Self::CountTokens => Some(("messages", &[Shape::Array])),
            Self::Completions => Some(("prompt", &[Shape::String, Shape::Array])),
            Self::Embeddings | Self::Moderations => Some(("input", &[Shape::String, Shape::Array])),
            Self::ImageGenerations => Some(("prompt", &[Shape::String])),
            Self::AudioSpeech => Some(("input", &[Shape::String])),
            Self::Rerank => Some(("documents", &[Shape::Array])),
            // `prompt`, a stored one, may stand in for `input`.
            Self::Responses
            | Self::ImageEdits
            | Self::AudioTranscriptions
            | Self::AudioTranslations
            | Self::Realtime => None,
        }
    }
}
