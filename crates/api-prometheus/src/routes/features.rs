//! `/api/v1/features`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;

use crate::json::envelope::success;
use crate::state::Api;

/// What the server can do, by group.
pub(crate) async fn features(State(api): State<Api>) -> Response {
    let mut features = api.parts.server.features();
    let own = features.entry("api".to_owned()).or_default();
    own.extend(api_features(&api));
    success(&features)
}

/// Names are those of the original.
fn api_features(api: &Api) -> BTreeMap<String, bool> {
    [
        ("admin", api.parts.admin.is_some()),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", api.parts.lifecycle.is_some()),
        ("openapi_3.1", false),
        ("openapi_3.2", false),
        ("otlp_write_receiver", false),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", false),
        ("search", false),
        ("search_fuzz_alg_jarowinkler", false),
        ("search_fuzz_alg_subsequence", false),
        ("time_range_labels", true),
        ("time_range_series", true),
    ]
    .map(|(name, on)| (name.to_owned(), on))
    .into()
}
