//! What the tests are written with: [`Gate`] (Tollgate in an Envoy), [`Mock`] (the provider), [`Rls`] (a rate limit
//! service), [`Secrets`] (a secret discovery server), and a small client.

mod client;
mod gate;
mod load;
mod mock;
mod process;
mod rig;
mod rls;
mod secrets;
mod talk;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(crate) use client::{Answer, Connection, Request};
pub(crate) use gate::{Gate, Options, TlsClient, TlsProvider, envoy, tls_file, trap_module};
pub(crate) use load::{Load, Sample, at_once};
pub(crate) use mock::{Mock, Received, lasting_port};
pub(crate) use process::{Process, tollgate};
pub(crate) use rig::Rig;
pub(crate) use rls::Rls;
pub(crate) use secrets::Secrets;
pub(crate) use talk::{calls, chat, deltas, weather};

/// How long anything may take; far more than it takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Asks `poll` again and again until it has an answer.
pub(crate) fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sleeps over the end of a minute that has less than ten seconds left.
pub(crate) fn early_in_a_minute() {
    let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 60;
    while second() >= 50 {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The folder of the test called `name`.
pub(crate) fn test_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e").join(name)
}

/// The same, with nothing in it.
pub(crate) fn empty_folder(name: &str) -> PathBuf {
    let folder = test_folder(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file of `dist/`.
pub(crate) fn dist(name: &str) -> PathBuf {
    let given = std::env::var_os("TOLLGATE_DIST").map(PathBuf::from);
    let path = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dist")).join(name);
    assert!(path.exists(), "{} is missing: run `make build`", path.display());
    path
}
