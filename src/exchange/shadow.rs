//! Copies of requests, sent to another group so that somebody can compare: `tollgate.shadow`.
//!
//! A copy is an exchange of its own with one step: nothing is retried, nothing is set aside, nobody is charged and nobody
//! reads its answer but for the usage. Its place at the deployment is taken and left like any other, and its outcome is
//! told to the fleet: a shadow that fails rests too. Where nobody of its group can be asked there is no copy.
//!
//! The answer is read while it passes: whatever it is, it is never held, changed or refused.
//!
//! # Limits
//!
//! Of an answer that is not a stream, a mebibyte is kept to be read; of a longer one that needs a translation the usage is
//! estimated. A stream lasts ten minutes at most. Tags and the client's own timeout have no say in a copy. A copy that never
//! began, for want of room or of a host, is not counted.

use std::rc::Rc;

use super::attempt::HELD_BYTES_MAX;
use super::{Answer, AnswerHead, Exchange, Heading, World};
use crate::bridge::Asked;
use crate::config::Config;
use crate::error::Error;
use crate::routing::{Class, Level, PerClass, Plan, Way};
use crate::telemetry::Record;
use crate::units::Millis;

/// What a share is a share of.
const MILLION: u64 = 1_000_000;

/// How long the stream of a copy may last after its time to the first token.
const STREAM: Millis = Millis::from_secs(600);

/// The copy of a request.
#[derive(Debug)]
pub struct Shadow {
    exchange: Exchange,
    reading: Reading,
    /// Whether the last byte of the answer has come.
    has_ended: bool,
}

/// What is done with the body of the answer.
#[derive(Debug)]
enum Reading {
    Nothing,
    /// A stream that has said nothing in so many bytes.
    First(usize),
    Chunks,
    Whole(Vec<u8>),
}

impl Exchange {
    /// The copy of this request, where its group has a shadow, the draw picks it and somebody can be asked.
    pub fn shadow(&self, world: &mut World<'_>) -> Option<Shadow> {
        let shadow = self.config.routing.shadows.iter().find(|shadow| shadow.model_group == self.group)?;
        if self.is_upgrade() || (world.random)(MILLION) >= u64::from(shadow.per_million) {
            return None;
        }
        let pool = self.config.groups.get(&shadow.to)?.pool.clone();
        let level = Level { group: shadow.to.clone(), pool, retries: PerClass::default(), num_retries: 0 };
        let plan = Plan::new(Way { levels: vec![level], ..Way::default() }, *self.plan.needs());
        let asked = Asked::new(self.asked.client().clone());
        let exchange = Self::new(self.config.clone(), self.caller, world.now, shadow.to.clone(), asked, plan);
        // No attempt follows an answer that is on its way, and nobody waits for this one.
        let mut exchange = Self { originals: self.originals.clone(), is_answered: true, ..exchange };
        exchange.advance(world, Plan::first);
        exchange.timeout = exchange.own_timeout()?;
        Some(Shadow { exchange, reading: Reading::Nothing, has_ended: false })
    }

    /// About how much memory a copy of this request takes, in bytes.
    pub fn weight(&self) -> usize {
        /// What is not the body: twice that, since the target has its own.
        const REST: usize = 4 << 10;
        self.asked.client().body.len().saturating_mul(2).saturating_add(REST)
    }
}

impl Shadow {
    /// The cluster of its only attempt.
    pub fn cluster(&self) -> &str {
        self.exchange.first_cluster()
    }

    /// The config that it was made under.
    pub fn config(&self) -> &Rc<Config> {
        self.exchange.config()
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        self.exchange.weight()
    }

    /// How long it may take to the end of its answer.
    pub fn timeout(&self) -> Millis {
        let timeout = self.exchange.per_try_timeout();
        if self.exchange.plan.needs().is_stream { timeout.plus(STREAM) } else { timeout }
    }

    /// Begins its attempt: see [`Exchange::begin`].
    ///
    /// # Errors
    ///
    /// The cluster is not that of its deployment.
    pub fn begin(&mut self, cluster: &[u8], now: Millis) -> Result<Vec<u8>, Error> {
        self.exchange.begin(cluster, now)
    }

    /// The body of its attempt; once.
    pub fn take_body(&mut self) -> Option<Vec<u8>> {
        self.exchange.take_body()
    }

    /// Takes the headers of the answer, which may be all there is of it.
    pub fn answered(&mut self, head: &AnswerHead, world: &mut World<'_>) {
        self.has_ended = head.is_empty;
        self.reading = match self.exchange.answered(head, world) {
            Heading::Hold => Reading::Whole(Vec::new()),
            Heading::First => Reading::First(0),
            Heading::Read => Reading::Chunks,
            Heading::Pass | Heading::Error(_) | Heading::HoldError | Heading::Refuse(_) => Reading::Nothing,
        };
    }

    /// Whether anything is made of the answer's body.
    pub fn is_reading(&self) -> bool {
        !matches!(self.reading, Reading::Nothing)
    }

    /// Takes the next bytes of the answer.
    pub fn read(&mut self, bytes: &[u8], end_of_stream: bool, world: &mut World<'_>) {
        self.has_ended |= end_of_stream;
        let exchange = &mut self.exchange;
        if !bytes.is_empty() && !matches!(self.reading, Reading::First(_)) {
            exchange.first_byte(world.now);
        }
        let mut unread = Vec::new();
        self.reading = match std::mem::replace(&mut self.reading, Reading::Nothing) {
            Reading::Nothing => Reading::Nothing,
            Reading::Chunks => {
                exchange.chunk(bytes, end_of_stream, &mut unread);
                Reading::Chunks
            }
            Reading::First(passed) => {
                exchange.first(bytes, end_of_stream, passed, &mut unread, world);
                if exchange.is_pending() { Reading::First(passed.saturating_add(bytes.len())) } else { Reading::Chunks }
            }
            Reading::Whole(mut kept) => {
                kept.extend_from_slice(bytes);
                if end_of_stream {
                    exchange.held(&kept, world);
                    Reading::Nothing
                } else if exchange.release(kept.len() as u64, world) {
                    exchange.chunk(&kept, false, &mut unread);
                    Reading::Chunks
                } else if kept.len() as u64 > HELD_BYTES_MAX {
                    exchange.answer = Answer::Unread;
                    exchange.succeed(world);
                    Reading::Nothing
                } else {
                    Reading::Whole(kept)
                }
            }
        };
    }

    /// It never began: gives its place back.
    pub fn withdraw(&mut self, world: &mut World<'_>) {
        self.exchange.withdraw(world);
    }

    /// It has ended, however: what came of it, for [`Record::count_shadow`].
    pub fn settle(&mut self, world: &mut World<'_>) -> Record {
        if self.exchange.is_pending() {
            self.exchange.lost(world);
        } else if !self.has_ended {
            self.exchange.broke(world);
        }
        let status = self.status();
        self.exchange.settle(status, world)
    }

    /// The shadow's status; where it gave none, the one that a client would have got.
    fn status(&self) -> u16 {
        let Some(attempt) = self.exchange.attempt() else { return 0 };
        let none = if attempt.failure == Some(Class::Timeout) { 504 } else { 503 };
        attempt.status.unwrap_or(none)
    }
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
