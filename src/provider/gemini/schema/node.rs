//! A schema on its way: its keywords as they came or as they have become.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::KNOWN;
use crate::json::Literal;
use crate::json::Members;

/// The keywords of a schema, each once, in their order.
pub(super) type Node<'a> = Vec<(String, Raw<'a>)>;

/// A value before it is rewritten.
#[derive(Clone, Debug)]
pub(super) enum Raw<'a> {
    Own(&'a RawValue),
    Text(Cow<'a, str>),
    True,
    Texts(Vec<Cow<'a, str>>),
    Nodes(Vec<Node<'a>>),
}

/// The keywords that are read beside those that Gemini knows.
const READ: &[&str] = &["$defs", "$ref", "allOf", "const", "definitions", "oneOf"];

/// The keywords that belong to the object or the array among a list of types.
const OF_CONTAINERS: &[&str] =
    &["properties", "required", "items", "minItems", "maxItems", "minProperties", "maxProperties"];

/// JSON schema's types.
const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];

/// Reads a schema; what nobody reads is left out, so that the rest is short. `None` where `raw` is no object.
pub(super) fn read(raw: &RawValue) -> Option<Node<'_>> {
    let mut node = Node::new();
    for (key, raw) in Members::read(raw)?.0 {
        if KNOWN.contains(&key.as_str()) || READ.contains(&key.as_str()) {
            set(&mut node, &key, Raw::Own(raw));
        }
    }
    Some(node)
}

/// Says with Gemini's keywords what others say, and lists of types as alternatives.
pub(super) fn simplify(node: &mut Node<'_>) {
    merge_all_of(node);
    alternatives(node);
    only_value(node);
    types(node);
}

impl<'a> Raw<'a> {
    pub(super) fn own(&self) -> Option<&'a RawValue> {
        match self {
            Self::Own(raw) => Some(raw),
            Self::Text(_) | Self::True | Self::Texts(_) | Self::Nodes(_) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.own().is_some_and(|raw| raw.get() == "null")
    }

    pub(super) fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Own(raw) => Literal::new(raw)?.decode(),
            Self::Text(text) => Some(text.clone()),
            Self::True | Self::Texts(_) | Self::Nodes(_) => None,
        }
    }

    /// An array of schemas.
    pub(super) fn nodes(self) -> Vec<Node<'a>> {
        match self {
            Self::Nodes(nodes) => nodes,
            Self::Own(raw) => {
                let all: Vec<&'a RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
                all.into_iter().map(|raw| read(raw).unwrap_or_default()).collect()
            }
            Self::Text(_) | Self::True | Self::Texts(_) => Vec::new(),
        }
    }

    /// How long it is where it is written once more, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Own(raw) => raw.get().len(),
            Self::Text(text) => text.len(),
            Self::True | Self::Texts(_) | Self::Nodes(_) => 0,
        }
    }
}

pub(super) fn get<'n, 'a>(node: &'n Node<'a>, keyword: &str) -> Option<&'n Raw<'a>> {
    node.iter().find(|(key, _)| key == keyword).map(|(_, raw)| raw)
}

pub(super) fn take<'a>(node: &mut Node<'a>, keyword: &str) -> Option<Raw<'a>> {
    let at = node.iter().position(|(key, _)| key == keyword)?;
    Some(node.remove(at).1)
}

pub(super) fn set<'a>(node: &mut Node<'a>, keyword: &str, value: Raw<'a>) {
    match node.iter_mut().find(|(key, _)| key == keyword) {
        Some((_, raw)) => *raw = value,
        None => node.push((keyword.to_owned(), value)),
    }
}

/// Puts what is to hold together beside what holds anyway; of two that say the same, what stands first counts.
fn merge_all_of<'a>(node: &mut Node<'a>) {
    for branch in take(node, "allOf").map(Raw::nodes).unwrap_or_default() {
        for (key, value) in branch {
            if get(node, &key).is_none() {
                node.push((key, value));
            }
        }
    }
}

/// Gemini has one way to say that there are alternatives.
fn alternatives<'a>(node: &mut Node<'a>) {
    if let Some(one_of) = take(node, "oneOf")
        && get(node, "anyOf").is_none()
    {
        node.push(("anyOf".to_owned(), one_of));
    }
    if get(node, "anyOf").is_some_and(|raw| raw.clone().nodes().is_empty()) {
        take(node, "anyOf");
    }
}

/// A text that is the only one allowed.
fn only_value<'a>(node: &mut Node<'a>) {
    if let Some(text) = take(node, "const").and_then(|raw| raw.text()).filter(|text| !text.is_empty()) {
        set(node, "type", Raw::Text("string".into()));
        set(node, "enum", Raw::Texts(vec![text]));
    }
}

/// Types in a list become alternatives; what belongs to an object or an array goes with it.
fn types<'a>(node: &mut Node<'a>) {
    let Some(raw) = get(node, "type").and_then(Raw::own).filter(|raw| raw.get().starts_with('[')) else { return };
    let types: Vec<&'a RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    let mut distinct: Vec<Cow<'a, str>> = Vec::new();
    for type_ in types.into_iter().filter_map(|raw| Literal::new(raw)?.decode()) {
        if TYPES.contains(&&*type_) && !distinct.contains(&type_) {
            distinct.push(type_);
        }
    }
    let types = distinct;
    take(node, "type");
    if let [one] = types.as_slice() {
        return set(node, "type", Raw::Text(one.clone()));
    }
    let mut of_containers = Vec::new();
    if types.iter().any(|type_| is_container(type_)) {
        for keyword in OF_CONTAINERS {
            of_containers.extend(take(node, keyword).map(|raw| ((*keyword).to_owned(), raw)));
        }
    }
    let values = get(node, "enum").cloned();
    let branch = |type_: Cow<'a, str>| {
        let mut branch = vec![("type".to_owned(), Raw::Text(type_.clone()))];
        match &*type_ {
            type_ if is_container(type_) => branch.extend(of_containers.iter().cloned()),
            "integer" => branch.extend(values.clone().map(|values| ("enum".to_owned(), values))),
            _ => (),
        }
        branch
    };
    set(node, "anyOf", Raw::Nodes(types.into_iter().map(branch).collect()));
}

fn is_container(type_: &str) -> bool {
    matches!(type_, "object" | "array")
}
