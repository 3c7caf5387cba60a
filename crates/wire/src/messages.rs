//! Every message as an owned struct: for senders, clients and tests. Servers decode the paths of
//! samples by hand, see [`crate::write1`].
//!
//! Field names and numbers are those of `prompb/remote.proto`, `prompb/types.proto` and
//! `prompb/io/prometheus/write/v2/types.proto` of Prometheus; fields that only ever were proposals are
//! left out.

use prost::Message;

/// `prometheus.WriteRequest`, remote write 1.0.
#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    /// The series.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    /// What metrics mean, sent now and then.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<MetricMetadata>,
}

/// What a metric means.
#[derive(Clone, PartialEq, Message)]
pub struct MetricMetadata {
    /// 0 unknown, 1 counter, 2 gauge, 3 histogram, 4 gauge histogram, 5 summary, 6 info, 7 state set.
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    /// The name of the metric family.
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    /// One sentence.
    #[prost(string, tag = "4")]
    pub help: String,
    /// The unit.
    #[prost(string, tag = "5")]
    pub unit: String,
}

/// One series with samples.
#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Float samples in ascending time.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Exemplars.
    #[prost(message, repeated, tag = "3")]
    pub exemplars: Vec<Exemplar>,
    /// Histograms in ascending time.
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

/// A label.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Label {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A float sample.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    /// The value.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Milliseconds.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// An exemplar.
#[derive(Clone, PartialEq, Message)]
pub struct Exemplar {
    /// What identifies the observation.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// The value.
    #[prost(double, tag = "2")]
    pub value: f64,
    /// Milliseconds.
    #[prost(int64, tag = "3")]
    pub timestamp: i64,
}

/// A native histogram; the kind of its count says which of the lists of buckets counts.
#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    /// All observations.
    #[prost(oneof = "histogram::Count", tags = "1, 2")]
    pub count: Option<histogram::Count>,
    /// Sum of all observations.
    #[prost(double, tag = "3")]
    pub sum: f64,
    /// Resolution.
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    /// Width of the zero bucket.
    #[prost(double, tag = "5")]
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    #[prost(oneof = "histogram::ZeroCount", tags = "6, 7")]
    pub zero_count: Option<histogram::ZeroCount>,
    /// Where the negative buckets lie.
    #[prost(message, repeated, tag = "8")]
    pub negative_spans: Vec<BucketSpan>,
    /// Of an integer histogram: first count, then differences.
    #[prost(sint64, repeated, tag = "9")]
    pub negative_deltas: Vec<i64>,
    /// Of a float histogram: counts.
    #[prost(double, repeated, tag = "10")]
    pub negative_counts: Vec<f64>,
    /// Where the positive buckets lie.
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// Of an integer histogram: first count, then differences.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// Of a float histogram: counts.
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    /// 0 unknown, 1 reset, 2 no reset, 3 gauge.
    #[prost(int32, tag = "14")]
    pub reset_hint: i32,
    /// Milliseconds.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
    /// Bounds of custom buckets.
    #[prost(double, repeated, tag = "16")]
    pub custom_values: Vec<f64>,
    /// Milliseconds, 0 for none; remote write 2.0 only.
    #[prost(int64, tag = "17")]
    pub start_timestamp: i64,
}

/// The kinds of counts of [`Histogram`].
pub mod histogram {
    /// All observations.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum Count {
        /// Of an integer histogram.
        #[prost(uint64, tag = "1")]
        CountInt(u64),
        /// Of a float histogram.
        #[prost(double, tag = "2")]
        CountFloat(f64),
    }

    /// Observations in the zero bucket.
    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub enum ZeroCount {
        /// Of an integer histogram.
        #[prost(uint64, tag = "6")]
        ZeroCountInt(u64),
        /// Of a float histogram.
        #[prost(double, tag = "7")]
        ZeroCountFloat(f64),
    }
}

/// A run of buckets.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct BucketSpan {
    /// Gap to the run before, or the first index.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Number of buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// `io.prometheus.write.v2`, remote write 2.0.
pub mod v2 {
    use super::Histogram;
    use prost::Message;

    /// All series refer to the symbols by position.
    #[derive(Clone, PartialEq, Message)]
    pub struct Request {
        /// Texts; the first is empty.
        #[prost(string, repeated, tag = "4")]
        pub symbols: Vec<String>,
        /// The series.
        #[prost(message, repeated, tag = "5")]
        pub timeseries: Vec<TimeSeries>,
    }

    /// One series with samples or histograms.
    #[derive(Clone, PartialEq, Message)]
    pub struct TimeSeries {
        /// Names and values in turn, sorted by name.
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// Float samples in ascending time.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// Histograms in ascending time.
        #[prost(message, repeated, tag = "3")]
        pub histograms: Vec<Histogram>,
        /// Exemplars.
        #[prost(message, repeated, tag = "4")]
        pub exemplars: Vec<Exemplar>,
        /// What the metric means.
        #[prost(message, optional, tag = "5")]
        pub metadata: Option<Metadata>,
    }

