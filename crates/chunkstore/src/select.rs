//! Reading: heads and parts of a tenant as one sequence of entries a stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_model::{Labels, Matcher};
use headwater_storage::logs::{
    Direction, LogBlock, LogCosts, LogCursor, LogRequest, NanoRange, SelectLogs,
};
use headwater_storage::{BoxFuture, Error, ErrorKind, Result};

use crate::head::HeadBlock;
use crate::part::{Column, Part, PartError, Rows};
use crate::store::{ChunkStore, TenantState};

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
            None => Ok(BTreeMap::new()),
        };
        let cursor = streams.map(|streams| {
            Box::new(Cursor::new(streams.into_iter().collect(), request)) as Box<dyn LogCursor>
        });
        Box::pin(std::future::ready(cursor))
    }
}

/// Where entries of a stream lie.
#[derive(Clone, Debug)]
enum Source {
    Head(Arc<HeadBlock>),
    Part {
        part: Arc<Part>,
        block: usize,
        /// The rows of the stream in the block.
        first_row: usize,
        rows: usize,
    },
}

/// Entries of one stream with their oldest and newest time.
#[derive(Clone, Debug)]
struct Piece {
    source: Source,
    oldest: i64,
    newest: i64,
}

type Streams = BTreeMap<Labels, Vec<Piece>>;

pub(crate) fn wanted(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
}

/// Pieces in the order of writing: parts, heads that are being flushed, the open head.
fn collect(state: &TenantState, request: &LogRequest) -> Result<Streams> {
    let mut streams = Streams::new();
    for part in &state.parts {
        collect_part(part, request, &mut streams)?;
    }
    for head in state.closed.iter().map(|head| &**head).chain([&state.head]) {
        for (labels, blocks) in head.snapshot(|labels| wanted(labels, &request.matchers)) {
            let pieces = blocks.into_iter().filter_map(|block| {
                let (oldest, newest) = (*block.times.iter().min()?, *block.times.iter().max()?);
                let overlaps = oldest < request.range.end && request.range.start <= newest;
                overlaps.then_some(Piece {
                    source: Source::Head(block),
                    oldest,
                    newest,
                })
            });
            streams.entry(labels).or_default().extend(pieces);
        }
    }
    Ok(streams)
}

fn collect_part(part: &Arc<Part>, request: &LogRequest, streams: &mut Streams) -> Result<()> {
    let chosen: Vec<bool> = part
        .streams()
        .iter()
        .map(|labels| wanted(labels, &request.matchers))
        .collect();
    for (number, block) in part.blocks().iter().enumerate() {
        let (mut first_row, mut ruled_out) = (0, None);
        for run in &block.runs {
            let rows = run.rows as usize;
            if chosen[run.stream as usize] && run.overlaps(request.range) {
                let out = match ruled_out {
                    Some(out) => out,
                    None => *ruled_out.insert(is_ruled_out(part, number, &request.hints.needles)?),
                };
                if !out {
                    let source = Source::Part {
                        part: part.clone(),
                        block: number,
                        first_row,
                        rows,
                    };
                    let piece = Piece {
                        source,
                        oldest: run.first_time,
                        newest: run.last_time,
                    };
                    streams
                        .entry(part.streams()[run.stream as usize].clone())
                        .or_default()
                        .push(piece);
                }
            }
            first_row += rows;
        }
    }
    Ok(())
}

/// Whether the filter says that some group of needles has none in the block.
fn is_ruled_out(part: &Part, block: usize, needles: &[Vec<Vec<u8>>]) -> Result<bool> {
    let block = &part.blocks()[block];
    for group in needles {
        let mut perhaps = false;
        for needle in group {
            perhaps |= part.may_contain(block, needle).map_err(damaged)?;
        }
        if !perhaps {
            return Ok(true);
        }
    }
    Ok(false)
}

fn damaged(error: PartError) -> Error {
    Error::new(ErrorKind::Corrupt, error.to_string()).because(error)
}

/// Decoded blocks that are kept, because streams that follow each other lie in the same ones.
const KEPT_BLOCKS: usize = 4;
/// Entries that a read delivers at most.
const READ_ROWS: usize = 8192;

