//! Binary operators on two values.

use std::sync::Arc;

use headwater_model::histogram::{IncompatibleSchemas, Keep};
use headwater_model::{FloatHistogram, ResetHint};

use super::column::{Cell, Column, Hist, Key};
use super::{Cursor, Exec, Result, Sink};
use crate::annotation::{Note, Notes, Operation};
use crate::functions::math::modulo;
use crate::plan::{Kind, Node};
use crate::syntax::ast::BinaryOp;
use crate::syntax::position::PosRange;

/// The result of an operator on two numbers; comparisons give 1 or 0.
pub(crate) fn scalar_op(op: BinaryOp, lhs: f64, rhs: f64) -> f64 {
    match float_op(op, lhs, rhs) {
        (_, keep) if op.is_comparison() => f64::from(u8::from(keep)),
        (value, _) => value,
    }
}

/// The result of an operator on two floats, and whether a comparison holds. Comparisons return the left side.
#[inline]
pub(crate) fn float_op(op: BinaryOp, lhs: f64, rhs: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (lhs + rhs, true),
        BinaryOp::Sub => (lhs - rhs, true),
        BinaryOp::Mul => (lhs * rhs, true),
        BinaryOp::Div => (lhs / rhs, true),
        BinaryOp::Mod => (modulo(lhs, rhs), true),
        BinaryOp::Pow => (lhs.powf(rhs), true),
        BinaryOp::Atan2 => (lhs.atan2(rhs), true),
        BinaryOp::Equal => (lhs, lhs == rhs),
        BinaryOp::NotEqual => (lhs, lhs != rhs),
        BinaryOp::Greater => (lhs, lhs > rhs),
        BinaryOp::Less => (lhs, lhs < rhs),
        BinaryOp::GreaterEqual => (lhs, lhs >= rhs),
        BinaryOp::LessEqual => (lhs, lhs <= rhs),
        BinaryOp::TrimUpper
        | BinaryOp::TrimLower
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless => (0.0, false),
    }
}

/// What an operator gives for two values of any kind.
#[derive(Debug)]
pub(super) enum Element {
    /// The operator means nothing for these kinds.
    Nothing,
    Float {
        value: f64,
        keep: bool,
    },
    Hist {
        value: Hist,
        keep: bool,
    },
}

/// Applies operators to values and says what is odd about them.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    pub(super) op: BinaryOp,
    pub(super) notes: &'a Notes,
    pub(super) place: PosRange,
}

impl Elements<'_> {
    /// Whether the operator cuts histograms, which has no meaning for floats.
    pub(super) const fn trims(&self) -> bool {
        matches!(self.op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
    }

    pub(super) fn apply(&self, lhs: Cell<'_>, rhs: Cell<'_>) -> Element {
        match (lhs, rhs) {
            (Cell::None, _) | (_, Cell::None) => Element::Nothing,
            (Cell::Float(_), Cell::Float(_)) if self.trims() => self.incompatible("float", "float"),
            (Cell::Float(lhs), Cell::Float(rhs)) => {
                let (value, keep) = float_op(self.op, lhs, rhs);
                Element::Float { value, keep }
            }
            (Cell::Float(lhs), Cell::Hist(rhs)) => match self.op {
                BinaryOp::Mul => changed(rhs, |hist| hist.mul(lhs)),
                _ => self.incompatible("float", "histogram"),
            },
            (Cell::Hist(lhs), Cell::Float(rhs)) => match self.op {
                BinaryOp::Mul => changed(lhs, |hist| hist.mul(rhs)),
                BinaryOp::Div => changed(lhs, |hist| hist.div(rhs)),
                BinaryOp::TrimUpper => kept(lhs.trimmed(Keep::Below, rhs)),
                BinaryOp::TrimLower => kept(lhs.trimmed(Keep::Above, rhs)),
                _ => self.incompatible("histogram", "float"),
            },
            (Cell::Hist(lhs), Cell::Hist(rhs)) => self.histograms(lhs, rhs),
        }
    }

    fn histograms(&self, lhs: &Hist, rhs: &Hist) -> Element {
        match self.op {
            BinaryOp::Add => self.combined(lhs, Operation::Addition, |hist| hist.add(rhs)),
            BinaryOp::Sub => self.combined(lhs, Operation::Subtraction, |hist| {
                let combined = hist.sub(rhs)?;
                hist.reset_hint = ResetHint::Gauge;
                Ok(combined)
            }),
            BinaryOp::Equal => Element::Hist {
                value: lhs.clone(),
                keep: lhs.same_as(rhs),
            },
            BinaryOp::NotEqual => Element::Hist {
                value: lhs.clone(),
                keep: !lhs.same_as(rhs),
            },
            _ => self.incompatible("histogram", "histogram"),
        }
    }

    fn combined(
        &self,
        lhs: &Hist,
        operation: Operation,
        combine: impl FnOnce(
            &mut FloatHistogram,
        )
            -> Result<headwater_model::histogram::Combined, IncompatibleSchemas>,
    ) -> Element {
        let mut hist = (**lhs).clone();
        match combine(&mut hist) {
            Ok(combined) => {
                if combined.reset_conflict {
                    self.notes.add(Note::ResetConflict(operation), self.place);
                }
                if combined.bounds_reconciled {
                    self.notes
                        .add(Note::BoundsReconciled(operation), self.place);
                }
                kept(hist)
            }
            Err(IncompatibleSchemas) => {
                self.notes
                    .add(Note::IncompatibleBuckets(self.op.as_str()), self.place);
                Element::Nothing
            }
        }
    }

    fn incompatible(&self, left: &str, right: &str) -> Element {
        self.notes.add(
            Note::IncompatibleTypes {
                left,
                op: self.op.as_str(),
                right,
            },
            self.place,
        );
        Element::Nothing
    }
}

