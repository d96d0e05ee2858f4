//! Which of the deployments that may be asked is asked.

use crate::units::Millis;

/// `routing_strategy`, with what `routing_strategy_args` says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// `simple-shuffle`: by weight.
    #[default]
    SimpleShuffle,
    /// `least-busy`: the fewest attempts under way.
    LeastBusy,
    /// `latency-based-routing`.
    Latency {
        /// `ttl`: how long a sample counts; an hour unless set.
        ttl: Millis,
        /// `lowest_latency_buffer`: how much slower than the fastest, as a fraction, is as good; 0 unless set.
        buffer: f64,
        /// `max_latency_list_size`: how many samples count; 10 unless set.
        samples: usize,
    },
    /// `cost-based-routing`: the lowest price.
    Cost,
    /// `usage-based-routing-v2`: the fewest tokens in this minute.
    Usage,
}

impl Strategy {
    /// LiteLLM's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimpleShuffle => "simple-shuffle",
            Self::LeastBusy => "least-busy",
            Self::Latency { .. } => "latency-based-routing",
            Self::Cost => "cost-based-routing",
            Self::Usage => "usage-based-routing-v2",
        }
    }
}

/// What a choice depends on beside the deployments.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub strategy: Strategy,
    pub is_stream: bool,
    pub tokens: u64,
    pub affinity: Option<u64>,
}

pub fn choose(
    _wish: &Wish,
    pool: &super::Pool,
    is_open: &mut dyn FnMut(usize) -> bool,
    _state: &dyn Fn(&crate::config::Deployment) -> super::State,
    random: &mut dyn FnMut(u64) -> u64,
) -> Option<usize> {
    for _ in 0..4 {
        let i = pool.draw(random);
        if is_open(i) {
            return Some(i);
        }
    }
    (0..pool.deployments().len()).find(|i| is_open(*i))
}
