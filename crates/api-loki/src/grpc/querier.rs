//! `logproto.Querier`: lines, samples, labels, series, what there is, and lines as they come.

use std::pin::Pin;

use headwater_logql::{Entry, LogQuery, LogValue, Pairs, Stream as Lines};
use headwater_model::quote::go_quoted;
use headwater_model::{Labels, Matcher};
use headwater_storage::{Direction, NanoRange};
use headwater_wire::loki::logproto::series_identifier::LabelsEntry;
use headwater_wire::loki::logproto::*;
use headwater_wire::loki::{Timestamp, logproto, nanos, timestamp};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{status, tenant};
use crate::error::ApiError;
use crate::follow::{Following, MAX_DURATION, Told, Wish};
use crate::routes::index::{Grouping, name_of};
use crate::routes::query::{check, check_length, run, samples};
use crate::routes::tail::stopped;
use crate::routes::{detected_fields, detected_labels, index, labels};
use crate::selector;
use crate::state::Api;
use crate::time::SECOND;

/// Lines or samples of one message. Source: the batches of Loki's ingesters.
const BATCH: usize = 128;
/// Messages that wait for a slow reader.
const WAITING: usize = 4;
/// How long before now a question begins that does not say.
const DEFAULT_RANGE: i64 = 3600 * SECOND;

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

pub(super) struct Querier(pub(super) Api);

impl Querier {
    fn range(&self, start: Option<&Timestamp>, end: Option<&Timestamp>) -> (i64, i64) {
        let end = end.map_or_else(|| self.0.now(), nanos);
        let start = start.map_or_else(|| end.saturating_sub(DEFAULT_RANGE), nanos);
        (start, end)
    }
}

fn matchers(text: &str) -> Result<Vec<Matcher>, Status> {
    match text {
        "" => Ok(Vec::new()),
        text => selector::any(text).map_err(status),
    }
}

/// A range in milliseconds.
const fn millis(from: i64, through: i64) -> NanoRange {
    NanoRange::new(
        from.saturating_mul(1_000_000),
        through.saturating_mul(1_000_000),
    )
}

/// Sends what is found bit by bit, as fast as it is read.
fn in_batches<T: Send + 'static>(
    batches: impl Iterator<Item = T> + Send + 'static,
) -> Response<Streaming<T>> {
    Response::new(Box::pin(tokio_stream::iter(batches.map(Ok))))
}

#[tonic::async_trait]
impl querier_server::Querier for Querier {
    type QueryStream = Streaming<QueryResponse>;

