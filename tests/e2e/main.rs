//! The contract, seen from both ends: a real Envoy with the built filter between a client and the mock provider.
//!
//! `make build` puts what is tested into `dist/` (or say `TOLLGATE_DIST`); Envoy is `ENVOY_BIN` or the one under
//! `target/`. Every test asserts what the client got and, where it matters, what the provider received. One Envoy
//! serves all tests of a theme: each of them has keys and deployments of its own, so that none sees another's traces.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and waits with a deadline"
)]

mod accounts;
mod anthropic;
mod auth;
mod azure;
mod bedrock;
mod budget;
mod chaos;
mod cohere;
mod config_update;
mod cooldown;
mod dialects;
mod dynamic;
mod endpoints;
mod envoy_gateway;
mod exactness;
mod examples;
mod existing_envoy;
mod explain;
mod fallback;
mod forms;
mod gemini;
mod global;
mod harness;
mod held_bodies;
mod identity;
mod infos;
mod isolation;
mod istio;
mod messages;
mod migrate;
mod module_update;
mod names;
mod no_dead_worker;
mod ollama;
mod orders;
mod passthrough;
mod paths;
mod prices;
mod principals;
mod raw;
mod realtime;
mod records;
mod reload;
mod responses;
mod retries;
mod sdk;
mod sds;
mod sds_server;
mod shadow;
mod strategies;
mod suits;
mod timeouts;
mod tokens;
mod usage;
