//! Why an attempt failed, as far as routing cares.

use crate::error::{Error, Kind};

/// A class of failures; LiteLLM's `retry_policy` and `allowed_fails_policy` name them.
///
/// Source: LiteLLM, "Reliability" <https://docs.litellm.ai/docs/proxy/reliability>, not re-read for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The client's own fault.
    BadRequest,
    /// The credential is not taken, or has no money left.
    Authentication,
    /// The provider has no such model.
    NotFound,
    /// No answer in time.
    Timeout,
    /// Too many requests or tokens.
    RateLimit,
    /// The prompt is too long for the model.
    ContextWindow,
    /// The provider will not answer this.
    ContentPolicy,
    /// The provider failed.
    InternalServer,
    /// The provider is overloaded or closed.
    ServiceUnavailable,
    /// The provider was not reached, or hung up.
    Connection,
}

impl Class {
    /// Every class, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::BadRequest,
        Self::Authentication,
        Self::NotFound,
        Self::Timeout,
        Self::RateLimit,
        Self::ContextWindow,
        Self::ContentPolicy,
        Self::InternalServer,
        Self::ServiceUnavailable,
        Self::Connection,
    ];

    /// What a provider's error status says before its body is read; `None` for one that is no error.
    pub const fn of_status(status: u16) -> Option<Self> {
        Some(match status {
            ..400 => return None,
            401..=403 => Self::Authentication,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            429 => Self::RateLimit,
            409 | 503 | 529 => Self::ServiceUnavailable,
            400..500 => Self::BadRequest,
            _ => Self::InternalServer,
        })
    }

    /// What an error says whose body was read.
    pub fn of_error(error: &Error) -> Self {
        match (error.code(), &error.kind) {
            (Some("context_length_exceeded"), _) => Self::ContextWindow,
            (Some("content_policy_violation" | "content_filter"), _) => Self::ContentPolicy,
            (_, Kind::Timeout) => Self::Timeout,
            (_, Kind::Unreachable) => Self::Connection,
            _ => Self::of_status(error.status()).unwrap_or(Self::InternalServer),
        }
    }

    /// Whether another provider may do better with the same request.
    pub const fn moves_on(self) -> bool {
        !matches!(self, Self::BadRequest | Self::NotFound | Self::ContextWindow | Self::ContentPolicy)
    }

    /// Whether it says something about the provider, and not about the request.
    pub const fn counts(self) -> bool {
        self.moves_on()
    }

    /// The word that explains it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Authentication => "authentication",
            Self::NotFound => "not_found",
            Self::Timeout => "timeout",
            Self::RateLimit => "rate_limit",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::InternalServer => "internal_server",
            Self::ServiceUnavailable => "service_unavailable",
            Self::Connection => "connection",
        }
    }
}

/// A value for each class of failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerClass<T>([T; Class::ALL.len()]);

impl<T: Copy> PerClass<T> {
    /// The same for all.
    pub const fn all(value: T) -> Self {
        Self([value; Class::ALL.len()])
    }

    /// The value of `class`.
    pub fn get(&self, class: Class) -> T {
        let [first, ..] = self.0;
        Class::ALL.iter().zip(self.0).find(|(found, _)| **found == class).map_or(first, |(_, value)| value)
    }

    /// Sets the value of `class`.
    pub fn set(&mut self, class: Class, value: T) {
        Class::ALL.iter().zip(&mut self.0).filter(|(found, _)| **found == class).for_each(|(_, slot)| *slot = value);
    }
}

impl<T: Copy> PerClass<Option<T>> {
    /// These values, and those of `other` where there is none.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        for (slot, value) in self.0.iter_mut().zip(other.0) {
            *slot = slot.or(value);
        }
        self
    }
}
