//! The body of a request to the Messages API, and its parameters that need no context.
//!
//! Source: Anthropic, "Create a message" <https://platform.claude.com/docs/en/api/messages/create>, not re-read for this.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::blocks::Block;
use super::messages::Turn;
use super::params::passing;
use super::schema::{Closed, Format};
use super::thinking::{Effort, Generation, ThinkingParam};
use super::tools::{Choice, Declared};
use crate::json::{Literal, Members, Text};
use crate::openai::chat::{self, Fault, Raw};
use crate::provider::Target;
use crate::provider::given::Given;

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) model: &'a str,
    pub(super) max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) system: Vec<Block<'a>>,
    pub(super) messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tools: Vec<Declared<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stop_sequences: Vec<Literal<'a>>,
    #[serde(flatten)]
    pub(super) sampling: Sampling<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thinking: Option<ThinkingParam<'a>>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    pub(super) output_config: OutputConfig<'a>,
    #[serde(flatten)]
    pub(super) rest: Rest<'a>,
    #[serde(skip)]
    pub(super) has_uploads: bool,
}

#[derive(Default, Serialize)]
pub(super) struct Sampling<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<Temperature<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_p: Raw<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) top_k: Raw<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Temperature<'a> {
    Asked(&'a RawValue),
    Highest(u8),
}

#[derive(Serialize)]
pub(super) struct Metadata<'a> {
    pub(super) user_id: Text<'a>,
}

/// `output_config`: the client's own members, ours over them.
pub(super) struct OutputConfig<'a> {
    pub(super) own: Vec<(String, &'a RawValue)>,
    pub(super) format: Option<&'a RawValue>,
    pub(super) effort: Option<Effort>,
}

impl OutputConfig<'_> {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.format.is_none() && self.effort.is_none()
    }
}

impl Serialize for OutputConfig<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct JsonSchema<'a> {
            #[serde(rename = "type")]
            type_: &'static str,
            schema: Closed<'a>,
        }
        let ours = |key: &str| (key == "format" && self.format.is_some()) || (key == "effort" && self.effort.is_some());
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.own.iter().filter(|(key, _)| !ours(key)) {
            map.serialize_entry(key, value)?;
        }
        if let Some(schema) = self.format {
            map.serialize_entry("format", &JsonSchema { type_: "json_schema", schema: Closed(schema) })?;
        }
        if let Some(effort) = self.effort {
            map.serialize_entry("effort", &effort)?;
        }
        map.end()
    }
}

/// Parameters that go on as they are.
#[derive(Serialize)]
pub(super) struct Rest<'a>(pub(super) BTreeMap<&'a str, &'a RawValue>);

/// `output_config`: what the client has there, the effort and the schema.
pub(super) fn output_config<'a>(
    given: &Given<'a>,
    format: Format<'a>,
    effort: Option<Effort>,
) -> Result<OutputConfig<'a>, Fault> {
    let own = given.text("output_config").map(chat::object::<Members<'a>>).transpose();
    let own = own.map_err(|fault| fault.at("output_config"))?.map(|members| members.0).unwrap_or_default();
    let format = match format {
        Format::Native(schema) => Some(schema),
        Format::Text | Format::JsonObject | Format::Tool(_) => None,
    };
    Ok(OutputConfig { own, format, effort })
}

/// What passes on: none of it twice, where ours has the same name.
pub(super) fn rest<'a>(
    given: &Given<'a>,
    target: &Target,
    system: &[Block<'a>],
    stop_sequences: &[Literal<'a>],
) -> Rest<'a> {
    let mut rest = passing(given, target);
    rest.retain(|name, _| match *name {
        "system" => system.is_empty(),
        "stop_sequences" => stop_sequences.is_empty(),
        _ => true,
    });
    Rest(rest)
}

