//! The body of a request to Converse.
//!
//! Source: AWS, "Converse" <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>, "Using the
//! Converse API" <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html>, the latter read
//! 2026-11-23, the former not re-read.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::blocks::Block;
use super::messages::Turn;
use super::schema::Schema;
use super::thinking::Field;
use super::tools::{Chosen, Declared};
use crate::json::Literal;
use crate::openai::chat::Raw;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Converse<'a> {
    pub(super) messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) system: Vec<Block<'a>>,
    pub(super) inference_config: Inference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_config: Option<OutputConfig<'a>>,
    #[serde(rename = "additionalModelRequestFields", skip_serializing_if = "Fields::is_empty")]
    pub(super) fields: Fields<'a>,
    #[serde(rename = "additionalModelResponseFieldPaths", skip_serializing_if = "Vec::is_empty")]
    pub(super) response_fields: Vec<Path<'a>>,
    #[serde(flatten)]
    pub(super) top_level: BTreeMap<&'a str, Member<'a>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Raw<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<Literal<'a>>,
    /// Members in Converse's own words.
    #[serde(flatten)]
    pub(super) own: BTreeMap<&'a str, &'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolConfig<'a> {
    pub(super) tools: Vec<Declared<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Chosen<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum OutputConfig<'a> {
    Ours(Schema<'a>),
    Asked(&'a RawValue),
}

/// A JSON pointer into the model's own answer.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Path<'a> {
    Ours(&'static str),
    Asked(&'a RawValue),
}

/// A member of the body.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Member<'a> {
    Asked(&'a RawValue),
    Tier(Tier),
}

#[derive(Serialize)]
pub(super) struct Tier {
    #[serde(rename = "type")]
    pub(super) type_: &'static str,
}

/// `additionalModelRequestFields`: of members with the same name the last one counts.
#[derive(Default)]
pub(super) struct Fields<'a>(pub(super) BTreeMap<String, Additional<'a>>);

/// One of the model's own fields.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Additional<'a> {
    Asked(&'a RawValue),
    Thought(Field<'a>),
    Parallel {
        #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
        type_: Option<&'static str>,
        disable_parallel_tool_use: bool,
    },
    TopK {
        #[serde(rename = "topK")]
        top_k: &'a RawValue,
    },
    Native(Vec<&'a RawValue>),
    Words(Vec<String>),
    Members(BTreeMap<String, Additional<'a>>),
    Word(&'static str),
}

impl<'a> Fields<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn put(&mut self, name: &str, value: Additional<'a>) {
        self.0.insert(name.to_owned(), value);
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}
