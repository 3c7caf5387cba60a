//! Aggregations that keep a running state for each group: series pass by and are forgotten.

use std::sync::Arc;

use headwater_model::histogram::HistogramSum;
use headwater_model::{FloatHistogram, Labels, ResetHint};
use headwater_query::{ABSENT, FloatAggregate, FloatGroup, Hold, is_present};

use super::block::{Block, Row};
use super::column::{Column, Key};
use super::grouping::Grouping;
use super::{Exec, Result, Sink};
use crate::annotation::{Note, Operation};
use crate::plan::{AggregateNode, Node, Param};
use crate::syntax::ast::AggregateOp;

/// The running state of a group.
#[derive(Debug)]
struct Group {
    floats: FloatGroup,
    /// Sums of histograms by step, once there is a histogram.
    hists: Vec<Option<HistGroup>>,
    /// The metric of the first histogram.
    hist_metric: String,
    drop_name: bool,
}

/// The sum or mean of the histograms of a group at one step.
#[derive(Debug)]
struct HistGroup {
    /// `None` once histograms came together that cannot be added.
    sum: Option<HistogramSum>,
    count: f64,
    /// `sum` is a running mean, because the sum itself overflowed.
    incremental: bool,
    reset: bool,
    not_reset: bool,
}

impl HistGroup {
    fn new(first: &FloatHistogram) -> Self {
        let mut group = Self {
            sum: Some(HistogramSum::new(first.clone())),
            count: 1.0,
            incremental: false,
            reset: false,
            not_reset: false,
        };
        group.note_hint(first);
        group
    }

    fn note_hint(&mut self, hist: &FloatHistogram) {
        self.reset |= hist.reset_hint == ResetHint::Reset;
        self.not_reset |= hist.reset_hint == ResetHint::NotReset;
    }

    /// Adds a histogram; answers whether bounds had to be reconciled, `None` if it cannot be added.
    fn add(&mut self, hist: &FloatHistogram, mean: bool) -> Option<bool> {
        let sum = self.sum.as_mut()?;
        self.reset |= hist.reset_hint == ResetHint::Reset;
        self.not_reset |= hist.reset_hint == ResetHint::NotReset;
        self.count += 1.0;
        if mean && !self.incremental {
            let mut next = sum.clone();
            let Ok(combined) = next.add(hist) else {
                self.sum = None;
                return None;
            };
            if !next.has_overflow() {
                *sum = next;
                return Some(combined.bounds_reconciled);
            }
            self.incremental = true;
            sum.mul(1.0 / (self.count - 1.0));
        }
        let added = if self.incremental {
            sum.mul((self.count - 1.0) / self.count);
            let mut share = hist.clone();
            share.div(self.count);
            sum.add(&share)
        } else {
            sum.add(hist)
        };
        match added {
            Ok(combined) => Some(combined.bounds_reconciled),
            Err(_) => {
                self.sum = None;
                None
            }
        }
    }

    fn finish(self, mean: bool) -> Option<FloatHistogram> {
        let mut result = self.sum?.finish();
        if mean && !self.incremental {
            result.div(self.count);
        }
        Some(result)
    }
}

const fn float_kind(op: AggregateOp) -> FloatAggregate {
    match op {
        AggregateOp::Avg => FloatAggregate::Avg,
        AggregateOp::Min => FloatAggregate::Min,
        AggregateOp::Max => FloatAggregate::Max,
        AggregateOp::Count => FloatAggregate::Count,
        AggregateOp::Group => FloatAggregate::Group,
        AggregateOp::Stddev => FloatAggregate::Stddev,
        AggregateOp::Stdvar => FloatAggregate::Stdvar,
        _ => FloatAggregate::Sum,
    }
}

/// What a group without histograms takes.
fn group_bytes(floats: &FloatGroup, labels: &Labels) -> u64 {
    (floats.size_bytes() + labels.packed_len() + size_of::<Group>()) as u64
}

/// Groups and their states, fed with series.
struct Running {
    exec: Arc<Exec>,
    node: Arc<Node>,
    op: AggregateOp,
    grouping: Grouping,
    groups: Vec<Group>,
    hold: Hold,
}

