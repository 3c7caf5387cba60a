//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`: over native histograms, and
//! over classic ones whose buckets are series with the label `le`.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_model::number::parse_float;
use headwater_model::{FloatHistogram, Labels, LabelsBuilder};
use headwater_query::{ABSENT, is_present};

use super::block::{Block, Row, merge_same, row_bytes};
use super::column::{Cell, Column, Key};
use super::{Exec, Result};
use crate::annotation::Note;
use crate::functions::buckets::{
    ClassicBucket, classic_fraction, classic_quantile, native_fraction, native_quantile,
};
use crate::plan::{Kind, Node};
use crate::syntax::position::PosRange;

/// A histogram of either kind: its native column, and its classic buckets.
struct Family {
    key: Key,
    /// A row of the input.
    native: Option<usize>,
    /// Bounds and rows of the input.
    classic: Vec<(f64, usize)>,
}

/// What a function makes of one histogram at one step.
trait Measure {
    fn native(&self, step: usize, histogram: &FloatHistogram, metric: &str) -> f64;
    fn classic(&self, step: usize, buckets: &mut Vec<ClassicBucket>, metric: &str) -> f64;
}

impl Exec {
    pub(super) fn histogram_quantile(self: &Arc<Self>, node: &Arc<Node>) -> Result<Block> {
        let Kind::HistogramQuantile {
            quantiles,
            label,
            input,
        } = &node.kind
        else {
            return Ok(Block::default());
        };
        let mut measures = Vec::new();
        for (quantile, place) in quantiles {
            let values = self.scalar(quantile)?;
            for q in values.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                self.notes.add(Note::InvalidQuantile(*q), *place);
            }
            measures.push(Quantile {
                exec: self,
                node,
                values,
                input_place: input.place,
            });
        }
        let block = self.block(input)?;
        let families = self.families(&block, input.place);
        let most = (families.len() * measures.len()) as u64;
        let bytes = most * row_bytes(node.grid.len());
        let hold = self.budget.hold(0, bytes, "histogram_quantile")?;
        let mut rows = Vec::new();
        for measure in &measures {
            for family in &families {
                self.check()?;
                rows.extend(self.measured(
                    node,
                    &block,
                    family,
                    input.place,
                    measure,
                    |step, key| match label {
                        Some(label) => with_label(key, label, &quantile_text(measure.values[step])),
                        None => key.clone(),
                    },
                ));
            }
        }
        Ok(Block::held(merge_same(rows)?, hold))
    }

    pub(super) fn histogram_fraction(self: &Arc<Self>, node: &Arc<Node>) -> Result<Block> {
        let Kind::HistogramFraction {
            lower,
            upper,
            input,
        } = &node.kind
        else {
            return Ok(Block::default());
        };
        let measure = Fraction {
            exec: self,
            lower: self.scalar(lower)?,
            upper: self.scalar(upper)?,
            place: input.place,
        };
        let block = self.block(input)?;
        let families = self.families(&block, input.place);
        let mut rows = Vec::new();
        for family in &families {
            rows.extend(
                self.measured(node, &block, family, input.place, &measure, |_, key| {
                    key.clone()
                }),
            );
        }
        Ok(Block::of(merge_same(rows)?))
    }

    /// Puts the series of each histogram together.
    fn families(&self, block: &Block, place: PosRange) -> Vec<Family> {
        let mut known: HashMap<(Labels, bool), usize> = HashMap::new();
        let mut families: Vec<Family> = Vec::new();
        let mut family_of = |key: Key, families: &mut Vec<Family>| {
            *known
                .entry((key.labels.clone(), key.drop_name))
                .or_insert_with(|| {
                    families.push(Family {
                        key,
                        native: None,
                        classic: Vec::new(),
                    });
                    families.len() - 1
                })
        };
        for (at, row) in block.rows.iter().enumerate() {
            if !row.column.hists.is_empty() {
                let family = family_of(row.key.clone(), &mut families);
                families[family].native = Some(at);
            }
            if row.column.floats.iter().all(|value| !is_present(*value)) {
                continue;
            }
            let bound_text = row.key.labels.get("le").unwrap_or("");
            let Some(bound) = parse_float(bound_text) else {
                // Messages of these functions name metrics only if names are dropped at the end.
                let metric = match self.settings.delayed_names {
                    true => row.key.labels.metric_name().unwrap_or(""),
                    false => "",
                };
                self.notes.add(
                    Note::BadBucketLabel {
                        metric,
                        value: bound_text,
                    },
                    place,
                );
                continue;
            };
            let labels = row.key.labels.project(|name| name != "le");
            let family = family_of(
                Key {
                    labels,
                    drop_name: row.key.drop_name,
                },
                &mut families,
            );
            families[family].classic.push((bound, at));
        }
        families
    }

    /// The results for one histogram; there are several rows if their labels change from step to step.
    fn measured(
        &self,
        node: &Node,
        block: &Block,
        family: &Family,
        place: PosRange,
        measure: &dyn Measure,
        key_at: impl Fn(usize, &Key) -> Key,
    ) -> Vec<Row> {
        let mut key = family.key.clone();
        self.drop_name(&mut key);
        // Without delayed removal the name is gone by now, for messages too.
        let metric = key.labels.metric_name().unwrap_or("").to_owned();
        let mut out: Vec<Row> = Vec::new();
        let mut buckets = Vec::with_capacity(family.classic.len());
        for step in 0..node.grid.len() {
            buckets.clear();
            buckets.extend(family.classic.iter().filter_map(|&(bound, at)| {
                let count = block.rows[at].column.floats[step];
                is_present(count).then_some(ClassicBucket { bound, count })
            }));
            let native = match family.native.map(|at| block.rows[at].column.at(step)) {
                Some(Cell::Hist(hist)) => Some(hist),
                _ => None,
            };
            let value = match (native, buckets.is_empty()) {
                (None, true) => continue,
                (Some(_), false) => {
                    self.notes.add(Note::MixedClassicNative(&metric), place);
                    continue;
                }
                (Some(hist), true) => measure.native(step, hist, &metric),
                (None, false) => measure.classic(step, &mut buckets, &metric),
            };
            let key = key_at(step, &key);
            if out.last().is_none_or(|row| row.key != key) {
                out.push(Row {
                    key,
                    column: Column::absent(node.grid.len()),
                });
            }
            if let Some(row) = out.last_mut() {
                row.column.floats[step] = if headwater_query::is_absent(value) {
                    ABSENT
                } else {
                    value
                };
            }
        }
        out
    }
}

