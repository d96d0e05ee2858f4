//! The checked host calls: the only place that talks to Envoy.
//!
//! The SDK's own wrappers panic on a status that they don't expect and on headers that are not UTF-8, and a panic is a
//! dead worker; these return `Option` and take bytes. They also hand out a header map as the one buffer that the host
//! wrote.
//!
//! Source: proxy-wasm ABI 0.2.1 <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>, read 2026-11-23.
#![expect(unsafe_code, reason = "the ABI is raw pointers; this module is the only one that touches it")]

use std::ptr::null_mut;

use crate::exchange::{Headers, Reply};
pub(super) use crate::store::Swap;
use crate::units::Millis;

const OK: u32 = 0;
const CAS_MISMATCH: u32 = 8;

unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(buffer: u32, start: usize, len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_buffer_bytes(buffer: u32, start: usize, len: usize, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_value(map: u32, name: *const u8, len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, name: *const u8, name_len: usize, value: *const u8, len: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_len: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_len: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_len: usize, value: *const u8, len: usize) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(key: *const u8, key_len: usize, value: *const u8, len: usize, cas: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        arguments: *const u8,
        arguments_len: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_close_stream(stream: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_len: usize, queue: *mut u32) -> u32;
    fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, size: usize) -> u32;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
}

/// A header map of the stream, or of the answer to a call.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Map {
    Request = 0,
    Response = 2,
    CallAnswer = 6,
}

/// A body of the stream, that of the answer to a call, the plugin's configuration, or the message that answers a gRPC call.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(super) enum Buffer {
    Request = 0,
    Response = 1,
    CallAnswer = 4,
    GrpcAnswer = 5,
    Configuration = 7,
}

/// Takes over a buffer that the host allocated in this VM through the SDK's `malloc`, which makes a boxed slice.
fn taken(status: u32, data: *mut u8, size: usize) -> Option<Vec<u8>> {
    if status != OK {
        return None;
    }
    if data.is_null() || size == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the host got `data` from the SDK's allocation function, for exactly `size` bytes, and keeps no pointer.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}

pub(super) fn now() -> Millis {
    let mut nanos = 0;
    // SAFETY: the pointer is valid for the call.
    unsafe { proxy_get_current_time_nanoseconds(&raw mut nanos) };
    Millis(nanos / 1_000_000)
}

pub(super) fn buffer(buffer: Buffer) -> Vec<u8> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are valid for the call.
    let status = unsafe { proxy_get_buffer_bytes(buffer as u32, 0, usize::MAX >> 1, &raw mut data, &raw mut size) };
    taken(status, data, size).unwrap_or_default()
}

/// Puts `bytes` in the place of the whole buffer.
pub(super) fn set_buffer(buffer: Buffer, bytes: &[u8]) -> bool {
    // SAFETY: the slice is valid for the call.
    OK == unsafe { proxy_set_buffer_bytes(buffer as u32, 0, usize::MAX >> 1, bytes.as_ptr(), bytes.len()) }
}

pub(super) fn headers(map: Map) -> Headers {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are valid for the call.
    let status = unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut size) };
    Headers::decode(taken(status, data, size).unwrap_or_default())
}

/// Puts a serialized map in the place of the whole map.
pub(super) fn set_headers(map: Map, bytes: &[u8]) -> bool {
    // SAFETY: the slice is valid for the call.
    OK == unsafe { proxy_set_header_map_pairs(map as u32, bytes.as_ptr(), bytes.len()) }
}

pub(super) fn header(map: Map, name: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the slice and the pointers are valid for the call.
    let status =
        unsafe { proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), &raw mut data, &raw mut size) };
    taken(status, data, size)
}

pub(super) fn set_header(map: Map, name: &str, value: &str) {
    // SAFETY: the slices are valid for the call.
    unsafe { proxy_replace_header_map_value(map as u32, name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

pub(super) fn remove_header(map: Map, name: &[u8]) {
    // SAFETY: the slice is valid for the call.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
}

/// A property; the parts of its path are separated by zero bytes.
pub(super) fn property(path: &str) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the slice and the pointers are valid for the call.
    let status = unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut size) };
    taken(status, data, size)
}

/// Sets filter state `wasm.<name>`.
pub(super) fn set_property(name: &str, value: &[u8]) {
    // SAFETY: the slices are valid for the call.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// Sets one of Envoy's own filter state objects, by the name of its factory; whether Envoy took it.
///
/// Source: Envoy, `source/extensions/common/wasm/ext/set_envoy_filter_state.proto`: path is field 1, value is field 2, both
/// strings.
pub(super) fn set_envoy_filter_state(path: &str, value: &str) -> bool {
    let mut arguments = Vec::with_capacity(path.len() + value.len() + 4);
    for (tag, text) in [(0x0a, path), (0x12, value)] {
        // One byte holds the lengths of all that is said here.
        let Ok(len @ ..0x80) = u8::try_from(text.len()) else { return false };
        arguments.extend([tag, len]);
        arguments.extend_from_slice(text.as_bytes());
    }
    foreign("set_envoy_filter_state", &arguments).is_some()
}

/// A shared value with its version, which is never 0.
pub(super) fn shared(key: &str) -> Option<(Vec<u8>, u32)> {
    let (mut data, mut size, mut cas) = (null_mut(), 0, 0);
    // SAFETY: the slice and the pointers are valid for the call.
    let status = unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut size, &raw mut cas) };
    Some((taken(status, data, size)?, cas))
}

