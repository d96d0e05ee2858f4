//! How the servers that speak OpenAI's language differ from OpenAI's own: the types of the table in [`super::table`].

use crate::openai::Endpoint;
use crate::provider::Target;

/// The differences of one vendor.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// How its paths and its credential are written.
    pub site: Site,
    /// The endpoints that it has, with their paths below the base URL.
    pub endpoints: &'static [(Endpoint, &'static str)],
    /// The parameters of chat completions that it lacks.
    pub lacking: &'static [&'static [&'static str]],
    /// The parameters of chat completions that some of its models lack.
    pub lacking_by_model: fn(&Target, &str) -> bool,
    /// Whether its models are OpenAI's, whose families differ: see [`super::family`].
    pub has_families: bool,
    /// The parameters of embeddings that it lacks.
    pub lacking_of_embeddings: &'static [&'static str],
    /// Members with another name there; where both are given the renamed one counts.
    pub renames: &'static [(&'static str, &'static str)],
    /// Members that every chat completion gets unless the client or the config has them, as JSON.
    pub adds: &'static [(&'static str, &'static str)],
    /// Headers beside the credential.
    pub headers: &'static [(&'static str, &'static str)],
    /// What stands before a model's name that has no slash.
    pub model_prefix: &'static str,
    /// Whether a chat completion is tidied: no null members, no `metadata`, no `tool_choice` without tools.
    pub is_tidied: bool,
    /// What its messages are like.
    pub messages: Messages,
    /// Members that go from its tools, at any depth.
    pub tools_without: &'static [Without],
    /// Which `tool_choice` it takes.
    pub choice: Choice,
    /// Whether its model keeps to a JSON schema by itself; else a tool is called with the answer: see [`super::schema`].
    pub takes_schema: fn(&Target) -> bool,
    /// How it is told to reason.
    pub reasoning: Reasoning,
    /// Whether its answers are looked through for what OpenAI's shape has elsewhere: see [`super::reshape`].
    pub is_reshaped: bool,
}

/// How paths and credentials are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The endpoint's path below the base URL, `authorization: Bearer`.
    Plain,
    /// The same below `/v1`, whether the base URL ends with it or not.
    V1,
    /// See [`super::azure`].
    Azure,
    /// Azure AI Foundry: `/models` below its own hosts, `api-key` there.
    AzureAi,
    /// IBM watsonx: `/ml/v1/text/chat?version=`, `project_id` in the body.
    Watsonx,
}

/// What a vendor's messages are like.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    /// Whether it knows the role `developer`; else that is `system`.
    pub knows_developer: fn(&Target) -> bool,
    /// Whether it takes marks for its prompt cache.
    pub takes_cache_control: fn(&Target) -> bool,
    /// Members that go from the assistant's messages.
    pub without: &'static [&'static str],
    /// Whose messages may have a `name`.
    pub names: Names,
    /// What a list of parts becomes.
    pub content: Content,
    /// Whether an assistant's message with nothing in it goes.
    pub drops_empty: bool,
    /// Whether earlier reasoning goes back as a part of the content, to models that reason.
    pub thinks: bool,
}

/// Whose messages may have a `name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Everybody's.
    All,
    /// A tool's only.
    Tools,
    /// A user's only.
    Users,
}

/// What a list of parts becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A list it stays.
    List,
    /// The text of its text parts; parts of other kinds go where there is any text.
    Text,
    /// The same, unless there is an image or a file in the conversation.
    TextWithoutFiles,
    /// An assistant's list of texts becomes one text, a part a line.
    AssistantLines,
}

/// A member that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// Whatever its value.
    Any(&'static str),
    /// Where its value is `false`.
    False(&'static str),
}

impl Without {
    /// The name of the member.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any(name) | Self::False(name) => name,
        }
    }
}

/// Which `tool_choice` a vendor takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// OpenAI's.
    Same,
    /// `any` for `required`; no named tool.
    Any,
    /// `auto` and `none` only.
    AutoOrNone,
    /// A word is called `tool_choice_option`.
    Option,
}

/// How a vendor is told to reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// As OpenAI.
    Same,
    /// By `reasoning_effort` only: `thinking` becomes the effort that its budget buys.
    Effort,
    /// By `thinking: {"type":"enabled"|"disabled"}`, with `reasoning_effort` beside it.
    Switch,
    /// By `prompt_mode`.
    PromptMode,
}

impl Dialect {
    /// No difference: OpenAI itself, and what the parameters of its model families are.
    pub const OPENAI: Self = Self {
        site: Site::Plain,
        endpoints: OPENAI_ENDPOINTS,
        lacking: &[],
        lacking_by_model: super::family::lacks,
        has_families: true,
        lacking_of_embeddings: &[],
        renames: &[],
        adds: &[],
        headers: &[],
        model_prefix: "",
        is_tidied: false,
        messages: Messages {
            knows_developer: super::family::knows_developer,
            takes_cache_control: |target| !target.authority.ends_with("openai.com"),
            without: &["thinking_blocks", "provider_specific_fields"],
            names: Names::All,
            content: Content::List,
            drops_empty: false,
            thinks: false,
        },
        tools_without: &[],
        choice: Choice::Same,
        takes_schema: |_| true,
        reasoning: Reasoning::Same,
        is_reshaped: false,
    };

    /// The path of `endpoint` below the base URL; `None` where the vendor has no such endpoint.
    pub fn path(&self, endpoint: Endpoint) -> Option<&'static str> {
        self.endpoints.iter().find(|(own, _)| *own == endpoint).map(|(_, path)| *path)
    }

    /// Whether chat completions lack the parameter `name`.
    pub fn lacks(&self, name: &str, target: &Target) -> bool {
        self.lacking.iter().any(|names| names.contains(&name)) || (self.lacking_by_model)(target, name)
    }

    /// Whether a stream can be asked for its usage.
    pub fn takes_stream_options(&self) -> bool {
        !self.lacking.iter().any(|names| names.contains(&"stream_options"))
    }
}

/// What OpenAI has.
const OPENAI_ENDPOINTS: &[(Endpoint, &str)] = &[
    (Endpoint::ChatCompletions, "/chat/completions"),
    (Endpoint::Completions, "/completions"),
    (Endpoint::Embeddings, "/embeddings"),
    (Endpoint::ImageGenerations, "/images/generations"),
    (Endpoint::ImageEdits, "/images/edits"),
    (Endpoint::AudioTranscriptions, "/audio/transcriptions"),
    (Endpoint::AudioTranslations, "/audio/translations"),
    (Endpoint::AudioSpeech, "/audio/speech"),
    (Endpoint::Moderations, "/moderations"),
    (Endpoint::Responses, "/responses"),
    (Endpoint::Realtime, "/realtime"),
];
