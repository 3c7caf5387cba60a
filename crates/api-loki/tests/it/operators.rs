//! What operators and Grafana ask besides queries.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, header};
use headwater_api_loki::{Parts, ServiceState, Status, router};
use headwater_chunkstore::{ChunkStore, Config};
use headwater_env::Env;
use headwater_logs::{Distributor, Ingester, IngesterConfig, Limits, Overrides};
use headwater_ring::{Desc, Instance};
use serde_json::Value;
use tower::ServiceExt;

/// A program that remembers what it was told.
#[derive(Default)]
struct Program {
    level: Mutex<String>,
    forgotten: Mutex<Vec<String>>,
    starting: Mutex<bool>,
}

impl Status for Program {
    fn ready(&self) -> Result<(), String> {
        match *self.starting.lock().unwrap() {
            true => Err("Some services are not Running:\nStarting: 1".to_owned()),
            false => Ok(()),
        }
    }

    fn services(&self) -> Vec<ServiceState> {
        let state = "Running".to_owned();
        let name = "ring".to_owned();
        vec![ServiceState { name, state }]
    }

    fn config(&self, mode: &str) -> String {
        format!("mode: {mode}\n")
    }

    fn log_level(&self) -> String {
        self.level.lock().unwrap().clone()
    }

    fn set_log_level(&self, level: &str) -> Result<(), String> {
        match level {
            "debug" => {
                level.clone_into(&mut self.level.lock().unwrap());
                Ok(())
            }
            other => Err(format!("unrecognized log level {other:?}")),
        }
    }

    fn ring(&self) -> Desc {
        let mut desc = Desc::new();
        let one = Instance {
            address: "127.0.0.1:9095".to_owned(),
            tokens: vec![7],
            ..Instance::default()
        };
        desc.instances.insert("one".to_owned(), one);
        desc
    }

    fn forget(&self, member: &str) {
        self.forgotten.lock().unwrap().push(member.to_owned());
    }
}

struct House {
    api: axum::Router,
    program: Arc<Program>,
}

impl House {
    fn new() -> Self {
        let env = Env::in_memory(1);
        let store = ChunkStore::open(env.clone(), Config::new("/d")).unwrap();
        let (store, config) = (Arc::new(store), IngesterConfig::default());
        let ingester = Arc::new(Ingester::new(store, env.clock.clone(), config));
        let distributor = Arc::new(Distributor::new(ingester.clone(), env.clock.clone()));
        let overrides = Arc::new(Overrides::new(Limits::default()));
        let mut parts = Parts::new(distributor, ingester, overrides, env.clock);
        let program = Arc::new(Program::default());
        *program.level.lock().unwrap() = "info".to_owned();
        parts.status = program.clone();
        Self {
            api: router(parts),
            program,
        }
    }

    /// The status, the content type and the body of an answer.
    async fn ask(&self, method: &str, path: &str, tenant: Option<&str>) -> (u16, String, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
        (status, kind, body)
    }
}

#[tokio::test]
async fn pages_have_lokis_statuses_types_and_words() {
    let house = House::new();
    let plain = "text/plain; charset=utf-8";
    for (method, path, status, kind, body) in [
        ("GET", "/ready", 200, plain, "ready\n"),
        ("POST", "/ready", 405, "", ""),
        ("GET", "/services", 200, plain, "ring => Running\n"),
        ("GET", "/config?mode=diffs", 200, plain, "mode: diffs\n"),
        (
            "GET",
            "/memberlist",
            200,
            "text/plain",
            "This instance doesn't use memberlist.",
        ),
        ("POST", "/flush", 204, "", ""),
        ("GET", "/config/tenant/v1/limits", 401, plain, "no org id\n"),
        (
            "GET",
            "/loki/api/v1/drilldown-limits",
            401,
            plain,
            "no org id\n",
        ),
        (
            "GET",
            "/loki/api/v1/patterns?query=%7Ba%3D%22b%22%7D",
            404,
            plain,
            "",
        ),
        (
            "GET",
            "/loki/api/v1/patterns?query=%7Ba%3D%22b%22%7D&step=0",
            400,
            plain,
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        ("GET", "/nosuch", 404, plain, "404 page not found\n"),
    ] {
        let found = house.ask(method, path, None).await;
        let wanted = (status, kind.to_owned(), body.to_owned());
        assert_eq!(found, wanted, "{method} {path}");
    }
    *house.program.starting.lock().unwrap() = true;
    let (status, _, body) = house.ask("GET", "/ready", None).await;
    assert_eq!(
        (status, body.as_str()),
        (503, "Some services are not Running:\nStarting: 1\n")
    );
}

#[tokio::test]
async fn the_log_level_is_told_and_changed() {
    let house = House::new();
    let say = async |method: &str, path: &str| {
        let (status, _, body) = house.ask(method, path, None).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        (status, body["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        say("GET", "/log_level").await,
        (200, "Current log level is info".into())
    );
    let changed = say("POST", "/log_level?log_level=debug").await;
    assert_eq!(changed, (200, "Log level set to debug".into()));
    assert_eq!(
        say("GET", "/log_level").await.1,
        "Current log level is debug"
    );
    let refused = say("POST", "/log_level?log_level=bogus").await;
    assert_eq!(refused, (400, "unrecognized log level \"bogus\"".into()));
}

#[tokio::test]
async fn a_shutdown_is_marked_and_unmarked() {
    let house = House::new();
    let path = "/ingester/prepare_shutdown";
    for (method, wanted) in [
        ("GET", "unset"),
        ("POST", ""),
        ("GET", "set"),
        ("DELETE", ""),
        ("GET", "unset"),
    ] {
        let (status, _, body) = house.ask(method, path, None).await;
        assert_eq!(body, wanted, "{method}");
        assert_eq!(status, if method == "GET" { 200 } else { 204 });
    }
}

#[tokio::test]
async fn limits_of_a_tenant_are_told() {
    let house = House::new();
    let (status, kind, yaml) = house
        .ask("GET", "/config/tenant/v1/limits", Some("t"))
        .await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; charset=utf-8"));
    assert!(yaml.contains("max_query_length: 30d1h"), "{yaml}");
    let (status, kind, body) = house
        .ask("GET", "/loki/api/v1/drilldown-limits", Some("t"))
        .await;
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["pattern_ingester_enabled"], false);
    assert_eq!(body["limits"]["max_query_length"], "30d1h");
    assert_eq!(body["limits"]["log_level_fields"][3], "log.level");
    assert_eq!(body["limits"]["volume_max_series"], 1000);
}

#[tokio::test]
async fn members_of_the_ring_are_shown_and_forgotten() {
    let house = House::new();
    let (_, kind, page) = house.ask("GET", "/ring", None).await;
    assert_eq!(kind, "text/html");
    assert!(page.contains("<td>127.0.0.1:9095</td>"), "{page}");
    let (status, _, _) = house.ask("POST", "/ring?forget=one", None).await;
    assert_eq!(status, 302);
    assert_eq!(*house.program.forgotten.lock().unwrap(), ["one"]);
}

#[tokio::test]
async fn metrics_have_lokis_names() {
    let house = House::new();
    let (status, _, text) = house.ask("POST", "/metrics", None).await;
    assert_eq!(status, 200);
    for name in [
        "loki_ingester_flush_queue_length 0",
        "loki_ingester_chunks_flushed_total{reason=\"full\"} 0",
        "loki_querier_tail_active 0",
        "loki_distributor_replication_factor 1",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }
}
