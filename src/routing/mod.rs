//! Where a request goes: which deployment of its group, and who follows when that one fails.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`plan`] | the way of one request, decided step by step |
//! | [`class`] | why an attempt failed, as far as routing cares |
//! | [`pool`] | the deployments of one group |
//! | [`strategy`], `affinity` | which of the deployments that may be asked is asked |
//! | [`fleet`] | what all workers share about the deployments, as one request sees it |
//! | [`health`] | deployments that rest: cooldowns, probes |
//! | [`board`] | soft facts: latencies, attempts under way, this minute's counts |
//! | [`meter`] | requests and tokens a minute, attempts under way: exact |
//! | [`quota`] | what a provider's headers say of its limits |
//! | [`shared`] | the fleet over these records |

mod affinity;
pub mod board;
pub mod class;
pub mod fleet;
pub mod health;
pub mod meter;
pub mod plan;
pub mod pool;
pub mod quota;
pub mod shared;
pub mod strategy;

pub use board::{Board, Local, View};
pub use class::{Class, PerClass};
pub use fleet::{Fleet, Funds, Health, Outcome, Place, Skip, State, Usage};
pub use health::{Alerts, ENTRIES_MAX, Traffic};
pub use meter::Meter;
pub use plan::{Chooser, Level, MAX_ATTEMPTS, MAX_SKIPPED, Needs, Plan, Skipped, Step, Way};
pub use pool::Pool;
pub use shared::{SharedFleet, Worker};
pub use strategy::{Question, Strategy, choose};
