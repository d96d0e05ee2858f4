//! OpenAI's wire shapes: what clients speak to us, and the language every provider is translated from and to.

pub mod chat;
pub mod embeddings;
mod endpoint;
pub mod finish;
pub mod form;
pub mod request;
pub mod usage;

pub use endpoint::Endpoint;
pub use form::Form;
pub use request::Request;
pub use usage::Usage;