    async fn query(
        &self,
        request: Request<QueryRequest>,
    ) -> Result<Response<Self::QueryStream>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let limits = self.0.limits(&tenant);
        let (start, end) = self.range(asked.start.as_ref(), asked.end.as_ref());
        let direction = match asked.direction() {
            logproto::Direction::Forward => Direction::Forward,
            logproto::Direction::Backward => Direction::Backward,
        };
        let expr = headwater_logql::parse(&asked.selector).map_err(status)?;
        check(&expr, &limits).map_err(status)?;
        check_length(start, end, &limits).map_err(status)?;
        let mut query = LogQuery::range(asked.selector, start, end, SECOND)
            .with_limit(asked.limit as usize)
            .with_direction(direction);
        query.categorize = true;
        let answer = run(&self.0, &tenant, &limits, query)
            .await
            .map_err(status)?;
        let LogValue::Streams(streams) = answer.value else {
            return Err(Status::invalid_argument("only log selector is supported"));
        };
        let mut warnings = answer.warnings;
        let batches = streams
            .into_iter()
            .flat_map(whole)
            .map(move |stream| QueryResponse {
                streams: vec![stream],
                warnings: std::mem::take(&mut warnings),
            });
        Ok(in_batches(batches))
    }

    type QuerySampleStream = Streaming<SampleQueryResponse>;

    async fn query_sample(
        &self,
        request: Request<SampleQueryRequest>,
    ) -> Result<Response<Self::QuerySampleStream>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let limits = self.0.limits(&tenant);
        let (start, end) = self.range(asked.start.as_ref(), asked.end.as_ref());
        let expr = headwater_logql::parse(&asked.selector).map_err(status)?;
        check(&expr, &limits).map_err(status)?;
        check_length(start, end, &limits).map_err(status)?;
        let query = LogQuery::range(asked.selector, start, end, SECOND);
        let found = samples(&self.0, &tenant, &limits, query).await;
        let found = found.map_err(status)?;
        let batches = found.into_iter().flat_map(|series| {
            let labels = text_of(&series.labels);
            let batches: Vec<_> = series
                .samples
                .chunks(BATCH)
                .map(|samples| SampleQueryResponse {
                    series: vec![Series {
                        labels: labels.clone(),
                        samples: samples
                            .iter()
                            .map(|sample| Sample {
                                timestamp: sample.time,
                                value: sample.value,
                                hash: sample.hash,
                            })
                            .collect(),
                        stream_hash: hash_of(&series.labels),
                    }],
                    warnings: Vec::new(),
                })
                .collect();
            batches
        });
        Ok(in_batches(batches))
    }

    async fn label(
        &self,
        request: Request<LabelRequest>,
    ) -> Result<Response<LabelResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let (start, end) = self.range(asked.start.as_ref(), asked.end.as_ref());
        let (matchers, range) = (matchers(&asked.query)?, labels::up_to(start, end));
        let found = match asked.values {
            false => labels::texts(&self.0, tenant, matchers, range, labels::take_names).await,
            true => {
                let take =
                    move |labels: &Labels, values: &mut std::collections::BTreeSet<String>| {
                        values.extend(labels.get(&asked.name).map(str::to_owned));
                    };
                labels::texts(&self.0, tenant, matchers, range, take).await
            }
        };
        Ok(Response::new(LabelResponse {
            values: found.map_err(status)?,
        }))
    }

    type TailStream = Streaming<TailResponse>;

    async fn tail(
        &self,
        request: Request<TailRequest>,
    ) -> Result<Response<Self::TailStream>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let wish = Wish {
            query: &asked.query,
            start: asked.start.as_ref().map_or_else(|| self.0.now(), nanos),
            limit: asked.limit as usize,
            delay: asked.delay_for.into(),
            categorize: true,
        };
        let following = Following::start(&self.0, tenant, &wish).map_err(status)?;
        let (tell, told) = mpsc::channel(WAITING);
        let api = self.0.clone();
        tokio::spawn(async move {
            let stop = api.parts.stop.clone();
            tokio::select! {
                ended = follow(&api, following, &tell) => {
                    if let Err(error) = ended {
                        // Whoever asked may have gone.
                        let _ = tell.send(Err(status(error))).await;
                    }
                }
                () = tell.closed() => {}
                () = stopped(stop) => {}
                () = tokio::time::sleep(MAX_DURATION) => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn series(
        &self,
        request: Request<SeriesRequest>,
    ) -> Result<Response<SeriesResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let (start, end) = self.range(asked.start.as_ref(), asked.end.as_ref());
        let sets = asked.groups.iter().map(|group| matchers(group));
        let sets = sets.collect::<Result<_, _>>()?;
        let found = labels::streams(&self.0, tenant, sets, labels::up_to(start, end)).await;
        let found = found.map_err(status)?;
        let series = found.iter().map(|labels| SeriesIdentifier {
            labels: labels
                .iter()
                .map(|(key, value)| LabelsEntry {
                    key: key.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
        });
        Ok(Response::new(SeriesResponse {
            series: series.collect(),
        }))
    }

    async fn tailers_count(
        &self,
        request: Request<TailersCountRequest>,
    ) -> Result<Response<TailersCountResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let count = u32::try_from(self.0.tails(&tenant)).unwrap_or(u32::MAX);
        Ok(Response::new(TailersCountResponse { count }))
    }

    async fn get_chunk_i_ds(
        &self,
        _: Request<GetChunkIDsRequest>,
    ) -> Result<Response<GetChunkIDsResponse>, Status> {
        Err(Status::unimplemented(
            "GetChunkIDs: entries do not lie in chunks of Loki's format here, so there are no names of chunks",
        ))
    }

    async fn get_stats(
        &self,
        request: Request<IndexStatsRequest>,
    ) -> Result<Response<IndexStatsResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let (matchers, range) = (
            matchers(&asked.matchers)?,
            millis(asked.from, asked.through),
        );
        let totals = index::totals(&self.0, tenant, matchers, range)
            .await
            .map_err(status)?;
        Ok(Response::new(IndexStatsResponse {
            streams: totals.streams,
            chunks: totals.chunks,
            bytes: totals.bytes,
            entries: totals.entries,
        }))
    }

    async fn get_volume(
        &self,
        request: Request<VolumeRequest>,
    ) -> Result<Response<VolumeResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let limits = self.0.limits(&tenant);
        index::check_enabled(&limits).map_err(status)?;
        let (matchers, range) = (
            matchers(&asked.matchers)?,
            millis(asked.from, asked.through),
        );
        let grouping = Grouping::new(
            &asked.aggregate_by,
            asked.target_labels,
            &matchers,
            usize::try_from(asked.limit).unwrap_or(0),
            limits.volume_max_series,
        );
        let grouping = grouping.map_err(status)?;
        let limit = i32::try_from(grouping.limit).unwrap_or(i32::MAX);
        let rows = index::volumes(&self.0, tenant, matchers, grouping, range).await;
        let volumes = rows
            .map_err(status)?
            .into_iter()
            .map(|(labels, bytes)| Volume {
                name: name_of(&labels),
                volume: bytes.round() as u64,
            });
        Ok(Response::new(VolumeResponse {
            volumes: volumes.collect(),
            limit,
        }))
    }

    async fn get_detected_fields(
        &self,
        request: Request<DetectedFieldsRequest>,
    ) -> Result<Response<DetectedFieldsResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let range = self.range(asked.start.as_ref(), asked.end.as_ref());
        let given = |number: u32, default: usize| match number {
            0 => default,
            number => number as usize,
        };
        let lines = given(asked.line_limit, detected_fields::DEFAULT_LINES);
        let limit = given(asked.limit, detected_fields::DEFAULT_LIMIT);
        let found = detected_fields::detect(&self.0, tenant, &asked.query, range, lines).await;
        let mut found = found.map_err(status)?;
        let mut answer = DetectedFieldsResponse {
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
            ..DetectedFieldsResponse::default()
        };
        if asked.values {
            let field = found.remove(&asked.name).unwrap_or_default();
            answer.values = field.values.into_iter().take(limit).collect();
            return Ok(Response::new(answer));
        }
        let fields = found
            .into_iter()
            .take(limit)
            .map(|(label, field)| DetectedField {
                label,
                r#type: field.kind.to_owned(),
                cardinality: field.values.len() as u64,
                parsers: field
                    .parsers
                    .iter()
                    .map(|&parser| parser.to_owned())
                    .collect(),
            });
        answer.fields = fields.collect();
        Ok(Response::new(answer))
    }

    async fn get_detected_labels(
        &self,
        request: Request<DetectedLabelsRequest>,
    ) -> Result<Response<LabelToValuesResponse>, Status> {
        let tenant = tenant(&self.0, request.metadata())?;
        let asked = request.into_inner();
        let (start, end) = self.range(asked.start.as_ref(), asked.end.as_ref());
        let matchers = matchers(&asked.query)?;
        let found =
            detected_labels::detect(&self.0, tenant, matchers, labels::up_to(start, end)).await;
        let labels = found.map_err(status)?.into_iter().map(|(name, values)| {
            let values = values.into_iter().collect();
            (name, UniqueLabelValues { values })
        });
        Ok(Response::new(LabelToValuesResponse {
            labels: labels.collect(),
        }))
    }
}

