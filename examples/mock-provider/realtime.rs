//! OpenAI's realtime WebSocket: says `session.created`, then sends back every message as it came.
//!
//! Written from knowledge of OpenAI's "Realtime API with WebSocket"
//! <https://platform.openai.com/docs/guides/realtime-websocket>, which was not read for it. The protocol itself is
//! tungstenite's.

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use crate::Failure;
use crate::reply::Body;
use crate::value::object;

/// The upgrade that `request` asks for, if it does at `/realtime`.
pub(crate) fn upgrade(request: &mut Request<Incoming>) -> Option<OnUpgrade> {
    let is_one = request.uri().path().ends_with("/realtime") && request.headers().contains_key(SEC_WEBSOCKET_KEY);
    is_one.then(|| hyper::upgrade::on(request))
}

/// Opens the WebSocket.
///
/// # Errors
/// A header of the client that cannot be sent back.
pub(crate) fn answer(head: &Parts, upgrade: OnUpgrade, serial: u64) -> Result<Response<Body>, Failure> {
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    if !head.headers.contains_key("authorization") && !head.headers.contains_key("api-key") {
        return Ok(response.status(StatusCode::UNAUTHORIZED).body(Body::empty())?);
    }
    if text(SEC_WEBSOCKET_PROTOCOL).split(", ").any(|protocol| protocol == "realtime") {
        response = response.header(SEC_WEBSOCKET_PROTOCOL, "realtime");
    }
    let accept = derive_accept_key(text(SEC_WEBSOCKET_KEY).as_bytes());
    let model = head.uri.query().unwrap_or_default().to_owned();
    tokio::spawn(async move {
        // Both errors mean that the client is gone.
        if let Ok(upgraded) = upgrade.await {
            let _ =
                talk(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await, model, serial)
                    .await;
        }
    });
    let response = response.header(CONNECTION, "Upgrade").header(UPGRADE, "websocket");
    Ok(response.header(SEC_WEBSOCKET_ACCEPT, accept).body(Body::empty())?)
}

async fn talk<S>(mut socket: WebSocketStream<S>, query: String, serial: u64) -> Result<(), Failure>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let session = object! {"id": format!("sess_mock_{serial}"), "object": "realtime.session", "query": query};
    let created = object! {"type": "session.created", "event_id": format!("event_{serial}"), "session": session};
    socket.send(Message::text(created.text())).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
