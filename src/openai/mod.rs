//! OpenAI's wire shapes: what clients speak to us, and the language every provider is translated from and to.

pub mod chat;
pub mod request;
pub mod usage;

pub use request::{Endpoint, Request};
pub use usage::Usage;
