//! JSON schemas in the subset of OpenAPI's that Gemini takes for the parameters of functions.
//!
//! References are put in place, alternatives with null become nullable ones, types in a list become alternatives, and
//! keywords that Gemini refuses are left out, member by member in the schema's own order. What a reference stands for is
//! put in place once for each use, so its size is bounded: a short schema can stand for an endless one.
//!
//! Source: Google, "Schema" <https://ai.google.dev/api/caching#Schema>, not re-read for this; LITELLM.md 3.2.

mod node;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use self::node::{Node, Raw, get, set, take};
use crate::json::Literal;
use crate::json::Members;
use crate::openai::chat::Fault;

/// How much text may be sent more often than the client wrote it, in bytes, all together.
const MAX_INLINED_BYTES: usize = 1 << 20;
/// How deep a schema may be once its references are in place.
const MAX_LEVELS: usize = 100;
/// How many characters the values of enums may have together where some of them are integers: Google's bound.
const MAX_ENUM_BYTES: usize = 2000;

/// The keywords that Gemini knows.
const KNOWN: &[&str] = &[
    "anyOf",
    "default",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "propertyOrdering",
    "required",
    "title",
    "type",
];

/// A schema ready to be sent.
#[derive(Debug)]
pub(super) struct Schema<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// The value of a keyword.
#[derive(Debug)]
enum Value<'a> {
    Text(Cow<'a, str>),
    True,
    Schema(Schema<'a>),
    Schemas(Vec<Schema<'a>>),
    /// Names.
    Texts(Vec<Cow<'a, str>>),
    Other(&'a RawValue),
}

impl Serialize for Schema<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::True => true.serialize(serializer),
            Self::Schema(schema) => schema.serialize(serializer),
            Self::Schemas(schemas) => schemas.serialize(serializer),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Other(raw) => raw.serialize(serializer),
        }
    }
}

impl<'a> Value<'a> {
    fn of(raw: Raw<'a>) -> Option<Self> {
        match raw {
            Raw::Own(raw) => Some(Self::Other(raw)),
            Raw::Text(text) => Some(Self::Text(text)),
            Raw::True => Some(Self::True),
            Raw::Texts(texts) => Some(Self::Texts(texts)),
            Raw::Nodes(_) => None,
        }
    }
}

impl Schema<'_> {
    fn object() -> Self {
        Self(vec![("type".into(), Value::Text("object".into()))])
    }
}

/// A keyword that is ours to say.
type Keyword<'a> = (&'static str, Raw<'a>);

/// What of a schema's form is the caller's to choose.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Form {
    /// Whether enums of integers are sent.
    pub(super) integer_enums: bool,
    /// Whether the order of an object's properties is said: Gemini answers in alphabetical order otherwise.
    pub(super) ordered: bool,
}

