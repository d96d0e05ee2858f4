//! The way of one request through the deployments.
//!
//! ## Why step by step
//!
//! Envoy does the retrying, and asks for the cluster of the next attempt only after the last one has ended: its headers
//! have come, or it was given up. So the next step is taken then, when it is known why the last one failed and what
//! other requests have met since.
//!
//! ## The order
//!
//! Inside a group every attempt goes to a deployment that has not failed this request, the lowest `order` first, chosen by
//! the strategy; then, while retries are left, to those that have. A group's higher `order` levels have retries of their
//! own, and do not go back to a lower one. Then come the fallback groups. Which failures are repeated how often is the
//! `retry_policy`'s, else `num_retries`:
//!
//! | failure | the same group | fallbacks |
//! | --- | --- | --- |
//! | the client's own | only as the policy says | no |
//! | the prompt is too long, the provider will not answer | only as the policy says | the special list, else the general one |
//! | the credential | deployments that have not failed | yes |
//! | too many requests | deployments that have not failed; the same one where there are no fallbacks | yes |
//! | all others | yes | yes |
//!
//! # Limits
//!
//! At most [`MAX_ATTEMPTS`] attempts and `max_fallbacks` fallback groups.

use std::rc::Rc;

use super::{Class, Fleet, Health, PerClass, Place, Pool, Question, Skip, Strategy};
use crate::config::Deployment;
use crate::units::Millis;

/// The longest way. LiteLLM's defaults (3 attempts, 5 fallbacks) need 18.
pub const MAX_ATTEMPTS: usize = 20;

/// The longest wait before the same deployment is asked again, where its provider does not say.
const MAX_WAIT: Millis = Millis::from_secs(8);
/// The longest wait that a provider may ask for; a longer one is not waited for.
const MAX_ASKED_WAIT: Millis = Millis::from_secs(60);
/// The first wait, doubled for each further one.
const FIRST_WAIT: Millis = Millis(500);

/// How many of those that were passed over are remembered.
const MAX_SKIPPED: usize = 16;

/// A group on the way.
#[derive(Clone, Debug)]
pub struct Level {
    /// Its name.
    pub group: String,
    /// Its deployments.
    pub pool: Rc<Pool>,
    /// How often a failure of each class is repeated; `None`: `num_retries`.
    pub retries: PerClass<Option<u32>>,
    /// How often other failures are repeated.
    pub num_retries: u32,
}

/// Where a request may go.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// The group asked for, then its fallbacks.
    pub levels: Vec<Level>,
    /// In the place of the fallbacks, when the prompt is too long; empty: the fallbacks.
    pub context_window: Vec<Level>,
    /// In the place of the fallbacks, when the provider will not answer; empty: the fallbacks.
    pub content_policy: Vec<Level>,
}

/// What of a request decides its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// How deployments are chosen.
    pub strategy: Strategy,
    /// Whether the answer is a stream.
    pub is_stream: bool,
    /// The tokens of the prompt, estimated.
    pub tokens: u64,
    /// The same for requests that belong together.
    pub affinity: Option<u64>,
    /// The shortest wait before the same deployment is asked again.
    pub retry_after: Millis,
}

/// One attempt to come.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whom it asks.
    pub deployment: Rc<Deployment>,
    /// How many groups were given up before.
    pub fallbacks: u32,
    /// Its place there.
    pub place: Place,
    /// How long to wait before.
    pub wait: Millis,
}

/// What a step is chosen with.
pub struct Chooser<'a> {
    /// Now.
    pub now: Millis,
    /// What is known of the deployments.
    pub fleet: &'a mut dyn Fleet,
    /// Whether a deployment can be asked this at all.
    pub check: &'a dyn Fn(&Deployment) -> Result<(), Skip>,
    /// `random(n)` draws from `0..n`.
    pub random: &'a mut dyn FnMut(u64) -> u64,
}

/// A deployment that was passed over, and why.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The deployment.
    pub deployment: Rc<Deployment>,
    /// Why.
    pub why: Skip,
}

/// The way of one request, as far as it has come.
#[derive(Debug)]
pub struct Plan {
    way: Way,
    needs: Needs,
    /// The position in [`Way::levels`].
    level: usize,
    /// What became of the deployments of this level, by their positions in its pool.
    met: Vec<Met>,
    /// Attempts at this level and `order`.
    attempts_here: u32,
    attempts: usize,
    /// The `order` of the last step.
    order: Option<u32>,
    /// The lowest `order` that is still asked.
    lowest: u32,
    /// The position in its pool of the last step.
    last: Option<usize>,
    skipped: Vec<Skipped>,
    /// When the first of those that are busy or resting can be asked again.
    opens_at: Option<Millis>,
    is_busy: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Met {
    #[default]
    New,
    Closed,
    Failed,
}

impl Plan {
    /// A way not begun.
    pub fn new(way: Way, needs: Needs) -> Self {
        let met = way.levels.first().map(|level| vec![Met::New; level.pool.deployments().len()]).unwrap_or_default();
        Self {
            way,
            needs,
            level: 0,
            met,
            attempts_here: 0,
            attempts: 0,
            order: None,
            lowest: 0,
            last: None,
            skipped: Vec::new(),
            opens_at: None,
            is_busy: false,
        }
    }

