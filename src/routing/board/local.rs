//! What one VM has seen since it last merged.

use super::BEAT;
use super::rows::{Rows, Sample};
use crate::routing::Usage;
use crate::units::Millis;

/// What one VM has seen since it last merged, and its attempts under way.
#[derive(Clone, Debug, Default)]
pub struct Local {
    vm: u64,
    rows: Rows,
    has_news: bool,
    /// When it merged last.
    beat: Millis,
}

impl Local {
    /// Of the VM with this number, drawn at its start. `keep` is how many samples of a kind count, at most 32; 0: none
    /// are needed.
    pub fn new(vm: u64, keep: usize) -> Self {
        Self { vm, rows: Rows::new(keep), has_news: false, beat: Millis::default() }
    }

    /// Another config needs as many samples as that.
    pub fn keep(&mut self, keep: usize) {
        self.rows.resize(keep);
    }

    /// An attempt has begun that may use `tokens`.
    pub fn begun(&mut self, now: Millis, number: u64, tokens: u64) {
        self.has_news = true;
        let Some(row) = self.rows.entry(number) else { return };
        row.head.roll(now);
        row.head.requests = row.head.requests.saturating_add(1);
        row.head.tokens = row.head.tokens.saturating_add(tokens);
        row.head.in_flight = row.head.in_flight.saturating_add(1);
    }

    /// An attempt has failed. Its end is told apart.
    pub fn failed(&mut self, now: Millis, number: u64) {
        self.has_news = true;
        let Some(row) = self.rows.entry(number) else { return };
        row.head.roll(now);
        row.head.failures = row.head.failures.saturating_add(1);
    }

    /// An attempt has ended that began with `reserved` tokens. One whose beginning this VM has not seen takes nothing
    /// from the count of those under way.
    ///
    /// What it used above its reservation is added. Nothing is taken back: were only answers counted, whoever fails or
    /// never answers would look the least used, and get all requests.
    ///
    /// Only a success tells how fast a deployment is. A stream tells of its first token alone: the rest comes as fast as
    /// its reader takes it. What ran out of time took 1000 s, and a stream's missing token would be missing in a whole
    /// answer as well.
    ///
    /// Source: LiteLLM 1.109.1, `router_strategy/lowest_latency.py`: seconds per completion token, the whole time where
    /// there are none; 1000 s for a timeout; read 2026-11-23.
    pub fn ended(&mut self, now: Millis, number: u64, reserved: u64, usage: &Usage) {
        self.has_news = true;
        let Some(row) = self.rows.entry(number) else { return };
        row.head.roll(now);
        row.head.in_flight = row.head.in_flight.saturating_sub(1);
        row.head.tokens = row.head.tokens.saturating_add(usage.tokens.saturating_sub(reserved));
        let (ttft, pace) = match usage {
            Usage { is_timeout: true, is_stream, .. } => (is_stream.then_some(TIMEOUT_MICROS), Some(TIMEOUT_MICROS)),
            Usage { is_success: false, .. } => (None, None),
            Usage { is_stream: true, ttft, .. } => (ttft.map(micros), None),
            Usage { duration, output_tokens, .. } => (None, Some(micros(*duration) / (*output_tokens).max(1))),
        };
        ttft.into_iter().for_each(|micros| Sample::push(row.ttft, Sample::new(now, micros)));
        pace.into_iter().for_each(|micros| Sample::push(row.pace, Sample::new(now, micros)));
    }

    /// Whether it is time to merge: there is something to tell, or attempts are under way and a second has passed.
    pub fn is_due(&self, now: Millis) -> bool {
        self.has_news || (now.0.abs_diff(self.beat.0) >= BEAT.0 && self.in_flight().next().is_some())
    }

    /// All of this is in the board: only what is under way is still to be told.
    pub fn merged(&mut self, now: Millis) {
        let mut rows = Rows::new(self.rows.keep());
        for (number, count) in self.in_flight() {
            rows.entry(number).into_iter().for_each(|row| row.head.in_flight = count);
        }
        (self.rows, self.has_news, self.beat) = (rows, false, now);
    }

    /// Attempts under way by deployment.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = (u64, u64)> {
        self.rows.iter().map(|(number, row)| (number, row.head.in_flight)).filter(|(_, count)| *count > 0)
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn vm(&self) -> u64 {
        self.vm
    }
}

const fn micros(duration: Millis) -> u64 {
    duration.0.saturating_mul(1000)
}

/// What ran out of time took as long.
const TIMEOUT_MICROS: u64 = 1_000_000_000;
