//! Aggregation of float columns: one accumulator a group, one entry a step.
//!
//! Series come one at a time; a group's memory does not grow with the number of its series.
//! Accumulators of parts of the series can be merged, so parts can run in parallel.

use headwater_model::histogram::kahan_add;

use crate::step::{ABSENT, is_absent, is_present};

/// What to accumulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FloatAggregate {
    /// Compensated sum.
    Sum,
    /// Mean: of the sum as long as that is finite, then incremental.
    Avg,
    /// Smallest value; NaN only if there is nothing else.
    Min,
    /// Largest value; NaN only if there is nothing else.
    Max,
    /// Number of values.
    Count,
    /// 1 where there is a value.
    Group,
    /// Population standard deviation.
    Stddev,
    /// Population variance.
    Stdvar,
}

/// The running state of one group.
#[derive(Clone, Debug)]
pub struct FloatGroup {
    kind: FloatAggregate,
    /// Sum, extreme, or sum of squared distances.
    value: Vec<f64>,
    /// Compensation of the sum, or the mean.
    extra: Vec<f64>,
    count: Vec<f64>,
    /// There is a sum at every step.
    full: bool,
    /// Steps of an average that went over to the incremental mean; `value` is the mean there.
    incremental: Vec<bool>,
}

impl FloatGroup {
    /// A group without values.
    pub fn new(kind: FloatAggregate, steps: usize) -> Self {
        use FloatAggregate::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
        let room = |wanted: bool, fill: f64| vec![fill; if wanted { steps } else { 0 }];
        let start = if matches!(kind, Avg | Count | Stddev | Stdvar) {
            0.0
        } else {
            ABSENT
        };
        Self {
            kind,
            value: room(kind != Count, start),
            extra: room(matches!(kind, Sum | Avg | Stddev | Stdvar), 0.0),
            count: room(!matches!(kind, Sum | Min | Max | Group), 0.0),
            full: false,
            incremental: Vec::new(),
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        (self.value.len() + self.extra.len() + self.count.len()) * 8 + self.incremental.len()
    }

    /// Adds a series: one value a step.
    pub fn add(&mut self, column: &[f64]) {
        match self.kind {
            FloatAggregate::Sum => self.add_sum(column),
            FloatAggregate::Avg => self.add_avg(column),
            FloatAggregate::Min => self.fold(column, |held, new| held > new || held.is_nan()),
            FloatAggregate::Max => self.fold(column, |held, new| held < new || held.is_nan()),
            FloatAggregate::Count => self.add_count(column),
            FloatAggregate::Group => self.add_group(column),
            FloatAggregate::Stddev | FloatAggregate::Stdvar => self.add_variance(column),
        }
    }

    fn add_sum(&mut self, column: &[f64]) {
        // Nearly always there is a value at every step on both sides; then no step waits for another.
        self.full = self.full || self.value.iter().all(|sum| is_present(*sum));
        if self.full && column.iter().all(|new| is_present(*new)) {
            return add_all(&mut self.value, &mut self.extra, column);
        }
        for ((sum, lost), &new) in self.value.iter_mut().zip(&mut self.extra).zip(column) {
            if is_absent(new) {
                continue;
            }
            if is_absent(*sum) {
                *sum = new;
            } else {
                (*sum, *lost) = kahan_add(new, *sum, *lost);
            }
        }
    }

    fn add_avg(&mut self, column: &[f64]) {
        for (step, &new) in column
            .iter()
            .enumerate()
            .filter(|(_, new)| is_present(**new))
        {
            self.count[step] += 1.0;
            let count = self.count[step];
            if count == 1.0 {
                self.value[step] = new;
                continue;
            }
            if !self.is_incremental(step) {
                let (sum, lost) = kahan_add(new, self.value[step], self.extra[step]);
                if sum.is_finite() || sum.is_nan() {
                    (self.value[step], self.extra[step]) = (sum, lost);
                    continue;
                }
                self.make_incremental(step, count - 1.0);
            }
            let keep = (count - 1.0) / count;
            (self.value[step], self.extra[step]) = kahan_add(
                new / count,
                keep * self.value[step],
                keep * self.extra[step],
            );
        }
    }

    fn is_incremental(&self, step: usize) -> bool {
        self.incremental.get(step).copied().unwrap_or(false)
    }

    /// Turns the sum of `count` values at a step into their mean.
    fn make_incremental(&mut self, step: usize, count: f64) {
        if self.incremental.is_empty() {
            self.incremental.resize(self.value.len(), false);
        }
        self.incremental[step] = true;
        self.value[step] /= count;
        self.extra[step] /= count;
    }

    fn fold(&mut self, column: &[f64], replace: impl Fn(f64, f64) -> bool) {
        for (held, &new) in self.value.iter_mut().zip(column) {
            if is_present(new) && (is_absent(*held) || replace(*held, new)) {
                *held = new;
            }
        }
    }

    fn add_count(&mut self, column: &[f64]) {
        for (count, &new) in self.count.iter_mut().zip(column) {
            *count += f64::from(u8::from(is_present(new)));
        }
    }

    fn add_group(&mut self, column: &[f64]) {
        for (held, &new) in self.value.iter_mut().zip(column) {
            if is_present(new) {
                *held = 1.0;
            }
        }
    }

    /// Welford's method.
    fn add_variance(&mut self, column: &[f64]) {
        for (step, &new) in column
            .iter()
            .enumerate()
            .filter(|(_, new)| is_present(**new))
        {
            self.count[step] += 1.0;
            if self.count[step] == 1.0 {
                self.extra[step] = new;
                self.value[step] = if new.is_finite() { 0.0 } else { f64::NAN };
                continue;
            }
            let distance = new - self.extra[step];
            self.extra[step] += distance / self.count[step];
            self.value[step] += distance * (new - self.extra[step]);
        }
    }

    /// Joins the group of another part of the series.
    pub fn merge(&mut self, other: &Self) {
        match self.kind {
            FloatAggregate::Sum => {
                self.add_sum(&other.value);
                for ((lost, more), theirs) in
                    self.extra.iter_mut().zip(&other.extra).zip(&other.value)
                {
                    if is_present(*theirs) {
                        *lost += more;
                    }
                }
            }
            FloatAggregate::Min | FloatAggregate::Max | FloatAggregate::Group => {
                self.add(&other.value)
            }
            FloatAggregate::Count => {
                self.count
                    .iter_mut()
                    .zip(&other.count)
                    .for_each(|(count, more)| *count += more);
            }
            FloatAggregate::Avg => self.merge_avg(other),
            FloatAggregate::Stddev | FloatAggregate::Stdvar => self.merge_variance(other),
        }
    }

    fn merge_avg(&mut self, other: &Self) {
        for step in 0..self.value.len() {
            let (mine, theirs) = (self.count[step], other.count[step]);
            if theirs == 0.0 {
                continue;
            }
            let total = mine + theirs;
            self.count[step] = total;
            if mine == 0.0 {
                (self.value[step], self.extra[step]) = (other.value[step], other.extra[step]);
                if other.is_incremental(step) {
                    self.make_incremental(step, 1.0);
                }
                continue;
            }
            if !self.is_incremental(step) && !other.is_incremental(step) {
                let (sum, lost) = kahan_add(other.value[step], self.value[step], self.extra[step]);
                if sum.is_finite() || sum.is_nan() {
                    (self.value[step], self.extra[step]) = (sum, lost + other.extra[step]);
                    continue;
                }
            }
            if !self.is_incremental(step) {
                self.make_incremental(step, mine);
            }
            let divisor = if other.is_incremental(step) {
                1.0
            } else {
                theirs
            };
            let their_mean = other.value[step] / divisor + other.extra[step] / divisor;
            self.value[step] = self.value[step] * (mine / total) + their_mean * (theirs / total);
            self.extra[step] *= mine / total;
        }
    }

    /// Chan's formula for two parts.
    fn merge_variance(&mut self, other: &Self) {
        for step in 0..self.value.len() {
            let (mine, theirs) = (self.count[step], other.count[step]);
            if theirs == 0.0 {
                continue;
            }
            let total = mine + theirs;
            let distance = other.extra[step] - self.extra[step];
            if mine == 0.0 {
                (self.value[step], self.extra[step]) = (other.value[step], other.extra[step]);
            } else {
                self.extra[step] += distance * theirs / total;
                self.value[step] += other.value[step] + distance * distance * mine * theirs / total;
            }
            self.count[step] = total;
        }
    }

    /// The result, one value a step.
    pub fn finish(self) -> Vec<f64> {
        let Self {
            kind,
            mut value,
            extra,
            count,
            incremental,
            ..
        } = self;
        match kind {
            FloatAggregate::Min | FloatAggregate::Max | FloatAggregate::Group => {}
            FloatAggregate::Sum => {
                for (sum, lost) in value.iter_mut().zip(extra) {
                    if is_present(*sum) {
                        *sum += lost;
                    }
                }
            }
            FloatAggregate::Count => {
                return count
                    .into_iter()
                    .map(|count| if count == 0.0 { ABSENT } else { count })
                    .collect();
            }
            FloatAggregate::Avg => {
                for (step, sum) in value.iter_mut().enumerate() {
                    let divisor = if incremental.get(step).copied().unwrap_or(false) {
                        1.0
                    } else {
                        count[step]
                    };
                    *sum = if count[step] == 0.0 {
                        ABSENT
                    } else {
                        *sum / divisor + extra[step] / divisor
                    };
                }
            }
            FloatAggregate::Stddev | FloatAggregate::Stdvar => {
                for (sum, count) in value.iter_mut().zip(count) {
                    let variance = *sum / count;
                    *sum = match kind {
                        _ if count == 0.0 => ABSENT,
                        FloatAggregate::Stddev => variance.sqrt(),
                        _ => variance,
                    };
                }
            }
        }
        value
    }
}

/// Adds a column to sums. The error of each addition is found without a branch (Knuth's two-sum), so
/// that several steps are added at once; it is the same to the bit as that of [`kahan_add`].
fn add_all(sums: &mut [f64], lost: &mut [f64], column: &[f64]) {
    for ((sum, lost), &new) in sums.iter_mut().zip(lost).zip(column) {
        let next = *sum + new;
        let taken = next - *sum;
        let error = (*sum - (next - taken)) + (new - taken);
        *lost = if next.is_infinite() {
            0.0
        } else {
            *lost + error
        };
        *sum = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [FloatAggregate; 8] = [
        FloatAggregate::Sum,
        FloatAggregate::Avg,
        FloatAggregate::Min,
        FloatAggregate::Max,
        FloatAggregate::Count,
        FloatAggregate::Group,
        FloatAggregate::Stddev,
        FloatAggregate::Stdvar,
    ];

    fn run(kind: FloatAggregate, columns: &[&[f64]]) -> Vec<f64> {
        let mut group = FloatGroup::new(kind, columns[0].len());
        columns.iter().for_each(|column| group.add(column));
        group.finish()
    }

    #[test]
    fn every_kind() {
        let columns: [&[f64]; 3] = [
            &[1.0, ABSENT, f64::NAN],
            &[2.0, ABSENT, 5.0],
            &[6.0, ABSENT, ABSENT],
        ];
        let firsts = [
            9.0,
            3.0,
            1.0,
            6.0,
            3.0,
            1.0,
            (14.0f64 / 3.0).sqrt(),
            14.0 / 3.0,
        ];
        for (kind, first) in ALL.into_iter().zip(firsts) {
            let result = run(kind, &columns);
            assert!((result[0] - first).abs() < 1e-12, "{kind:?}: {result:?}");
            assert!(is_absent(result[1]), "{kind:?}: {result:?}");
            assert!(is_present(result[2]), "{kind:?}: {result:?}");
        }
        assert_eq!(run(FloatAggregate::Min, &columns)[2], 5.0);
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let columns: [&[f64]; 4] = [
            &[1.5, ABSENT, 3.0],
            &[2.0, 7.0, ABSENT],
            &[-6.0, ABSENT, 1e9],
            &[0.25, 1.0, ABSENT],
        ];
        for kind in ALL {
            let whole = run(kind, &columns);
            for cut in 0..=4 {
                let mut left = FloatGroup::new(kind, 3);
                let mut right = FloatGroup::new(kind, 3);
                columns[..cut].iter().for_each(|column| left.add(column));
                columns[cut..].iter().for_each(|column| right.add(column));
                left.merge(&right);
                for (a, b) in left.finish().iter().zip(&whole) {
                    assert!(
                        (a - b).abs() <= 1e-9 * b.abs() || a.to_bits() == b.to_bits(),
                        "{kind:?} {cut}: {a} {b}"
                    );
                }
            }
        }
    }

    #[test]
    fn adding_at_once_is_adding_one_by_one() {
        let odd = [
            0.1,
            -0.1,
            1e100,
            -1e100,
            1.0,
            f64::MAX,
            f64::MIN,
            f64::INFINITY,
            f64::NAN,
            5e-324,
        ];
        let (mut sums, mut lost) = (odd.to_vec(), vec![0.0; odd.len()]);
        let mut one_by_one: Vec<(f64, f64)> = odd.iter().map(|value| (*value, 0.0)).collect();
        for shift in 1..40 {
            let column: Vec<f64> = (0..odd.len())
                .map(|at| odd[(at + shift) % odd.len()] * shift as f64)
                .collect();
            add_all(&mut sums, &mut lost, &column);
            for ((sum, lost), new) in one_by_one.iter_mut().zip(&column) {
                (*sum, *lost) = kahan_add(*new, *sum, *lost);
            }
        }
        for ((sum, lost), expected) in sums.iter().zip(&lost).zip(&one_by_one) {
            let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(
                same(*sum, expected.0) && same(sum + lost, expected.0 + expected.1),
                "{sum} {lost} {expected:?}"
            );
        }
    }

    #[test]
    fn averages_do_not_overflow() {
        let column: &[f64] = &[f64::MAX];
        let mean = run(FloatAggregate::Avg, &[column, column, column])[0];
        assert!((mean / f64::MAX - 1.0).abs() < 1e-15, "{mean}");
    }
}
