//! Reading: heads and parts of a tenant as one sequence of entries a stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_model::{Labels, Matcher};
use headwater_storage::logs::{LogCursor, LogRequest, NanoRange, SelectLogs};
use headwater_storage::{BoxFuture, Result};

use crate::cursor::{Cursor, Question};
use crate::head::HeadBlock;
use crate::store::{ChunkStore, StoredPart, TenantState};

/// One tenant of a store, as queries see it.
#[derive(Clone, Debug)]
pub struct TenantLogs {
    store: Arc<ChunkStore>,
    tenant: String,
}

impl ChunkStore {
    /// The entries of one tenant; a tenant that has none is fine.
    pub fn logs(self: &Arc<Self>, tenant: impl Into<String>) -> TenantLogs {
        TenantLogs {
            store: self.clone(),
            tenant: tenant.into(),
        }
    }
}

impl SelectLogs for TenantLogs {
    fn select_logs(&self, request: LogRequest) -> BoxFuture<'_, Result<Box<dyn LogCursor>>> {
        let streams = match self.store.find(&self.tenant) {
            Some(tenant) => collect(&tenant.state.read(), &request),
            None => BTreeMap::new(),
        };
        let question = Question::new(self.store.clone(), &request);
        let cursor = Cursor::new(
            streams.into_iter().collect(),
            Arc::new(question),
            request.range,
        );
        let cursor: Box<dyn LogCursor> = Box::new(cursor);
        Box::pin(std::future::ready(Ok(cursor)))
    }
}

/// Where entries of a stream lie.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Head(Arc<HeadBlock>),
    Part {
        part: Arc<StoredPart>,
        block: u32,
        /// The rows of the stream in the block.
        first_row: u32,
        rows: u32,
    },
}

/// Entries of one stream with their oldest and newest time.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) source: Source,
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
}

impl Piece {
    pub(crate) const fn overlaps(&self, range: NanoRange) -> bool {
        self.oldest < range.end && range.start <= self.newest
    }
}

pub(crate) fn wanted(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
}

/// Pieces of the streams wanted, in the order of writing: parts, heads that are being flushed, the open head.
fn collect(state: &TenantState, request: &LogRequest) -> BTreeMap<Labels, Vec<Piece>> {
    let mut streams = BTreeMap::new();
    for part in &state.parts {
        collect_part(part, request, &mut streams);
    }
    for head in state.heads() {
        for (labels, blocks) in head.snapshot(|labels| wanted(labels, &request.matchers)) {
            let piece = |block: Arc<HeadBlock>| {
                let (oldest, newest) = block.span()?;
                Some(Piece {
                    source: Source::Head(block),
                    oldest,
                    newest,
                })
            };
            let pieces = blocks.into_iter().filter_map(piece);
            let pieces = pieces.filter(|piece| piece.overlaps(request.range));
            streams.entry(labels).or_default().extend(pieces);
        }
    }
    streams
}

fn collect_part(
    part: &Arc<StoredPart>,
    request: &LogRequest,
    streams: &mut BTreeMap<Labels, Vec<Piece>>,
) {
    let chosen = part
        .streams()
        .iter()
        .map(|labels| wanted(labels, &request.matchers));
    let chosen: Vec<bool> = chosen.collect();
    let mut found: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
    for (number, block) in part.blocks().iter().enumerate() {
        let mut first_row = 0;
        for run in &block.runs {
            if chosen[run.stream as usize] && run.overlaps(request.range) {
                let source = Source::Part {
                    part: part.clone(),
                    block: number as u32,
                    first_row,
                    rows: run.rows,
                };
                found.entry(run.stream).or_default().push(Piece {
                    source,
                    oldest: run.first_time,
                    newest: run.last_time,
                });
            }
            first_row += run.rows;
        }
    }
    for (stream, pieces) in found {
        let labels = &part.streams()[stream as usize];
        streams.entry(labels.clone()).or_default().extend(pieces);
    }
}
