//! The routes, put together.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;

use crate::parts::Parts;
use crate::routes::{
    admin, exemplars, explain, expressions, features, federate, labels, lifecycle, metadata,
    metrics, pages, query, read, relabel, remote, rules, status, targets, write,
};
use crate::serve::cors::cors;
use crate::serve::gate::ready_only;
use crate::serve::methods::Methods;
use crate::serve::observe::observe;
use crate::serve::plain::not_found;
use crate::state::Api;

/// All routes of the server, under the prefix that the settings name.
///
/// A program may make several routers from clones of the same parts, as one for the time of its
/// start and one for later: they count requests together.
pub fn router(parts: Parts) -> Router {
    let settings = parts.settings.clone();
    let api = Api::new(parts);
    let routes = Router::new()
        .nest("/api/v1", api_routes(&api))
        .merge(gated(&api, federation_routes()))
        .merge(operator_routes())
        .merge(pages::routes(&settings));
    let routes = match settings.route_prefix.as_str() {
        "" => routes,
        prefix => pages::redirects_to(prefix).nest(prefix, routes),
    };
    let observer = api.parts.observer().clone();
    routes
        .layer(from_fn_with_state(observer, observe))
        .fallback(not_found)
        .with_state(api)
}

/// Questions about data answer once the server is ready; a few about the process answer always.
fn api_routes(api: &Api) -> Router<Api> {
    let gated = gated(
        api,
        data_routes().merge(status_routes()).merge(admin_routes()),
    );
    let always = Router::new()
        .route("/status/walreplay", get(status::replay))
        .route("/notifications", get(status::notifications));
    gated
        .merge(always)
        .layer(from_fn_with_state(api.clone(), cors))
}

fn data_routes() -> Router<Api> {
    Router::new()
        .route("/query", get_post(query::instant))
        .route("/query_range", get_post(query::range))
        .route("/explain", get_post(explain::explain))
        .route("/query_exemplars", get_post(exemplars::exemplars))
        .route("/format_query", get_post(expressions::format))
        .route("/parse_query", get_post(expressions::tree))
        .route("/labels", get_post(labels::names))
        .route("/label/{name}/values", get(labels::values))
        .route("/series", get_post(labels::series))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::metadata))
        .route("/targets/relabel_steps", get(relabel::steps))
        .route("/scrape_pools", get(targets::pools))
        .route("/scrape_pools/config", get(targets::pool_config))
        .route("/metadata", get(metadata::metadata))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alertmanagers", get(rules::alertmanagers))
}

fn status_routes() -> Router<Api> {
    Router::new()
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/buildinfo", get(status::build))
        .route("/status/self_metrics", get(metrics::self_metrics))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/tsdb/damaged_blocks", get(status::damaged_blocks))
        .route("/features", get(features::features))
        .route("/write", Methods::POST.route(write::write))
        .route("/read", Methods::POST.route(read::read))
        .route("/otlp/v1/metrics", Methods::POST.route(remote::otlp_off))
        .route("/search/{what}", get_post(remote::search_off))
}

fn admin_routes() -> Router<Api> {
    Router::new()
        .route("/admin/tsdb/delete_series", post_put(admin::delete_series))
        .route(
            "/admin/tsdb/clean_tombstones",
            post_put(admin::clean_tombstones),
        )
        .route("/admin/tsdb/snapshot", post_put(admin::snapshot))
        .route("/admin/tsdb/mend_blocks", post_put(admin::mend_blocks))
}

fn federation_routes() -> Router<Api> {
    Router::new()
        .route("/federate", get(federate::federate))
        .route("/-/ready", Methods::GET_HEAD.route(lifecycle::ready))
}

/// What operators need also when nothing else answers.
fn operator_routes() -> Router<Api> {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/version", get(status::version))
        .route("/-/healthy", Methods::GET_HEAD.route(lifecycle::healthy))
        .route("/-/reload", Methods::LIFECYCLE.route(lifecycle::reload))
        .route("/-/quit", Methods::LIFECYCLE.route(lifecycle::quit))
}

fn get<H: Handler<T, Api>, T: 'static>(handler: H) -> MethodRouter<Api> {
    Methods::GET.route(handler)
}

fn get_post<H: Handler<T, Api>, T: 'static>(handler: H) -> MethodRouter<Api> {
    Methods::GET_POST.route(handler)
}

fn post_put<H: Handler<T, Api>, T: 'static>(handler: H) -> MethodRouter<Api> {
    Methods::POST_PUT.route(handler)
}

fn gated(api: &Api, routes: Router<Api>) -> Router<Api> {
    routes.route_layer(from_fn_with_state(api.clone(), ready_only))
}
