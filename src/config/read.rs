//! A walk over the document that collects faults and goes on.
//!
//! Every reader returns `None` for what is absent and for what is wrong; in the second case it has recorded a fault.
//! Values are read as LiteLLM reads them: a protobuf `Struct` makes every number a double, and environment variables
//! are text, so `50`, `50.0` and `"50"` are the same number and `"true"` is a bool.

use std::cell::{Cell, RefCell};

use serde_json::{Map, Value};

use super::env::{Env, Variables, reference};
use super::fault::{Fault, Wrong};
use super::replicas::Replicas;
use crate::secret::Secret;
use crate::units::{Millis, PicoUsd};

static ABSENT: Value = Value::Null;

/// The largest whole number that a double holds exactly.
pub(super) const MAX_INTEGER: u64 = 1 << 53;

/// What starts the name of a secret that Envoy keeps: only a deployment's `api_key` may be one.
pub(super) const SDS: &str = "sds/";

const NO_SDS: &str = "expected a credential, found the name of a secret of Envoy's (sds/NAME): it can stand only in the place of \
                      an api_key that is sent as it is, in one header";

/// One reading of a document.
pub(super) struct Reader<'a> {
    document: &'a Value,
    pub(super) variables: Variables<'a>,
    /// How budgets and limits of accounts are divided.
    pub(super) replicas: Cell<Replicas>,
    faults: RefCell<Vec<Fault>>,
}

/// A place in the document, which may be empty.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) reader: &'a Reader<'a>,
    path: String,
    value: &'a Value,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a Value, env: Env<'a>) -> Self {
        Self {
            document,
            variables: Variables::new(document, env),
            replicas: Cell::default(),
            faults: RefCell::default(),
        }
    }

    pub(super) fn root(&'a self) -> Node<'a> {
        Node { reader: self, path: String::new(), value: self.document }.map()
    }

    pub(super) fn fault_count(&self) -> usize {
        self.faults.borrow().len()
    }

    /// The faults so far, in the order of reading.
    pub(super) fn faults(&self) -> Vec<Fault> {
        self.faults.borrow().clone()
    }
}

impl<'a> Node<'a> {
    /// The member `key`, whatever it is.
    pub(super) fn at(&self, key: &str) -> Self {
        // Written without `format!`: for a large config this is called some hundred thousand times.
        let mut path = String::with_capacity(self.path.len().saturating_add(key.len()).saturating_add(1));
        path.push_str(&self.path);
        path.push_str(if path.is_empty() { "" } else { "." });
        path.push_str(key);
        Self { path, value: self.value.get(key).unwrap_or(&ABSENT), ..*self }
    }

    /// The member `key`, which is a mapping or absent.
    pub(super) fn section(&self, key: &str) -> Self {
        self.at(key).map()
    }

    /// The member `key`, which is a mapping.
    pub(super) fn required_section(&self, key: &str) -> Self {
        let section = self.at(key);
        if section.is_absent() {
            section.expected::<()>("a mapping");
        }
        section.map()
    }

    /// The items of this list; none when it is absent.
    pub(super) fn items(&self) -> Vec<Self> {
        if !matches!(self.value, Value::Null | Value::Array(_)) {
            self.expected::<()>("a list");
        }
        let item = |(i, value)| Self { path: format!("{}[{i}]", self.path), value, ..*self };
        self.list().iter().enumerate().map(item).collect()
    }

    /// The items of this list that are mappings; the others are faults.
    pub(super) fn sections(&self) -> Vec<Self> {
        let is_mapping = |item: &Self| item.object().is_some() || item.expected::<()>("a mapping").is_some();
        self.items().into_iter().filter(is_mapping).collect()
    }

    /// The members of this mapping; none when it is absent.
    pub(super) fn members(&self) -> Vec<(&'a str, Self)> {
        self.object().into_iter().flatten().map(|(key, _)| (key.as_str(), self.at(key))).collect()
    }

    /// The members of this mapping that are mappings; the others are faults.
    pub(super) fn mappings(&self) -> Vec<(&'a str, Self)> {
        let is_mapping = |node: &Self| node.object().is_some() || node.expected::<()>("a mapping").is_some();
        self.members().into_iter().filter(|(_, node)| is_mapping(node)).collect()
    }

    /// The mapping as typed, `None` when it is absent.
    pub(super) fn object(&self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    /// The list as typed, empty when there is none.
    pub(super) fn list(&self) -> &'a [Value] {
        self.value.as_array().map_or(&[], Vec::as_slice)
    }

    /// Whether this is absent or a list without items.
    pub(super) fn is_empty(&self) -> bool {
        self.is_absent() || self.value.as_array().is_some_and(Vec::is_empty)
    }

    pub(super) fn is_absent(&self) -> bool {
        self.value.is_null()
    }