    /// What decides the way.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Those that were passed over, at most 16.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Every deployment that the request may come to.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        let Way { levels, context_window, content_policy } = &self.way;
        levels.iter().chain(context_window).chain(content_policy).map(|level| &*level.pool)
    }

    /// The most attempts that may come.
    pub fn max_attempts(&self) -> usize {
        let Way { levels, context_window, content_policy } = &self.way;
        let most = |level: &Level| {
            let retries = Class::ALL.iter().filter_map(|class| level.retries.get(*class)).max();
            let retries = retries.unwrap_or(0).max(level.num_retries) as usize;
            retries.saturating_add(1).saturating_mul(level.pool.levels().len())
        };
        let all = levels.iter().chain(context_window).chain(content_policy).map(most);
        all.fold(0, usize::saturating_add).min(MAX_ATTEMPTS)
    }

    /// How many deployments the group of the last step has.
    pub fn siblings(&self) -> usize {
        self.met.len()
    }

    /// Whether another group can follow.
    pub fn has_fallbacks(&self) -> bool {
        self.level + 1 < self.way.levels.len()
    }

    /// Whether an error of `class` has to be read before it is known what follows.
    pub fn must_read(&self, class: Class) -> bool {
        class == Class::BadRequest
            && (self.has_fallbacks() || !self.way.context_window.is_empty() || !self.way.content_policy.is_empty())
    }

    /// Whether a success that was filtered is to be followed by somebody else's answer.
    pub fn follows_filtered(&self) -> bool {
        !self.way.content_policy.is_empty()
    }

    /// The first step; `None` where nobody can be asked: see [`Plan::refusal`].
    pub fn first(&mut self, chooser: &mut Chooser<'_>) -> Option<Step> {
        loop {
            if let Some(step) = self.pick(chooser, Among::New, Millis::default()) {
                return Some(step);
            }
            self.descend(None)?;
        }
    }

    /// The step after one that failed with `class`, whose provider wants to be asked again at `retry_at`.
    pub fn next(&mut self, class: Class, retry_at: Option<Millis>, chooser: &mut Chooser<'_>) -> Option<Step> {
        self.mark(Met::Failed);
        if self.attempts >= MAX_ATTEMPTS {
            return None;
        }
        if let Some(step) = self.retry(class, retry_at, chooser) {
            return Some(step);
        }
        if class.moves_on()
            && let Some(step) = self.pick(chooser, Among::Higher, Millis::default())
        {
            return Some(step);
        }
        let mut special = Some(class);
        loop {
            self.descend(special.take())?;
            if let Some(step) = self.pick(chooser, Among::New, Millis::default()) {
                return Some(step);
            }
        }
    }

    /// The step in the place of one that could not be begun: no attempt was made.
    pub fn instead(&mut self, chooser: &mut Chooser<'_>) -> Option<Step> {
        self.attempts = self.attempts.saturating_sub(1);
        self.attempts_here = self.attempts_here.saturating_sub(1);
        self.mark(Met::Closed);
        self.first(chooser)
    }

    /// When it is worth asking again, where all that could answer are busy or resting.
    pub fn opens_at(&self, now: Millis) -> Option<Millis> {
        /// Nobody knows when one of many requests ends.
        const BUSY: Millis = Millis::from_secs(1);
        self.opens_at.or_else(|| self.is_busy.then(|| now.plus(BUSY)))
    }

    /// Why the first deployment that was passed over for good was.
    pub fn refusal(&self) -> Option<Skip> {
        self.skipped.first().map(|skipped| skipped.why)
    }

    fn mark(&mut self, met: Met) {
        let slot = self.last.and_then(|last| self.met.get_mut(last));
        slot.into_iter().for_each(|slot| *slot = met);
    }

    /// Another attempt inside the group.
    fn retry(&mut self, class: Class, retry_at: Option<Millis>, chooser: &mut Chooser<'_>) -> Option<Step> {
        let level = self.way.levels.get(self.level)?;
        let limit = match level.retries.get(class) {
            Some(limit) => limit,
            None if class.moves_on() => level.num_retries,
            None => 0,
        };
        if self.attempts_here > limit {
            return None;
        }
        let is_policy = level.retries.get(class).is_some();
        if let Some(step) = self.pick(chooser, Among::New, Millis::default()) {
            return Some(step);
        }
        let is_useless = match class {
            Class::Authentication => !is_policy,
            Class::RateLimit => self.has_fallbacks(),
            _ => false,
        };
        let wait = self.wait(retry_at, chooser.now).filter(|_| !is_useless)?;
        self.pick(chooser, Among::Failed, wait)
    }

