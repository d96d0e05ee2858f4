//! Files that others may read while they are written: one is replaced by moving another into its place.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Puts `text` in the place of the file at `path`, in one step.
///
/// # Errors
///
/// A message that starts with the path.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), String> {
    let told = |fault: io::Error| format!("{}: {fault}", path.display());
    // A pipe or a device is written to, not replaced.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return fs::write(path, text).map_err(told);
    }
    let mut name = path.file_name().ok_or_else(|| format!("{}: expected a file", path.display()))?.to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let written = fs::File::create(&fresh).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&fresh, path));
    moved.inspect_err(|_| drop(fs::remove_file(&fresh))).map_err(told)
}

/// The same, but leaves a file alone that holds `text` already; whether that changes anything.
///
/// # Errors
///
/// A message that starts with the path.
pub(super) fn update(path: &Path, text: &str) -> Result<bool, String> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    replace(path, text).map(|()| true)
}
