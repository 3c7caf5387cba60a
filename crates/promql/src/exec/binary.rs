//! Operators between two vectors: series find their partners by labels, step by step.
//!
//! Labels decide only which series may meet; whether they do depends on the step. So series are
//! put into match groups once, and inside a group columns are joined. In the plain case, one series
//! on the "one" side of a group, that is a loop over two columns.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_model::{Labels, LabelsBuilder};
use headwater_query::{Hold, is_absent};

use super::block::{Block, Row, row_bytes};
use super::column::{Cell, Column, Key, is_reserved};
use super::elements::{Element, Elements, float_op};
use super::{Exec, Result, execution, same_labelset};
use crate::plan::{Kind, Node};
use crate::syntax::ast::{BinaryOp, Cardinality, Matching};

/// Numbers the match groups of the series of both sides.
#[derive(Default)]
pub(super) struct Groups {
    known: HashMap<u64, Vec<(Labels, usize)>>,
    count: usize,
}

impl Groups {
    /// The group of a series.
    pub(super) fn of(&mut self, labels: &Labels, matching: &Matching) -> usize {
        let keep = |name: &str| matches_on(matching, name);
        let candidates = self.known.entry(labels.hash_projected(keep)).or_default();
        let same = |known: &Labels| {
            known
                .iter()
                .eq(labels.iter().filter(|(name, _)| keep(name)))
        };
        if let Some((_, group)) = candidates.iter().find(|(known, _)| same(known)) {
            return *group;
        }
        candidates.push((labels.project(keep), self.count));
        self.count += 1;
        self.count - 1
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

/// Whether a label takes part in matching.
fn matches_on(matching: &Matching, name: &str) -> bool {
    let listed = matching.labels.iter().any(|label| label == name);
    if matching.on {
        listed
    } else {
        !listed && name != "__name__"
    }
}

/// The series of one match group on both sides.
#[derive(Default)]
struct Group {
    many: Vec<usize>,
    one: Vec<usize>,
}

/// The join of two blocks.
struct Join<'a> {
    exec: &'a Exec,
    elements: Elements<'a>,
    matching: &'a Matching,
    return_bool: bool,
    /// The "many" side is the right one.
    swapped: bool,
    steps: usize,
    many: Vec<Row>,
    one: Vec<Row>,
    out: Output,
}

/// Result series by their labels.
struct Output {
    known: HashMap<Labels, usize>,
    rows: Vec<Row>,
    /// The group whose series wrote last to each row.
    groups: Vec<usize>,
    /// Steps at which series met for a row, with or without a result.
    met: Vec<Vec<bool>>,
    hold: Hold,
}

impl Exec {
    pub(super) fn binary(self: &Arc<Self>, node: &Arc<Node>) -> Result<Block> {
        let Kind::Binary {
            op,
            lhs,
            rhs,
            matching,
            return_bool,
        } = &node.kind
        else {
            return Ok(Block::default());
        };
        let (lhs, rhs) = (self.block(lhs)?, self.block(rhs)?);
        let nothing_fills = matching.fill_left.is_none() && matching.fill_right.is_none();
        if nothing_fills && (lhs.rows.is_empty() || rhs.rows.is_empty()) {
            return Ok(Block::default());
        }
        let swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped {
            (rhs.rows, lhs.rows)
        } else {
            (lhs.rows, rhs.rows)
        };
        let join = Join {
            exec: self,
            elements: Elements {
                op: *op,
                notes: &self.notes,
                place: node.place,
            },
            matching,
            return_bool: *return_bool,
            swapped,
            steps: node.grid.len(),
            many,
            one,
            out: Output::new(self.budget.hold(0, 0, op.as_str())?),
        };
        join.run()
    }
}

impl Join<'_> {
    fn run(mut self) -> Result<Block> {
        let mut numbers = Groups::default();
        let mut groups: Vec<Group> = Vec::new();
        let mut put = |rows: &[Row], many: bool| {
            for (at, row) in rows.iter().enumerate() {
                let number = numbers.of(&row.key.labels, self.matching);
                if groups.len() <= number {
                    groups.resize_with(number + 1, Group::default);
                }
                let side = if many {
                    &mut groups[number].many
                } else {
                    &mut groups[number].one
                };
                side.push(at);
            }
        };
        put(&self.many, true);
        put(&self.one, false);
        self.check_one_side(&groups)?;
        for (number, group) in groups.iter().enumerate() {
            self.exec.check()?;
            self.group(number, group)?;
            self.fills(number, group)?;
        }
        let mut rows = self.out.rows;
        rows.retain(|row| !row.column.is_empty());
        Ok(Block::held(rows, self.out.hold))
    }

