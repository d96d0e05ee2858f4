//! What languages share of tools: names that a provider takes, and the choice among them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Literal;
use crate::openai::chat::{self, Fault, Function, Raw};

/// Which names of tools a provider takes: letters, digits, `_` and `-`.
#[derive(Debug, PartialEq, Eq)]
pub struct Alphabet {
    /// The longest name, in bytes.
    pub longest: usize,
    /// Whether a letter must be first.
    pub begins_with_letter: bool,
}

impl Alphabet {
    /// Whether `byte` may stand in a name.
    pub const fn has(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
    }

    /// `text` with `_` for every character that may not stand in a name.
    pub fn spell(text: &str) -> String {
        text.chars().map(|c| if c.is_ascii() && Self::has(c as u8) { c } else { '_' }).collect()
    }

    fn takes(&self, name: &str) -> bool {
        let begins_well =
            name.bytes().next().is_some_and(|byte| !self.begins_with_letter || byte.is_ascii_alphabetic());
        begins_well && name.len() <= self.longest && name.bytes().all(Self::has)
    }

    /// A name that the provider takes, made of `name` as LiteLLM does, with `suffix` at its end.
    fn alike(&self, name: &str, suffix: &str) -> String {
        let mut alike = Self::spell(name);
        if self.begins_with_letter && !alike.starts_with(|c: char| c.is_ascii_alphabetic()) {
            alike.insert(0, 'a');
        }
        if alike.is_empty() {
            alike.push('_');
        }
        alike.truncate(self.longest.saturating_sub(suffix.len()));
        alike + suffix
    }
}

/// The names that a provider refuses, each with the one sent in its place.
///
/// A name that is taken gets a number that no other name of the request gets, so that many of them cost no more than
/// each for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    alphabet: &'static Alphabet,
    theirs: BTreeMap<String, String>,
    ours: BTreeMap<String, String>,
}

impl Names {
    /// Reads the names of `tools`, a JSON array. Tools that make no sense have none: who translates them refuses them.
    pub fn read(alphabet: &'static Alphabet, tools: Option<&str>) -> Self {
        let names = tools.map(declared).unwrap_or_default();
        let mut renamed = Self { alphabet, theirs: BTreeMap::new(), ours: BTreeMap::new() };
        if names.iter().all(|name| alphabet.takes(name)) {
            return renamed;
        }
        let declared: BTreeSet<&str> = names.iter().map(|name| &**name).collect();
        let mut number = 1_u64;
        for &name in declared.iter().filter(|name| !alphabet.takes(name)) {
            let mut candidate = alphabet.alike(name, "");
            while declared.contains(candidate.as_str()) || renamed.ours.contains_key(&candidate) {
                number += 1;
                candidate = alphabet.alike(name, &format!("_{number}"));
            }
            renamed.theirs.insert(name.to_owned(), candidate.clone());
            renamed.ours.insert(candidate, name.to_owned());
        }
        renamed
    }

    /// The name that the provider gets.
    pub fn upstream<'a>(&self, name: Cow<'a, str>) -> Cow<'a, str> {
        match self.theirs.get(&*name) {
            Some(theirs) => Cow::Owned(theirs.clone()),
            None if self.alphabet.takes(&name) => name,
            None => Cow::Owned(self.alphabet.alike(&name, "")),
        }
    }

    /// The client's name for one of the provider's; `None` where they are the same.
    pub fn downstream(&self, name: &str) -> Option<&str> {
        self.ours.get(name).map(String::as_str)
    }
}

fn declared(tools: &str) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Tool<'a> {
        #[serde(borrow)]
        function: Option<Named<'a>>,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let tools: Vec<Tool<'_>> = serde_json::from_str(tools).unwrap_or_default();
    tools.into_iter().filter_map(|tool| Some(tool.function?.name)).collect()
}

/// What `tool_choice` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// No tool may be called.
    None,
    /// The model decides.
    Auto,
    /// It must call one.
    Any,
    /// It must call this one, by the client's name.
    Tool(Cow<'a, str>),
}

