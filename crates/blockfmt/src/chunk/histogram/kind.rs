//! Integer and float histograms: what differs between them.

use std::fmt::Debug;

use headwater_model::{FloatHistogram, Histogram, HistogramColumn, ResetHint, Timestamp};

use super::layout::{Layout, LayoutRef};
use super::track::{Signed, Track, Unsigned, Xored};
use crate::chunk::Encoding;

/// The numbers of one sample, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a, K: Kind> {
    pub(super) count: <K::Count as Track>::Number,
    pub(super) zero_count: <K::Count as Track>::Number,
    pub(super) sum: f64,
    pub(super) positive: &'a [<K::Bucket as Track>::Number],
    pub(super) negative: &'a [<K::Bucket as Track>::Number],
}

/// A kind of histograms. Sealed: [`Integer`] and [`Float`] are all there are.
pub trait Kind: Copy + Debug + Default + sealed::Sealed {
    /// The histogram itself.
    type Histogram: Clone + Debug;
    #[doc(hidden)]
    type Count: Track;
    #[doc(hidden)]
    type Bucket: Track;
    /// The encoding without start timestamps.
    const PLAIN: Encoding;
    /// The encoding with start timestamps.
    const WITH_STARTS: Encoding;
    #[doc(hidden)]
    const PART: &'static str;

    #[doc(hidden)]
    fn hint(histogram: &Self::Histogram) -> ResetHint;
    #[doc(hidden)]
    fn layout(histogram: &Self::Histogram) -> LayoutRef<'_>;
    #[doc(hidden)]
    fn numbers(histogram: &Self::Histogram) -> Numbers<'_, Self>;
    #[doc(hidden)]
    fn build(hint: ResetHint, layout: &Layout, numbers: Owned<Self>) -> Self::Histogram;
    #[doc(hidden)]
    fn push(
        into: &mut HistogramColumn,
        time: Timestamp,
        histogram: Self::Histogram,
        start: Timestamp,
    );
    /// The absolute count of a bucket that follows one with the count `before`.
    #[doc(hidden)]
    fn absolute(before: Bucket<Self>, bucket: Bucket<Self>) -> Bucket<Self>;
    /// How a bucket with the count `here` is stored behind one with the count `before`.
    #[doc(hidden)]
    fn stored(before: Bucket<Self>, here: Bucket<Self>) -> Bucket<Self>;
}

/// How a bucket of a kind is stored.
pub(super) type Bucket<K> = <<K as Kind>::Bucket as Track>::Number;

/// The numbers of one sample, owned.
#[derive(Clone, Debug)]
pub struct Owned<K: Kind> {
    pub(super) count: <K::Count as Track>::Number,
    pub(super) zero_count: <K::Count as Track>::Number,
    pub(super) sum: f64,
    pub(super) positive: Vec<Bucket<K>>,
    pub(super) negative: Vec<Bucket<K>>,
}

impl<K: Kind> Owned<K> {
    /// The numbers of a stale marker with this sum.
    pub(super) fn stale(sum: f64) -> Self {
        Self {
            count: Default::default(),
            zero_count: Default::default(),
            sum,
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }

    pub(super) fn borrow(&self) -> Numbers<'_, K> {
        Numbers {
            count: self.count,
            zero_count: self.zero_count,
            sum: self.sum,
            positive: &self.positive,
            negative: &self.negative,
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Integer {}
    impl Sealed for super::Float {}
}

/// Histograms with whole counts, buckets as differences: encodings 2 and 5.
#[derive(Clone, Copy, Debug, Default)]
pub struct Integer;

/// Histograms with float counts, buckets absolute: encodings 3 and 6.
#[derive(Clone, Copy, Debug, Default)]
pub struct Float;

impl Kind for Integer {
    type Histogram = Histogram;
    type Count = Unsigned;
    type Bucket = Signed;
    const PLAIN: Encoding = Encoding::Histogram;
    const WITH_STARTS: Encoding = Encoding::HistogramSt;
    const PART: &'static str = "histogram chunk";

    fn hint(histogram: &Histogram) -> ResetHint {
        histogram.reset_hint
    }

    fn layout(histogram: &Histogram) -> LayoutRef<'_> {
        LayoutRef {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive: &histogram.positive_spans,
            negative: &histogram.negative_spans,
            custom_values: &histogram.custom_values,
        }
    }

    fn numbers(histogram: &Histogram) -> Numbers<'_, Self> {
        Numbers {
            count: histogram.count,
            zero_count: histogram.zero_count,
            sum: histogram.sum,
            positive: &histogram.positive_deltas,
            negative: &histogram.negative_deltas,
        }
    }

    fn build(reset_hint: ResetHint, layout: &Layout, numbers: Owned<Self>) -> Histogram {
        Histogram {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: numbers.zero_count,
            count: numbers.count,
            sum: numbers.sum,
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_deltas: numbers.positive,
            negative_deltas: numbers.negative,
            custom_values: layout.custom_values.clone(),
        }
    }

    fn push(into: &mut HistogramColumn, time: Timestamp, histogram: Histogram, start: Timestamp) {
        into.push_integer(time, histogram, start);
    }

    fn absolute(before: i64, bucket: i64) -> i64 {
        before.wrapping_add(bucket)
    }

    fn stored(before: i64, here: i64) -> i64 {
        here.wrapping_sub(before)
    }
}

impl Kind for Float {
    type Histogram = FloatHistogram;
    type Count = Xored;
    type Bucket = Xored;
    const PLAIN: Encoding = Encoding::FloatHistogram;
    const WITH_STARTS: Encoding = Encoding::FloatHistogramSt;
    const PART: &'static str = "float histogram chunk";

    fn hint(histogram: &FloatHistogram) -> ResetHint {
        histogram.reset_hint
    }

    fn layout(histogram: &FloatHistogram) -> LayoutRef<'_> {
        LayoutRef {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive: &histogram.positive_spans,
            negative: &histogram.negative_spans,
            custom_values: &histogram.custom_values,
        }
    }

    fn numbers(histogram: &FloatHistogram) -> Numbers<'_, Self> {
        Numbers {
            count: histogram.count,
            zero_count: histogram.zero_count,
            sum: histogram.sum,
            positive: &histogram.positive_buckets,
            negative: &histogram.negative_buckets,
        }
    }

    fn build(reset_hint: ResetHint, layout: &Layout, numbers: Owned<Self>) -> FloatHistogram {
        FloatHistogram {
            reset_hint,
            schema: layout.schema,
            zero_threshold: layout.zero_threshold,
            zero_count: numbers.zero_count,
            count: numbers.count,
            sum: numbers.sum,
            positive_spans: layout.positive.clone(),
            negative_spans: layout.negative.clone(),
            positive_buckets: numbers.positive,
            negative_buckets: numbers.negative,
            custom_values: layout.custom_values.clone(),
        }
    }

    fn push(
        into: &mut HistogramColumn,
        time: Timestamp,
        histogram: FloatHistogram,
        start: Timestamp,
    ) {
        into.push_float(time, histogram, start);
    }

    fn absolute(_: f64, bucket: f64) -> f64 {
        bucket
    }

    fn stored(_: f64, here: f64) -> f64 {
        here
    }
}
