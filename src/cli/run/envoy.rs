//! Finding an Envoy that is new enough.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::load;

/// The first version with `refresh_cluster_on_retry`, which fallbacks are made of.
const OLDEST: (u32, u32) = (1, 39);

/// Where `make` puts one.
const SET_UP: &str = "target/envoy/bin/envoy";

/// The Envoy to use.
///
/// # Errors
///
/// None is new enough; the one that was asked for is not, or is no Envoy.
pub(super) fn find(given: Option<&Path>) -> Result<PathBuf, String> {
    let asked = given.map(Path::to_owned).or_else(|| load::variable("ENVOY_BIN").map(PathBuf::from));
    if let Some(path) = asked {
        return check(&path).map(|()| path);
    }
    let mut faults = Vec::new();
    for path in ["envoy", SET_UP].map(PathBuf::from) {
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(fault) => faults.push(fault),
        }
    }
    let faults = faults.join("; ");
    Err(format!("no Envoy {}.{} or newer: {faults}. Say --envoy FILE, or run `make build`", OLDEST.0, OLDEST.1))
}

fn check(path: &Path) -> Result<(), String> {
    let output = Command::new(path).arg("--version").output();
    let output = output.map_err(|fault| format!("{}: {fault}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match version(&text) {
        Some(found) if found >= OLDEST => Ok(()),
        Some((major, minor)) => {
            Err(format!("{} is Envoy {major}.{minor}, expected {}.{} or newer", path.display(), OLDEST.0, OLDEST.1))
        }
        None => Err(format!("{} --version does not answer like Envoy", path.display())),
    }
}

/// Major and minor of `bin/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, build) = text.split_once("version:")?;
    let number = build.split('/').nth(1)?;
    let mut parts = number.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_read_from_envoys_own_words() {
        let text = "\n/opt/envoy/bin/envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL\n";
        assert_eq!(version(text), Some((1, 40)));
        assert_eq!(version("envoy  version: abc/1.39.0-dev/Modified/DEBUG/BoringSSL"), Some((1, 39)));
        assert_eq!(version("bash 5"), None);
    }
}
