//! Tools: the client's functions, Google's own, and the choice among them.
//!
//! Source: Google, "Function calling" <https://ai.google.dev/gemini-api/docs/function-calling>, "Tool"
//! <https://ai.google.dev/api/caching#Tool>, not re-read for this; LITELLM.md 3.2.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::schema::{Form, Rewriter, Schema};
use crate::json::Literal;
use crate::json::Members;
use crate::openai::chat::{self, Fault, Function};
use crate::provider::given::Given;
use crate::provider::tools::Choice;

/// A tool as Gemini wants it: each has one member only.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Tool<'a> {
    Functions { function_declarations: Vec<Declaration<'a>> },
    Google(Google<'a>),
}

/// A tool that Google runs: its name, and its settings.
#[derive(Debug)]
pub(super) struct Google<'a> {
    name: Cow<'a, str>,
    settings: Settings<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Settings<'a> {
    Own(&'a RawValue),
    None {},
}

impl Serialize for Google<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(&self.name, &self.settings)])
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Declaration<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Literal<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Schema<'a>>,
}

/// Google's tools by LiteLLM's names, in the spelling that goes upstream.
const GOOGLES: &[(&str, &str)] = &[
    ("codeExecution", "code_execution"),
    ("code_execution", "code_execution"),
    ("computerUse", "computerUse"),
    ("computer_use", "computerUse"),
    ("enterpriseWebSearch", "enterpriseWebSearch"),
    ("enterprise_web_search", "enterpriseWebSearch"),
    ("googleMaps", "googleMaps"),
    ("googleSearch", "googleSearch"),
    ("googleSearchRetrieval", "googleSearchRetrieval"),
    ("google_maps", "googleMaps"),
    ("google_search", "googleSearch"),
    ("google_search_retrieval", "googleSearchRetrieval"),
    ("urlContext", "url_context"),
    ("url_context", "url_context"),
];

/// The order in which LiteLLM sends them.
const ORDER: &[&str] = &[
    "googleSearch",
    "googleSearchRetrieval",
    "enterpriseWebSearch",
    "code_execution",
    "url_context",
    "googleMaps",
    "computerUse",
];

/// Those that Google refuses beside functions.
const SEARCHES: &[&str] = &["enterpriseWebSearch", "googleSearch", "googleSearchRetrieval", "url_context"];

/// What is known of the tools of a request.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    pub(super) tools: Vec<Tool<'a>>,
    pub(super) has_functions: bool,
}

/// Translates `tools`, `functions` and `web_search_options`; `integer_enums` as in [`Form`]. Where `drops` is set, a tool
/// that Gemini has nothing like is left out.
pub(super) fn translate<'a>(given: &Given<'a>, integer_enums: bool, drops: bool) -> Result<Offer<'a>, Fault> {
    let mut rewriter = Rewriter::new(Form { integer_enums, ordered: false });
    let offer = offer(given, &mut rewriter, drops)?;
    if rewriter.has_too_many_values() {
        return translate(given, false, drops);
    }
    Ok(offer)
}

fn offer<'a>(given: &Given<'a>, rewriter: &mut Rewriter<'a>, drops: bool) -> Result<Offer<'a>, Fault> {
    let (mut functions, mut googles) = (Vec::new(), Googles::default());
    for name in ["tools", "functions"] {
        let Some(raw) = given.raw(name) else { continue };
        let all = chat::elements(raw.get()).map_err(|fault| fault.at(name))?;
        for (i, raw) in all.into_iter().enumerate() {
            match tool(raw, rewriter).map_err(|fault| fault.in_element(name, i))? {
                Read::Function(function) => functions.push(function),
                Read::Google(google) => googles.put(google),
                Read::Unknown if drops => (),
                Read::Unknown => {
                    let fault = Fault::wrong_value("function, web_search or a tool of Google's");
                    return Err(fault.at("type").in_element(name, i));
                }
            }
        }
    }
    if given.text("web_search_options").is_some() {
        googles.put(Google { name: "googleSearch".into(), settings: Settings::None {} });
    }
    let has_functions = !functions.is_empty();
    if has_functions && given.flag("include_server_side_tool_invocations")? != Some(true) {
        googles.known.retain(|_, google| !SEARCHES.contains(&&*google.name));
    }
    let functions = has_functions.then_some(Tool::Functions { function_declarations: functions });
    let googles = googles.known.into_values().chain(googles.others).map(Tool::Google);
    Ok(Offer { tools: functions.into_iter().chain(googles).collect(), has_functions })
}

