//! What all workers share about the deployments, as one request sees it.
//!
//! Routing asks a [`Fleet`] and tells it; where the facts live is the host's business (Envoy's shared data), and a test's
//! or a simulation's own.

use super::Class;
use crate::budget::Account;
use crate::budget::account::{Alert, Denied, Holds, Lack};
use crate::config::Deployment;
use crate::rls::Ask;
use crate::units::{Millis, PicoUsd};

/// What is known of one deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    /// Whether it may be asked.
    pub health: Health,
    /// Attempts under way, in all workers.
    pub in_flight: u32,
    /// Milliseconds to the first token of a stream, the mean of the last samples.
    pub ttft_ms: Option<f64>,
    /// Seconds per token of a whole answer, the mean of the last samples.
    pub secs_per_token: Option<f64>,
    /// Requests begun in this minute.
    pub requests: u64,
    /// Tokens of this minute: of each attempt those set aside at its beginning, or those used where they are more.
    pub tokens: u64,
}

/// Whether a deployment may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It may.
    #[default]
    Open,
    /// Its cooldown is over; one request may try whether it has recovered.
    HalfOpen,
    /// It may not before then.
    Closed(Skip),
}

/// Why a deployment was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It failed, and rests until then.
    Cooldown(Millis),
    /// One request is trying whether it has recovered; the answer is expected by then.
    Probing(Millis),
    /// The provider said that nothing is left until then.
    Exhausted(Millis),
    /// Its `rpm` is used up until then.
    Rpm(Millis),
    /// Its `tpm` is used up until then.
    Tpm(Millis),
    /// Its `rpd` is used up until then.
    Rpd(Millis),
    /// Its `tpd` is used up until then.
    Tpd(Millis),
    /// `max_parallel_requests` are under way.
    Parallel,
    /// Its budget, or its provider's, is spent until then; `None`: for good.
    Budget(Option<Millis>),
    /// The prompt does not fit.
    Context,
    /// The provider lacks a parameter.
    Parameters,
    /// The model takes no images.
    Vision,
    /// It serves other tags.
    Tags,
    /// It is reserved for other teams at this hour.
    Reserved,
    /// There is no access token for it.
    Token,
    /// Nobody says what it costs.
    Unpriced,
    /// The key may not use its group.
    Acl,
}

impl Skip {
    /// The word that explains it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cooldown(_) => "cooldown",
            Self::Probing(_) => "probing",
            Self::Exhausted(_) => "exhausted",
            Self::Rpm(_) => "rpm",
            Self::Tpm(_) => "tpm",
            Self::Rpd(_) => "rpd",
            Self::Tpd(_) => "tpd",
            Self::Parallel => "parallel",
            Self::Budget(_) => "budget",
            Self::Context => "context",
            Self::Parameters => "parameters",
            Self::Vision => "vision",
            Self::Tags => "tags",
            Self::Reserved => "reserved",
            Self::Token => "token",
            Self::Unpriced => "unpriced",
            Self::Acl => "acl",
        }
    }

    /// When it is worth asking again; `None` where time does not help.
    pub const fn until(self) -> Option<Millis> {
        match self {
            Self::Cooldown(at) | Self::Probing(at) | Self::Exhausted(at) => Some(at),
            Self::Rpm(at) | Self::Tpm(at) | Self::Rpd(at) | Self::Tpd(at) => Some(at),
            Self::Budget(at) => at,
            _ => None,
        }
    }
}

/// How an attempt turned out, known once its answer begins or fails to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What went wrong; `None`: nothing.
    pub failure: Option<Class>,
    /// When the provider wants to be asked again, where it says.
    pub retry_at: Option<Millis>,
    /// Until when the provider has nothing left for us, where its headers say so.
    pub exhausted_until: Option<Millis>,
    /// How many deployments its group has.
    pub siblings: usize,
    /// Whether the request can fall back to another group.
    pub has_fallbacks: bool,
    /// Whether the attempt was a probe (see [`Fleet::take`]).
    pub is_probe: bool,
}