/// Tells a follower everything until it goes.
async fn follow(
    api: &Api,
    mut following: Following,
    tell: &mpsc::Sender<Result<TailResponse, Status>>,
) -> Result<(), ApiError> {
    let mut streams = following.history().await?;
    loop {
        for stream in streams.into_iter().flat_map(whole) {
            let told = TailResponse {
                stream: Some(stream),
                dropped_streams: Vec::new(),
            };
            if tell.send(Ok(told)).await.is_err() {
                return Ok(());
            }
        }
        streams = match following.next().await {
            None => return Ok(()),
            Some(Told::Lines(streams)) => streams,
            Some(Told::Missed) => {
                let now = Some(timestamp(api.now()));
                let dropped = DroppedStream {
                    from: now,
                    to: now,
                    labels: "{}".to_owned(),
                };
                let told = TailResponse {
                    stream: None,
                    dropped_streams: vec![dropped],
                };
                if tell.send(Ok(told)).await.is_err() {
                    return Ok(());
                }
                Vec::new()
            }
        };
    }
}

/// The lines of a stream by all their labels, at most [`BATCH`] at once and in their order.
fn whole(stream: Lines) -> Vec<StreamAdapter> {
    let mut batches: Vec<StreamAdapter> = Vec::new();
    for entry in stream.entries {
        let labels = all_labels(&stream.labels, &entry);
        let text = text_of(&labels);
        let sent = EntryAdapter {
            timestamp: Some(timestamp(entry.time)),
            line: String::from_utf8_lossy(&entry.line).into_owned(),
            structured_metadata: pairs(entry.metadata),
            parsed: pairs(entry.parsed),
        };
        let last = batches.last_mut();
        match last.filter(|last| last.labels == text && last.entries.len() < BATCH) {
            Some(last) => last.entries.push(sent),
            None => batches.push(StreamAdapter {
                hash: hash_of(&stream.labels),
                labels: text,
                entries: vec![sent],
            }),
        }
    }
    batches
}

fn all_labels(stream: &Pairs, entry: &Entry) -> Pairs {
    let all = stream.iter().chain(&entry.metadata).chain(&entry.parsed);
    let mut all: Pairs = all.cloned().collect();
    all.sort();
    all
}

fn pairs(pairs: Pairs) -> Vec<LabelPairAdapter> {
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| LabelPairAdapter { name, value })
        .collect()
}

/// By what readers tell streams apart without comparing texts.
fn hash_of(labels: &Pairs) -> u64 {
    Labels::from_pairs(labels.iter().map(|(name, value)| (name, value))).hash64()
}

/// Labels as Go prints them.
fn text_of(labels: &Pairs) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={}", go_quoted(value)))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