impl<'a> Choice<'a> {
    /// Reads `tool_choice` in OpenAI's form, or in Anthropic's.
    ///
    /// # Errors
    ///
    /// The client's.
    pub fn read(raw: &'a RawValue) -> Result<Self, Fault> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Named<'a> {
            #[serde(borrow, rename = "type")]
            type_: Raw<'a>,
            #[serde(borrow)]
            function: Raw<'a>,
            #[serde(borrow)]
            name: Raw<'a>,
        }
        if Literal::new(raw).is_some() {
            return Self::of_word(&chat::string(raw)?);
        }
        if !raw.get().starts_with('{') {
            return Err(Fault::wrong_type("a string or an object"));
        }
        let named: Named<'a> = chat::object(raw.get())?;
        let type_ = match (named.type_, named.function) {
            (None, Some(_)) => "function".into(),
            (type_, _) => chat::required(type_, "type")?,
        };
        match &*type_ {
            "function" => {
                let function = named.function.ok_or(Fault::missing("an object").at("function"))?;
                let function: Function<'a> = chat::object(function.get()).map_err(|fault| fault.at("function"))?;
                let name = chat::required(function.name, "name").map_err(|fault| fault.at("function"))?;
                Ok(Self::Tool(name))
            }
            "tool" => Ok(Self::Tool(chat::required(named.name, "name")?)),
            other => Self::of_word(other).map_err(|fault| fault.at("type")),
        }
    }

    fn of_word(word: &str) -> Result<Self, Fault> {
        match word {
            "auto" => Ok(Self::Auto),
            "required" | "any" => Ok(Self::Any),
            "none" => Ok(Self::None),
            _ => Err(Fault::wrong_value("auto, required, none or a function")),
        }
    }

    /// Whether the model must call a tool: Claude cannot think first then.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::Any | Self::Tool(_))
    }

    /// The same by the names that the provider knows.
    #[must_use]
    pub fn upstream(self, names: &Names) -> Self {
        if let Self::Tool(name) = self { Self::Tool(names.upstream(name)) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn names_come_back_and_never_collide() {
        static ALPHABETS: [Alphabet; 2] =
            [Alphabet { longest: 128, begins_with_letter: false }, Alphabet { longest: 64, begins_with_letter: true }];
        let long = "x".repeat(200);
        let all = ["get_weather", "get.weather", "get weather", "1st", "a1st", "wetter_für", &long, ""];
        let tools: Vec<_> = all.iter().map(|n| format!(r#"{{"function":{{"name":"{n}"}}}}"#)).collect();
        for alphabet in &ALPHABETS {
            let names = Names::read(alphabet, Some(&format!("[{}]", tools.join(","))));
            let mut seen = Vec::new();
            for name in all {
                let theirs = names.upstream(name.into());
                assert!(alphabet.takes(&theirs), "{theirs}");
                assert!(!seen.contains(&theirs), "{theirs} twice");
                assert_eq!(names.downstream(&theirs).unwrap_or(&theirs), name);
                seen.push(theirs);
            }
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_choice_is_a_word_or_names_a_tool() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        for (text, choice) in [
            (r#""auto""#, Choice::Auto),
            (r#""required""#, Choice::Any),
            (r#"{"type":"any"}"#, Choice::Any),
            (r#"{"type":"none"}"#, Choice::None),
            (r#"{"type":"function","function":{"name":"f"}}"#, Choice::Tool("f".into())),
            (r#"{"function":{"name":"f"}}"#, Choice::Tool("f".into())),
            (r#"{"type":"tool","name":"f"}"#, Choice::Tool("f".into())),
        ] {
            assert_eq!(Choice::read(&raw(text)), Ok(choice), "{text}");
        }
        for text in ["1", "[]", r#""sometimes""#, "{}", r#"{"type":"function"}"#, r#"{"type":"tool"}"#, r#"{"type":1}"#]
        {
            assert!(Choice::read(&raw(text)).is_err(), "{text}");
        }
    }
}
