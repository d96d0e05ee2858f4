//! The copies of one worker: those that wait to be begun, and what all of them take.
//!
//! Envoy begins a copy in the callback after the one that made it, or not at all, where it has no such cluster or no host in
//! it: then it is given up after a while. An id that somebody makes up finds nothing, since it begins with a random number
//! of the VM. By an id only copies are ever found, never a request.

use std::collections::BTreeMap;

use super::Shadow;
use crate::units::Millis;

/// The most memory that all copies of one worker take, in bytes: beyond it requests have none.
const WEIGHT_MAX: usize = 32 << 20;

/// How long a copy waits to be begun.
const WAIT_MAX: Millis = Millis::from_secs(5);

/// The digits of each half of an id.
const DIGITS: usize = 16;

/// Copies from their making to their end.
#[derive(Debug)]
pub struct Copies {
    nonce: u64,
    last: u64,
    /// Those that Envoy has not begun, and when they were made.
    waiting: BTreeMap<u64, (Millis, Shadow)>,
    /// What they and those under way take, in bytes.
    weight: usize,
}

impl Copies {
    /// None; `nonce` is a random number of this VM.
    pub fn new(nonce: u64) -> Self {
        Self { nonce, last: 0, waiting: BTreeMap::new(), weight: 0 }
    }

    /// Whether there is room for one more of this weight, in bytes.
    pub fn has_room(&self, weight: usize) -> bool {
        self.weight.saturating_add(weight) <= WEIGHT_MAX
    }

    /// Keeps a copy until it is begun: its id, which is the VM's nonce and a number, in hexadecimal digits.
    pub fn keep(&mut self, now: Millis, shadow: Shadow) -> String {
        self.last = self.last.wrapping_add(1);
        self.weight = self.weight.saturating_add(shadow.weight());
        self.waiting.insert(self.last, (now, shadow));
        format!("{:016x}{:016x}", self.nonce, self.last)
    }

    /// Takes the copy of this id, to begin it; once.
    pub fn take(&mut self, id: &[u8]) -> Option<Shadow> {
        let (nonce, number) = std::str::from_utf8(id).ok()?.split_at_checked(DIGITS)?;
        let number = u64::from_str_radix(number, 16).ok()?;
        if u64::from_str_radix(nonce, 16) != Ok(self.nonce) {
            return None;
        }
        self.waiting.remove(&number).map(|(_, shadow)| shadow)
    }

    /// Takes those that nobody began, to give them up.
    pub fn take_old(&mut self, now: Millis) -> Vec<Shadow> {
        let mut old = Vec::new();
        // The oldest has the least number.
        while let Some(first) = self.waiting.first_entry().filter(|entry| now.since(entry.get().0) > WAIT_MAX) {
            old.push(first.remove().1);
        }
        old
    }

    /// A copy that was taken is no more.
    pub fn forget(&mut self, shadow: &Shadow) {
        self.weight = self.weight.saturating_sub(shadow.weight());
    }
}
