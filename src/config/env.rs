//! `os.environ/NAME`: where the values that are not in the file come from.
//!
//! The file's own `environment_variables` win over the process's environment, as in LiteLLM, which exports them. A
//! variable that is set but empty counts as unset.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

/// What starts a reference to an environment variable.
const PREFIX: &str = "os.environ/";

/// Where environment variables are read, and what one that is not set means.
#[derive(Clone, Copy)]
pub enum Env<'a> {
    /// To serve: a referenced variable that is not set is a fault.
    Strict(&'a dyn Fn(&str) -> Option<String>),
    /// To check or render without the secrets: a credential whose variable is not set becomes a placeholder, one per
    /// name. What decides where requests go (`model`, `api_base`, numbers) must still be set.
    Lenient(&'a dyn Fn(&str) -> Option<String>),
}

/// The environment of one compilation, which remembers what it was asked for.
pub(super) struct Variables<'a> {
    env: Env<'a>,
    section: &'a Value,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Variables<'a> {
    /// The variables of `document`, over those of `env`.
    pub(super) fn new(document: &'a Value, env: Env<'a>) -> Self {
        let section = document.get("environment_variables").unwrap_or(&Value::Null);
        Self { env, section, asked: RefCell::default() }
    }

    /// The value of the variable `name`; `None` when it is unset or empty.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let value = match self.section.get(name) {
            Some(Value::String(text)) => match reference(text) {
                Some(other) => self.outside(other),
                None => Some(text.clone()),
            },
            Some(scalar @ (Value::Bool(_) | Value::Number(_))) => Some(scalar.to_string()),
            Some(_) => None,
            None => self.outside(name),
        };
        value.filter(|value| !value.is_empty())
    }

    /// The value of the variable `name` where the document itself has it; the environment is not asked.
    pub(super) fn inside(&self, name: &str) -> Option<String> {
        self.section.get(name)?;
        self.value(name)
    }

    /// What stands in for a credential whose variable `name` is not set; `None` where it must be set.
    pub(super) fn placeholder(&self, name: &str) -> Option<String> {
        match self.env {
            Env::Strict(_) => None,
            Env::Lenient(_) => Some(format!("{PREFIX}{name}")),
        }
    }

    /// The names that the process's environment was asked for.
    pub(super) fn into_asked(self) -> BTreeSet<String> {
        self.asked.into_inner()
    }

    fn outside(&self, name: &str) -> Option<String> {
        self.asked.borrow_mut().insert(name.to_owned());
        match self.env {
            Env::Strict(env) | Env::Lenient(env) => env(name),
        }
    }
}

/// The variable that `text` refers to, if it is a reference.
pub(super) fn reference(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)
}