impl Sink for Running {
    fn push(&mut self, key: Key, column: &mut Column) -> Result<()> {
        let at = self.group_of(&key.labels)?;
        self.groups[at].drop_name |= key.drop_name;
        if !column.hists.is_empty() {
            self.histograms(at, &key, column)?;
        }
        self.groups[at].floats.add(&column.floats);
        Ok(())
    }
}

impl Running {
    fn new(exec: Arc<Exec>, node: Arc<Node>, aggregate: &AggregateNode) -> Result<Self> {
        let hold = exec.budget.hold(0, 0, aggregate.op.as_str())?;
        let (op, grouping) = (aggregate.op, Grouping::new(aggregate));
        Ok(Self {
            exec,
            node,
            op,
            grouping,
            groups: Vec::new(),
            hold,
        })
    }

    fn note(&self, note: Note<'_>) {
        if let crate::plan::Kind::Aggregate(aggregate) = &self.node.kind {
            self.exec.notes.add(note, aggregate.input.place);
        }
    }

    fn group_of(&mut self, labels: &Labels) -> Result<usize> {
        let at = self.grouping.of(labels);
        if at == self.groups.len() {
            let steps = self.node.grid.len();
            let floats = FloatGroup::new(float_kind(self.op), steps);
            let bytes = group_bytes(&floats, labels);
            self.hold.grow(steps as u64, bytes, self.op.as_str())?;
            self.groups.push(Group {
                floats,
                hists: Vec::new(),
                hist_metric: String::new(),
                drop_name: false,
            });
        }
        Ok(at)
    }

    fn histograms(&mut self, at: usize, key: &Key, column: &mut Column) -> Result<()> {
        match self.op {
            AggregateOp::Sum | AggregateOp::Avg => self.add_histograms(at, key, column),
            AggregateOp::Count | AggregateOp::Group => {
                for (step, _) in &column.hists {
                    column.floats[*step as usize] = 1.0;
                }
                Ok(())
            }
            op => {
                self.note(Note::HistogramIgnored(op.as_str()));
                Ok(())
            }
        }
    }

    fn add_histograms(&mut self, at: usize, key: &Key, column: &Column) -> Result<()> {
        let steps = self.node.grid.len();
        let mean = self.op == AggregateOp::Avg;
        let (mut reconciled, mut incompatible, mut bytes) = (false, false, 0);
        let group = &mut self.groups[at];
        if group.hists.is_empty() {
            group.hists.resize_with(steps, || None);
            group.hist_metric = key.labels.metric_name().unwrap_or("").to_owned();
        }
        for (step, hist) in &column.hists {
            match &mut group.hists[*step as usize] {
                empty @ None => {
                    bytes += hist.size_bytes() as u64 * 2;
                    *empty = Some(HistGroup::new(hist));
                }
                Some(held) if held.sum.is_some() => match held.add(hist, mean) {
                    Some(changed) => reconciled |= changed,
                    None => incompatible = true,
                },
                Some(_) => {}
            }
        }
        if reconciled {
            self.note(Note::BoundsReconciled(Operation::Aggregation));
        }
        if incompatible {
            self.note(Note::MixedExponentialCustom(
                key.labels.metric_name().unwrap_or(""),
            ));
        }
        self.hold.grow(bytes / 16, bytes, self.op.as_str())
    }

