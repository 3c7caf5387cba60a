//! Loki's gRPC services, asked by clients of the same protocol over loopback.

use std::sync::Arc;
use std::time::Duration;

use headwater_api_loki::grpc::Settings;
use headwater_api_loki::{Parts, router_with_grpc};
use headwater_chunkstore::{ChunkStore, Config};
use headwater_env::{Clock, Env, SystemClock};
use headwater_logs::{Distributor, Ingester, IngesterConfig, Limits, Overrides};
use headwater_wire::loki::health::HealthCheckRequest;
use headwater_wire::loki::health::health_check_response::ServingStatus;
use headwater_wire::loki::health::health_client::HealthClient;
use headwater_wire::loki::logproto::pusher_client::PusherClient;
use headwater_wire::loki::logproto::querier_client::QuerierClient;
use headwater_wire::loki::logproto::*;
use headwater_wire::loki::timestamp;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Status};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server over memory, and a connection to it.
struct Fixture {
    channel: Channel,
    now: i64,
}

impl Fixture {
    async fn start(auth: bool) -> Self {
        let clock = Arc::new(SystemClock::new());
        let store = ChunkStore::open(Env::in_memory(1), Config::new("/d")).unwrap();
        let ingester = Ingester::new(Arc::new(store), clock.clone(), IngesterConfig::default());
        let ingester = Arc::new(ingester);
        let distributor = Arc::new(Distributor::new(ingester.clone(), clock.clone()));
        let overrides = Arc::new(Overrides::new(Limits::default()));
        let mut parts = Parts::new(distributor, ingester, overrides, clock.clone());
        parts.settings.auth_enabled = auth;
        let (_, routes) = router_with_grpc(parts, &Settings::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Server::builder().add_routes(routes);
        tokio::spawn(serving.serve_with_incoming(TcpIncoming::from(listener)));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        Self {
            channel: endpoint.connect().await.unwrap(),
            now: clock.unix_nanos(),
        }
    }

    fn pusher(&self) -> PusherClient<Channel> {
        PusherClient::new(self.channel.clone())
    }

    fn querier(&self) -> QuerierClient<Channel> {
        QuerierClient::new(self.channel.clone())
    }

    fn entry(&self, ago: i64, line: &str) -> EntryAdapter {
        EntryAdapter {
            timestamp: Some(timestamp(self.now - ago)),
            line: line.to_owned(),
            structured_metadata: vec![LabelPairAdapter {
                name: "trace.id".into(),
                value: "t1".into(),
            }],
            parsed: Vec::new(),
        }
    }

    async fn push(&self, labels: &str, entries: Vec<EntryAdapter>) -> Result<(), Status> {
        let stream = StreamAdapter {
            labels: labels.to_owned(),
            entries,
            hash: 0,
        };
        let request = PushRequest {
            streams: vec![stream],
        };
        self.pusher().push(request).await.map(drop)
    }

    fn query(&self, selector: &str, limit: u32, direction: Direction) -> QueryRequest {
        QueryRequest {
            selector: selector.to_owned(),
            limit,
            start: Some(timestamp(self.now - 3_600_000_000_000)),
            end: Some(timestamp(self.now + 1)),
            direction: direction.into(),
            shards: Vec::new(),
        }
    }

    async fn lines(&self, request: QueryRequest) -> Result<Vec<StreamAdapter>, Status> {
        let mut answers = self.querier().query(request).await?.into_inner();
        let mut streams = Vec::new();
        while let Some(answer) = answers.message().await? {
            streams.extend(answer.streams);
        }
        Ok(streams)
    }
}

#[tokio::test]
async fn what_is_pushed_is_answered() {
    let server = Fixture::start(false).await;
    let entries = (0..300)
        .rev()
        .map(|ago| server.entry(ago * 1_000_000, &format!("level=info n={ago}")));
    server
        .push(r#"{app="shop"}"#, entries.collect())
        .await
        .unwrap();

    let request = server.query(
        r#"{app="shop"} | logfmt | n < 200"#,
        150,
        Direction::Backward,
    );
    let streams = server.lines(request).await.unwrap();
    let entries: Vec<_> = streams.iter().flat_map(|stream| &stream.entries).collect();
    assert_eq!(entries.len(), 150);
    let newest = streams
        .iter()
        .find(|stream| stream.labels.contains(r#"n="0""#))
        .unwrap();
    assert_eq!(
        newest.labels,
        r#"{app="shop", detected_level="info", level="info", n="0", service_name="shop", trace_id="t1"}"#
    );
    let names = |pairs: &[LabelPairAdapter]| -> Vec<String> {
        pairs.iter().map(|pair| pair.name.clone()).collect()
    };
    assert_eq!(
        names(&newest.entries[0].structured_metadata),
        ["detected_level", "trace_id"]
    );
    assert_eq!(names(&newest.entries[0].parsed), ["level", "n"]);

    let request = SampleQueryRequest {
        selector: r#"sum(sum_over_time({app="shop"} | logfmt | unwrap n [1h]))"#.to_owned(),
        end: Some(timestamp(server.now + 1)),
        ..SampleQueryRequest::default()
    };
    let mut answers = server
        .querier()
        .query_sample(request)
        .await
        .unwrap()
        .into_inner();
    let (mut count, mut sum) = (0, 0.0);
    while let Some(answer) = answers.message().await.unwrap() {
        for sample in answer.series.iter().flat_map(|series| &series.samples) {
            (count, sum) = (count + 1, sum + sample.value);
        }
    }
    assert_eq!((count, sum), (300, 299.0 * 300.0 / 2.0));
}

#[tokio::test]
async fn labels_series_and_sizes_are_answered() {
    let server = Fixture::start(false).await;
    for app in ["a", "b"] {
        let line = "x".repeat(2000);
        let labels = format!("{{app=\"{app}\", env=\"test\"}}");
        server
            .push(&labels, vec![server.entry(0, &line)])
            .await
            .unwrap();
    }
    let mut querier = server.querier();
    let mut label = async |name: &str, values: bool, query: &str| {
        let request = LabelRequest {
            name: name.to_owned(),
            values,
            query: query.to_owned(),
            ..LabelRequest::default()
        };
        querier.label(request).await.unwrap().into_inner().values
    };
    assert_eq!(label("", false, "").await, ["app", "env", "service_name"]);
    assert_eq!(label("app", true, "").await, ["a", "b"]);
    assert_eq!(label("app", true, r#"{app="b"}"#).await, ["b"]);

    let range = (Some(timestamp(0)), Some(timestamp(server.now + 1)));
    let request = SeriesRequest {
        start: range.0,
        end: range.1,
        groups: vec![r#"{app="a"}"#.to_owned()],
        shards: Vec::new(),
    };
    let series = querier.series(request).await.unwrap().into_inner().series;
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].labels[0].value, "a");

    let through = server.now / 1_000_000 + 1000;
    let request = IndexStatsRequest {
        from: 0,
        through,
        matchers: r#"{env="test"}"#.to_owned(),
    };
    let stats = querier.get_stats(request).await.unwrap().into_inner();
    assert_eq!((stats.streams, stats.entries), (2, 2));
    let request = VolumeRequest {
        through,
        matchers: r#"{env="test"}"#.to_owned(),
        target_labels: vec!["app".to_owned()],
        ..VolumeRequest::default()
    };
    let volumes = querier
        .get_volume(request)
        .await
        .unwrap()
        .into_inner()
        .volumes;
    let volumes: Vec<_> = volumes
        .iter()
        .map(|v| (v.name.as_str(), v.volume))
        .collect();
    assert_eq!(volumes, [(r#"{app="a"}"#, 2048), (r#"{app="b"}"#, 2048)]);

    let request = DetectedLabelsRequest {
        start: range.0,
        end: range.1,
        query: String::new(),
    };
    let labels = querier
        .get_detected_labels(request)
        .await
        .unwrap()
        .into_inner()
        .labels;
    assert_eq!(labels["app"].values, ["a", "b"]);
    let request = DetectedFieldsRequest {
        query: r#"{app="a"}"#.to_owned(),
        values: true,
        name: "trace_id".to_owned(),
        ..DetectedFieldsRequest::default()
    };
    let fields = querier
        .get_detected_fields(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(fields.values, ["t1"]);

    let missing = querier
        .get_chunk_i_ds(GetChunkIDsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::Unimplemented);
    assert!(missing.message().starts_with("GetChunkIDs"), "{missing}");
}

#[tokio::test]
async fn lines_are_followed_as_they_come() {
    let server = Fixture::start(false).await;
    server
        .push(r#"{app="a"}"#, vec![server.entry(5, "before")])
        .await
        .unwrap();
    let request = TailRequest {
        query: r#"{app="a"} != "not this""#.to_owned(),
        limit: 10,
        start: Some(timestamp(server.now - 1_000_000_000)),
        ..TailRequest::default()
    };
    let mut told = server.querier().tail(request).await.unwrap().into_inner();
    let mut next = async || {
        let told = tokio::time::timeout(PATIENCE, told.message()).await;
        told.expect("in time").unwrap().unwrap().stream.unwrap()
    };
    assert_eq!(next().await.entries[0].line, "before");
    let count = server
        .querier()
        .tailers_count(TailersCountRequest {})
        .await
        .unwrap();
    assert_eq!(count.into_inner().count, 1);
    let entries = vec![server.entry(4, "not this"), server.entry(3, "after")];
    server.push(r#"{app="a"}"#, entries).await.unwrap();
    let after = next().await;
    assert_eq!(after.entries[0].line, "after");
    assert!(
        after.labels.contains(r#"trace_id="t1""#),
        "{}",
        after.labels
    );
}

#[tokio::test]
async fn tenants_are_told_apart_and_must_be_named() {
    let server = Fixture::start(true).await;
    let nameless = server
        .push(r#"{app="a"}"#, vec![server.entry(0, "x")])
        .await;
    let nameless = nameless.unwrap_err();
    assert_eq!(
        (nameless.code(), nameless.message()),
        (Code::Unauthenticated, "no org id")
    );
    let named = |tenant: &'static str, query: &str| {
        let mut request = Request::new(server.query(query, 10, Direction::Forward));
        request
            .metadata_mut()
            .insert("x-scope-orgid", tenant.parse().unwrap());
        request
    };
    let mut push = Request::new(PushRequest {
        streams: vec![StreamAdapter {
            labels: r#"{app="a"}"#.to_owned(),
            entries: vec![server.entry(0, "x")],
            hash: 0,
        }],
    });
    push.metadata_mut()
        .insert("x-scope-orgid", "one".parse().unwrap());
    server.pusher().push(push).await.unwrap();
    for (tenant, wanted) in [("one", 1), ("two", 0)] {
        let answers = server
            .querier()
            .query(named(tenant, r#"{app="a"}"#))
            .await
            .unwrap();
        let (mut answers, mut count) = (answers.into_inner(), 0);
        while let Some(answer) = answers.message().await.unwrap() {
            count += answer.streams.len();
        }
        assert_eq!(count, wanted, "{tenant}");
    }
}

#[tokio::test]
async fn mistakes_and_large_messages_have_their_codes() {
    let server = Fixture::start(false).await;
    let code = async |selector: &str| {
        let request = server.query(selector, 10, Direction::Forward);
        server.lines(request).await.unwrap_err().code()
    };
    assert_eq!(code("{").await, Code::InvalidArgument);
    assert_eq!(code(r#"rate({app="a"}[1m])"#).await, Code::InvalidArgument);
    let refused = server
        .push("{app=", vec![server.entry(0, "x")])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("parse error"), "{refused}");
    let old = server
        .push(r#"{app="a"}"#, vec![server.entry(server.now, "x")])
        .await;
    assert!(old.unwrap_err().message().contains("has timestamp too old"));
    let large = server
        .push(r#"{app="a"}"#, vec![server.entry(0, &"x".repeat(5 << 20))])
        .await;
    assert_eq!(large.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn health_is_told_once_and_again() {
    let server = Fixture::start(false).await;
    let mut health = HealthClient::new(server.channel.clone());
    let about = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", "logproto.Querier"] {
        let answer = health.check(about(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let unknown = health.check(about("other")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watch = health.watch(about("other")).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
}
