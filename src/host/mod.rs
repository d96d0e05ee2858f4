//! The only code that knows proxy-wasm: turns Envoy's callbacks into calls of the core, and its answers into host calls.
//!
//! Both roles are root contexts of one VM, told apart by `root_id`. A request lives as an [`Exchange`] in the memory of
//! its worker's VM; `gateway` puts its id into filter state, `attempt` finds it there. Ids begin with a random number of
//! the VM, so that after an update the attempts of a new VM never take up an exchange of an old one.
//!
//! Envoy may call back while a host call is under way (a local reply runs the response callbacks): no borrow of ours is
//! held across one.

mod accounts;
mod attempt;
mod call;
mod fleet;
mod gateway;
mod rate_limit;
mod shadow;
mod silence;
mod token;
mod wasi;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use serde_json::Value;

use self::silence::Watch;
use self::token::Keeper;
use crate::config::{Config, Env, document};
use crate::exchange::{Copies, Exchange, World};
use crate::routing::Worker;
use crate::telemetry::Metric;
use crate::telemetry::metric::{AccountLabels, Count, FLUSH, Labels, Pending};
use crate::token::Tokens;
use crate::units::Millis;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| Box::new(Root { id, role: Role::New }));
}}

/// An exchange, shared by the contexts of its stream.
type Shared = Rc<RefCell<Exchange>>;

thread_local! {
    static VM: Vm = Vm::new(wasi::random());
}

/// What the contexts of one VM share.
struct Vm {
    nonce: u64,
    next: Cell<u64>,
    random: Cell<u64>,
    /// How many gateways tick.
    gateways: Cell<u32>,
    /// With the gateway's context of each.
    exchanges: RefCell<BTreeMap<u64, (Shared, u32)>>,
    /// The time of the last tick.
    ticked: Cell<Millis>,
    copies: RefCell<Copies>,
    pending: RefCell<Pending>,
    tokens: RefCell<Tokens>,
    watch: RefCell<Watch>,
    worker: Rc<RefCell<Worker>>,
}

impl Vm {
    fn new(nonce: u64) -> Self {
        Self {
            nonce,
            next: Cell::new(0),
            random: Cell::new(wasi::random() | 1),
            gateways: Cell::new(0),
            exchanges: RefCell::default(),
            ticked: Cell::default(),
            copies: RefCell::new(Copies::new(nonce)),
            pending: RefCell::default(),
            tokens: RefCell::default(),
            watch: RefCell::default(),
            worker: Rc::new(RefCell::new(Worker::new(nonce))),
        }
    }
}

/// The id of an exchange as filter state holds it: the VM's nonce, then the number.
type Id = [u8; 16];

/// Puts an exchange where the attempts of its stream find it.
fn open(exchange: &Shared, context: u32) -> (u64, Id) {
    VM.with(|vm| {
        let number = vm.next.get().wrapping_add(1);
        vm.next.set(number);
        vm.exchanges.borrow_mut().insert(number, (exchange.clone(), context));
        let mut id = [0; 16];
        id[..8].copy_from_slice(&vm.nonce.to_le_bytes());
        id[8..].copy_from_slice(&number.to_le_bytes());
        (number, id)
    })
}

/// The exchange of this id, where it is one of this VM's.
fn find(id: &[u8]) -> Option<Shared> {
    let (nonce, number) = id.split_first_chunk::<8>()?;
    let number = u64::from_le_bytes(*number.first_chunk::<8>()?);
    VM.with(|vm| {
        if *nonce == vm.nonce.to_le_bytes() {
            vm.exchanges.borrow().get(&number).map(|(exchange, _)| exchange.clone())
        } else {
            None
        }
    })
}

/// The time of the last tick: some 50 ms old at most, and free.
fn ticked() -> Millis {
    VM.with(|vm| vm.ticked.get())
}

/// Forgets an exchange.
fn close(number: u64) {
    let _ = VM.with(|vm| vm.exchanges.borrow_mut().remove(&number));
}

/// Draws from `0..n` (xorshift64*, seeded by the host): a choice of deployments, no secret.
fn draw(n: u64) -> u64 {
    VM.with(|vm| {
        let mut x = vm.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        vm.random.set(x);
        x.wrapping_mul(0x2545_f491_4f6c_dd1d) % n.max(1)
    })
}

