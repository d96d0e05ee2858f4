//! Where an attempt goes, as far as a language cares.

use std::fmt;
use std::rc::Rc;

use crate::error::{Error, Kind};
use crate::openai::{Endpoint, Request};
use crate::provider::aws::Aws;
use crate::provider::params::Params;
use crate::provider::{Answer, Body, Injected, Stream, Upstream, Vendor};
use crate::secret::Secret;
use crate::token::{Source, Tokens};
use crate::units::Millis;

/// A deployment as its provider sees it.
#[derive(Clone)]
pub struct Target {
    /// Whose it is.
    pub vendor: &'static Vendor,
    /// The provider's own name of the model.
    pub model: String,
    /// `host` or `host:port`, for `:authority`.
    pub authority: String,
    /// The path of the base URL without a slash at its end: `/v1`, or empty.
    pub base_path: String,
    /// The credential.
    pub credential: Credential,
    /// `api_version`: of Azure's API.
    pub api_version: Option<String>,
    /// `vertex_project`.
    pub project: Option<String>,
    /// `vertex_location`, `aws_region_name`, `region_name`.
    pub location: Option<String>,
    /// The name by which the model's abilities are known: `model_info.base_model`, else `model`.
    pub base_model: String,
    /// The model's own bound on an answer, in tokens.
    pub max_output_tokens: Option<u64>,
    /// Whether the model reasons.
    pub supports_reasoning: bool,
    /// Whether the model keeps to a JSON schema by itself.
    pub supports_response_schema: bool,
    /// What the config makes of a request's parameters.
    pub params: Params,
    /// Headers from the config, lower-case names.
    pub extra_headers: Vec<(String, String)>,
}

/// What opens a provider's door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credential {
    /// Nothing is sent.
    #[default]
    None,
    /// A key that does not change.
    Key(Secret),
    /// A token that does not change, for `authorization: Bearer` even where a key has a header of its own.
    Bearer(Secret),
    /// Nothing is sent by the filter: Envoy signs what it has written.
    Signed(Box<Aws>),
    /// A token that is fetched and renewed, for the same header.
    Token(Rc<Source>),
    /// Nothing is sent by the filter: Envoy adds a key that the filter never sees.
    Injected(Box<Injected>),
}

impl Credential {
    /// The key or token that does not change.
    pub fn key(&self) -> Option<&Secret> {
        match self {
            Self::Key(key) | Self::Bearer(key) => Some(key),
            Self::Token(_) | Self::Signed(_) | Self::Injected(_) | Self::None => None,
        }
    }

    /// Where the token comes from.
    pub fn source(&self) -> Option<&Rc<Source>> {
        match self {
            Self::Token(source) => Some(source),
            Self::Key(_) | Self::Bearer(_) | Self::Signed(_) | Self::Injected(_) | Self::None => None,
        }
    }

    /// The key, or the token at `now`.
    ///
    /// # Errors
    ///
    /// `Unreachable`: there is no valid token.
    pub fn secret<'a>(&'a self, tokens: &'a Tokens, now: Millis) -> Result<Option<&'a Secret>, Error> {
        let Some(source) = self.source() else { return Ok(self.key()) };
        let missing = || Error::new(Kind::Unreachable, NO_TOKEN).with_retry_after(Millis::from_secs(1));
        tokens.secret(source, now).map(Some).ok_or_else(missing)
    }
}

const NO_TOKEN: &str = "there is no access token for the provider at the moment: the gateway's log says why";

impl fmt::Debug for Target {
    /// Without the values of `extra_headers`, which may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.extra_headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Target")
            .field("vendor", &self.vendor.prefix)
            .field("model", &self.model)
            .field("authority", &self.authority)
            .field("base_path", &self.base_path)
            .field("credential", &self.credential)
            .field("params", &self.params)
            .field("extra_headers", &headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Target {
    /// A target of the vendor `prefix` at its own base URL, with a key.
    pub(crate) fn of(prefix: &str, model: &str) -> Self {
        let params = serde_json::json!({"model": format!("{prefix}/{model}"), "api_key": "test-key",
            "token": "test-token", "api_base": "https://provider.example", "vertex_project": "p", "region_name": "here"});
        let document = serde_json::json!({
            "model_list": [{"model_name": "m", "litellm_params": params}],
            "tollgate": {"allow_anonymous": true},
        });
        let config = crate::config::Config::compile(&document, crate::config::Env::Strict(&|_| None));
        config.unwrap().deployments.remove(0).target.clone()
    }

    /// The same with `drop_params`.
    pub(crate) fn dropping(&self) -> Self {
        Self { params: Params { drop: true, ..self.params.clone() }, ..self.clone() }
    }
}

impl Target {
    /// Whether the provider has an endpoint like this.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        self.vendor.language.serves(endpoint, self)
    }

    /// The path, headers and body of an attempt; see [`super::Language::request`]. What the config adds to the
    /// provider's own body is in it.
    ///
    /// # Errors
    ///
    /// The client's.
    pub fn request(&self, request: &Request, key: Option<&Secret>) -> Result<Upstream, Error> {
        let upstream = self.vendor.language.request(request, self, key)?;
        // A form has no members.
        if self.params.extra_body.0.is_empty() || request.form.is_some() {
            return Ok(upstream);
        }
        let cannot = || Error::new(Kind::Internal, "the request cannot be spliced");
        let mut body = match upstream.body {
            Body::Whole(body) => body,
            Body::Splice(splice) => splice.apply(&request.body).ok_or_else(cannot)?,
        };
        self.params.extend(&mut body);
        Ok(Upstream { body: Body::Whole(body), ..upstream })
    }

    /// See [`super::Language::response`].
    ///
    /// # Errors
    ///
    /// `BadUpstream`.
    pub fn response(&self, request: &Request, body: &[u8], now_secs: u64) -> Result<Answer, Error> {
        self.vendor.language.response(request, self, body, now_secs)
    }

    /// See [`super::Language::passes_through`].
    pub fn passes_through(&self, request: &Request) -> bool {
        self.vendor.language.passes_through(request, self)
    }

    /// See [`super::Language::error`].
    pub fn error(&self, status: u16, body: &[u8]) -> Error {
        self.vendor.language.error(status, body)
    }

    /// See [`super::Language::stream`].
    pub fn stream(&self, request: &Request, now_secs: u64) -> Box<dyn Stream> {
        self.vendor.language.stream(request, self, now_secs)
    }
}
