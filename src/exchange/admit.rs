//! From a body to an exchange: the model, the plan, and what the budget must set aside.

use std::cell::OnceCell;
use std::rc::Rc;

use super::front::too_large;
use super::knobs::Knobs;
use super::reply::model_not_found;
use super::way::{Terms, affinity, way};
use super::{Answer, Burned, By, Caller, Exchange, Front, Quota, Refused, Reply, World};
use crate::bridge::Asked;
use crate::budget::account::{Demand, Holds, Till, enrolled, reserve};
use crate::budget::estimate::{self, Most};
use crate::budget::{Account, Price, Scope};
use crate::config::{Config, CountedTokens};
use crate::error::Error;
use crate::openai::{Endpoint, Request};
use crate::routing::{Needs, Plan, Pool, Usage};
use crate::store::Store;
use crate::units::{Millis, PicoUsd};

impl Front {
    /// Reads the whole body. The model of the request is then one of the config's groups.
    ///
    /// # Errors
    ///
    /// The client's: a body that is too long or makes no sense, or a model that is not there.
    pub fn read(&mut self, config: &Config, body: Vec<u8>) -> Result<Request, Error> {
        if body.len() as u64 > config.max_request_bytes {
            return Err(too_large(config));
        }
        let model = self.model.take();
        let request = match &self.form {
            Some(content_type) => Request::parse_form(self.endpoint, model, content_type, body)?,
            None => Request::parse_for(self.endpoint, model, body)?,
        };
        let request = Request { headers: std::mem::take(&mut self.language_headers), ..request };
        if self.caller.resolve(config, &request.model).is_some() { Ok(request) } else { Err(model_not_found()) }
    }

    /// The model that takes the place of the one asked for, where that one's own budget is spent: the first of the key's
    /// `budget_fallbacks` that has money left. `None` where the one asked for stays.
    ///
    /// Somebody may take the last of it between this look and the reservation: that request is refused.
    pub fn stand_in(&self, config: &Config, request: &Request, store: &impl Store) -> Option<String> {
        let key = self.caller.key(config).filter(|key| !key.budget_fallbacks.is_empty())?;
        let group = |name: &str| Some(self.caller.resolve(config, name)?.name);
        let is_spent = |name: &str| {
            let mut accounts = key.models_accounts.iter().filter(|account| account.model.as_deref() == group(name));
            accounts.any(|account| account.is_spent(store, self.started))
        };
        let asked = request.model.as_str();
        let names = key.budget_fallbacks.get(asked).or_else(|| key.budget_fallbacks.get(group(asked)?))?;
        if !is_spent(asked) {
            return None;
        }
        names.iter().find(|name| self.caller.may_use(config, name) && !is_spent(name)).cloned()
    }

