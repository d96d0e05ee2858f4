//! What the tests of this module share.

use super::Counter;
use crate::units::Millis;

/// The only counter of its name, whose window ends then.
pub(super) fn counter(name: &str, end: Option<u64>) -> Counter {
    Counter { name: name.into(), whose: None, end: end.map(Millis) }
}

/// Draws from `0..n`, the same for the same seed (xorshift64*).
#[expect(clippy::arithmetic_side_effects, reason = "nobody draws from nothing")]
pub(super) fn draws(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |n| {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}