pub(super) fn stop<'a>(given: &Given<'a>) -> Result<Vec<Literal<'a>>, Fault> {
    let Some(raw) = given.raw("stop") else { return Ok(Vec::new()) };
    let all = match Literal::new(raw) {
        Some(one) => vec![one],
        None if raw.get().starts_with('[') => {
            let each = chat::elements(raw.get()).map_err(|fault| fault.at("stop"))?.into_iter().enumerate();
            each.map(|(i, raw)| chat::literal(raw).map_err(|f| f.in_element("stop", i))).collect::<Result<_, _>>()?
        }
        None => return Err(Fault::wrong_type("a string or an array").at("stop")),
    };
    Ok(all.into_iter().filter(|stop| !stop.is_blank()).collect())
}

/// The sampling parameters. A thinking model takes none; where the model refuses them, `drop_params` drops them.
pub(super) fn sampling<'a>(given: &Given<'a>, target: &Target, is_thinking: bool) -> Result<Sampling<'a>, Fault> {
    let asked = Sampling {
        temperature: given.raw("temperature").map(temperature).transpose()?,
        top_p: number(given, "top_p")?,
        top_k: number(given, "top_k")?,
    };
    let refused = target.params.drop && Generation::of(&target.model).refuses_sampling();
    Ok(if is_thinking || refused { Sampling::default() } else { asked })
}

fn temperature(raw: &RawValue) -> Result<Temperature<'_>, Fault> {
    let value: f64 = serde_json::from_str(raw.get()).map_err(|_| Fault::wrong_type("a number").at("temperature"))?;
    Ok(if value > 1.0 { Temperature::Highest(1) } else { Temperature::Asked(raw) })
}

fn number<'a>(given: &Given<'a>, name: &'static str) -> Result<Raw<'a>, Fault> {
    let raw = given.raw(name);
    match raw.map(|raw| serde_json::from_str::<f64>(raw.get())) {
        Some(Err(_)) => Err(Fault::wrong_type("a number").at(name)),
        Some(Ok(_)) | None => Ok(raw),
    }
}

pub(super) fn is_false(given: &Given<'_>, name: &'static str) -> Result<bool, Fault> {
    match given.text(name) {
        None | Some("true") => Ok(false),
        Some("false") => Ok(true),
        Some(_) => Err(Fault::wrong_type("a boolean").at(name)),
    }
}

/// Who asks: `user`, else `metadata.user_id`; never what tells who the person is.
pub(super) fn metadata<'a>(given: &Given<'a>) -> Result<Option<Metadata<'a>>, Fault> {
    let id = match given.raw("user") {
        Some(raw) => Some(chat::literal(raw).map_err(|fault| fault.at("user"))?),
        None => user_id(given.text("metadata")),
    };
    let id = id.filter(|id| id.decode().is_some_and(|text| !text.is_empty() && !is_personal(&text)));
    Ok(id.map(|id| Metadata { user_id: Text::Literal(id) }))
}

/// `service_tier` in Anthropic's words. Only Anthropic itself has tiers, not who else serves its models.
pub(super) fn service_tier(given: &Given<'_>, target: &Target) -> Result<Option<&'static str>, Fault> {
    let Some(raw) = given.raw("service_tier").filter(|_| target.vendor.prefix == "anthropic") else { return Ok(None) };
    let tier = chat::string(raw).map_err(|fault| fault.at("service_tier"))?;
    match &*tier {
        "auto" => Ok(Some("auto")),
        "default" | "standard_only" => Ok(Some("standard_only")),
        _ if target.params.drop => Ok(None),
        _ => Err(Fault::wrong_value("auto or default").at("service_tier")),
    }
}

fn user_id(metadata: Option<&str>) -> Option<Literal<'_>> {
    let members: Members<'_> = chat::object(metadata?).ok()?;
    members.0.iter().find(|(key, _)| key == "user_id").and_then(|(_, value)| Literal::new(value))
}

/// Whether `text` looks like an e-mail address or a telephone number: Anthropic asks for neither.
fn is_personal(text: &str) -> bool {
    let is_mail = text.split_once('@').is_some_and(|(_, host)| host.contains('.'));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_phone = (7..=15).contains(&digits) && text.bytes().all(|b| b.is_ascii_digit() || b"+-(). ".contains(&b));
    is_mail || is_phone
}
