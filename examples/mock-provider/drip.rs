//! A connection that writes one byte at a time, as a provider does that wants to keep its clients waiting.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// The milliseconds before each byte that one connection writes; 0 writes as fast as it goes.
#[derive(Clone, Default)]
pub(crate) struct Pace(Arc<AtomicU64>);

impl Pace {
    /// Paces all that is written from here on.
    pub(crate) fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

/// A socket with a pace.
pub(crate) struct Drip {
    socket: TcpStream,
    pace: Pace,
    gap: Option<Pin<Box<Sleep>>>,
}

impl Drip {
    /// Writes to `socket` at `pace`.
    pub(crate) fn new(socket: TcpStream, pace: Pace) -> Self {
        Self { socket, pace, gap: None }
    }
}

impl AsyncRead for Drip {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Drip {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let ms = self.pace.0.load(Ordering::Relaxed);
        if ms == 0 {
            return Pin::new(&mut self.socket).poll_write(cx, bytes);
        }
        let gap = self.gap.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(ms))));
        if gap.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.gap = None;
        Pin::new(&mut self.socket).poll_write(cx, bytes.get(..1).unwrap_or_default())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
