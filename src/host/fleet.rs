//! The fleet in Envoy's shared data: one process, all workers, compare-and-swap. See [`crate::routing::SharedFleet`].

use super::VM;
use super::call::{self, Swap};
use crate::budget::account::Till;
use crate::config::Config;
use crate::rls::Desk;
use crate::routing::SharedFleet;
use crate::store::Store;
use crate::units::Millis;

/// Envoy's shared data.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedData;

impl Store for SharedData {
    fn get(&self, name: &str) -> Option<(Vec<u8>, u32)> {
        call::shared(name)
    }

    fn set(&self, name: &str, value: &[u8], version: u32) -> Swap {
        call::set_shared(name, value, version)
    }
}

/// The fleet as this worker sees it; to be opened anew in every callback, because it reads the alerts but once.
pub(super) fn open(config: &Config) -> SharedFleet<SharedData> {
    let worker = VM.with(|vm| vm.worker.clone());
    SharedFleet::new(SharedData, worker, config.routing.strategy)
}

/// Lets something be done with what this worker has in hand of busy accounts.
pub(super) fn with_till<T>(act: impl FnOnce(&mut Till) -> T) -> T {
    VM.with(|vm| act(vm.worker.borrow_mut().till()))
}

/// Lets something be done with what this worker knows of the rate limit service and owes it.
pub(super) fn with_desk<T>(act: impl FnOnce(&mut Desk) -> T) -> T {
    VM.with(|vm| act(vm.worker.borrow_mut().desk()))
}

/// Makes the records of a config.
pub(super) fn prepare(config: &Config) {
    open(config).prepare(config);
}

/// A gateway begins to tick.
pub(super) fn begin() {
    VM.with(|vm| vm.gateways.set(vm.gateways.get().saturating_add(1)));
    with_till(|till| till.set_open(true));
}

/// A gateway ticks no more. Its streams may go on for long.
pub(super) fn end() {
    let left = VM.with(|vm| {
        vm.gateways.set(vm.gateways.get().saturating_sub(1));
        vm.gateways.get()
    });
    with_till(|till| till.set_open(left > 0));
}

/// Exchanges what the workers have seen.
pub(super) fn tick(config: &Config, now: Millis) {
    open(config).tick(now);
}
