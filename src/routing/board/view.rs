//! What a request sees of the board.

use super::rows::{Head, Row, Sample};
use super::{Board, Local};
use crate::routing::{Health, State};
use crate::units::Millis;

/// The VM's copy of the board, and what the VM has seen since.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    board: &'a Board,
    local: &'a Local,
    /// The VM's attempts under way as the board has them: `local` knows better.
    told: &'a [(u64, u64)],
}

impl<'a> View<'a> {
    /// The view of the VM whose copy and whose notes these are.
    pub fn new(board: &'a Board, local: &'a Local) -> Self {
        Self { board, local, told: board.in_flight_of(local.vm()) }
    }

    /// What is known of deployment `number`, its health aside. Samples older than `ttl` do not count.
    pub fn state(&self, now: Millis, number: u64, ttl: Millis) -> State {
        let (noted, merged) = self.rows(number);
        let (own, all) = (head(&noted, now), head(&merged, now));
        let told = self.told.binary_search_by_key(&number, |(number, _)| *number);
        let told = told.ok().and_then(|at| self.told.get(at)).map_or(0, |(_, count)| *count);
        let in_flight = all.in_flight.saturating_sub(told).saturating_add(own.in_flight);
        let keep = self.local.rows().keep();
        let mean = |list: fn(&Row<'a>) -> &'a [Sample]| {
            let lists = [&noted, &merged].map(|row| row.as_ref().map_or(&[][..], list));
            Sample::mean(lists, keep, now, ttl)
        };
        State {
            health: Health::default(),
            in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            ttft_ms: mean(|row| row.ttft).map(|micros| micros / 1e3),
            secs_per_token: mean(|row| row.pace).map(|micros| micros / 1e6),
            requests: all.requests.saturating_add(own.requests),
            tokens: all.tokens.saturating_add(own.tokens),
        }
    }

    /// Requests begun, and attempts failed, in the minute of `now`.
    pub fn totals(&self, now: Millis, number: u64) -> (u64, u64) {
        let (noted, merged) = self.rows(number);
        let (own, all) = (head(&noted, now), head(&merged, now));
        (all.requests.saturating_add(own.requests), all.failures.saturating_add(own.failures))
    }

    /// What the VM has noted, and what the board has.
    fn rows(&self, number: u64) -> (Option<Row<'a>>, Option<Row<'a>>) {
        (self.local.rows().get(number), self.board.rows.get(number))
    }
}

fn head(row: &Option<Row<'_>>, now: Millis) -> Head {
    row.as_ref().map_or(Head::default(), |row| row.head.at(now))
}
