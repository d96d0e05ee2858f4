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

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Class, Fleet, Funds, Health, PerClass, Place, Pool, Question, Skip, Strategy};
use crate::budget::account::Denied;
use crate::config::Deployment;
use crate::units::{Millis, PicoUsd};

/// The longest way. LiteLLM's defaults (3 attempts, 5 fallbacks) need 18.
pub const MAX_ATTEMPTS: usize = 20;

/// The longest wait before the same deployment is asked again, where its provider does not say.
const MAX_WAIT: Millis = Millis::from_secs(8);
/// The longest wait that a provider may ask for; a longer one is not waited for.
const MAX_ASKED_WAIT: Millis = Millis::from_secs(60);
/// The first wait, doubled for each further one.
const FIRST_WAIT: Millis = Millis(500);

/// How many of those that were passed over are remembered.
pub const MAX_SKIPPED: usize = 16;

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
    /// The deployments of fallbacks that the key may not use, to be told of.
    pub forbidden: Vec<Rc<Deployment>>,
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
    /// What it has set aside in the deployment's accounts.
    pub funds: Funds,
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
    /// The most that one attempt at a deployment can cost.
    pub cost: &'a dyn Fn(&Deployment) -> PicoUsd,
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
    /// What became of the deployments of this level that were met, by their positions in its pool.
    met: BTreeMap<usize, Met>,
    /// Attempts at this level and `order`.
    attempts_here: u32,
    attempts: usize,
    /// The `order` of the last step.
    order: Option<u32>,
    /// The lowest `order` that is still asked.
    lowest: u32,
    /// The position in its pool of the last step.
    last: Option<usize>,
    /// How the last attempt at this level failed.
    failed_as: Option<Class>,
    /// Whether a deployment of this level was passed over because the prompt is too long for it.
    is_too_long: bool,
    skipped: Vec<Skipped>,
    /// Whose budget or limit was the first to stand in the way.
    denied: Option<Denied>,
    /// When the first of those that are busy or resting can be asked again.
    opens_at: Option<Millis>,
    is_busy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    Closed,
    Failed,
}

