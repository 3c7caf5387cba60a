//! All series of an operator at once.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use headwater_query::Hold;

use super::column::{Column, Key};
use super::{Exec, Result, Sink, same_labelset};
use crate::plan::Node;

/// Series with their columns.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) rows: Vec<Row>,
    holds: Vec<Hold>,
}

/// One series.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) column: Column,
}

impl Block {
    pub(super) fn collected(parts: Vec<Collector>) -> Self {
        let mut block = Self::default();
        for part in parts {
            block.rows.extend(part.rows);
            block.holds.push(part.hold);
        }
        block
    }

    pub(crate) fn of(rows: Vec<Row>) -> Self {
        Self {
            rows,
            holds: Vec::new(),
        }
    }

    /// Rows with the room that they take.
    pub(super) fn held(rows: Vec<Row>, hold: Hold) -> Self {
        Self {
            rows,
            holds: vec![hold],
        }
    }

    /// Takes over the rows and the room of another block.
    pub(super) fn join(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.holds.extend(other.holds);
    }

    /// Takes more room.
    pub(super) fn hold(&mut self, hold: Hold) {
        self.holds.push(hold);
    }

    /// Other rows in the room of these.
    pub(super) fn with_rows(self, rows: Vec<Row>) -> Self {
        Self {
            rows,
            holds: self.holds,
        }
    }
}

/// What a row of so many steps takes.
pub(super) const fn row_bytes(steps: usize) -> u64 {
    (steps * 8 + size_of::<Row>()) as u64
}

/// Collects series and counts what they hold.
pub(crate) struct Collector {
    rows: Vec<Row>,
    hold: Hold,
    operator: &'static str,
}

impl Collector {
    pub(crate) fn new(exec: &Exec, operator: &'static str) -> Result<Self> {
        Ok(Self {
            rows: Vec::new(),
            hold: exec.budget.hold(0, 0, operator)?,
            operator,
        })
    }
}

impl Sink for Collector {
    fn push(&mut self, key: Key, column: &mut Column) -> Result<()> {
        let bytes = column.size_bytes() + key.labels.packed_len() as u64 + size_of::<Row>() as u64;
        self.hold.grow(column.samples(), bytes, self.operator)?;
        // The scratch column keeps its memory; a row takes no more than it needs.
        let column = Column {
            floats: column.floats.clone(),
            hists: std::mem::take(&mut column.hists),
        };
        self.rows.push(Row { key, column });
        Ok(())
    }
}

impl Exec {
    /// Collects all series of an operator, on several threads where that can be done.
    pub(crate) fn block(self: &Arc<Self>, node: &Arc<Node>) -> Result<Block> {
        let exec = self.clone();
        let parts = self.parts(node, move || Collector::new(&exec, "a vector"))?;
        if let Some(measures) = &self.measures {
            let held = parts.iter().map(|part| part.hold.bytes()).sum();
            measures.of(node).held(held);
        }
        Ok(Block::collected(parts))
    }
}

/// Joins series that have become one; they must not have values at the same step.
pub(crate) fn merge_same(rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut known: HashTable<usize> = HashTable::with_capacity(rows.len());
    let mut out: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        let hash = |row: &Row| row.key.labels.hash64() ^ u64::from(row.key.drop_name);
        let same = |at: &usize| out[*at].key == row.key;
        match known.entry(hash(&row), same, |at| hash(&out[*at])) {
            Entry::Vacant(entry) => {
                entry.insert(out.len());
                out.push(row);
            }
            Entry::Occupied(entry) => {
                if !out[*entry.get()].column.absorb(&row.column) {
                    return Err(same_labelset());
                }
            }
        }
    }
    Ok(out)
}
