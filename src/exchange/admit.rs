//! From a body to an exchange: the model, the plan, and what the budget must set aside.

use std::rc::Rc;

use super::front::too_large;
use super::reply::model_not_found;
use super::{Answer, Exchange, Front, Reply};
use crate::bridge::Asked;
use crate::budget::{Ledger, Refusal, Reservation, estimate};
use crate::config::{Budget, Config, Key};
use crate::error::{Error, Kind};
use crate::openai::{Endpoint, Request};
use crate::provider::Target;
use crate::routing::{self, Step};
use crate::token::Tokens;
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

impl Exchange {
    /// Admits the request that came with `front`. `random(n)` draws from `0..n`. A deployment whose token is missing
    /// is left out of the plan, where another one is in it.
    ///
    /// # Errors
    ///
    /// The client's: a model that the key may not use, or a request that no deployment can be asked. The budget is not
    /// asked here but by [`Self::reserve`].
    pub fn admit(
        config: Rc<Config>,
        front: Front,
        request: Request,
        tokens: &Tokens,
        random: &mut impl FnMut(u64) -> u64,
    ) -> Result<Self, Error> {
        if !front.caller.may_use(&config, &request.model) {
            let error = Error::new(Kind::ModelNotAllowed, "this key may not use this model");
            return Err(error.with_param("model"));
        }
        let may_use = |group: &str| front.caller.may_use(&config, group);
        let asked = Asked::new(request);
        let plan = routing::plan(&config, front.caller.meant(&config, &asked.client().model), may_use, random);
        let secret = |target: &Target| target.credential.secret(tokens, front.started).map(drop);
        let plan = able(plan, |target| asked.check(target).and_then(|()| secret(target)))?;
        let first = plan.first().map(|step| &step.deployment);
        let ask = |target: &Target| asked.ask(target, target.credential.secret(tokens, front.started)?);
        let first = first.map(|deployment| ask(&deployment.target)).transpose()?;
        Ok(Self {
            caller: front.caller,
            originals: front.originals,
            started: front.started,
            asked,
            ask: None,
            plan,
            first,
            config,
            body: None,
            attempts: Vec::with_capacity(1),
            answer: Answer::Awaited,
            is_reported: false,
            reservation: None,
            first_byte: None,
        })
    }

    /// Whether the request becomes a WebSocket, of which no byte is read or written.
    pub fn is_upgrade(&self) -> bool {
        self.asked.client().endpoint == Endpoint::Realtime
    }

    /// How often Envoy may try again.
    pub fn max_retries(&self) -> usize {
        self.plan.len().saturating_sub(1)
    }

    /// How long one attempt may take to its first byte: the most patient deployment of the plan decides, since Envoy
    /// keeps the first attempt's value.
    pub fn per_try_timeout(&self) -> Millis {
        self.plan.iter().map(|step| step.deployment.timeouts.whole).max().unwrap_or_default()
    }

    /// The cluster of the first attempt.
    pub fn first_cluster(&self) -> &str {
        self.deployment().map_or("", |deployment| &deployment.cluster)
    }

    /// The key and its budget, where this request counts against one.
    pub fn budget(&self) -> Option<(&Key, &Budget)> {
        let key = self.caller.key(&self.config)?;
        Some((key, key.budget.as_ref()?))
    }

    /// Whether a request is refused when the spend cannot be read.
    pub fn fails_closed(&self) -> bool {
        self.config.fail_closed
    }

    /// Sets `amount` aside in the ledger of this request's key; `None` where it counts against no budget.
    ///
    /// # Errors
    ///
    /// `BudgetExceeded`; the ledger must then stay as it was.
    pub fn reserve(&self, amount: PicoUsd, ledger: &mut Ledger) -> Result<Option<Reservation>, Error> {
        let Some((key, budget)) = self.budget() else { return Ok(None) };
        let reserved = ledger.reserve(self.started, budget, amount);
        reserved.map(Some).map_err(|refusal| self.refuse(key, &refusal))
    }

    /// Takes what the stored ledger holds for this request: to be settled at its end.
    pub fn keep(&mut self, reservation: Option<Reservation>) {
        self.reservation = reservation;
    }

    fn refuse(&self, key: &Key, refusal: &Refusal) -> Error {
        let reset = match refusal.resets_at {
            Some(at) => format!("; it starts anew at {}", at.rfc3339()),
            None => String::new(),
        };
        let message = format!(
            "the budget of key '{}' is spent: {} USD spent, {} USD reserved by requests under way, of {} USD{reset}",
            key.alias, refusal.spent, refusal.reserved, refusal.max
        );
        let error = Error::new(Kind::BudgetExceeded { status: self.config.budget_exceeded_status }, message);
        match refusal.resets_at {
            Some(at) => error.with_retry_after(at.since(self.started)),
            None => error,
        }
    }

    /// The most that any deployment of the plan could charge.
    pub fn worst_cost(&self) -> PicoUsd {
        let prompt = self.prompt_tokens();
        let cost = |step: &Step| {
            let deployment = &step.deployment;
            let output = match self.asked.client().endpoint.generates() {
                true => estimate::output_tokens(self.asked.client(), deployment.target.max_output_tokens),
                false => 0,
            };
            Some(estimate::worst_cost(deployment.price.as_ref()?, prompt, output))
        };
        self.plan.iter().filter_map(cost).max().unwrap_or_default()
    }

    pub(super) fn prompt_tokens(&self) -> u64 {
        estimate::prompt_tokens(self.asked.client())
    }
}

/// The steps whose target can be asked.
///
/// # Errors
///
/// The first step's, where none can.
fn able(mut plan: Vec<Step>, check: impl Fn(&Target) -> Result<(), Error>) -> Result<Vec<Step>, Error> {
    let mut first = None;
    plan.retain(|step| match check(&step.deployment.target) {
        Err(error) => {
            first.get_or_insert(error);
            false
        }
        Ok(()) => true,
    });
    match first {
        Some(error) if plan.is_empty() => Err(error),
        _ => Ok(plan),
    }
}
