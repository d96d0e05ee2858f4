//! Budgets and limits of a whole fleet of Envoys, counted by a rate limit service that speaks Envoy's RLS protocol:
//! envoyproxy/ratelimit or Limitador, with Redis behind it. This is the global mode: `tollgate.rate_limit_service`.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`service`] | what the config says of the service |
//! | [`caps`] | an account's budgets and limits, as the service counts them |
//! | [`wire`] | the messages of the protocol |
//! | [`ask`] | may this request come? and how the answer is read |
//! | [`full`] | what is known to be used up, for which nobody asks again |
//! | [`chosen`] | the same of providers and deployments, for which nobody asks |
//! | [`report`] | what requests really cost and used, told in the background |
//! | [`desk`] | what one worker knows and owes: the three above |
//!
//! ## How it counts
//!
//! A request is first held against the accounts of its own Envoy, as in the local mode: a refusal there costs no call, and
//! no Envoy alone can run past a cap. Then the service is asked once for all of its counters: *is there room for one more
//! hit?* One hit is a request, a token or a micro-dollar. At the end of the request what it really cost and used goes into
//! a sum for each counter, less the hit that the question took, and the sums go to the service in the background: no answer
//! waits for a report.
//!
//! Neither service gives hits back: an estimate that was counted at admission could not be returned, and with estimates a
//! hundred times the truth a fleet would lose most of a budget to them. So the service counts the truth alone.
//!
//! ## The bound
//!
//! A request is admitted only while the service has counted less than the cap. So what a fleet spends in a window ends at
//! most at the cap plus what was under way, or not yet told, on all Envoys when the counter came to the cap. A report is
//! sent within some 50 ms. What is under way on one Envoy is bounded by its own ledger, which admits nothing while spent and
//! reserved come to the cap: in the worst case, a burst at all of `n` Envoys before the first answer ends, each of them
//! spends a whole cap and the last request's excess; in a steady stream it is the few requests that are under way.
//!
//! This holds while the service answers. With `failure_mode: open` each Envoy alone is bounded by its ledger meanwhile, and
//! tells the service afterwards; with `closed` nothing is admitted that it was not asked for.
//!
//! Requests a minute or a day are counted by the question itself: exactly, as far as the service is exact. (Limitador with
//! Redis reads before it adds, and says of itself that it lets races through.)
//!
//! ## Providers and deployments
//!
//! They are chosen attempt by attempt, where no call is waited for. So each attempt is *announced*: one hit of each of its
//! counters is owed from its beginning, and told with the next reports, each of which names one counter. The answer says
//! whether that one is used up, in the words of either service: `OVER_LIMIT` or nothing left, or a refusal of the report. What
//! is used up is passed over by the plan like a budget of this Envoy, until its window ends; [`chosen`] says how it is learned
//! that a cap was raised.
//!
//! The bound: what a fleet spends ends at most at the cap, plus what was under way or not yet told when the counter came to
//! the cap, plus what each worker began before it heard: for some 50 ms and a round trip after its own first attempt. Limitador
//! says nothing of a counter that is just at its cap: there each worker may begin attempts once more. No worker of an Envoy
//! tells the others what it has heard. The ledger of each Envoy bounds it all the same: a whole cap for each.
//!
//! `failure_mode` is about questions: while the service does not answer, deployments are chosen within each Envoy's ledger. The
//! `rpm`, `tpm`, `rpd` and `tpd` of a deployment are counted too. In usage-based routing each Envoy looks at its own counts.
//!
//! ## Shadow mode
//!
//! Each budget and limit in shadow mode has a question of its own, which is sent beside the request once that is admitted: the
//! request does not wait, nothing of it refuses, and one that is used up hides nothing of those that are enforced. The answer
//! goes into the record and the metric of local shadow mode where it comes before the request ends. Providers and deployments
//! in shadow mode are announced as others are, and what is known to be used up is recorded. Once it is enforced, the same
//! counter goes on, unless another for the same window was enforced beside it.
//!
//! ## End users that the config does not list
//!
//! All of them have one rule in the service's config, which is for any value: the counter has the name of the terms, and its
//! value the end of the window and 128 bits of the SHA-256 of the end user's id. No id leaves the gateway, whatever characters
//! it has.
//!
//! ## Windows
//!
//! Every counter is named after its account and carries the end of its window, `2026-11-24T00:00:00Z`: a month, a Monday or
//! a day of a time zone is the same window for the service as for the filter. The service only has to keep a counter for as
//! long as its window lasts, whatever windows it knows itself.
//!
//! ## What is inexact
//!
//! - Money is told in whole micro-dollars; what is less stays in the sum.
//! - A report whose answer is lost is sent again, and may count twice. One that cannot be told until its window ends is
//!   lost, logged and counted. A VM that traps loses what it had not told, some 50 ms of it.
//! - A refused request takes one hit of its other counters where the service counts what it refuses, as envoyproxy/ratelimit
//!   does unless `STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT` is set.
//! - All plugins of one `vm_id` share what they owe: those with another service need another `vm_id`.
//! - A new `budget_duration` begins a new counter, and so does a changed name.
//! - `/spend` and `/key/info` tell what this Envoy has counted, and `reset_spend` resets that alone: the service's counters
//!   are reset in the service.
//! - Of an end user that the config does not list, each request counts as a micro-dollar and a token at least. What is owed
//!   to more than 16,384 of them in one worker is lost, logged and counted. Those for whom an Envoy has no books left (see
//!   [`crate::budget::account::enrolled`]) share one counter; one who gets listed begins a new one.
//! - A question in shadow mode whose answer comes after the request's end is not recorded; its hit is counted.
//! - Where Limitador refuses a request with several counters, it does not say which is used up: the client is told all of their
//!   accounts, and `tollgate_account_refusals` has `unknown` for account and reason.
//! - A provider or deployment that was found used up costs one hit every 10 s while somebody wants it, owed less later.
//! - Each Envoy counts alone: places of `max_parallel_requests`, because the protocol cannot give a place back.
//!
//! Sources: envoyproxy/ratelimit `src/service/ratelimit.go`, `src/redis/fixed_cache_impl.go`, `src/utils/utilities.go`
//! <https://github.com/envoyproxy/ratelimit>; Limitador `limitador-server/src/envoy_rls/server.rs`,
//! `limitador/src/storage/redis/redis_async.rs` <https://github.com/Kuadrant/limitador>, read 2026-11-23.

#![deny(clippy::arithmetic_side_effects)]

pub mod ask;
pub mod caps;
pub mod chosen;
pub mod desk;
pub mod full;
pub mod report;
pub mod service;
#[cfg(test)]
mod testing;
pub mod wire;

pub use ask::{Ask, Verdict};
pub use caps::{Cap, Counter, Named, Span, Unit};
pub use chosen::Chosen;
pub use desk::Desk;
pub use full::Full;
pub use report::{Outcome, Report, Reports};
pub use service::Service;
