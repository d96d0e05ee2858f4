//! How the servers that speak OpenAI's language differ from OpenAI's own.

/// The differences of one vendor.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The parameters of chat completions that it lacks.
    pub lacking: &'static [&'static str],
}

impl Dialect {
    /// No difference.
    pub const OPENAI: Self = Self { lacking: &[] };
}