/// Google's tools of a request: the known ones in LiteLLM's order, of two with the same name the last.
#[derive(Debug, Default)]
struct Googles<'a> {
    known: BTreeMap<usize, Google<'a>>,
    others: Vec<Google<'a>>,
}

impl<'a> Googles<'a> {
    fn put(&mut self, google: Google<'a>) {
        match ORDER.iter().position(|name| *name == google.name) {
            Some(rank) => drop(self.known.insert(rank, google)),
            None => self.others.push(google),
        }
    }
}

enum Read<'a> {
    Function(Declaration<'a>),
    Google(Google<'a>),
    Unknown,
}

fn tool<'a>(raw: &'a RawValue, rewriter: &mut Rewriter<'a>) -> Result<Read<'a>, Fault> {
    let members: Members<'a> = Members::read(raw).ok_or(Fault::wrong_type("an object"))?;
    let get = |name: &str| members.0.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
    if let Some(function) = get("function") {
        return declaration(function, rewriter).map(Read::Function).map_err(|fault| fault.at("function"));
    }
    let type_ = get("type").map(chat::string).transpose().map_err(|fault| fault.at("type"))?;
    match type_.as_deref() {
        Some("function") => return Err(Fault::missing("an object").at("function")),
        Some("web_search" | "web_search_preview") => {
            return Ok(Read::Google(Google { name: "googleSearch".into(), settings: Settings::None {} }));
        }
        Some(_) | None => (),
    }
    if get("name").is_some() {
        return declaration(raw, rewriter).map(Read::Function);
    }
    let mut own = members.0.iter().filter(|(key, _)| key != "type");
    match (own.next(), own.next()) {
        (Some((name, settings)), None) => Ok(Read::Google(google(name, settings))),
        _ => Ok(Read::Unknown),
    }
}

/// A tool of Google's; one of a name that is not known here goes as it is.
fn google<'a>(name: &str, settings: &'a RawValue) -> Google<'a> {
    let known = GOOGLES.iter().find(|(theirs, _)| *theirs == name).map(|(_, upstream)| Cow::Borrowed(*upstream));
    Google { name: known.unwrap_or_else(|| Cow::Owned(name.to_owned())), settings: Settings::Own(settings) }
}

fn declaration<'a>(raw: &'a RawValue, rewriter: &mut Rewriter<'a>) -> Result<Declaration<'a>, Fault> {
    let function: Function<'a> = chat::object(raw.get())?;
    let parameters =
        function.parameters.filter(|raw| raw.get() != "null").map(|raw| match raw.get().starts_with('{') {
            true => rewriter.rewrite(raw),
            false => Err(Fault::wrong_type("an object")),
        });
    Ok(Declaration {
        name: chat::required(function.name, "name")?,
        description: function.description.and_then(Literal::new),
        parameters: parameters.transpose().map_err(|fault| fault.at("parameters"))?,
    })
}

/// `toolConfig`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    function_calling_config: Option<Calling<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    include_server_side_tool_invocations: bool,
}

#[derive(Debug, Serialize)]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[Cow<'a, str>; 1]>,
}

/// Translates `tool_choice`; without functions there is nothing to choose.
pub(super) fn config<'a>(given: &Given<'a>, offer: &Offer<'a>) -> Result<Option<Config<'a>>, Fault> {
    let choice = given.raw("tool_choice").filter(|_| offer.has_functions).map(Choice::read).transpose();
    let function_calling_config = choice.map_err(|fault| fault.at("tool_choice"))?.map(calling);
    let circulates = given.flag("include_server_side_tool_invocations")? == Some(true);
    let config = Config { function_calling_config, include_server_side_tool_invocations: circulates };
    Ok((config.function_calling_config.is_some() || circulates).then_some(config))
}

fn calling(choice: Choice<'_>) -> Calling<'_> {
    let (mode, name) = match choice {
        Choice::None => ("NONE", None),
        Choice::Auto => ("AUTO", None),
        Choice::Any => ("ANY", None),
        Choice::Tool(name) => ("ANY", Some([name])),
    };
    Calling { mode, allowed_function_names: name }
}
