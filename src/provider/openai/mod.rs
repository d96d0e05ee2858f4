//! OpenAI's own language: the body is spliced, never written anew, and answers pass through as they are.

mod error;
mod request;
mod response;
mod stream;

pub use error::error;
pub use request::request;
pub use response::{Tail, response};
pub use stream::Stream;