/// What an attempt used, known at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens that it used.
    pub tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// How long it took to the first byte, where it got there.
    pub ttft: Option<Millis>,
    /// How long it took in all.
    pub duration: Millis,
    /// Whether it was a stream.
    pub is_stream: bool,
    /// Whether it succeeded.
    pub is_success: bool,
    /// Whether it ran out of time.
    pub is_timeout: bool,
}

/// A place that an attempt has been given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Whether it tries out a deployment that may have recovered.
    pub is_probe: bool,
    /// The tokens set aside.
    pub tokens: u64,
    /// When it was taken.
    pub at: Millis,
}

/// What an attempt has set aside in the accounts of its deployment.
#[derive(Clone, Debug, Default)]
pub struct Funds {
    /// In those of this gateway.
    pub holds: Holds,
    /// What the rate limit service is told of it, where there is one.
    pub announced: Option<Ask>,
    /// The positions in `announced` of what all gateways together had used up; nothing of it is enforced.
    pub used_up: Vec<usize>,
}

impl Funds {
    /// What budgets and limits in shadow mode would have refused, each with its account.
    pub fn shadows(&self) -> impl Iterator<Item = (&Account, Lack)> {
        let caps = self.announced.iter().flat_map(|ask| self.used_up.iter().filter_map(|position| ask.cap(*position)));
        self.holds.shadows().chain(caps.map(|(account, cap, end)| (&**account, cap.lack(end))))
    }
}

/// A fleet that knows nothing and has room for all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calm;

impl Fleet for Calm {
    fn state(&self, _: &Deployment, _: Millis) -> State {
        State::default()
    }

    fn take(&mut self, _: &Deployment, now: Millis, tokens: u64) -> Result<Place, Skip> {
        Ok(Place { is_probe: false, tokens, at: now })
    }

    fn tell(&mut self, _: &Deployment, _: Millis, _: &Outcome) {}

    fn leave(&mut self, _: &Deployment, _: Millis, _: &Place, _: &Usage) {}
}

/// What all workers share about the deployments.
pub trait Fleet {
    /// What is known of `deployment` now; it may lag by a few milliseconds.
    fn state(&self, deployment: &Deployment, now: Millis) -> State;

    /// Whether `deployment` may be asked: [`State::health`] alone, where that is cheaper.
    fn health(&self, deployment: &Deployment, now: Millis) -> Health {
        self.state(deployment, now).health
    }

    /// Takes a place at `deployment` for one attempt that may use `tokens`: exact, whatever other workers do.
    ///
    /// # Errors
    ///
    /// It has none.
    fn take(&mut self, deployment: &Deployment, now: Millis, tokens: u64) -> Result<Place, Skip>;

    /// Sets what one attempt may cost and use aside in the accounts of `deployment`. A fleet that keeps no accounts has room.
    ///
    /// # Errors
    ///
    /// One of them has no room.
    fn fund(&mut self, _: &Deployment, _now: Millis, _cost: PicoUsd, _tokens: u64) -> Result<Funds, Denied> {
        Ok(Funds::default())
    }

    /// Gives back what was set aside for an attempt that was not made.
    fn refund(&mut self, _now: Millis, _funds: &Funds) {}

    /// Charges the accounts of `deployment` with what an attempt cost and used. Which alarms that sets off.
    fn pay(&mut self, _: &Deployment, _now: Millis, _funds: &Funds, _cost: PicoUsd, _tokens: u64) -> Vec<Alert> {
        Vec::new()
    }

    /// Tells how an attempt turned out.
    fn tell(&mut self, deployment: &Deployment, now: Millis, outcome: &Outcome);

    /// Gives a place back.
    fn leave(&mut self, deployment: &Deployment, now: Millis, place: &Place, usage: &Usage);
}