/// Lets the core act with all that is not its own.
fn with_world<T>(config: &Config, act: impl FnOnce(&mut World<'_>) -> T) -> T {
    let mut fleet = fleet::open(config);
    let now = call::now();
    token::with(|tokens| act(&mut World { now, fleet: &mut fleet, tokens, random: &mut draw }))
}

/// Adds to a counter; Envoy is told at the next tick.
fn count(metric: Metric, labels: Labels<'_>, by: u64) {
    VM.with(|vm| vm.pending.borrow_mut().count(metric, labels, by));
}

/// Adds one to a counter of an account.
fn count_account(metric: Metric, labels: AccountLabels<'_>) {
    VM.with(|vm| vm.pending.borrow_mut().count_account(metric, labels));
}

/// Tells Envoy what was counted.
fn tell(counts: Vec<Count>) {
    for count in counts {
        let define = || {
            let id = call::counter(&VM.with(|vm| vm.pending.borrow().name(&count)))?;
            VM.with(|vm| vm.pending.borrow_mut().learn(&count, id));
            Some(id)
        };
        if let Some(id) = count.id.or_else(define) {
            call::count(id, count.by);
        }
    }
}

/// A plugin: its context, and one role with its configuration.
struct Root {
    id: u32,
    role: Role,
}

enum Role {
    /// Not configured.
    New,
    Gateway(Rc<Config>, Rc<Keeper>),
    /// With the cluster that its configuration names.
    Attempt(Option<Rc<[u8]>>),
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        tell(VM.with(|vm| vm.pending.borrow_mut().flush_all()));
        if let Role::Gateway(config, keeper) = &self.role {
            fleet::tick(config, call::now());
            fleet::end();
            keeper.give_up();
            rate_limit::end(self.id);
        }
        true
    }

    fn on_http_call_response(&mut self, call: u32, _headers: usize, _body: usize, _trailers: usize) {
        if let Role::Gateway(_, keeper) = &self.role {
            keeper.answered(call);
        }
    }

    fn on_grpc_call_response(&mut self, call: u32, status: u32, _size: usize) {
        rate_limit::answered(call, status);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let begun = call::now();
        let configuration = document::read(&call::buffer(call::Buffer::Configuration));
        match call::property("plugin_root_id").as_deref() {
            Some(b"attempt") => {
                let cluster = configuration.as_ref().and_then(|c| c.get("cluster")).and_then(Value::as_str);
                self.role = Role::Attempt(cluster.map(|cluster| cluster.as_bytes().into()));
                true
            }
            Some(b"gateway") => match configuration {
                Some(configuration) => self.configure(&configuration, begun),
                None => {
                    log::error!("configuration: expected a google.protobuf.Struct, or JSON");
                    false
                }
            },
            _ => {
                log::error!("root_id: expected 'gateway' or 'attempt'");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        tell(VM.with(|vm| vm.pending.borrow_mut().flush()));
        if let Role::Gateway(config, keeper) = &self.role {
            let now = call::now();
            VM.with(|vm| vm.ticked.set(now));
            fleet::tick(config, now);
            silence::tick(config, self.id, now);
            shadow::sweep(now);
            keeper.tick(now);
            rate_limit::tick(config, self.id, now);
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        silence::rung(self.id, queue);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        match &self.role {
            Role::New => None,
            Role::Gateway(config, keeper) => {
                Some(Box::new(gateway::Gateway::new(id, self.id, config.clone(), keeper.clone())))
            }
            Role::Attempt(cluster) => Some(Box::new(attempt::AttemptFilter::new(cluster.clone()))),
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Root {
    fn configure(&mut self, document: &Value, begun: Millis) -> bool {
        let environment = wasi::environment();
        let lookup = |name: &str| environment.get(name).cloned();
        match Config::compile(document, Env::Strict(&lookup)) {
            Ok(config) => {
                accounts::prepare(&config);
                fleet::prepare(&config);
                if !matches!(self.role, Role::Gateway(..)) {
                    fleet::begin();
                }
                rate_limit::prepare(&config);
                call::tick_every(FLUSH);
                let (deployments, keys) = (config.deployments.len(), config.keys.len());
                let ms = call::now().since(begun).0;
                log::info!("configuration: {deployments} deployments and {keys} keys, read in {ms} ms");
                let keeper = Keeper::new(config.token_sources());
                self.role = Role::Gateway(Rc::new(config), Rc::new(keeper));
                true
            }
            Err(faults) => {
                faults.iter().for_each(|fault| log::error!("configuration: {fault}"));
                false
            }
        }
    }
}
