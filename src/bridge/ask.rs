//! What a target is asked for a client's request, and how its answer comes back.

use std::cell::OnceCell;

use super::stream::Bridged;
use crate::error::{Error, Kind};
use crate::openai::{Endpoint, Request};
use crate::provider::{Answer, Body, Stream, Target, Upstream, params};
use crate::secret::Secret;

/// A client's request, and the chat completion that stands for it where a target needs that: made once.
#[derive(Debug)]
pub struct Asked {
    client: Request,
    bridged: OnceCell<Result<Request, Error>>,
}

/// What one target is asked.
#[derive(Debug)]
pub struct Ask {
    /// The request in the form that the target gets, where its model or the config's parameters make it another one.
    adapted: Option<Request>,
    is_bridged: bool,
}

impl Asked {
    /// What `client` asks.
    pub fn new(client: Request) -> Self {
        Self { client, bridged: OnceCell::new() }
    }

    /// The client's own request.
    pub fn client(&self) -> &Request {
        &self.client
    }

    /// Whether `target` can be asked.
    ///
    /// # Errors
    ///
    /// `UnsupportedEndpoint`, `UnsupportedParameter`, or what the bridge objects to.
    pub fn check(&self, target: &Target) -> Result<(), Error> {
        let (request, fitted) = self.put_to(target)?;
        params::check(fitted.as_ref().unwrap_or(request), target)
    }

    /// Asks `target`, whose credential is `key` at this moment.
    ///
    /// # Errors
    ///
    /// The client's: a request that this target cannot be asked.
    pub fn ask(&self, target: &Target, key: Option<&Secret>) -> Result<(Ask, Upstream), Error> {
        let (request, fitted) = self.put_to(target)?;
        let is_bridged = !std::ptr::eq(request, &raw const self.client);
        let adapted = params::adapt(fitted.as_ref().unwrap_or(request), target).or(fitted);
        let request = adapted.as_ref().unwrap_or(request);
        let mut upstream = target.request(request, key)?;
        if (adapted.is_some() || is_bridged)
            && let Body::Splice(splice) = &upstream.body
        {
            let body = splice.apply(&request.body);
            upstream.body =
                Body::Whole(body.ok_or_else(|| Error::new(Kind::Internal, "the request cannot be spliced"))?);
        }
        Ok((Ask { adapted, is_bridged }, upstream))
    }

    /// The request as `target` takes it: the client's own, or the chat completion that stands for it, with what the
    /// target's model makes of that.
    fn put_to(&self, target: &Target) -> Result<(&Request, Option<Request>), Error> {
        let (endpoint, chat) = (self.client.endpoint, Endpoint::ChatCompletions);
        match super::of(endpoint).filter(|_| !target.serves(endpoint) && target.serves(chat)) {
            Some(bridge) => {
                let bridged = self.bridged.get_or_init(|| bridge.request(&self.client));
                let request = bridged.as_ref().map_err(Clone::clone)?;
                Ok((request, bridge.fit(&self.client, request, target)))
            }
            None => Ok((&self.client, None)),
        }
    }
}

impl Ask {
    /// The request that the target got.
    pub fn request<'a>(&'a self, asked: &'a Asked) -> &'a Request {
        let bridged = || asked.bridged.get()?.as_ref().ok().filter(|_| self.is_bridged);
        self.adapted.as_ref().or_else(bridged).unwrap_or(&asked.client)
    }

    /// Whether a success goes to the client byte for byte.
    pub fn passes_through(&self, asked: &Asked, target: &Target) -> bool {
        !self.is_bridged && target.passes_through(self.request(asked))
    }

    /// Reads a whole successful answer into the client's shape; `now_secs` is Unix time.
    ///
    /// # Errors
    ///
    /// `BadUpstream`.
    pub fn response(&self, asked: &Asked, target: &Target, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        let mut answer = target.response(self.request(asked), body, now_secs)?;
        if let Some(bridge) = super::of(asked.client.endpoint).filter(|_| self.is_bridged) {
            let chat = answer.body.as_deref().unwrap_or(body);
            answer.body = Some(bridge.response(&asked.client, chat, now_secs)?);
        }
        Ok(answer)
    }

    /// The stream of an answer in the client's shape; `now_secs` is Unix time.
    pub fn stream(&self, asked: &Asked, target: &Target, now_secs: u64) -> Box<dyn Stream> {
        let stream = target.stream(self.request(asked), now_secs);
        match super::of(asked.client.endpoint).filter(|_| self.is_bridged) {
            Some(bridge) => Box::new(Bridged::new(stream, bridge.events(&asked.client, now_secs))),
            None => stream,
        }
    }
}