    /// No two series of the "one" side may be there at the same step. Of several such pairs, the
    /// one reported is the first in time, then in order of labels.
    fn check_one_side(&self, groups: &[Group]) -> Result<()> {
        let mut found: Option<(usize, &Labels, &Labels)> = None;
        for group in groups.iter().filter(|group| group.one.len() > 1) {
            let mut members: Vec<&Row> = group.one.iter().map(|at| &self.one[*at]).collect();
            members.sort_by(|a, b| a.key.labels.cmp(&b.key.labels));
            let until = found.as_ref().map_or(self.steps, |(step, ..)| step + 1);
            let Some((step, first, second)) =
                (0..until).find_map(|step| self.meeting(&members, step))
            else {
                continue;
            };
            if found.is_none_or(|(at, _, known)| (step, second) < (at, known)) {
                found = Some((step, first, second));
            }
        }
        found.map_or(Ok(()), |(_, first, second)| {
            Err(self.duplicate(first, second))
        })
    }

    /// The first two series that are there at a step.
    fn meeting<'r>(
        &self,
        members: &[&'r Row],
        step: usize,
    ) -> Option<(usize, &'r Labels, &'r Labels)> {
        let mut there = members.iter().filter(|row| row.column.has(step));
        let (first, second) = (there.next()?, there.next()?);
        self.matters(step)
            .then_some((step, &first.key.labels, &second.key.labels))
    }

    /// Without anything on the other side, nothing is matched at a step, so nothing can be ambiguous.
    fn matters(&self, step: usize) -> bool {
        let fills = self.matching.fill_left.is_some() || self.matching.fill_right.is_some();
        fills || self.many.iter().any(|row| row.column.has(step))
    }

