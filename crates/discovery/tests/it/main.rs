//! Discovery against a real server.

#![cfg(feature = "http")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use headwater_discovery::{
    DiscoveryConfigs, HttpSdConfig, Manager, ManagerSettings, Metrics, TargetSets,
};
use headwater_exposition::registry::Registry;
use headwater_exposition::{Escaping, Protocol};
use headwater_http::{Address, Body, Server, ServerSettings};
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::sync::watch;

/// What the server answers next: status, content type, body.
type Answer = Arc<Mutex<(u16, &'static str, &'static str)>>;

async fn serve(answer: Answer) -> String {
    let server = Server::bind(ServerSettings::on(["127.0.0.1:0"]))
        .await
        .unwrap();
    let address = server.addresses()[0];
    let service = tower::service_fn(move |request: Request<Body>| {
        assert_eq!(request.headers()["accept"], "application/json");
        assert_eq!(
            request.headers()["x-prometheus-refresh-interval-seconds"],
            "0.005"
        );
        let (status, kind, body) = *answer.lock();
        let response = Response::builder()
            .status(status)
            .header("content-type", kind);
        async move { Ok::<_, Infallible>(response.body(body.to_owned()).unwrap()) }
    });
    tokio::spawn(server.serve(service, std::future::pending()));
    format!("http://ann:secret@{address}/sd")
}

async fn wait_for(targets: &mut watch::Receiver<Arc<TargetSets>>, count: usize) -> Arc<TargetSets> {
    let found = targets.wait_for(|sets| {
        let groups = sets.get("job").into_iter().flatten();
        groups.map(|group| group.targets.len()).sum::<usize>() == count
    });
    found.await.unwrap().clone()
}

#[tokio::test]
async fn answers_become_targets_and_errors_change_nothing() {
    let answer: Answer = Arc::new(Mutex::new((
        200,
        "application/json",
        r#"[{"targets":["a:1","b:2"],"labels":{"x":"y"}},{"targets":["c:3"]}]"#,
    )));
    let url = serve(answer.clone()).await;
    let registry = Registry::new();
    let metrics = Metrics::new(&registry);
    let (manager, driver) = Manager::new("scrape", &ManagerSettings::default(), &metrics);
    tokio::spawn(driver.run());
    let mut configs = DiscoveryConfigs::default();
    configs.http_sd_configs.push(HttpSdConfig {
        url: Address::new(&url),
        refresh_interval: headwater_yaml::Duration::from_millis(5),
        ..HttpSdConfig::default()
    });
    assert_eq!(
        manager
            .apply(BTreeMap::from([("job".to_owned(), configs)]))
            .await,
        0
    );
    let mut targets = manager.targets();

    let sets = wait_for(&mut targets, 3).await;
    let group = &sets["job"][0];
    assert_eq!(group.labels.get("x"), Some("y"));
    // The password is not in the label.
    assert_eq!(
        group.labels.get("__meta_url"),
        Some(url.replace("secret", "xxxxx").as_str())
    );

    for (status, kind, body) in [
        (500, "application/json", "[]"),
        (200, "text/html", "[]"),
        (200, "application/json", "[{"),
        (200, "application/json", "[null]"),
    ] {
        let before = failures(&registry);
        *answer.lock() = (status, kind, body);
        while failures(&registry) < before + 2.0 {
            tokio::task::yield_now().await;
        }
        wait_for(&mut targets, 3).await;
    }

    *answer.lock() = (200, "application/json", r#"[{"targets":["a:1"]}]"#);
    let sets = wait_for(&mut targets, 1).await;
    assert_eq!(sets["job"].len(), 1);
}

fn failures(registry: &Registry) -> f64 {
    let text = registry.write(Protocol::PrometheusText0_0_4, Escaping::Underscores);
    let text = String::from_utf8(text).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("prometheus_sd_http_failures_total "))
        .unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
