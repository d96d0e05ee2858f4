//! Tollgate: the LLM gateway that lives inside the Envoy a team already runs.
//!
//! ```text
//! client -> HCM: [gateway] -> router -> cluster: [attempt] -> codec -> provider
//! ```
//!
//! Two roles of one proxy-wasm module share a VM on each Envoy worker. `gateway` runs once per request: it
//! authenticates, reads the body, admits, plans, and settles at the end. `attempt` runs once per upstream attempt: it
//! writes the provider's path, headers, credentials and body, and reads its answer. What the two share about one
//! request is an [`exchange::Exchange`].
//!
//! | module | what it is |
//! | --- | --- |
//! | [`config`] | LiteLLM's `config.yaml`: as typed (`raw`), and compiled, when nothing in it can be wrong any more |
//! | [`json`] | a validating index over a JSON object, and splices that leave all other bytes alone |
//! | [`sse`] | server-sent events, however they are cut |
//! | [`openai`] | the front's wire shapes, our common language |
//! | [`provider`] | one folder per vendor's language: request, response, stream, error |
//! | [`bridge`] | endpoints that a vendor lacks, in terms of chat completions |
//! | [`routing`] | the plan: which deployments are tried, in which order |
//! | [`budget`] | prices, spend, reservations |
//! | [`store`], `bytes` | records that all workers share, in bytes |
//! | [`zone`] | time zones |
//! | [`token`] | bearer tokens, fetched and renewed in the background |
//! | [`rls`] | budgets and limits of a fleet, counted by a rate limit service |
//! | [`exchange`] | one request as a state machine, for both roles |
//! | [`telemetry`] | the names of every metric and record field, and their values |
//! | `host` | the only code that knows proxy-wasm: callbacks in, effects out |
//! | `cli` | the native command: `check`, `render`, `run`, `import-keys`, `image` |
//!
//! # Invariants
//!
//! 1. Only `host` names `proxy_wasm`; it decides nothing about providers, money or JSON.
//! 2. The core has no clock, no randomness, no I/O and no global state: all of it comes in as arguments.
//! 3. Providers know [`openai`], [`json`] and [`sse`], never each other, routing or budgets; bridges know no provider.
//! 4. The same bytes in any chunking give the same bytes out.
//! 5. Nothing panics: a trap answers 503 to everyone on that worker.
//! 6. `attempt` never holds a request and `gateway` never grows what it holds: see [`exchange`] for why.

pub mod bridge;
pub mod budget;
mod bytes;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod error;
pub mod exchange;
#[cfg(all(feature = "host", target_arch = "wasm32"))]
mod host;
pub mod json;
pub mod openai;
pub mod provider;
pub mod rls;
pub mod routing;
pub mod secret;
pub mod sse;
pub mod store;
pub mod telemetry;
mod time;
pub mod token;
pub mod units;
pub mod zone;