    /// How long to wait before the same deployment is asked again; `None`: longer than anybody waits.
    fn wait(&self, retry_at: Option<Millis>, now: Millis) -> Option<Millis> {
        let asked = retry_at.map(|at| at.since(now));
        if asked.is_some_and(|asked| asked > MAX_ASKED_WAIT) {
            return None;
        }
        let doublings = self.attempts_here.saturating_sub(1).min(8);
        let own = Millis(FIRST_WAIT.0 << doublings).min(MAX_WAIT);
        Some(asked.unwrap_or(own).max(self.needs.retry_after))
    }

    /// On to the next group.
    fn descend(&mut self, class: Option<Class>) -> Option<()> {
        let special = match class {
            Some(Class::ContextWindow) => std::mem::take(&mut self.way.context_window),
            Some(Class::ContentPolicy) => std::mem::take(&mut self.way.content_policy),
            Some(class) if !class.moves_on() => return None,
            _ => Vec::new(),
        };
        if !special.is_empty() {
            self.way.levels.truncate(self.level + 1);
            self.way.levels.extend(special);
        }
        let next = self.way.levels.get(self.level + 1)?;
        self.met = vec![Met::New; next.pool.deployments().len()];
        self.level += 1;
        self.attempts_here = 0;
        self.order = None;
        self.lowest = 0;
        self.last = None;
        Some(())
    }

    /// Takes a place at one of the deployments of this level that `among` names and that are open.
    fn pick(&mut self, chooser: &mut Chooser<'_>, among: Among, wait: Millis) -> Option<Step> {
        let pool = self.way.levels.get(self.level)?.pool.clone();
        loop {
            let i = self.choose(&pool, chooser, among)?;
            let deployment = pool.get(i)?;
            let taken = match (chooser.check)(deployment) {
                Ok(()) => chooser.fleet.take(deployment, chooser.now, self.needs.tokens),
                Err(skip) => Err(skip),
            };
            match taken {
                Ok(place) => {
                    if among == Among::Higher {
                        (self.attempts_here, self.lowest) = (0, deployment.order);
                    }
                    self.attempts_here = self.attempts_here.saturating_add(1);
                    self.attempts += 1;
                    self.order = Some(deployment.order);
                    self.last = Some(i);
                    let fallbacks = u32::try_from(self.level).unwrap_or(u32::MAX);
                    return Some(Step { deployment: deployment.clone(), fallbacks, place, wait });
                }
                Err(skip) => self.skip(i, deployment, skip),
            }
        }
    }

    fn choose(&mut self, pool: &Pool, chooser: &mut Chooser<'_>, among: Among) -> Option<usize> {
        let Needs { strategy, tokens, is_stream, affinity, .. } = self.needs;
        let question = Question { tokens, is_stream, affinity };
        let now = chooser.now;
        let (last_order, lowest) = (self.order, self.lowest);
        let fleet = &*chooser.fleet;
        let mut closed = Vec::new();
        let mut is_open = |i: usize| {
            let (Some(met), Some(deployment)) = (self.met.get_mut(i), pool.get(i)) else { return false };
            let is_among = match among {
                Among::New => *met == Met::New,
                Among::Failed => *met == Met::Failed,
                Among::Higher => *met == Met::New && last_order.is_none_or(|order| deployment.order > order),
            };
            if !is_among || deployment.order < lowest {
                return false;
            }
            match fleet.health(deployment, now) {
                Health::Open | Health::HalfOpen => true,
                Health::Closed(skip) => {
                    *met = Met::Closed;
                    closed.push((i, skip));
                    false
                }
            }
        };
        let state = |deployment: &Deployment| fleet.state(deployment, now);
        let chosen = super::choose(strategy, pool, &question, &mut is_open, &state, &mut *chooser.random);
        for (i, skip) in closed {
            if let Some(deployment) = pool.get(i) {
                self.skip(i, deployment, skip);
            }
        }
        chosen
    }

    fn skip(&mut self, i: usize, deployment: &Rc<Deployment>, why: Skip) {
        self.met.get_mut(i).into_iter().for_each(|slot| *slot = Met::Closed);
        self.is_busy |= why == Skip::Parallel;
        if let Some(at) = why.until() {
            self.opens_at = Some(self.opens_at.map_or(at, |first| first.min(at)));
        }
        if self.skipped.len() < MAX_SKIPPED {
            self.skipped.push(Skipped { deployment: deployment.clone(), why });
        }
    }
}

/// Which deployments of a level a step may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Among {
    /// Those that were not asked.
    New,
    /// Those of them with a higher `order`.
    Higher,
    /// Those that failed.
    Failed,
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
