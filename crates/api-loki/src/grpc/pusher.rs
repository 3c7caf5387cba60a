//! `logproto.Pusher`: takes entries.

use headwater_chunkstore::{PushEntry, PushStream};
use headwater_logs::PushError;
use headwater_logs::push::{metadata, parse_labels};
use headwater_wire::loki::logproto::{
    EntryAdapter, PushRequest, PushResponse, StreamAdapter, pusher_server,
};
use headwater_wire::loki::nanos;
use tonic::{Request, Response, Status};

use super::{status, tenant};
use crate::routes::push::store;
use crate::state::Api;

pub(super) struct Pusher(pub(super) Api);

#[tonic::async_trait]
impl pusher_server::Pusher for Pusher {
    async fn push(&self, request: Request<PushRequest>) -> Result<Response<PushResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let streams = request.into_inner().streams;
        let stored = store(&self.0, tenant, move |_, _| {
            streams.into_iter().map(stream).collect()
        });
        stored.await.map_err(status)?;
        Ok(Response::new(PushResponse {}))
    }
}

fn stream(sent: StreamAdapter) -> Result<PushStream, PushError> {
    Ok(PushStream {
        labels: parse_labels(sent.labels.as_bytes())?,
        entries: sent
            .entries
            .into_iter()
            .map(entry)
            .collect::<Result<_, _>>()?,
    })
}

fn entry(sent: EntryAdapter) -> Result<PushEntry, PushError> {
    let pairs = sent.structured_metadata.iter();
    Ok(PushEntry {
        time: sent.timestamp.as_ref().map_or(0, nanos),
        metadata: metadata(pairs.map(|pair| (pair.name.as_str(), pair.value.as_str())))?,
        line: sent.line.into_bytes(),
    })
}