    /// The answer to a count of tokens that no deployment of the model's group can give: our own estimate, which costs
    /// nothing. `None` where one can, and for all other requests.
    pub fn count_tokens(&self, config: &Config, request: &Request) -> Option<Reply> {
        let resolved =
            self.caller.resolve(config, &request.model).filter(|_| request.endpoint == Endpoint::CountTokens)?;
        let mut deployments = resolved.group.pool.deployments().iter();
        let is_served = deployments.any(|deployment| deployment.target.serves(Endpoint::CountTokens));
        if is_served || !self.caller.may_use(config, &request.model) {
            return None;
        }
        Some(Reply::json(200, format!(r#"{{"input_tokens":{}}}"#, estimate::prompt_tokens(request))))
    }
}

/// The accounts that a request for `group` spends from.
fn accounts(config: &Config, caller: Caller, group: &str, knobs: &Knobs) -> Vec<Rc<Account>> {
    let key = caller.key(config);
    let models = key.into_iter().flat_map(|key| &key.models_accounts);
    let models = models.filter(|account| account.model.as_deref() == Some(group));
    let mut accounts = Vec::with_capacity(ACCOUNTS);
    accounts.extend(caller.accounts(config).chain(models).cloned());
    if !config.tag_accounts.is_empty() {
        let tags = key.into_iter().flat_map(|key| &key.tags).chain(&knobs.tags);
        for account in tags.filter_map(|tag| config.tag_accounts.get(tag)) {
            // A tag that is named twice is paid for once.
            if !accounts.iter().any(|other| Rc::ptr_eq(other, account)) {
                accounts.push(Rc::clone(account));
            }
        }
    }
    if !config.end_users.is_empty() {
        accounts.extend(knobs.end_user.as_deref().and_then(|id| config.end_users.account(id)));
    }
    accounts
}

/// More than most requests have.
const ACCOUNTS: usize = 12;

impl Exchange {
    /// Admits the request that came with `front`, and takes its first step: see [`crate::routing`].
    ///
    /// # Errors
    ///
    /// The client's: a model that the key may not use, or a request that no deployment can be asked; or nobody can be asked
    /// at the moment. The budget is not asked here but by [`Self::reserve`].
    pub fn admit(config: Rc<Config>, front: Front, request: Request, world: &mut World<'_>) -> Result<Self, Refused> {
        let knobs = Knobs::read(&front.knobs, &request)?;
        let way = way(&config, front.caller, &request.model, &knobs)?;
        let asked = Asked::new(request);
        let needs = Needs {
            strategy: config.routing.strategy,
            is_stream: asked.client().stream,
            tokens: estimate::prompt_tokens(asked.client()),
            affinity: affinity(&config, front.caller, &asked, &knobs),
            retry_after: config.routing.retry_after,
        };
        let group = way.levels.first().map(|level| level.group.clone()).unwrap_or_default();
        let plan = Plan::new(way, needs);
        let accounts = accounts(&config, front.caller, &group, &knobs);
        let exchange = Self::new(config, front.caller, front.started, group, asked, plan);
        let mut exchange = Self { originals: front.originals, user: front.user, accounts, ..exchange };
        exchange.advance(world, Plan::first);
        let Some(own) = exchange.own_timeout() else {
            let routing = exchange.explain();
            let by = exchange.plan.denied().cloned().map(By::from).unwrap_or_default();
            return Err(Refused { routing, by, ..exchange.nobody(world.now).into() });
        };
        exchange.timeout = knobs.timeout.unwrap_or(own);
        Ok(exchange)
    }

    /// One that has taken no step.
    pub(super) fn new(
        config: Rc<Config>,
        caller: Caller,
        started: Millis,
        group: String,
        asked: Asked,
        plan: Plan,
    ) -> Self {
        Self {
            caller,
            user: None,
            originals: Vec::new(),
            started,
            group,
            terms: Terms::of(&config, caller, &asked),
            plan,
            most: OnceCell::new(),
            asked,
            ask: None,
            next: None,
            refusal: None,
            timeout: Millis::default(),
            quota: Quota::default(),
            config,
            body: None,
            attempts: Vec::with_capacity(1),
            answer: Answer::Awaited,
            is_reported: false,
            is_answered: false,
            is_settled: false,
            accounts: Vec::new(),
            holds: Holds::default(),
            burned: Burned::default(),
            alerts: Vec::new(),
            consulted: None,
            beside: Vec::new(),
            first_byte: None,
            heard: None,
            cut: None,
        }
    }

    /// How long the deployment of the step to come may take to its first byte; `None` where there is no step.
    pub(super) fn own_timeout(&self) -> Option<Millis> {
        let timeouts = self.next.as_ref()?.step.deployment.timeouts;
        Some(if self.plan.needs().is_stream { timeouts.first_token } else { timeouts.whole })
    }

    /// Gives everything back, where the request is refused after all.
    pub fn withdraw(&mut self, world: &mut World<'_>) {
        self.leave(&Usage::default(), PicoUsd::default(), world);
    }

    /// Whether the request becomes a WebSocket, of which no byte is read or written.
    pub fn is_upgrade(&self) -> bool {
        self.asked.client().endpoint == Endpoint::Realtime
    }

    /// How often Envoy may try again.
    pub fn max_retries(&self) -> usize {
        self.plan.max_attempts().saturating_sub(1)
    }

    /// How long one attempt may take to its first byte: what the client says, else the first attempt's deployment, since
    /// Envoy keeps the first attempt's value.
    pub fn per_try_timeout(&self) -> Millis {
        self.timeout
    }

    /// The cluster of the first attempt.
    pub fn first_cluster(&self) -> &str {
        self.deployment().map_or("", |deployment| &deployment.cluster)
    }

    /// Sets the worst cost of the request, and the tokens that it may use, aside in each of its accounts. `vm` is the
    /// number of the VM that serves it; see [`Demand::is_alive`].
    ///
    /// # Errors
    ///
    /// `BudgetExceeded`, `RateLimitExceeded`; `Internal` where the books cannot be read and the config says to refuse then.
    pub fn reserve(
        &mut self,
        store: &impl Store,
        till: &mut Till,
        is_alive: &dyn Fn(u64) -> bool,
    ) -> Result<(), Refused> {
        let (config, now) = (&self.config, self.started);
        if let Some(shared) = &config.end_users.others {
            let others = self.accounts.iter_mut().filter(|account| account.scope == Scope::OtherEndUser);
            let others = others.filter(|account| !till.knows(account));
            others.for_each(|account| *account = enrolled(store, account, shared));
        }
        if !self.accounts.iter().any(|account| account.is_capped()) {
            return Ok(());
        }
        let (cost, fails_closed) = (self.worst_cost(), config.fail_closed);
        let demand = Demand { now, cost, tokens: self.worst_tokens(), is_alive, fails_closed };
        match reserve(store, till, &self.accounts, &demand) {
            Ok(holds) => {
                self.holds = holds;
                Ok(())
            }
            Err(denied) => {
                let (error, routing) = (Box::new(self.refuse(&denied)), self.explain());
                Err(Refused { error, routing, limits: denied.left, by: denied.into() })
            }
        }
    }

    /// The tokens of the prompt, and those of the answer that the client allows, where it says how many; of the two those
    /// that limits count.
    fn worst_tokens(&self) -> u64 {
        let output = self.most().asked_tokens();
        match self.config.counted_tokens {
            CountedTokens::Total => self.prompt_tokens().saturating_add(output),
            CountedTokens::Input => self.prompt_tokens(),
            CountedTokens::Output => output,
        }
    }

    /// The most that any deployment that the request may come to could charge.
    pub fn worst_cost(&self) -> PicoUsd {
        let most = self.most();
        let cost = |(price, max_output): &(Price, Option<u64>)| most.cost(price, *max_output);
        self.plan.pools().flat_map(Pool::prices).map(cost).max().unwrap_or_default()
    }

    fn most(&self) -> &Most {
        self.most.get_or_init(|| Most::of(self.asked.client(), self.prompt_tokens()))
    }

    pub(super) fn prompt_tokens(&self) -> u64 {
        self.plan.needs().tokens
    }
}
