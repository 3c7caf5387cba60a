//! Walking over the entries of streams, each once, whatever of them lies where.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;
use headwater_model::Labels;
use headwater_storage::Result;
use headwater_storage::logs::{
    Direction, LineNeed, LogBlock, LogCosts, LogCursor, LogHints, LogRequest, NanoRange,
};

use crate::head::HeadBlock;
use crate::merge::of_part;
use crate::part::{Column, Probe, Rows};
use crate::select::{Piece, Source};
use crate::store::{ChunkStore, StoredPart};

/// Bytes of decoded blocks that a cursor keeps, because streams that follow each other share blocks.
const KEPT_BYTES: usize = 32 << 20;
/// Entries that a read delivers at most.
const READ_ROWS: usize = 8192;
/// Entries of one time that are compared one by one.
const FEW: usize = 8;

/// What all parts of one select share.
pub(crate) struct Question {
    store: Arc<ChunkStore>,
    direction: Direction,
    hints: LogHints,
    /// Of each group, some probe must pass.
    probes: Vec<Vec<Probe>>,
}

impl Question {
    pub(crate) fn new(store: Arc<ChunkStore>, request: &LogRequest) -> Self {
        let group =
            |needles: &Vec<Vec<u8>>| needles.iter().map(|needle| Probe::new(needle)).collect();
        let probes: Vec<Vec<Probe>> = request.hints.needles.iter().map(group).collect();
        // A group with a needle about which filters know nothing rules nothing out.
        let useful = |group: &Vec<Probe>| !group.iter().any(Probe::is_empty);
        Self {
            store,
            direction: request.direction,
            hints: request.hints.clone(),
            probes: probes.into_iter().filter(useful).collect(),
        }
    }

