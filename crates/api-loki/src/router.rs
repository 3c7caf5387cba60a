//! The routes, put together.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};

use crate::metrics::Modules;
use crate::observe::{Observer, observe};
use crate::parts::Parts;
use crate::routes::{
    detected_fields, detected_labels, format, index, labels, operators, patterns, push, query,
    ring, tail,
};
use crate::state::Api;

/// All routes of a server that has every module.
pub fn router(parts: Parts) -> Router {
    routes(registered(parts))
}

/// The routes of HTTP and of gRPC, which share their bounds.
#[cfg(feature = "grpc")]
pub fn router_with_grpc(
    parts: Parts,
    settings: &crate::grpc::Settings,
) -> (Router, tonic::service::Routes) {
    let api = registered(parts);
    let grpc = crate::grpc::routes(&api, settings);
    (routes(api), grpc)
}

/// What the routes share, with its metrics told.
fn registered(parts: Parts) -> Api {
    let api = Api::new(parts);
    let parts = &api.parts;
    parts.registry.register(Modules {
        distributor: parts.distributor.clone(),
        ingester: parts.ingester.clone(),
        tails: api.tails.clone(),
    });
    api
}

fn routes(api: Api) -> Router {
    let observer = Observer::new(&api.parts.registry);
    Router::new()
        .nest("/loki/api/v1", current())
        .nest("/api/prom", first())
        .route("/otlp/v1/logs", post(push::otlp))
        .merge(operator_routes())
        .layer(from_fn_with_state(observer, observe))
        .fallback(query::missing)
        .with_state(api)
}

fn current() -> Router<Api> {
    Router::new()
        .route("/push", post(push::push).get(query::missing))
        .route("/query_range", get_post(query::range))
        .route("/query", get_post(query::instant))
        .route("/labels", get_post(labels::names))
        .route("/label", get_post(labels::names))
        .route("/label/{name}/values", get_post(labels::values))
        .route("/series", get_post(labels::series))
        .route("/index/stats", get_post(index::stats))
        .route("/index/volume", get_post(index::volume))
        .route("/index/volume_range", get_post(index::volume_range))
        .route("/detected_labels", get_post(detected_labels::labels))
        .route("/detected_fields", get_post(detected_fields::fields))
        .route(
            "/detected_field/{name}/values",
            get_post(detected_fields::values),
        )
        .route("/tail", get(tail::tail))
        .route("/format_query", get_post(format::format))
        .route("/patterns", get_post(patterns::patterns))
        .route("/drilldown-limits", get(operators::drilldown_limits))
        .route("/status/buildinfo", get(operators::build))
}

/// The first API, which old clients still speak.
fn first() -> Router<Api> {
    Router::new()
        .route("/push", post(push::push).get(query::missing))
        .route("/query", get_post(query::legacy))
        .route("/label", get_post(labels::names))
        .route("/label/{name}/values", get_post(labels::values))
        .route("/series", get_post(labels::series))
        .route("/tail", get(tail::tail))
}

fn operator_routes() -> Router<Api> {
    Router::new()
        .route("/ready", get(operators::ready))
        .route("/services", get(operators::services))
        .route("/config", get(operators::config))
        .route("/config/tenant/v1/limits", get(operators::tenant_limits))
        .route("/metrics", get_post(operators::metrics))
        .route(
            "/log_level",
            get(operators::log_level).post(operators::set_log_level),
        )
        .route("/memberlist", get(operators::memberlist))
        .route(
            "/ingester/prepare_shutdown",
            get(operators::shutdown_prepared)
                .post(operators::prepare_shutdown)
                .delete(operators::forget_shutdown),
        )
        .route("/flush", get_post(operators::flush))
        .route("/ring", get(ring::show).post(ring::forget))
}

fn get_post<H: Handler<T, Api>, T: 'static>(handler: H) -> MethodRouter<Api> {
    get(handler.clone()).post(handler)
}
