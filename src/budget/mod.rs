//! What a request costs, and whether its principal (a key, a team, a user) may still spend it.
//!
//! - [`price`]: what a model's answers cost, by [`rate`]s and under a [`markup`]; [`catalog`]: the price table that is
//!   compiled in.
//! - [`window`]: when a budget starts anew.
//! - [`estimate`]: what a request may cost, before anybody knows.
//! - [`ledger`]: what a principal has spent and what its running requests may still spend.
//! - [`account`]: whose ledgers and meters a request is held against; [`rate_limits`]: what clients are told of them.
//!
//! Nothing in here reads a clock or stores anything: the ledger's bytes come from the host's shared data and go back
//! there by compare-and-swap.
//!
//! ## Why charge twice
//!
//! The true cost is known only when the answer ends. A budget that is charged only then lets a burst of parallel
//! requests pass a nearly spent cap, each of them seeing the money that the others are about to spend; one that is
//! charged by estimate alone drifts with every short answer. So admission *reserves* an estimate and the end of the
//! exchange *settles* it: gives the estimate back and charges the truth.
//!
//! ## Why integers
//!
//! Money is counted in whole picodollars and saturates. A float loses cents once the sum is large, and a wrapped sum
//! would hand a spent budget back to its owner.

#![deny(clippy::arithmetic_side_effects)]

pub mod account;
pub mod catalog;
pub mod estimate;
pub mod ledger;
pub mod markup;
pub mod price;
pub mod rate;
pub mod rate_limits;
pub mod window;

pub use account::{Account, Scope};
pub use catalog::{Entry, lookup};
pub use ledger::{Ledger, Refusal, Reservation};
pub use markup::Markup;
pub use price::Price;
pub use rate::{Rate, Rates};
pub use rate_limits::RateLimits;
pub use window::Window;