fn with_label(key: &Key, label: &str, value: &str) -> Key {
    let mut labels = LabelsBuilder::new();
    labels.reset_to(&key.labels);
    labels.set(label, value);
    Key {
        labels: labels.build(),
        drop_name: key.drop_name,
    }
}

/// As OpenMetrics writes floats in labels: whole numbers have a point.
fn quantile_text(value: f64) -> String {
    let text = headwater_model::number::format_float_go(value);
    if value.is_finite() && !text.contains(['.', 'e']) {
        text + ".0"
    } else {
        text
    }
}

struct Quantile<'a> {
    exec: &'a Exec,
    node: &'a Node,
    values: Arc<[f64]>,
    input_place: PosRange,
}

impl Measure for Quantile<'_> {
    fn native(&self, step: usize, histogram: &FloatHistogram, metric: &str) -> f64 {
        let found = native_quantile(self.values[step], histogram);
        if found.has_nan {
            let note = if found.value.is_nan() {
                Note::NanQuantile(metric)
            } else {
                Note::SkewedQuantile(metric)
            };
            self.exec.notes.add(note, self.input_place);
        }
        found.value
    }

    fn classic(&self, step: usize, buckets: &mut Vec<ClassicBucket>, metric: &str) -> f64 {
        let (value, raised) = classic_quantile(self.values[step], buckets);
        if let Some(raised) = raised {
            let time = self.node.grid.time(step);
            self.exec.notes.add(
                Note::ForcedMonotonicity {
                    metric,
                    raised,
                    time,
                },
                self.input_place,
            );
        }
        value
    }
}

struct Fraction<'a> {
    exec: &'a Exec,
    lower: Arc<[f64]>,
    upper: Arc<[f64]>,
    place: PosRange,
}

impl Measure for Fraction<'_> {
    fn native(&self, step: usize, histogram: &FloatHistogram, metric: &str) -> f64 {
        let in_buckets: f64 = histogram
            .all_buckets()
            .iter()
            .map(|bucket| bucket.count)
            .sum();
        if histogram.sum.is_nan() && histogram.count > in_buckets {
            self.exec.notes.add(Note::NanFraction(metric), self.place);
        }
        native_fraction(self.lower[step], self.upper[step], histogram)
    }

    fn classic(&self, step: usize, buckets: &mut Vec<ClassicBucket>, _: &str) -> f64 {
        classic_fraction(self.lower[step], self.upper[step], buckets)
    }
}
