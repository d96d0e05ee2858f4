//! A scripted stand-in for OpenAI and Anthropic, so that the tests, the bench and the quick start need no key.
//!
//! It answers the vendors' own wire shapes under any path prefix and misbehaves on request: a path segment such as
//! `status=429,retry-after=7` is a script (the keys are in [`script`]), and `POST /_mock/script` sets one from outside.
//! It keeps no secret, reaches no network, and listens on loopback only.
//!
//! | path | answer |
//! | --- | --- |
//! | `<prefix>/chat/completions`, `/completions`, `/embeddings`, `/models`, `/responses` | OpenAI |
//! | `<prefix>/images/generations`, `/images/edits`, `/audio/transcriptions`, `/audio/translations`, `/audio/speech`, `/moderations` | OpenAI |
//! | `<prefix>/realtime` | OpenAI's WebSocket |
//! | `<prefix>/openai/deployments/<name>/...`, `/openai/v1/...` | Azure OpenAI |
//! | `<prefix>/messages`, `/messages/count_tokens`, `<prefix>:rawPredict` | Anthropic |
//! | `<prefix>:generateContent`, `:streamGenerateContent`, `:batchEmbedContents`, `:predict` | Google |
//! | `<prefix>/v2/chat`, `/v2/embed`, `/v2/rerank`, `/rerank` | Cohere |
//! | `<prefix>/model/{id}/converse`, `/converse-stream`, `/invoke` | Bedrock: signed, or with a key |
//! | `<prefix>/api/chat`, `/api/embed` | Ollama |
//! | `<prefix>/token` and others | an access token: see [`token`] |
//! | `GET`, `DELETE /_mock/requests` | the last requests as JSON, with `--record` |
//! | `POST /_mock/script?match=PART` | the body is the script of every path that contains PART |
//! | `DELETE /_mock/script` | forgets those scripts and every `times` counter |
//! | `GET /_mock/health` | 200 |

mod answer;
mod anthropic;
mod anthropic_stream;
mod audio;
mod bedrock;
mod cohere;
mod cohere_stream;
mod control;
mod dialect;
mod drip;
mod embeddings;
mod form;
mod gemini;
mod images;
mod judge;
mod ollama;
mod openai;
mod realtime;
mod record;
mod reply;
mod responses;
mod script;
mod sigv4;
mod token;
mod usage;
mod value;
mod vendor;

use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::control::Control;
use crate::drip::{Drip, Pace};
use crate::reply::{Body, Reply};
use crate::script::{Fault, Script, Shape};
use crate::vendor::{Call, Endpoint};

type Failure = Box<dyn Error + Send + Sync>;

/// The largest request body that is read, in bytes.
const BODY_LIMIT_BYTES: usize = 64 << 20;

/// A scripted mock of OpenAI and Anthropic.
#[derive(Parser)]
struct Options {
    /// The loopback port; 0 picks a free one.
    #[arg(long, default_value_t = 8081)]
    port: u16,
    /// Worker threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Keeps the last requests for `GET /_mock/requests`.
    #[arg(long)]
    record: bool,
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.threads.max(1)).enable_all().build()?;
    runtime.block_on(async move { tokio::spawn(listen(options)).await? })
}

async fn listen(options: Options) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    let control = Arc::new(Control::new(options.record));
    loop {
        // A failed accept (a client that left, no free descriptor) concerns one connection only.
        match listener.accept().await {
            Ok((socket, _)) => {
                tokio::spawn(serve(socket, Arc::clone(&control)));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(socket: TcpStream, control: Arc<Control>) {
    // Both errors mean that the client is gone, or that the script asked for a reset.
    let _ = socket.set_nodelay(true);
    let pace = Pace::default();
    let socket = Drip::new(socket, pace.clone());
    let service = service_fn(move |request| answer(Arc::clone(&control), pace.clone(), request));
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades()
        .await;
}

/// Answers one request.
///
/// # Errors
/// An error closes the connection without a response: a scripted `reset`, or a body that broke off.
async fn answer(control: Arc<Control>, pace: Pace, mut request: Request<Incoming>) -> Result<Response<Body>, Failure> {
    let upgrade = realtime::upgrade(&mut request);
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_LIMIT_BYTES).collect().await?.to_bytes();
    if head.uri.path().starts_with("/_mock/") {
        return control.answer(&head, &body).response(&Script::default());
    }
    control.record(&head, &body);
    let script = match control.script(head.uri.path()) {
        Ok(script) => script,
        Err(message) => return Reply::text(StatusCode::BAD_REQUEST, message).response(&Script::default()),
    };
    pace.set(script.fault.drip_ms.unwrap_or_default());
    if let Some(ms) = script.fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if script.fault.reset {
        return Err("scripted reset".into());
    }
    if let Some(upgrade) = upgrade.filter(|_| script.fault.status.is_none()) {
        return realtime::answer(&head, upgrade, control.serial());
    }
    dispatch(&control, &head, &body, &script).response(&script)
}

fn dispatch(control: &Control, head: &hyper::http::request::Parts, body: &Bytes, script: &Script) -> Reply {
    if let Some(status) = script.fault.status.filter(|_| head.uri.path().ends_with("/realtime")) {
        let fault = vendor::Fault::new(status, format!("mock-provider was told to answer {status}"));
        return Reply::json(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY), &openai::error(&fault));
    }
    if let Some(reply) = control.issued.answer(head, body, script, || control.serial()) {
        return reply;
    }
    if script.shape.issued && !control.issued.covers(head) {
        let fault = Fault { status: Some(401), ..script.fault.clone() };
        let script = Script { fault, shape: Shape { issued: false, ..script.shape.clone() }, ..script.clone() };
        return dispatch(control, head, body, &script);
    }
    let Some(endpoint) = Endpoint::of(head.uri.path()) else {
        return Reply::text(StatusCode::NOT_FOUND, format!("mock-provider has no endpoint {}", head.uri.path()));
    };
    let call = Call { endpoint, head, body, script, serial: control.serial() };
    vendor::answer(&call)
}