impl Plan {
    /// A way not begun.
    pub fn new(way: Way, needs: Needs) -> Self {
        Self {
            way,
            needs,
            level: 0,
            met: BTreeMap::new(),
            attempts_here: 0,
            attempts: 0,
            order: None,
            lowest: 0,
            last: None,
            failed_as: None,
            is_too_long: false,
            skipped: Vec::new(),
            denied: None,
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

    /// Why nobody can be asked, where that is for want of money alone: the first account of a deployment that has none.
    pub fn denied(&self) -> Option<&Denied> {
        let is_spent = |skipped: &Skipped| matches!(skipped.why, Skip::Budget(_));
        self.denied.as_ref().filter(|_| self.skipped.iter().all(is_spent))
    }

    /// Every deployment that the request may come to.
    pub fn pools(&self) -> impl Iterator<Item = &Pool> {
        let Way { levels, context_window, content_policy, .. } = &self.way;
        levels.iter().chain(context_window).chain(content_policy).map(|level| &*level.pool)
    }

    /// The most attempts that may come.
    pub fn max_attempts(&self) -> usize {
        let Way { levels, context_window, content_policy, .. } = &self.way;
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
        self.way.levels.get(self.level).map_or(0, |level| level.pool.deployments().len())
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

    /// The first step; `None` where nobody can be asked: see [`Plan::skipped`] and [`Plan::opens_at`].
    pub fn first(&mut self, chooser: &mut Chooser<'_>) -> Option<Step> {
        self.onward(chooser)
    }

    /// The step after one that failed with `class`, whose provider wants to be asked again at `retry_at`.
    pub fn next(&mut self, class: Class, retry_at: Option<Millis>, chooser: &mut Chooser<'_>) -> Option<Step> {
        self.mark(Met::Failed);
        self.failed_as = Some(class);
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
        self.descend()?;
        self.onward(chooser)
    }

    /// The step in the place of one that could not be begun: no attempt was made.
    pub fn instead(&mut self, chooser: &mut Chooser<'_>) -> Option<Step> {
        self.attempts = self.attempts.saturating_sub(1);
        self.attempts_here = self.attempts_here.saturating_sub(1);
        self.mark(Met::Closed);
        self.onward(chooser)
    }

    /// When it is worth asking again, where all that could answer are busy or resting.
    pub fn opens_at(&self, now: Millis) -> Option<Millis> {
        /// Nobody knows when one of many requests ends.
        const BUSY: Millis = Millis::from_secs(1);
        self.opens_at.or_else(|| self.is_busy.then(|| now.plus(BUSY)))
    }

    fn mark(&mut self, met: Met) {
        self.met.extend(self.last.map(|last| (last, met)));
    }

    /// The next of this group that was not asked, else of the groups after it.
    fn onward(&mut self, chooser: &mut Chooser<'_>) -> Option<Step> {
        loop {
            if let Some(step) = self.pick(chooser, Among::New, Millis::default()) {
                return Some(step);
            }
            self.descend()?;
        }
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

    /// On to the next group: because of the last failure, or because nobody here takes the prompt.
    fn descend(&mut self) -> Option<()> {
        let special = match self.failed_as {
            None if self.is_too_long => std::mem::take(&mut self.way.context_window),
            Some(Class::ContextWindow) => std::mem::take(&mut self.way.context_window),
            Some(Class::ContentPolicy) => std::mem::take(&mut self.way.content_policy),
            Some(class) if !class.moves_on() => return None,
            _ => Vec::new(),
        };
        if !special.is_empty() {
            self.way.levels.truncate(self.level + 1);
            self.way.levels.extend(special);
        }
        for deployment in std::mem::take(&mut self.way.forbidden) {
            self.note(&deployment, Skip::Acl);
        }
        self.way.levels.get(self.level + 1)?;
        self.met.clear();
        (self.failed_as, self.is_too_long) = (None, false);
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
            match self.take(chooser, deployment) {
                Ok((place, funds)) => {
                    if among == Among::Higher {
                        (self.attempts_here, self.lowest) = (0, deployment.order);
                    }
                    self.attempts_here = self.attempts_here.saturating_add(1);
                    self.attempts += 1;
                    self.order = Some(deployment.order);
                    self.last = Some(i);
                    let fallbacks = u32::try_from(self.level).unwrap_or(u32::MAX);
                    return Some(Step { deployment: deployment.clone(), fallbacks, place, funds, wait });
                }
                Err(skip) => self.skip(i, deployment, skip),
            }
        }
    }

    /// Takes a place at `deployment`, and the money for one attempt.
    fn take(&mut self, chooser: &mut Chooser<'_>, deployment: &Deployment) -> Result<(Place, Funds), Skip> {
        (chooser.check)(deployment)?;
        let (now, tokens) = (chooser.now, self.needs.tokens);
        if !deployment.is_funded() {
            return Ok((chooser.fleet.take(deployment, now, tokens)?, Funds::default()));
        }
        let funds = chooser.fleet.fund(deployment, now, (chooser.cost)(deployment), tokens).map_err(|denied| {
            let skip = denied.lack.skip();
            self.denied.get_or_insert(denied);
            skip
        })?;
        match chooser.fleet.take(deployment, now, tokens) {
            Ok(place) => Ok((place, funds)),
            Err(skip) => {
                chooser.fleet.refund(now, &funds);
                Err(skip)
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
            let (met, Some(deployment)) = (self.met.get(&i), pool.get(i)) else { return false };
            let is_among = match among {
                Among::New => met.is_none(),
                Among::Failed => met == Some(&Met::Failed),
                Among::Higher => met.is_none() && last_order.is_none_or(|order| deployment.order > order),
            };
            if !is_among || deployment.order < lowest {
                return false;
            }
            match fleet.health(deployment, now) {
                Health::Open | Health::HalfOpen => true,
                Health::Closed(skip) => {
                    self.met.insert(i, Met::Closed);
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
        self.met.insert(i, Met::Closed);
        self.is_busy |= why == Skip::Parallel;
        if let Some(at) = why.until() {
            self.opens_at = Some(self.opens_at.map_or(at, |first| first.min(at)));
        }
        self.is_too_long |= why == Skip::Context;
        self.note(deployment, why);
    }

    fn note(&mut self, deployment: &Rc<Deployment>, why: Skip) {
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
