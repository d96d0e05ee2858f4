//! What is told about a request: the record of its end, and the counters. Never a prompt, an answer or a key.

pub mod labels;
pub mod metric;
pub mod record;

pub use metric::Metric;
pub use record::{ErrorCode, Record, RecordFields, UsageSource};
