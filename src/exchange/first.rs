//! The beginning of a stream, which is held until it says something.
//!
//! Many providers send headers and an opening event at once and think afterwards, or fail: until then another provider can
//! still take over. Envoy's timer for an attempt runs as long as its headers are held, so it bounds the time to the
//! first token. What is held is small (see [`HELD_BYTES_MAX`]); from the first token on nothing is.

use super::{Answer, Exchange, Next, World};
use crate::error::{Error, Kind};
use crate::provider::Pass;
use crate::routing::Class;
use crate::units::Millis;

/// So much of a stream may say nothing; it goes on then as it is.
const HELD_BYTES_MAX: usize = 2 << 10;

/// What becomes of a stream that has not said anything yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// It is held on.
    Wait,
    /// It goes on to the client.
    Begin,
    /// It failed, and another attempt follows; the status is what Envoy is told.
    Refuse(u16, Next),
}

impl Exchange {
    /// Takes the next bytes of a stream of which `held` bytes were held before; what the client gets instead is added to
    /// `out`.
    pub fn first(
        &mut self,
        bytes: &[u8],
        end_of_stream: bool,
        held: usize,
        out: &mut Vec<u8>,
        world: &mut World<'_>,
    ) -> (Pass, First) {
        let pass = self.answer.chunk(bytes, end_of_stream, out);
        let Answer::Stream(stream) = &self.answer else { return (pass, First::Begin) };
        let tally = stream.tally();
        let has_spoken = tally.content_bytes > 0 || tally.is_complete;
        match &tally.error {
            Some(error) if tally.content_bytes == 0 => {
                let (class, status) = (Class::of_error(error), error.status());
                match self.fail(class, world) {
                    Some(next) => (pass, First::Refuse(status, next)),
                    None => (pass, First::Begin),
                }
            }
            _ if has_spoken || end_of_stream || held.saturating_add(bytes.len()) > HELD_BYTES_MAX => {
                self.first_byte(world.now);
                self.heard = self.silence().map(|_| world.now);
                self.succeed(world);
                (pass, First::Begin)
            }
            _ => (pass, First::Wait),
        }
    }

    /// The longest silence of the stream of the attempt under way, where it has a bound.
    fn silence(&self) -> Option<Millis> {
        self.deployment()?.timeouts.idle
    }

    /// The stream has said something.
    pub fn hear(&mut self, now: Millis) {
        self.heard = self.heard.map(|_| now);
    }

    /// Whether the stream has been silent for too long.
    pub fn is_silent(&self, now: Millis) -> bool {
        self.heard.zip(self.silence()).is_some_and(|(heard, idle)| now.since(heard) > idle)
    }

    /// Whether the silence of the stream under way has a bound.
    pub fn is_watched(&self) -> bool {
        self.heard.is_some()
    }

    /// Whether the stream was cut: what comes of it now comes too late.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// The stream is cut for its silence, which counts as a failure of its provider; what the client still gets.
    pub fn cut(&mut self, world: &mut World<'_>) -> Vec<u8> {
        self.heard = None;
        let error = Error::new(Kind::Timeout, "the provider fell silent in the middle of its answer");
        self.cut = Some(error.clone());
        self.blame(Class::Timeout, world);
        self.answer.break_off(error)
    }
}