struct Cursor {
    streams: std::vec::IntoIter<(Labels, Vec<Piece>)>,
    range: NanoRange,
    direction: Direction,
    /// Groups of pieces of the current stream whose times overlap, in the order of reading, last first.
    groups: Vec<Vec<Piece>>,
    /// Entries of the current group in the order of reading.
    entries: std::vec::IntoIter<Place>,
    loaded: Vec<Loaded>,
    kept: Vec<(usize, usize, Arc<Rows>)>,
    costs: LogCosts,
}

/// An entry of the current group.
#[derive(Clone, Copy)]
struct Place {
    time: i64,
    piece: u32,
    row: u32,
}

/// A piece whose rows are at hand.
enum Loaded {
    Head(Arc<HeadBlock>),
    Part(Arc<Rows>),
}

impl Loaded {
    fn line(&self, row: u32) -> &[u8] {
        match self {
            Self::Head(block) => block.line(row as usize),
            Self::Part(rows) => rows.line(row as usize),
        }
    }

    fn metadata(&self, row: u32) -> Option<&Labels> {
        match self {
            Self::Head(block) => block.metadata.get(&row),
            Self::Part(rows) => rows
                .metadata(row as usize)
                .filter(|labels| !labels.is_empty()),
        }
    }

    fn times(&self) -> &[i64] {
        match self {
            Self::Head(block) => &block.times,
            Self::Part(rows) => &rows.times,
        }
    }
}

impl Cursor {
    fn new(streams: Vec<(Labels, Vec<Piece>)>, request: LogRequest) -> Self {
        Self {
            streams: streams.into_iter(),
            range: request.range,
            direction: request.direction,
            groups: Vec::new(),
            entries: Vec::new().into_iter(),
            loaded: Vec::new(),
            kept: Vec::new(),
            costs: LogCosts::default(),
        }
    }