    /// A float sample.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Sample {
        /// The value.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// Milliseconds.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
        /// Milliseconds, 0 for none.
        #[prost(int64, tag = "3")]
        pub start_timestamp: i64,
    }

    /// An exemplar.
    #[derive(Clone, PartialEq, Message)]
    pub struct Exemplar {
        /// Names and values in turn.
        #[prost(uint32, repeated, tag = "1")]
        pub labels_refs: Vec<u32>,
        /// The value.
        #[prost(double, tag = "2")]
        pub value: f64,
        /// Milliseconds.
        #[prost(int64, tag = "3")]
        pub timestamp: i64,
    }

    /// What a metric means.
    #[derive(Clone, Copy, PartialEq, Eq, Message)]
    pub struct Metadata {
        /// As [`super::MetricMetadata::type`].
        #[prost(int32, tag = "1")]
        pub r#type: i32,
        /// The symbol that explains.
        #[prost(uint32, tag = "3")]
        pub help_ref: u32,
        /// The symbol that names the unit.
        #[prost(uint32, tag = "4")]
        pub unit_ref: u32,
    }
}

/// `prometheus.ReadRequest`, remote read.
#[derive(Clone, PartialEq, Message)]
pub struct ReadRequest {
    /// What is wanted.
    #[prost(message, repeated, tag = "1")]
    pub queries: Vec<Query>,
    /// The kinds of answers that are understood, the best first: 0 samples, 1 streamed chunks.
    #[prost(int32, repeated, tag = "2")]
    pub accepted_response_types: Vec<i32>,
}

/// One query of a read.
#[derive(Clone, PartialEq, Message)]
pub struct Query {
    /// First time, in milliseconds.
    #[prost(int64, tag = "1")]
    pub start_timestamp_ms: i64,
    /// Last time, in milliseconds.
    #[prost(int64, tag = "2")]
    pub end_timestamp_ms: i64,
    /// Conditions, all of which hold.
    #[prost(message, repeated, tag = "3")]
    pub matchers: Vec<LabelMatcher>,
    /// What will be done with the data.
    #[prost(message, optional, tag = "4")]
    pub hints: Option<ReadHints>,
}

/// A condition on a label.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LabelMatcher {
    /// 0 equal, 1 not equal, 2 regular expression, 3 not regular expression.
    #[prost(int32, tag = "1")]
    pub r#type: i32,
    /// The label.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Text or expression.
    #[prost(string, tag = "3")]
    pub value: String,
}

/// What the asker will do with the data.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ReadHints {
    /// Step of the query.
    #[prost(int64, tag = "1")]
    pub step_ms: i64,
    /// Function around the selector.
    #[prost(string, tag = "2")]
    pub func: String,
    /// First time.
    #[prost(int64, tag = "3")]
    pub start_ms: i64,
    /// Last time.
    #[prost(int64, tag = "4")]
    pub end_ms: i64,
    /// Labels that are grouped by.
    #[prost(string, repeated, tag = "5")]
    pub grouping: Vec<String>,
    /// Whether those labels are kept.
    #[prost(bool, tag = "6")]
    pub by: bool,
    /// Range of the selector.
    #[prost(int64, tag = "7")]
    pub range_ms: i64,
}

/// The sampled answer to a read.
#[derive(Clone, PartialEq, Message)]
pub struct ReadResponse {
    /// One for each query.
    #[prost(message, repeated, tag = "1")]
    pub results: Vec<QueryResult>,
}

/// The answer to one query.
#[derive(Clone, PartialEq, Message)]
pub struct QueryResult {
    /// The series.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

/// A frame of the streamed answer to a read.
#[derive(Clone, PartialEq, Message)]
pub struct ChunkedReadResponse {
    /// The series.
    #[prost(message, repeated, tag = "1")]
    pub chunked_series: Vec<ChunkedSeries>,
    /// Which query this answers.
    #[prost(int64, tag = "2")]
    pub query_index: i64,
}

/// One series with encoded chunks.
#[derive(Clone, PartialEq, Message)]
pub struct ChunkedSeries {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// In ascending time.
    #[prost(message, repeated, tag = "2")]
    pub chunks: Vec<Chunk>,
}

/// An encoded chunk.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Chunk {
    /// First time, in milliseconds.
    #[prost(int64, tag = "1")]
    pub min_time_ms: i64,
    /// Last time, in milliseconds.
    #[prost(int64, tag = "2")]
    pub max_time_ms: i64,
    /// The encoding's number, as in files.
    #[prost(int32, tag = "3")]
    pub r#type: i32,
    /// The bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
}