    /// The string as typed, references unresolved: what a message may quote where a name is expected.
    pub(super) fn typed(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// A string.
    pub(super) fn text(&self) -> Option<String> {
        match self.value {
            Value::Null => None,
            Value::String(text) => match reference(text) {
                Some(name) => self.variable(name),
                None => Some(text.clone()),
            },
            _ => self.expected("a string"),
        }
    }

    /// The value as it is, references in it resolved.
    pub(super) fn resolved(&self) -> Value {
        match self.value {
            Value::String(_) => self.text().map(Value::String).unwrap_or_default(),
            Value::Array(_) => self.items().iter().map(Self::resolved).collect(),
            Value::Object(_) => {
                self.members().into_iter().map(|(name, node)| (name.to_owned(), node.resolved())).collect()
            }
            other => other.clone(),
        }
    }

    /// A string or whole number without control characters that is not empty: a name for headers and records.
    pub(super) fn name(&self) -> Option<String> {
        let text = match self.value {
            Value::Number(number) => match number.as_f64().and_then(whole) {
                Some(number) => number.to_string(),
                None => return self.expected("a name"),
            },
            _ => self.text()?,
        };
        if text.trim().is_empty() {
            return self.fault("expected a name, found an empty string");
        }
        if text.chars().any(char::is_control) {
            return self.fault("expected a name, found control characters");
        }
        Some(text)
    }

    /// A name that must be there.
    pub(super) fn required_name(&self) -> Option<String> {
        if self.is_absent() { self.expected("a name") } else { self.name() }
    }

    /// A list of names; `None` when it is absent.
    pub(super) fn names(&self) -> Option<Vec<String>> {
        (!self.is_absent()).then(|| self.items().iter().filter_map(Self::required_name).collect())
    }

    /// A credential, not empty.
    pub(super) fn secret(&self) -> Option<Secret> {
        let placeholder = reference(self.typed())
            .filter(|name| self.reader.variables.value(name).is_none())
            .and_then(|name| self.reader.variables.placeholder(name));
        let text = placeholder.or_else(|| self.text())?;
        if text.trim().is_empty() {
            return self.fault("expected a credential, found an empty string");
        }
        if text.starts_with(SDS) {
            return self.fault(NO_SDS);
        }
        Some(Secret::new(text))
    }

    /// A bool.
    pub(super) fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => return Some(*flag),
            Value::String(_) => {}
            Value::Null => return None,
            _ => return self.expected("true or false"),
        }
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number in `low..=high`.
    pub(super) fn integer(&self, low: u64, high: u64) -> Option<u64> {
        if self.is_absent() {
            return None;
        }
        let what = match (low, high) {
            (0, MAX_INTEGER) => "a whole number".to_owned(),
            (_, MAX_INTEGER) => format!("a whole number from {low}"),
            _ => format!("a whole number in {low}..={high}"),
        };
        self.scalar(&what, |n| whole(n).filter(|n| (low..=high).contains(n)))
    }

    /// A whole number up to `high`.
    pub(super) fn count(&self, high: u32) -> Option<u32> {
        self.integer(0, u64::from(high)).and_then(|n| u32::try_from(n).ok())
    }

    /// A number, zero or more.
    pub(super) fn number(&self) -> Option<f64> {
        self.scalar("a number, zero or more", |n| (n >= 0.0).then_some(n))
    }

    /// A duration in seconds, longer than nothing.
    pub(super) fn seconds(&self) -> Option<Millis> {
        self.scalar("a number of seconds, more than zero", |n| {
            let millis = (n * 1000.0).ceil();
            (millis >= 1.0).then_some(Millis(millis as u64))
        })
    }

    /// A duration in seconds, which may be nothing.
    pub(super) fn delay(&self) -> Option<Millis> {
        self.scalar("a number of seconds, zero or more", |n| (n >= 0.0).then_some(Millis((n * 1000.0).ceil() as u64)))
    }

    /// An amount of US dollars.
    pub(super) fn usd(&self) -> Option<PicoUsd> {
        self.scalar("an amount of USD, zero or more", PicoUsd::from_usd)
    }

    /// What `read` finds here, whose faults are not recorded: somebody else reads it too.
    pub(super) fn quietly<T>(&self, read: impl Fn(&Self) -> T) -> T {
        let count = self.reader.fault_count();
        let found = read(self);
        self.reader.faults.borrow_mut().truncate(count);
        found
    }

    /// Records that `what` was expected here.
    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        self.fault(format!("expected {what}, found {}", self.found()))
    }

    /// Records a fault here.
    pub(super) fn fault<T>(&self, wrong: impl Into<Wrong>) -> Option<T> {
        self.reader.faults.borrow_mut().push(wrong.into().at(&self.path, self.found()));
        None
    }

    /// This mapping; what is none is a fault, and absent from here on.
    fn map(self) -> Self {
        if matches!(self.value, Value::Null | Value::Object(_)) {
            return self;
        }
        self.expected::<()>("a mapping");
        Self { value: &ABSENT, ..self }
    }

    fn variable(&self, name: &str) -> Option<String> {
        let value = self.reader.variables.value(name);
        value.or_else(|| {
            let wrong = Wrong::from(format!("expected the environment variable `{name}`, found that it is not set"));
            self.fault(wrong.hint(format!("set {name} where Envoy runs, or under environment_variables")))
        })
    }

    /// A finite number that `read` takes; `what` it takes is said where it does not.
    pub(super) fn scalar<T>(&self, what: &str, read: impl Fn(f64) -> Option<T>) -> Option<T> {
        let number = match self.value {
            Value::Null => return None,
            Value::Number(number) => number.as_f64(),
            Value::String(_) => self.text()?.trim().parse().ok(),
            _ => None,
        };
        let found = || match (self.value, number) {
            (Value::Number(_), Some(number)) => number.to_string(),
            _ => self.found().to_owned(),
        };
        let fault = || self.fault(format!("expected {what}, found {}", found()));
        number.filter(|n: &f64| n.is_finite()).and_then(read).or_else(fault)
    }

    /// A word for the value, which is not quoted: it may be a credential in the wrong place.
    fn found(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a bool",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
        }
    }
}

fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=MAX_INTEGER as f64).contains(&number)).then_some(number as u64)
}