    /// Loads the next group that has entries in the range; false at the end of the stream.
    fn load_group(&mut self) -> Result<bool> {
        while let Some(group) = self.groups.pop() {
            let (oldest, newest) = span(&group);
            if oldest >= self.range.end || newest < self.range.start {
                continue;
            }
            let entries = self.load(&group)?;
            if !entries.is_empty() {
                self.entries = entries.into_iter();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The entries of a group that are in the range, each once, in the order of reading.
    fn load(&mut self, group: &[Piece]) -> Result<Vec<Place>> {
        self.loaded.clear();
        let mut places = Vec::new();
        for (number, piece) in group.iter().enumerate() {
            let (loaded, rows) = self.load_piece(piece)?;
            let times = &loaded.times()[rows.clone()];
            let place = |(row, time): (usize, &i64)| Place {
                time: *time,
                piece: number as u32,
                row: (rows.start + row) as u32,
            };
            places.extend(
                times
                    .iter()
                    .enumerate()
                    .filter(|(_, time)| self.range.contains(**time))
                    .map(place),
            );
            self.loaded.push(loaded);
        }
        // Pieces stand in the order of writing and a stable sort keeps that order for equal times.
        if !places.is_sorted_by_key(|place| place.time) {
            places.sort_by_key(|place| place.time);
        }
        self.remove_repetitions(&mut places);
        if self.direction == Direction::Backward {
            places.reverse();
        }
        Ok(places)
    }

    fn load_piece(&mut self, piece: &Piece) -> Result<(Loaded, std::ops::Range<usize>)> {
        match &piece.source {
            Source::Head(block) => Ok((Loaded::Head(block.clone()), 0..block.times.len())),
            Source::Part {
                part,
                block,
                first_row,
                rows,
            } => {
                let decoded = self.decode(part, *block)?;
                Ok((Loaded::Part(decoded), *first_row..*first_row + *rows))
            }
        }
    }

    fn decode(&mut self, part: &Arc<Part>, block: usize) -> Result<Arc<Rows>> {
        let key = Arc::as_ptr(part) as usize;
        if let Some((.., rows)) = self
            .kept
            .iter()
            .find(|(kept, number, _)| (*kept, *number) == (key, block))
        {
            return Ok(rows.clone());
        }
        let info = &part.blocks()[block];
        let mut rows = Rows::default();
        part.read(
            info,
            &[Column::Times, Column::Lines, Column::Metadata],
            &mut rows,
        )
        .map_err(damaged)?;
        self.costs.blocks_read += 1;
        self.costs.stored_bytes += Column::ALL
            .iter()
            .map(|column| u64::from(info.place(*column).stored))
            .sum::<u64>();
        let rows = Arc::new(rows);
        if self.kept.len() == KEPT_BLOCKS {
            self.kept.remove(0);
        }
        self.kept.push((key, block, rows.clone()));
        Ok(rows)
    }

    /// Among entries of one time, those that are equal in line and metadata to an earlier one go.
    fn remove_repetitions(&self, places: &mut Vec<Place>) {
        if places.windows(2).all(|pair| pair[0].time != pair[1].time) {
            return;
        }
        let content = |place: &Place| {
            let piece = &self.loaded[place.piece as usize];
            (piece.line(place.row), piece.metadata(place.row))
        };
        let mut kept: Vec<Place> = Vec::with_capacity(places.len());
        for place in places.iter() {
            let same_time = kept
                .iter()
                .rev()
                .take_while(|earlier| earlier.time == place.time);
            if !same_time
                .into_iter()
                .any(|earlier| content(earlier) == content(place))
            {
                kept.push(*place);
            }
        }
        *places = kept;
    }
}

fn span(group: &[Piece]) -> (i64, i64) {
    let oldest = group
        .iter()
        .map(|piece| piece.oldest)
        .min()
        .unwrap_or(i64::MAX);
    let newest = group
        .iter()
        .map(|piece| piece.newest)
        .max()
        .unwrap_or(i64::MIN);
    (oldest, newest)
}

/// Divides pieces into groups whose times do not overlap, ascending. Within a group pieces keep their order.
fn group_by_overlap(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut numbered: Vec<(usize, Piece)> = pieces.into_iter().enumerate().collect();
    numbered.sort_by_key(|(number, piece)| (piece.oldest, *number));
    let mut groups: Vec<Vec<(usize, Piece)>> = Vec::new();
    let mut newest = i64::MIN;
    for (number, piece) in numbered {
        match groups.last_mut().filter(|_| piece.oldest <= newest) {
            Some(group) => group.push((number, piece.clone())),
            None => groups.push(vec![(number, piece.clone())]),
        }
        newest = newest.max(piece.newest);
    }
    let in_order = |mut group: Vec<(usize, Piece)>| {
        group.sort_by_key(|(number, _)| *number);
        group.into_iter().map(|(_, piece)| piece).collect()
    };
    groups.into_iter().map(in_order).collect()
}

impl LogCursor for Cursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        self.entries = Vec::new().into_iter();
        self.groups.clear();
        let Some((labels, pieces)) = self.streams.next() else {
            return Ok(None);
        };
        self.groups = group_by_overlap(pieces);
        // Groups are taken from the end.
        if self.direction == Direction::Forward {
            self.groups.reverse();
        }
        Ok(Some(labels))
    }

    fn read(&mut self, into: &mut LogBlock) -> Result<bool> {
        into.clear();
        let none = Labels::empty();
        loop {
            for place in self.entries.by_ref().take(READ_ROWS) {
                let piece = &self.loaded[place.piece as usize];
                // A range that was narrowed since the group was loaded ends the reading early.
                if self.range.contains(place.time) {
                    into.push(
                        place.time,
                        piece.line(place.row),
                        piece.metadata(place.row).unwrap_or(&none),
                    );
                }
            }
            if !into.is_empty() {
                return Ok(true);
            }
            if self.entries.len() == 0 && !self.load_group()? {
                return Ok(false);
            }
        }
    }

    fn stop_at(&mut self, time: i64) {
        match self.direction {
            Direction::Forward => self.range.end = self.range.end.min(time.saturating_add(1)),
            Direction::Backward => self.range.start = self.range.start.max(time),
        }
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn LogCursor>> {
        let request = || LogRequest::new(Vec::new(), self.range, self.direction);
        let streams: Vec<_> = self.streams.clone().collect();
        let size = streams.len().div_ceil(parts.max(1)).max(1);
        let mut out: Vec<Box<dyn LogCursor>> = Vec::new();
        for chunk in streams.chunks(size) {
            out.push(Box::new(Cursor::new(chunk.to_vec(), request())));
        }
        out
    }

    fn costs(&self) -> LogCosts {
        self.costs
    }
}