    fn duplicate(&self, first: &Labels, second: &Labels) -> headwater_query::QueryError {
        let group = self.match_labels(first);
        let side = if self.swapped { "left" } else { "right" };
        execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    fn group(&mut self, number: usize, group: &Group) -> Result<()> {
        for &many in &group.many {
            for &one in &group.one {
                let (left, right) = (&self.many[many], &self.one[one]);
                let column = self.join(&left.column, &right.column);
                self.emit(number, &left.key.clone(), &right.key.labels.clone(), column)?;
            }
        }
        Ok(())
    }

    /// Series whose partner is missing at some steps meet the fill value there.
    fn fills(&mut self, number: usize, group: &Group) -> Result<()> {
        // As in Prometheus, "left" is the "many" side here, also under group_right.
        let (for_one, for_many) = (self.matching.fill_right, self.matching.fill_left);
        if let Some(fill) = for_one {
            let stand_in = self.stand_in(&group.one, &self.one, fill);
            for &many in &group.many {
                let key = self.many[many].key.clone();
                let column = self.join(&self.many[many].column, &stand_in);
                let labels = self.match_labels(&key.labels);
                self.emit(number, &key, &labels, column)?;
            }
        }
        if let Some(fill) = for_many {
            let stand_in = self.stand_in(&group.many, &self.many, fill);
            for &one in &group.one {
                let labels = self.one[one].key.labels.clone();
                let column = self.join(&stand_in, &self.one[one].column);
                let key = Key::new(self.match_labels(&labels));
                self.emit(number, &key, &labels, column)?;
            }
        }
        Ok(())
    }

    /// The fill value at the steps at which none of the rows has a value.
    fn stand_in(&self, members: &[usize], rows: &[Row], fill: f64) -> Column {
        let mut column = Column::absent(self.steps);
        for step in 0..self.steps {
            if members.iter().all(|at| !rows[*at].column.has(step)) {
                column.floats[step] = fill;
            }
        }
        column
    }

    fn match_labels(&self, labels: &Labels) -> Labels {
        labels.project(|name| matches_on(self.matching, name))
    }

    /// The result of the operator at the steps at which both have a value, with a mark at the steps
    /// at which they met without a result.
    fn join(&self, many: &Column, one: &Column) -> Joined {
        let mut column = Column::absent(self.steps);
        let mut met = vec![false; self.steps];
        if many.hists.is_empty() && one.hists.is_empty() && !self.elements.trims() {
            self.join_floats(many, one, &mut column.floats, &mut met);
            return Joined { column, met };
        }
        for (step, met) in met.iter_mut().enumerate() {
            let (many, one) = (many.at(step), one.at(step));
            let (lhs, rhs) = if self.swapped {
                (one, many)
            } else {
                (many, one)
            };
            if matches!(lhs, Cell::None) || matches!(rhs, Cell::None) {
                continue;
            }
            match self.elements.apply(lhs, rhs) {
                Element::Nothing => continue,
                Element::Float { keep, .. } | Element::Hist { keep, .. } if self.return_bool => {
                    column.floats[step] = f64::from(u8::from(keep));
                }
                Element::Float { value, keep: true } => column.floats[step] = value,
                Element::Hist { value, keep: true } => column.hists.push((step as u32, value)),
                Element::Float { .. } | Element::Hist { .. } => {}
            }
            *met = true;
        }
        Joined { column, met }
    }

    /// The loop for columns without histograms, which is nearly all of them.
    fn join_floats(&self, many: &Column, one: &Column, into: &mut [f64], met: &mut [bool]) {
        let pairs = many.floats.iter().zip(&one.floats);
        for ((into, met), (many, one)) in into.iter_mut().zip(met).zip(pairs) {
            if is_absent(*many) || is_absent(*one) {
                continue;
            }
            let (lhs, rhs) = if self.swapped {
                (*one, *many)
            } else {
                (*many, *one)
            };
            let (value, keep) = float_op(self.elements.op, lhs, rhs);
            *met = true;
            if self.return_bool {
                *into = f64::from(u8::from(keep));
            } else if keep {
                *into = value;
            }
        }
    }

    fn emit(&mut self, group: usize, many: &Key, one: &Labels, joined: Joined) -> Result<()> {
        if !joined.met.contains(&true) {
            return Ok(());
        }
        // Prometheus forgets here that the name was to go: a filter gives it back.
        let mut key = Key::new(self.result_labels(&many.labels, one));
        if self.return_bool {
            self.exec.drop_name(&mut key);
        }
        self.out.add(
            group,
            key,
            joined,
            self.matching.cardinality == Cardinality::OneToOne,
        )
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let op: BinaryOp = self.elements.op;
        let mut labels = LabelsBuilder::new();
        labels.reset_to(many);
        if op.changes_meaning() {
            labels.retain(|name, _| !is_reserved(name));
        }
        if self.matching.cardinality == Cardinality::OneToOne {
            let listed = |name: &str| self.matching.labels.iter().any(|label| label == name);
            labels.retain(|name, _| listed(name) == self.matching.on);
        }
        for name in &self.matching.include {
            labels.set(name, one.get(name).unwrap_or(""));
        }
        labels.build()
    }
}

struct Joined {
    column: Column,
    met: Vec<bool>,
}

impl Output {
    fn new(hold: Hold) -> Self {
        Self {
            known: HashMap::new(),
            rows: Vec::new(),
            groups: Vec::new(),
            met: Vec::new(),
            hold,
        }
    }

    /// Adds a result; two results of one series at one step mean that the matching was ambiguous.
    fn add(&mut self, group: usize, key: Key, joined: Joined, one_to_one: bool) -> Result<()> {
        let Some(&at) = self.known.get(&key.labels) else {
            let steps = joined.met.len();
            let bytes = row_bytes(steps) + key.labels.packed_len() as u64 + steps as u64;
            self.hold.grow(0, bytes, "an operator between vectors")?;
            self.known.insert(key.labels.clone(), self.rows.len());
            self.rows.push(Row {
                key,
                column: joined.column,
            });
            self.groups.push(group);
            self.met.push(joined.met);
            return Ok(());
        };
        let twice = self.met[at].iter().zip(&joined.met).any(|(a, b)| *a && *b);
        if twice {
            return Err(match (self.groups[at] == group, one_to_one) {
                (true, true) => execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ),
                (true, false) => execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ),
                (false, _) => same_labelset(),
            });
        }
        self.groups[at] = group;
        self.met[at]
            .iter_mut()
            .zip(&joined.met)
            .for_each(|(met, new)| *met |= new);
        self.rows[at].column.absorb(&joined.column);
        Ok(())
    }
}
