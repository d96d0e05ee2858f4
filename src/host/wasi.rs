//! Environment variables and randomness, from the WASI functions that Envoy offers: `std` has neither on this target.
//!
//! Source: WASI preview 1, "environ_get", "random_get"
//! <https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md>, read 2026-11-23.
#![expect(unsafe_code, reason = "the ABI is raw pointers")]

use std::collections::BTreeMap;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn environ_sizes_get(count: *mut usize, bytes: *mut usize) -> u32;
    fn environ_get(pointers: *mut *const u8, bytes: *mut u8) -> u32;
    fn random_get(bytes: *mut u8, len: usize) -> u32;
}

/// The variables named in the plugin's `host_env_keys` and `key_values`.
pub(super) fn environment() -> BTreeMap<String, String> {
    let (mut count, mut len) = (0, 0);
    // SAFETY: the pointers are valid for the call.
    if unsafe { environ_sizes_get(&raw mut count, &raw mut len) } != 0 {
        return BTreeMap::new();
    }
    let mut pointers = vec![std::ptr::null(); count];
    let mut bytes = vec![0; len];
    // SAFETY: both buffers have the sizes that the host asked for.
    if unsafe { environ_get(pointers.as_mut_ptr(), bytes.as_mut_ptr()) } != 0 {
        return BTreeMap::new();
    }
    let entries = bytes.split(|&byte| byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
    entries.filter_map(|entry| entry.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A random number from the host.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is valid for the call.
    unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    u64::from_le_bytes(bytes)
}
