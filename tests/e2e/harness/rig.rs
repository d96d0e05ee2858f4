//! A gateway and a provider that nobody else asks.

use super::{Gate, Mock, Options};

pub(crate) struct Rig {
    pub(crate) gate: Gate,
    pub(crate) mock: Mock,
}

impl Rig {
    /// `{own}` in `config` is the provider's address.
    pub(crate) fn start(name: &str, config: &str) -> Self {
        Self::start_with(name, config, Options::default())
    }

    pub(crate) fn start_with(name: &str, config: &str, options: Options<'_>) -> Self {
        let mock = Mock::start(&format!("{name}-mock"));
        Self { gate: Gate::start_with(name, &config.replace("{own}", &mock.address()), options), mock }
    }
}
