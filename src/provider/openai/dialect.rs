//! How the servers that speak OpenAI's language differ from OpenAI's own.

/// The differences of one vendor.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// The parameters of chat completions that it lacks.
    pub lacking: &'static [&'static str],
    /// Whether it has the Responses API itself.
    pub responses: bool,
}

impl Dialect {
    /// No difference.
    pub const OPENAI: Self = Self { lacking: &[], responses: true };
    /// OpenAI's chat completions without its Responses API.
    pub const CHAT: Self = Self { lacking: &[], responses: false };
}