    /// Whether the filter says that no line of the block is wanted.
    fn rules_out(&self, part: &StoredPart, block: u32) -> Result<bool> {
        let info = &part.blocks()[block as usize];
        for group in &self.probes {
            let mut perhaps = false;
            for probe in group {
                perhaps = perhaps || part.may_contain(info, probe).map_err(of_part)?;
            }
            if !perhaps {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read_rows(&self) -> usize {
        match self.hints.limit {
            0 => READ_ROWS,
            limit => limit.clamp(16, READ_ROWS),
        }
    }
}

/// Decoded blocks of one cursor, the newest last.
#[derive(Default)]
struct Kept {
    blocks: Vec<((u64, u32, Columns), Arc<Rows>)>,
    bytes: usize,
    /// A block that was let go of, to be filled again.
    spare: Rows,
    ruled_out: HashMap<(u64, u32), bool>,
}

/// Which columns of a block are decoded beside the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    lines: bool,
    metadata: bool,
}

impl Columns {
    const ALL: Self = Self {
        lines: true,
        metadata: true,
    };
}

impl Kept {
    fn get(&self, key: (u64, u32, Columns)) -> Option<Arc<Rows>> {
        let mut blocks = self.blocks.iter().rev();
        blocks
            .find(|(kept, _)| *kept == key)
            .map(|(_, rows)| rows.clone())
    }

    fn put(&mut self, key: (u64, u32, Columns), rows: Arc<Rows>) {
        self.bytes += rows.bytes();
        self.blocks.push((key, rows));
        while self.bytes > KEPT_BYTES && self.blocks.len() > 1 {
            let (_, oldest) = self.blocks.remove(0);
            self.bytes -= oldest.bytes();
            if let Ok(rows) = Arc::try_unwrap(oldest) {
                self.spare = rows;
            }
        }
    }
}

/// Walks over streams.
pub(crate) struct Cursor {
    streams: std::vec::IntoIter<(Labels, Vec<Piece>)>,
    question: Arc<Question>,
    range: NanoRange,
    /// Groups of pieces of the current stream whose times overlap, in the order of reading, last first.
    groups: Vec<Vec<Piece>>,
    /// What of the current group is not read yet.
    rest: Rest,
    loaded: Vec<Loaded>,
    kept: Kept,
    costs: LogCosts,
}

/// Entries of the current group, in the order of reading.
enum Rest {
    /// Rows of the one piece there is; read from the end if the direction is backward.
    Rows(Range<usize>),
    Places(std::vec::IntoIter<Place>),
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
    fn line(&self, row: usize) -> &[u8] {
        match self {
            Self::Head(block) => block.line(row),
            Self::Part(rows) => rows.line(row),
        }
    }

    fn metadata(&self, row: usize) -> Option<&Labels> {
        match self {
            Self::Head(block) => block.metadata(row),
            Self::Part(rows) => rows.metadata(row).filter(|labels| !labels.is_empty()),
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
    pub(crate) fn new(
        streams: Vec<(Labels, Vec<Piece>)>,
        question: Arc<Question>,
        range: NanoRange,
    ) -> Self {
        Self {
            streams: streams.into_iter(),
            question,
            range,
            groups: Vec::new(),
            rest: Rest::Rows(0..0),
            loaded: Vec::new(),
            kept: Kept::default(),
            costs: LogCosts::default(),
        }
    }

    /// Loads the next group that has entries in the range; false at the end of the stream.
    fn load_group(&mut self) -> Result<bool> {
        while let Some(mut group) = self.groups.pop() {
            group.retain(|piece| piece.overlaps(self.range));
            let mut asked = Vec::with_capacity(group.len());
            for piece in group {
                if !self.is_ruled_out(&piece)? {
                    asked.push(piece);
                }
            }
            if !asked.is_empty() && self.load(&asked)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_ruled_out(&mut self, piece: &Piece) -> Result<bool> {
        let Source::Part { part, block, .. } = &piece.source else {
            return Ok(false);
        };
        if self.question.probes.is_empty() {
            return Ok(false);
        }
        if let Some(known) = self.kept.ruled_out.get(&(part.id, *block)) {
            return Ok(*known);
        }
        let out = self.question.rules_out(part, *block)?;
        self.kept.ruled_out.insert((part.id, *block), out);
        self.costs.blocks_skipped += u64::from(out);
        Ok(out)
    }

    /// Loads a group; false if it has no entries in the range.
    fn load(&mut self, group: &[Piece]) -> Result<bool> {
        let hints = &self.question.hints;
        let lines = hints.lines != LineNeed::Nothing;
        if let [
            piece @ Piece {
                source: Source::Part { .. },
                ..
            },
        ] = group
        {
            // Rows of a part ascend in time, and none repeats another.
            let (loaded, rows) = self.load_piece(piece, lines)?;
            let times = &loaded.times()[rows.clone()];
            let start = rows.start + times.partition_point(|time| *time < self.range.start);
            let end = rows.start + times.partition_point(|time| *time < self.range.end);
            self.loaded.clear();
            self.loaded.push(loaded);
            self.rest = Rest::Rows(start..end);
            return Ok(start < end);
        }
        let mut places = self.places(group, lines)?;
        if self.has_rivals(&places) {
            if !lines || !self.has_all_metadata(group) {
                places = self.places_with(group, Columns::ALL)?;
            }
            self.remove_repetitions(&mut places);
        }
        if self.question.direction == Direction::Backward {
            places.reverse();
        }
        let any = !places.is_empty();
        self.rest = Rest::Places(places.into_iter());
        Ok(any)
    }

    fn has_all_metadata(&self, group: &[Piece]) -> bool {
        group.iter().all(|piece| match &piece.source {
            Source::Head(_) => true,
            Source::Part { part, .. } => {
                part.metadata_names().is_empty()
                    || self.question.hints.needs_metadata(part.metadata_names())
            }
        })
    }

    fn places(&mut self, group: &[Piece], lines: bool) -> Result<Vec<Place>> {
        self.loaded.clear();
        let mut places = Vec::new();
        for piece in group {
            let (loaded, rows) = self.load_piece(piece, lines)?;
            self.add_places(loaded, rows, &mut places);
        }
        sort(&mut places);
        Ok(places)
    }

    fn places_with(&mut self, group: &[Piece], columns: Columns) -> Result<Vec<Place>> {
        self.loaded.clear();
        let mut places = Vec::new();
        for piece in group {
            let (loaded, rows) = self.load_columns(piece, columns)?;
            self.add_places(loaded, rows, &mut places);
        }
        sort(&mut places);
        Ok(places)
    }

    fn add_places(&mut self, loaded: Loaded, rows: Range<usize>, places: &mut Vec<Place>) {
        let piece = self.loaded.len() as u32;
        let times = loaded.times()[rows.clone()].iter().zip(rows);
        let inside = times.filter(|(time, _)| self.range.contains(**time));
        places.extend(inside.map(|(time, row)| Place {
            time: *time,
            piece,
            row: row as u32,
        }));
        self.loaded.push(loaded);
    }

    fn load_piece(&mut self, piece: &Piece, lines: bool) -> Result<(Loaded, Range<usize>)> {
        let metadata = match &piece.source {
            Source::Head(_) => true,
            Source::Part { part, .. } => self.question.hints.needs_metadata(part.metadata_names()),
        };
        self.load_columns(piece, Columns { lines, metadata })
    }

    fn load_columns(&mut self, piece: &Piece, columns: Columns) -> Result<(Loaded, Range<usize>)> {
        match &piece.source {
            Source::Head(block) => Ok((Loaded::Head(block.clone()), 0..block.times.len())),
            Source::Part {
                part,
                block,
                first_row,
                rows,
            } => {
                let decoded = self.decode(part, *block, columns)?;
                let first = *first_row as usize;
                Ok((Loaded::Part(decoded), first..first + *rows as usize))
            }
        }
    }

    fn decode(&mut self, part: &StoredPart, block: u32, columns: Columns) -> Result<Arc<Rows>> {
        let key = (part.id, block, columns);
        if let Some(rows) = self.kept.get(key) {
            return Ok(rows);
        }
        let cache = &self.question.store.cache;
        // Blocks in the cache have all columns or times alone; others are cheap to make from those.
        let cached = (part.id, block, columns.lines);
        let cacheable = columns.metadata || part.metadata_names().is_empty();
        if cacheable && let Some(rows) = cache.get(cached) {
            return Ok(rows);
        }
        let info = &part.blocks()[block as usize];
        let wanted = [
            (Column::Times, true),
            (Column::Lines, columns.lines),
            (Column::Metadata, columns.metadata),
        ];
        let wanted: Vec<Column> = wanted
            .into_iter()
            .filter(|(_, wanted)| *wanted)
            .map(|(column, _)| column)
            .collect();
        let mut rows = std::mem::take(&mut self.kept.spare);
        part.read(info, &wanted, &mut rows).map_err(of_part)?;
        self.costs.blocks_read += 1;
        let stored = wanted
            .iter()
            .map(|column| u64::from(info.place(*column).stored));
        self.costs.stored_bytes += stored.sum::<u64>();
        let rows = Arc::new(rows);
        if cacheable {
            cache.put(cached, &rows);
        }
        self.kept.put(key, rows.clone());
        Ok(rows)
    }

    /// Whether entries of one time may repeat each other: those of one part do not.
    fn has_rivals(&self, places: &[Place]) -> bool {
        places.windows(2).any(|pair| {
            let in_head = matches!(self.loaded[pair[0].piece as usize], Loaded::Head(_));
            pair[0].time == pair[1].time && (pair[0].piece != pair[1].piece || in_head)
        })
    }

    /// Among entries of one time, those that are equal in line and metadata to an earlier one go.
    fn remove_repetitions(&self, places: &mut Vec<Place>) {
        let content = |place: &Place| {
            let piece = &self.loaded[place.piece as usize];
            (
                piece.line(place.row as usize),
                piece.metadata(place.row as usize),
            )
        };
        let mut kept: Vec<Place> = Vec::with_capacity(places.len());
        for same_time in places.chunk_by(|a, b| a.time == b.time) {
            let start = kept.len();
            let mut seen = HashSet::new();
            for place in same_time {
                let is_new = match same_time.len() {
                    ..=FEW => kept[start..]
                        .iter()
                        .all(|earlier| content(earlier) != content(place)),
                    _ => seen.insert(content(place)),
                };
                if is_new {
                    kept.push(*place);
                }
            }
        }
        *places = kept;
    }

    fn deliver(&self, place: Place, into: &mut LogBlock, none: &Labels) {
        let (piece, row) = (&self.loaded[place.piece as usize], place.row as usize);
        let metadata = piece.metadata(row).unwrap_or(none);
        match self.question.hints.lines {
            LineNeed::Bytes => into.push(place.time, piece.line(row), metadata),
            LineNeed::Length => into.push_length(place.time, piece.line(row).len(), metadata),
            LineNeed::Nothing => into.push_length(place.time, 0, metadata),
        }
    }

    /// Delivers rows of the one piece that is loaded.
    fn deliver_rows(&self, rows: Range<usize>, into: &mut LogBlock) {
        let (Some(loaded), none) = (self.loaded.first(), Labels::empty()) else {
            return;
        };
        let plain = match loaded {
            Loaded::Part(rows) => rows.numbers.is_empty(),
            Loaded::Head(_) => false,
        };
        let times = loaded.times();
        let place = |row: usize| Place {
            time: times[row],
            piece: 0,
            row: row as u32,
        };
        match (
            self.question.direction,
            plain && self.question.hints.lines == LineNeed::Nothing,
        ) {
            (Direction::Forward, true) => into.push_times(times[rows].iter().copied()),
            (Direction::Backward, true) => into.push_times(times[rows].iter().rev().copied()),
            (Direction::Forward, false) => {
                rows.for_each(|row| self.deliver(place(row), into, &none))
            }
            (Direction::Backward, false) => rows
                .rev()
                .for_each(|row| self.deliver(place(row), into, &none)),
        }
    }

    /// Delivers what comes next of the current group.
    fn deliver_next(&mut self, into: &mut LogBlock) {
        let most = self.question.read_rows();
        let rest = std::mem::replace(&mut self.rest, Rest::Rows(0..0));
        self.rest = match rest {
            Rest::Rows(rows) => {
                let count = rows.len().min(most);
                let (now, later) = match self.question.direction {
                    Direction::Forward => {
                        (rows.start..rows.start + count, rows.start + count..rows.end)
                    }
                    Direction::Backward => {
                        (rows.end - count..rows.end, rows.start..rows.end - count)
                    }
                };
                self.deliver_rows(now, into);
                Rest::Rows(self.narrowed(later))
            }
            Rest::Places(mut places) => {
                let none = Labels::empty();
                for place in places.by_ref().take(most) {
                    // A range that was narrowed since the group was loaded ends the reading early.
                    if self.range.contains(place.time) {
                        self.deliver(place, into, &none);
                    }
                }
                Rest::Places(places)
            }
        };
    }

    /// The rows that still lie in the range, which may have been narrowed.
    fn narrowed(&self, rows: Range<usize>) -> Range<usize> {
        let Some(loaded) = self.loaded.first() else {
            return rows;
        };
        let times = &loaded.times()[rows.clone()];
        let start = rows.start + times.partition_point(|time| *time < self.range.start);
        let end = rows.start + times.partition_point(|time| *time < self.range.end);
        start..end.max(start)
    }
}

impl Rest {
    fn is_empty(&self) -> bool {
        match self {
            Self::Rows(rows) => rows.is_empty(),
            Self::Places(places) => places.len() == 0,
        }
    }
}

/// Pieces stand in the order of writing, and a stable sort keeps that order for equal times.
fn sort(places: &mut [Place]) {
    if !places.is_sorted_by_key(|place| place.time) {
        places.sort_by_key(|place| place.time);
    }
}

/// Divides pieces into groups whose times do not overlap, ascending. Within a group pieces keep their order.
fn group_by_overlap(pieces: Vec<Piece>) -> Vec<Vec<Piece>> {
    let mut numbered: Vec<(usize, Piece)> = pieces.into_iter().enumerate().collect();
    numbered.sort_by_key(|(number, piece)| (piece.oldest, *number));
    let mut groups: Vec<Vec<(usize, Piece)>> = Vec::new();
    let mut newest = i64::MIN;
    for (number, piece) in numbered {
        let joins = !groups.is_empty() && piece.oldest <= newest;
        newest = newest.max(piece.newest);
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.push((number, piece)),
            None => groups.push(vec![(number, piece)]),
        }
    }
    let in_order = |mut group: Vec<(usize, Piece)>| {
        group.sort_by_key(|(number, _)| *number);
        group.into_iter().map(|(_, piece)| piece).collect()
    };
    groups.into_iter().map(in_order).collect()
}

impl LogCursor for Cursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        self.rest = Rest::Rows(0..0);
        self.groups.clear();
        let Some((labels, pieces)) = self.streams.next() else {
            return Ok(None);
        };
        self.groups = group_by_overlap(pieces);
        // Groups are taken from the end.
        if self.question.direction == Direction::Forward {
            self.groups.reverse();
        }
        Ok(Some(labels))
    }

    fn read(&mut self, into: &mut LogBlock) -> Result<bool> {
        into.clear();
        loop {
            if self.rest.is_empty() && !self.load_group()? {
                return Ok(false);
            }
            self.deliver_next(into);
            if !into.is_empty() {
                return Ok(true);
            }
        }
    }

    fn stop_at(&mut self, time: i64) {
        match self.question.direction {
            Direction::Forward => self.range.end = self.range.end.min(time.saturating_add(1)),
            Direction::Backward => self.range.start = self.range.start.max(time),
        }
        if let Rest::Rows(rows) = &self.rest {
            self.rest = Rest::Rows(self.narrowed(rows.clone()));
        }
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn LogCursor>> {
        let streams: Vec<_> = self.streams.collect();
        let size = streams.len().div_ceil(parts.max(1)).max(1);
        let cursor = |streams: &[(Labels, Vec<Piece>)]| -> Box<dyn LogCursor> {
            Box::new(Self::new(
                streams.to_vec(),
                self.question.clone(),
                self.range,
            ))
        };
        match streams.is_empty() {
            true => vec![cursor(&[])],
            false => streams.chunks(size).map(cursor).collect(),
        }
    }

    fn costs(&self) -> LogCosts {
        self.costs
    }
}