fn changed(hist: &Hist, change: impl FnOnce(&mut FloatHistogram)) -> Element {
    let mut hist = (**hist).clone();
    change(&mut hist);
    kept(hist)
}

fn kept(mut hist: FloatHistogram) -> Element {
    hist.compact();
    Element::Hist {
        value: Arc::new(hist),
        keep: true,
    }
}

impl Exec {
    /// An operator between a vector and a scalar.
    pub(super) fn vector_scalar(
        self: &Arc<Self>,
        node: &Arc<Node>,
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let Kind::VectorScalar {
            op,
            vector,
            scalar,
            swapped,
            return_bool,
        } = &node.kind
        else {
            return Ok(());
        };
        let scalar = self.scalar(scalar)?;
        let run = WithScalar {
            elements: Elements {
                op: *op,
                notes: &self.notes,
                place: node.place,
            },
            swapped: *swapped,
            return_bool: *return_bool,
        };
        let each = |key: &mut Key, column: &mut Column| {
            run.apply(column, &scalar);
            if op.changes_meaning() || *return_bool {
                self.drop_name(key);
            }
            Ok(())
        };
        if op.changes_meaning() || *return_bool {
            return self.stream_renamed(vector, cursor, sink, each);
        }
        self.stream(vector, cursor, &mut |mut key: Key, column: &mut Column| {
            each(&mut key, column)?;
            if column.is_empty() {
                Ok(())
            } else {
                sink.push(key, column)
            }
        })
    }
}

struct WithScalar<'a> {
    elements: Elements<'a>,
    swapped: bool,
    return_bool: bool,
}

impl WithScalar<'_> {
    fn apply(&self, column: &mut Column, scalar: &[f64]) {
        if column.hists.is_empty() && !self.elements.trims() {
            return self.floats(column, scalar);
        }
        let input = std::mem::replace(column, Column::absent(column.floats.len()));
        for (step, &scalar) in scalar.iter().enumerate() {
            let value = input.at(step);
            let (lhs, rhs) = if self.swapped {
                (Cell::Float(scalar), value)
            } else {
                (value, Cell::Float(scalar))
            };
            self.set(column, step, self.elements.apply(lhs, rhs), value);
        }
    }

    fn set(&self, column: &mut Column, step: usize, element: Element, vector: Cell<'_>) {
        let comparison = self.elements.op.is_comparison();
        let (keep, result) = match element {
            Element::Nothing => return,
            Element::Float { value, keep } => (keep, Cell::Float(value)),
            Element::Hist { ref value, keep } => {
                if self.return_bool {
                    column.floats[step] = f64::from(u8::from(keep));
                } else if keep {
                    column.set(step, Cell::Hist(value));
                }
                return;
            }
        };
        if self.return_bool {
            column.floats[step] = f64::from(u8::from(keep));
        } else if keep {
            // A comparison keeps the value of the vector, on whichever side it stands.
            column.set(step, if comparison { vector } else { result });
        }
    }

    fn floats(&self, column: &mut Column, scalar: &[f64]) {
        let op = self.elements.op;
        for (value, &scalar) in column.floats.iter_mut().zip(scalar) {
            if headwater_query::is_absent(*value) {
                continue;
            }
            let vector = *value;
            let (lhs, rhs) = if self.swapped {
                (scalar, vector)
            } else {
                (vector, scalar)
            };
            let (result, keep) = float_op(op, lhs, rhs);
            *value = match (self.return_bool, keep) {
                (true, keep) => f64::from(u8::from(keep)),
                (false, true) if op.is_comparison() => vector,
                (false, true) => result,
                (false, false) => headwater_query::ABSENT,
            };
        }
    }
}
