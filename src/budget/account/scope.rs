//! What an account is of.

use std::fmt;

use super::Account;
use crate::telemetry::metric::AccountLabels;

/// What an account is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A virtual key, by its alias.
    #[default]
    Key,
    /// A team, by its id.
    Team,
    /// A user, by its id.
    User,
    /// An end user that the config lists, by its id.
    EndUser,
    /// Another end user, by the hash of its id.
    OtherEndUser,
    /// A tag, by itself.
    Tag,
    /// A provider, by LiteLLM's name.
    Provider,
    /// A deployment, by its id.
    Deployment,
    /// The whole proxy: `litellm_settings.max_budget`.
    Proxy,
}

impl Scope {
    /// The word for it in messages, metrics and the names of records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::User => "user",
            Self::EndUser => "end_user",
            Self::OtherEndUser => "other_end_user",
            Self::Tag => "tag",
            Self::Provider => "provider",
            Self::Deployment => "deployment",
            Self::Proxy => "proxy",
        }
    }
}

impl Account {
    /// The labels of its counters.
    pub fn labels<'a>(&'a self, reason: &'a str) -> AccountLabels<'a> {
        // Whoever a client names stays out of Envoy's table of stats.
        let account = if self.scope == Scope::OtherEndUser { "" } else { &self.name };
        AccountLabels { scope: self.scope.name(), account, model: self.model.as_deref().unwrap_or_default(), reason }
    }
}

/// `key 'batch'`, `key 'batch' for model 'fast'`, `the whole proxy`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Proxy => f.write_str("the whole proxy")?,
            Scope::OtherEndUser => f.write_str("the end user")?,
            Scope::EndUser => write!(f, "end user '{}'", self.name)?,
            scope => write!(f, "{} '{}'", scope.name(), self.name)?,
        }
        match &self.model {
            Some(model) => write!(f, " for model '{model}'"),
            None => Ok(()),
        }
    }
}
