//! `/loki/api/v1/tail`: lines as they come, over a websocket.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_logql::parse;
use headwater_service::Stop;

use crate::error::ApiError;
use crate::follow::{Following, MAX_DURATION, Told, Wish};
use crate::form::Form;
use crate::json::{Flags, tail_frame};
use crate::routes::query::{DEFAULT_LIMIT, flags};
use crate::routes::range::{bounds, limit};
use crate::state::Api;

/// How long a follower may take to accept one message.
const SEND_PATIENCE: Duration = Duration::from_secs(15);
/// The code with which a websocket is closed that cannot be served. Source: RFC 6455, 7.4.1.
const INTERNAL_ERROR: u16 = 1011;

/// Checks everything before the connection changes its protocol, so that mistakes have a status.
pub(crate) async fn tail(
    State(api): State<Api>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    form: Form,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| ApiError::bad("Bad Request\n"))?;
    let tenant = api.tenant(&headers)?;
    let text = form.first("query");
    if !parse(text)?.is_log() {
        // Loki's querier notices only once the protocol has changed.
        return Ok(upgrade.on_upgrade(|socket| refuse(socket, "only log selector is supported")));
    }
    let delay = form
        .given("delay_for")
        .map_or(Ok(0), str::parse)
        .map_err(|_| ApiError::bad("delay_for is a whole number of seconds"))?;
    let flags = flags(&headers);
    let wish = Wish {
        query: text,
        start: bounds(&form, api.now())?.0,
        limit: limit(&form, DEFAULT_LIMIT)?,
        delay,
        categorize: flags.categorize(),
    };
    let following = Following::start(&api, tenant, &wish)?;
    Ok(upgrade.on_upgrade(move |socket| serve(api, following, flags, socket)))
}

async fn refuse(mut socket: WebSocket, reason: &'static str) {
    let frame = CloseFrame {
        code: INTERNAL_ERROR,
        reason: reason.into(),
    };
    // The other side may have gone first.
    let _ = socket.send(Message::Close(Some(frame))).await;
}

async fn serve(api: Api, following: Following, flags: Flags, mut socket: WebSocket) {
    let stop = api.parts.stop.clone();
    let ended = async {
        tokio::select! {
            () = stopped(stop) => {}
            () = tokio::time::sleep(MAX_DURATION) => {}
        }
    };
    tokio::select! {
        () = talk(&api, following, &flags, &mut socket) => {}
        () = ended => {}
    }
    // The other side may have gone first.
    let _ = socket.send(Message::Close(None)).await;
}

async fn talk(api: &Api, mut following: Following, flags: &Flags, socket: &mut WebSocket) {
    match following.history().await {
        Ok(streams) if streams.is_empty() => {}
        Ok(streams) => {
            if !send(socket, tail_frame(&streams, flags, None)).await {
                return;
            }
        }
        Err(error) => return tracing::warn!(%error, "tailing: history cannot be read"),
    }
    loop {
        tokio::select! {
            told = following.next() => {
                let frame = match told {
                    None => return,
                    Some(Told::Lines(streams)) => tail_frame(&streams, flags, None),
                    Some(Told::Missed) => tail_frame(&[], flags, Some(api.now())),
                };
                if !send(socket, frame).await {
                    return;
                }
            }
            said = socket.recv() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            }
        }
    }
}

pub(crate) async fn stopped(stop: Option<Stop>) {
    match stop {
        Some(stop) => stop.wait().await,
        None => std::future::pending().await,
    }
}

/// False if the follower has gone or does not listen.
async fn send(socket: &mut WebSocket, frame: String) -> bool {
    let sent = socket.send(Message::Text(frame.into()));
    matches!(tokio::time::timeout(SEND_PATIENCE, sent).await, Ok(Ok(())))
}