/// Rewrites schemas one after the other; their references and enums count together.
#[derive(Debug)]
pub(super) struct Rewriter<'a> {
    form: Form,
    definitions: BTreeMap<String, &'a RawValue>,
    /// The definitions that are being put in place.
    open: Vec<String>,
    inlined_bytes: usize,
    enum_bytes: usize,
    has_integer_enums: bool,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(form: Form) -> Self {
        let (definitions, open) = (BTreeMap::new(), Vec::new());
        Self { form, definitions, open, inlined_bytes: 0, enum_bytes: 0, has_integer_enums: false }
    }

    /// Whether Google refuses the enums so far.
    pub(super) fn has_too_many_values(&self) -> bool {
        self.has_integer_enums && self.enum_bytes > MAX_ENUM_BYTES
    }

    /// Rewrites a schema with definitions of its own.
    pub(super) fn rewrite(&mut self, raw: &'a RawValue) -> Result<Schema<'a>, Fault> {
        self.definitions.clear();
        self.schema(raw, &[], MAX_LEVELS)
    }

    /// Rewrites a schema, with `over` in place of its own keywords.
    fn schema(&mut self, raw: &'a RawValue, over: &[Keyword<'a>], levels: usize) -> Result<Schema<'a>, Fault> {
        match node::read(raw) {
            Some(node) => self.node(node, over, levels),
            None => Ok(Schema::object()),
        }
    }

    fn node(&mut self, mut node: Node<'a>, over: &[Keyword<'a>], levels: usize) -> Result<Schema<'a>, Fault> {
        let levels = levels.checked_sub(1).ok_or(Fault::wrong_value("a schema that is less deep"))?;
        for keyword in ["$defs", "definitions"] {
            let own = take(&mut node, keyword).and_then(|raw| Members::read(raw.own()?));
            self.definitions.extend(own.map(|members| members.0).unwrap_or_default());
        }
        if let Some(resolved) = self.reference(&mut node, over, levels)? {
            return Ok(resolved);
        }
        over.iter().for_each(|(keyword, value)| set(&mut node, keyword, value.clone()));
        node::simplify(&mut node);
        if get(&node, "anyOf").is_some() {
            return self.any_of(node, levels);
        }
        self.single(node, levels)
    }

    /// What a reference stands for; `None` where there is none or it leads nowhere or in a circle.
    fn reference(
        &mut self,
        node: &mut Node<'a>,
        over: &[Keyword<'a>],
        levels: usize,
    ) -> Result<Option<Schema<'a>>, Fault> {
        let path = take(node, "$ref").and_then(|raw| raw.text());
        let Some(name) = path.as_deref().and_then(|path| path.rsplit('/').next()) else { return Ok(None) };
        let Some(target) = self.definitions.get(name).copied().filter(|_| !self.open.iter().any(|open| open == name))
        else {
            return Ok(None);
        };
        self.repeat(target.get().len())?;
        self.open.push(name.to_owned());
        let resolved = self.schema(target, over, levels);
        self.open.pop();
        resolved.map(Some)
    }

    /// Counts what is sent more often than the client wrote it.
    fn repeat(&mut self, bytes: usize) -> Result<(), Fault> {
        self.inlined_bytes = self.inlined_bytes.saturating_add(bytes);
        match self.inlined_bytes > MAX_INLINED_BYTES {
            true => Err(Fault::wrong_value("a schema whose references stand for less")),
            false => Ok(()),
        }
    }

    /// A choice of schemas; Gemini takes nothing beside them, so that title and description go into each.
    fn any_of(&mut self, mut node: Node<'a>, levels: usize) -> Result<Schema<'a>, Fault> {
        let all = take(&mut node, "anyOf").map(Raw::nodes).unwrap_or_default();
        let is_null = |branch: &Node<'a>| get(branch, "type").and_then(Raw::text).as_deref() == Some("null");
        let has_null = all.iter().any(is_null);
        let mut branches: Vec<Node<'a>> = all.iter().filter(|branch| !is_null(branch)).cloned().collect();
        if branches.is_empty() {
            branches.extend(all.into_iter().next());
        }
        let about = ["title", "description"].into_iter();
        let about = about.filter_map(|keyword| Some((keyword, get(&node, keyword)?.clone())));
        let over: Vec<Keyword<'a>> = about.chain(has_null.then_some(("nullable", Raw::True))).collect();
        let repeated: usize = over.iter().map(|(_, value)| value.len()).sum();
        let mut rewritten = Vec::with_capacity(branches.len());
        for branch in branches {
            self.repeat(repeated)?;
            rewritten.push(self.node(branch, &over, levels)?);
        }
        Ok(Schema(vec![("anyOf".into(), Value::Schemas(rewritten))]))
    }

    fn single(&mut self, mut node: Node<'a>, levels: usize) -> Result<Schema<'a>, Fault> {
        let type_ = get(&node, "type").and_then(Raw::text);
        let type_ = type_.map(|text| text.to_ascii_lowercase());
        let properties = take(&mut node, "properties").and_then(|raw| Members::read(raw.own()?));
        let is_empty = properties.as_ref().is_some_and(|members| members.0.is_empty());
        if type_.is_none() || properties.is_some() {
            set(&mut node, "type", Raw::Text("object".into()));
        }
        if type_.as_deref() == Some("array") && get(&node, "items").is_none() {
            set(&mut node, "items", Raw::Nodes(vec![Vec::new()]));
        }
        let mut out = Vec::with_capacity(node.len() + 1);
        for (key, raw) in node {
            let value = match key.as_str() {
                "items" => Some(Value::Schema(self.items(raw, levels)?)),
                "enum" => self.values(&raw, type_.as_deref()),
                "format" => raw.text().filter(|text| matches!(&**text, "enum" | "date-time")).map(Value::Text),
                "required" if is_empty || raw.is_null() => None,
                keyword if KNOWN.contains(&keyword) => Value::of(raw),
                _ => None,
            };
            out.extend(value.map(|value| (Cow::Owned(key), value)));
        }
        self.properties(properties.unwrap_or_default(), &mut out, levels)?;
        Ok(Schema(out))
    }

    fn items(&mut self, raw: Raw<'a>, levels: usize) -> Result<Schema<'a>, Fault> {
        match raw {
            Raw::Own(raw) => self.schema(raw, &[], levels),
            Raw::Nodes(_) | Raw::Text(_) | Raw::Texts(_) | Raw::True => Ok(Schema::object()),
        }
    }

    fn properties(
        &mut self,
        properties: Members<'a>,
        out: &mut Vec<(Cow<'a, str>, Value<'a>)>,
        levels: usize,
    ) -> Result<(), Fault> {
        if properties.0.is_empty() {
            return Ok(());
        }
        let names = properties.0.iter().map(|(name, _)| Cow::Owned(name.clone())).collect();
        let mut schemas = Vec::with_capacity(properties.0.len());
        for (name, raw) in properties.0 {
            schemas.push((Cow::Owned(name), Value::Schema(self.schema(raw, &[], levels)?)));
        }
        out.push(("properties".into(), Value::Schema(Schema(schemas))));
        if self.form.ordered && !out.iter().any(|(key, _)| key == "propertyOrdering") {
            out.push(("propertyOrdering".into(), Value::Texts(names)));
        }
        Ok(())
    }

    /// The values of an enum: texts, or integers as texts. Gemini takes no empty text among them.
    fn values(&mut self, raw: &Raw<'a>, type_: Option<&str>) -> Option<Value<'a>> {
        let all: Vec<Cow<'a, str>> = match raw {
            Raw::Texts(texts) => texts.clone(),
            Raw::Own(raw) if type_ == Some("string") => {
                let all: Vec<&'a RawValue> = serde_json::from_str(raw.get()).ok()?;
                all.into_iter().filter_map(|raw| Literal::new(raw)?.decode()).filter(|text| !text.is_empty()).collect()
            }
            Raw::Own(raw) if type_ == Some("integer") && self.form.integer_enums => {
                let all: Vec<i64> = serde_json::from_str(raw.get()).ok()?;
                const EXACT: u64 = (1 << 53) - 1;
                self.has_integer_enums = true;
                let is_exact = all.iter().all(|value| value.unsigned_abs() <= EXACT);
                is_exact.then(|| all.iter().map(|value| Cow::Owned(value.to_string())).collect())?
            }
            _ => return None,
        };
        self.enum_bytes = self.enum_bytes.saturating_add(all.iter().map(|text| text.len()).sum());
        (!all.is_empty()).then_some(Value::Texts(all))
    }
}