#[cfg(test)]
pub(crate) mod arbitrary {
    //! Messages for property tests.

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// NaN is left out: it would not equal itself.
    fn number() -> impl Strategy<Value = f64> + Clone {
        prop_oneof![Just(0.0), Just(-1.5), -1e9..1e9, Just(f64::INFINITY)].boxed()
    }

    fn time() -> impl Strategy<Value = i64> + Clone {
        prop_oneof![
            Just(0),
            -5i64..5,
            1_700_000_000_000..1_800_000_000_000i64,
            any::<i64>()
        ]
        .boxed()
    }

    fn label() -> impl Strategy<Value = Label> {
        ("[a-c_é]{0,9}", "[a-c/é]{0,200}").prop_map(|(name, value)| Label { name, value })
    }

    pub(crate) fn histogram() -> impl Strategy<Value = Histogram> {
        let span =
            (any::<i32>(), any::<u32>()).prop_map(|(offset, length)| BucketSpan { offset, length });
        let spans = vec(span, 0..3);
        let parts = (
            prop_oneof![
                any::<u64>().prop_map(histogram::Count::CountInt),
                number().prop_map(histogram::Count::CountFloat)
            ],
            (number(), -4..8i32, number(), 0..4i32),
            (spans.clone(), spans),
            (
                vec(any::<i64>(), 0..5),
                vec(number(), 0..5),
                vec(number(), 0..5),
            ),
            (time(), time()),
        );
        parts.prop_map(
            |(
                count,
                (sum, schema, zero, hint),
                (negative, positive),
                (deltas, counts, custom),
                (time, start),
            )| {
                let float = matches!(count, histogram::Count::CountFloat(_));
                Histogram {
                    count: Some(count),
                    sum,
                    schema,
                    zero_threshold: zero,
                    zero_count: Some(match float {
                        true => histogram::ZeroCount::ZeroCountFloat(zero),
                        false => histogram::ZeroCount::ZeroCountInt(7),
                    }),
                    negative_spans: negative,
                    positive_spans: positive,
                    positive_deltas: if float { Vec::new() } else { deltas },
                    positive_counts: if float { counts } else { Vec::new() },
                    reset_hint: hint,
                    timestamp: time,
                    start_timestamp: start,
                    custom_values: custom,
                    ..Histogram::default()
                }
            },
        )
    }

    pub(crate) fn series() -> impl Strategy<Value = TimeSeries> {
        let sample = (number(), time()).prop_map(|(value, timestamp)| Sample { value, timestamp });
        let exemplar =
            (vec(label(), 0..3), number(), time()).prop_map(|(labels, value, timestamp)| {
                Exemplar {
                    labels,
                    value,
                    timestamp,
                }
            });
        (
            vec(label(), 0..5),
            vec(sample, 0..4),
            vec(exemplar, 0..2),
            vec(histogram(), 0..2),
        )
            .prop_map(|(labels, samples, exemplars, histograms)| TimeSeries {
                labels,
                samples,
                exemplars,
                histograms,
            })
    }

    pub(crate) fn write_request() -> impl Strategy<Value = WriteRequest> {
        let metadata = ("[a-c]{0,9}", "[a-c ]{0,20}").prop_map(|(name, help)| MetricMetadata {
            r#type: 1,
            metric_family_name: name,
            help,
            unit: String::new(),
        });
        (vec(series(), 0..4), vec(metadata, 0..2)).prop_map(|(timeseries, metadata)| WriteRequest {
            timeseries,
            metadata,
        })
    }

    pub(crate) fn write_request_2() -> impl Strategy<Value = v2::Request> {
        let sample = (number(), time(), time()).prop_map(|(value, timestamp, start)| v2::Sample {
            value,
            timestamp,
            start_timestamp: start,
        });
        let references = vec(any::<u32>(), 0..6);
        let exemplar =
            (references.clone(), number(), time()).prop_map(|(labels_refs, value, timestamp)| {
                v2::Exemplar {
                    labels_refs,
                    value,
                    timestamp,
                }
            });
        let metadata =
            (0..8i32, any::<u32>(), any::<u32>()).prop_map(|(kind, help_ref, unit_ref)| {
                v2::Metadata {
                    r#type: kind,
                    help_ref,
                    unit_ref,
                }
            });
        let series = (
            references,
            vec(sample, 0..4),
            vec(histogram(), 0..2),
            vec(exemplar, 0..2),
            proptest::option::of(metadata),
        )
            .prop_map(|(labels_refs, samples, histograms, exemplars, metadata)| {
                v2::TimeSeries {
                    labels_refs,
                    samples,
                    histograms,
                    exemplars,
                    metadata,
                }
            });
        (vec("[a-cé]{0,20}", 0..9), vec(series, 0..4)).prop_map(|(symbols, timeseries)| {
            v2::Request {
                symbols,
                timeseries,
            }
        })
    }
}
