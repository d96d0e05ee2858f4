//! Stand-ins with the budget layer's signatures; dropped at the merge.

pub mod price;

pub use price::{Entry, Price, lookup};

use crate::units::Millis;

/// A budget window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window(pub Millis);

impl Window {
    /// Reads `30s 5m 1h 1d 7d 1w 1mo`.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let count: u64 = text.strip_suffix(unit)?.parse().ok().filter(|n| *n > 0)?;
        let secs = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            "mo" => 2_592_000,
            _ => return None,
        };
        Some(Self(Millis::from_secs(count.saturating_mul(secs))))
    }
}