/// Sets a shared value where its version is still `cas`; 0 sets it in any case.
pub(super) fn set_shared(key: &str, value: &[u8], cas: u32) -> Swap {
    // SAFETY: the slices are valid for the call.
    match unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) } {
        OK => Swap::Done,
        CAS_MISMATCH => Swap::Lost,
        _ => Swap::Failed,
    }
}

/// Defines a counter, or finds the one of this name.
pub(super) fn counter(name: &str) -> Option<u32> {
    const COUNTER: u32 = 0;
    metric(COUNTER, name)
}

/// Sets a gauge.
pub(super) fn gauge(name: &str, value: u64) {
    const GAUGE: u32 = 1;
    if let Some(id) = metric(GAUGE, name) {
        // SAFETY: no pointers.
        unsafe { proxy_record_metric(id, value) };
    }
}

fn metric(kind: u32, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the slice and the pointer are valid for the call.
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    (status == OK).then_some(id)
}

/// Adds to a counter; `by` must not be 0.
pub(super) fn count(id: u32, by: u64) {
    // SAFETY: no pointers.
    unsafe { proxy_increment_metric(id, i64::try_from(by).unwrap_or(i64::MAX)) };
}

/// Has `on_tick` called again and again.
pub(super) fn tick_every(period: Millis) {
    // SAFETY: no pointers.
    unsafe { proxy_set_tick_period_milliseconds(u32::try_from(period.0).unwrap_or(u32::MAX)) };
}

/// Resets the stream of another context, after this callback.
pub(super) fn reset(context: u32) {
    const RESPONSE: u32 = 1;
    if enter(context) {
        // SAFETY: no pointers.
        unsafe { proxy_close_stream(RESPONSE) };
    }
}

/// Sends a request of our own by `cluster`; its number, which comes back with the answer.
///
/// This is the SDK's wrapper, which has to know the number: it panics on a status that Envoy does not give here, and
/// an answer never comes before this returns.
pub(super) fn http(cluster: &str, headers: Vec<(&str, &str)>, body: Option<&[u8]>, timeout: Millis) -> Option<u32> {
    let timeout = std::time::Duration::from_millis(timeout.0);
    proxy_wasm::hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).ok()
}

/// Calls a gRPC method of the service that `target` leads to, a `GrpcService` or the name of a cluster; its number, which
/// comes back with the answer. As with [`http`], the SDK has to know the number.
pub(super) fn grpc(target: &str, service: &str, method: &str, message: &[u8], timeout: Millis) -> Option<u32> {
    let timeout = std::time::Duration::from_millis(timeout.0);
    proxy_wasm::hostcalls::dispatch_grpc_call(target, service, method, Vec::new(), Some(message), timeout).ok()
}

/// Has the host calls that follow act for another context, where it is there still.
pub(super) fn enter(context: u32) -> bool {
    // SAFETY: no pointers.
    OK == unsafe { proxy_set_effective_context(context) }
}

/// Lets a request go on that was held back, after this callback.
pub(super) fn resume_request() {
    const REQUEST: u32 = 0;
    // SAFETY: no pointers.
    unsafe { proxy_continue_stream(REQUEST) };
}

/// Lets a response go on that was held back, after this callback.
pub(super) fn resume_response() {
    const RESPONSE: u32 = 1;
    // SAFETY: no pointers.
    unsafe { proxy_continue_stream(RESPONSE) };
}

/// Opens a queue of the plugin's: Envoy calls its `on_queue_ready` for each message, after the callback that sent it.
pub(super) fn open_queue(name: &str) -> Option<u32> {
    let mut queue = 0;
    // SAFETY: the slice and the pointer are valid for the call.
    let status = unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue) };
    (status == OK).then_some(queue)
}

/// Sends an empty message; whether the queue took it.
pub(super) fn ring(queue: u32) -> bool {
    // SAFETY: a slice of no bytes.
    OK == unsafe { proxy_enqueue_shared_queue(queue, [].as_ptr(), 0) }
}

/// Takes a message; whether there was one.
pub(super) fn dequeue(queue: u32) -> bool {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the pointers are valid for the call.
    let status = unsafe { proxy_dequeue_shared_queue(queue, &raw mut data, &raw mut size) };
    taken(status, data, size).is_some()
}

/// Calls a function of Envoy's own.
pub(super) fn foreign(name: &str, arguments: &[u8]) -> Option<Vec<u8>> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: the slices and the pointers are valid for the call.
    let status = unsafe {
        let (name, name_len) = (name.as_ptr(), name.len());
        let (arguments, arguments_len) = (arguments.as_ptr(), arguments.len());
        proxy_call_foreign_function(name, name_len, arguments, arguments_len, &raw mut data, &raw mut size)
    };
    taken(status, data, size)
}

/// Answers the request.
pub(super) fn send(reply: &Reply) {
    let headers = reply.headers().encode();
    let details = b"tollgate";
    const NO_GRPC: i32 = -1;
    // SAFETY: the slices are valid for the call.
    unsafe {
        proxy_send_local_response(
            u32::from(reply.status),
            details.as_ptr(),
            details.len(),
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC,
        )
    };
}