    /// Takes over the groups of another part of the series.
    fn merge(&mut self, mut other: Self) -> Result<()> {
        let mean = self.op == AggregateOp::Avg;
        let steps = self.node.grid.len() as u64;
        for (labels, group) in other.grouping.into_labels().iter().zip(other.groups) {
            let at = self.grouping.of(labels);
            if at == self.groups.len() {
                let bytes = group_bytes(&group.floats, labels);
                other.hold.hand_over(steps, bytes, &mut self.hold);
                self.groups.push(group);
                continue;
            }
            let mine = &mut self.groups[at];
            mine.floats.merge(&group.floats);
            mine.drop_name |= group.drop_name;
            let mut incompatible = false;
            if mine.hists.is_empty() && !group.hists.is_empty() {
                mine.hists.resize_with(group.hists.len(), || None);
                mine.hist_metric.clone_from(&group.hist_metric);
            }
            for (mine, theirs) in mine.hists.iter_mut().zip(group.hists) {
                match (mine, theirs) {
                    (_, None) => {}
                    (mine @ None, theirs) => *mine = theirs,
                    (Some(mine), Some(theirs)) => {
                        incompatible |= !merge_histograms(mine, theirs, mean)
                    }
                }
            }
            if incompatible {
                self.note(Note::MixedExponentialCustom(&group.hist_metric));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Block {
        let mut rows = Vec::with_capacity(self.groups.len());
        let groups = std::mem::take(&mut self.groups);
        let grouping = std::mem::replace(&mut self.grouping, Grouping::by(Vec::new(), false));
        for (labels, group) in grouping.into_labels().into_iter().zip(groups) {
            let drop_name = group.drop_name;
            let column = self.finish_group(group);
            if !column.is_empty() {
                rows.push(Row {
                    key: Key { labels, drop_name },
                    column,
                });
            }
        }
        Block::held(rows, self.hold)
    }

    fn finish_group(&self, group: Group) -> Column {
        let mean = self.op == AggregateOp::Avg;
        let mut column = Column {
            floats: group.floats.finish(),
            hists: Vec::new(),
        };
        for (step, hist) in group.hists.into_iter().enumerate() {
            let Some(hist) = hist else { continue };
            if is_present(column.floats[step]) {
                self.note(Note::MixedFloatsHistogramsInAggregation);
                column.floats[step] = ABSENT;
                continue;
            }
            if hist.reset && hist.not_reset && hist.sum.is_some() {
                self.note(Note::ResetConflict(Operation::Aggregation));
            }
            if let Some(result) = hist.finish(mean) {
                column.set_hist(step, result);
            }
        }
        column
    }
}

/// Joins the histograms of two parts; answers false if they cannot be added.
fn merge_histograms(mine: &mut HistGroup, theirs: HistGroup, mean: bool) -> bool {
    mine.reset |= theirs.reset;
    mine.not_reset |= theirs.not_reset;
    let (count, incremental) = (theirs.count, theirs.incremental);
    let (Some(sum), Some(other)) = (mine.sum.as_mut(), theirs.sum) else {
        mine.sum = None;
        return true;
    };
    let mut other = other.finish();
    let total = mine.count + count;
    if mean && (incremental || mine.incremental) {
        if !mine.incremental {
            sum.mul(1.0 / mine.count);
        }
        sum.mul(mine.count / total);
        other.mul(if incremental {
            count / total
        } else {
            1.0 / total
        });
        mine.incremental = true;
    }
    mine.count = total;
    let added = sum.add(&other).is_ok();
    if !added {
        mine.sum = None;
    }
    added
}

impl Exec {
    pub(super) fn aggregate(
        self: &Arc<Self>,
        node: &Arc<Node>,
        aggregate: &AggregateNode,
    ) -> Result<Block> {
        match (aggregate.op, &aggregate.param) {
            (AggregateOp::Quantile, Some(Param::Number(param))) => {
                self.quantile(node, aggregate, param)
            }
            (AggregateOp::TopK | AggregateOp::BottomK, Some(Param::Number(param))) => {
                self.topk(node, aggregate, param)
            }
            (AggregateOp::LimitK | AggregateOp::LimitRatio, Some(Param::Number(param))) => {
                self.limit(node, aggregate, param)
            }
            (
                AggregateOp::CountValues,
                Some(Param::Text {
                    value,
                    shown,
                    valid,
                }),
            ) => self.count_values(node, aggregate, (value, shown, *valid)),
            _ => self.running(node, aggregate),
        }
    }

    fn running(self: &Arc<Self>, node: &Arc<Node>, aggregate: &AggregateNode) -> Result<Block> {
        let (exec, outer) = (self.clone(), node.clone());
        let parts = self.parts(&aggregate.input, move || {
            let crate::plan::Kind::Aggregate(aggregate) = &outer.kind else {
                return Err(super::execution("not an aggregation"));
            };
            Running::new(exec.clone(), outer.clone(), aggregate)
        })?;
        if let Some(measures) = &self.measures {
            let held = parts.iter().map(|part| part.hold.bytes()).sum();
            measures.of(node).held(held);
        }
        let mut parts = parts.into_iter();
        let Some(mut whole) = parts.next() else {
            return Ok(Block::default());
        };
        for part in parts {
            whole.merge(part)?;
        }
        Ok(whole.finish())
    }
}
