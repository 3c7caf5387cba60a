//! What an operator has switched on, where some of it fails.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use headwater_api_prometheus::{Admin, FailedBlock, MendedBlock, Mending, Parts, Phase, router};
use headwater_model::{Matcher, TimeRange};
use headwater_storage::{BoxFuture, Delete, Error, ErrorKind, Result};
use tower::ServiceExt;

use crate::fakes::full;

/// Deletes nothing with the value `stuck`, and mends nothing of this name.
#[derive(Default)]
struct Stubborn {
    deleted: Mutex<Vec<String>>,
}

impl Delete for Stubborn {
    fn delete(&self, matchers: Vec<Matcher>, _: TimeRange) -> BoxFuture<'_, Result<()>> {
        let value = matchers[0].value.clone();
        let done = match value.as_str() {
            "stuck" => Err(Error::new(ErrorKind::NoSpace, "the disk is full")),
            _ => {
                self.deleted.lock().unwrap().push(value);
                Ok(())
            }
        };
        Box::pin(async move { done })
    }
}

impl Admin for Stubborn {
    fn clean_tombstones(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn snapshot(&self, _: bool) -> BoxFuture<'_, Result<String>> {
        Box::pin(async { Ok(String::new()) })
    }

    fn mend_blocks(&self, blocks: Vec<String>, verify: bool) -> BoxFuture<'_, Result<Mending>> {
        let mut out = Mending::default();
        for ulid in blocks {
            match ulid.as_str() {
                "stuck" => out.failed.push(FailedBlock {
                    ulid,
                    error: "why".to_owned(),
                }),
                _ => out.mended.push(MendedBlock {
                    ulid,
                    ..MendedBlock::default()
                }),
            }
        }
        if verify {
            out.sound.push("sound".to_owned());
        }
        Box::pin(async { Ok(out) })
    }
}

fn with(admin: Option<Arc<dyn Admin>>) -> Router {
    let mut parts: Parts = full(Phase::Ready);
    parts.admin = admin;
    router(parts)
}

async fn post(router: &Router, path: &str, form: &'static str) -> (u16, serde_json::Value) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn a_selector_that_fails_keeps_no_other_from_being_deleted() {
    let admin = Arc::new(Stubborn::default());
    let router = with(Some(admin.clone()));
    let path = "/api/v1/admin/tsdb/delete_series";
    let form = r#"match[]={a="stuck"}&match[]={a="b"}&match[]={a="c"}&match[]={b="stuck"}"#;
    let (status, answer) = post(&router, path, form).await;
    assert_eq!(status, 500, "{answer}");
    assert_eq!(
        answer["error"],
        r#"{a="stuck"}: the disk is full; {b="stuck"}: the disk is full"#
    );
    assert_eq!(*admin.deleted.lock().unwrap(), ["b", "c"]);
    assert_eq!(post(&router, path, r#"match[]={a="d"}"#).await.0, 204);
}

#[tokio::test]
async fn mending_tells_of_each_block() {
    let router = with(Some(Arc::new(Stubborn::default())));
    let path = "/api/v1/admin/tsdb/mend_blocks";
    let (status, answer) = post(&router, path, "block=A&block=stuck&verify=true").await;
    assert_eq!(status, 200, "{answer}");
    let wanted = serde_json::json!({
        "mended": [{
            "ulid": "A", "replacedBy": null, "setAside": "", "numSeries": 0, "lostSeries": 0,
            "lostChunks": 0, "damage": [],
        }],
        "sound": ["sound"],
        "failed": [{"ulid": "stuck", "error": "why"}],
    });
    assert_eq!(answer["data"], wanted);
    assert_eq!(post(&router, path, "verify=perhaps").await.0, 400);
    let off = post(&with(None), path, "").await.1;
    assert_eq!(off["error"], "admin APIs disabled");
    // A store that mends nothing says so.
    let other = headwater_api_prometheus::router(full(Phase::Ready));
    assert_eq!(post(&other, path, "").await.0, 400);
}
