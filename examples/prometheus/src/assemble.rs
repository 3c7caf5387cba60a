//! Builds the parts and joins them. From top to bottom this is the path that a sample takes:
//! discovery finds targets, the scraper fetches them into the store, the engine reads the store, the
//! API asks the engine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::routing::get;
use headwater_api_prometheus::{Parts, Settings, WriteMessage, router};
use headwater_discovery::{Manager as Discovery, ManagerSettings, Metrics as DiscoveryMetrics};
use headwater_env::Env;
use headwater_exposition::{Escaping, Protocol, Registry, content_type};
use headwater_http::{Server as Listener, ServerSettings};
use headwater_promql::{Engine, EngineOptions, ParseOptions, QueryLog};
use headwater_query::ActiveQueries;
use headwater_regexp::Regex;
use headwater_scrape::{ManagerOptions, ScrapeManager, offset_seed};
use headwater_service::{Actor, Logging, RunGroup, Signal, Signals, State, Stop, reload_hook};
use headwater_tsdb::{Db, Opening, Options as StoreOptions};
use http::header::CONTENT_TYPE;
use parking_lot::RwLock;

use crate::Failure;
use crate::face::Face;
use crate::flags::Flags;
use crate::host::Host;
use crate::metrics::{StoreMetrics, register_process};
use crate::process::{Process, hostname};
use crate::reload::{Applier, Keep, watch_files};
use crate::settings::Source;
use crate::store;
use crate::views::{Remote, Scrapes, Store};

/// Runs the server until it is told to stop.
pub(crate) async fn serve(flags: Flags, logging: Logging) -> Result<(), Failure> {
    let mut source = Source::choose(&flags);
    // A mistake in the settings ends the program before anything is started.
    let config = source.load().map_err(Failure::of_user)?;
    let (api_settings, engine_options) = (api_settings(&flags)?, engine_options(&flags, &config)?);
    let store_options = store::options(&flags, &config)?;
    for feature in flags.unknown_features() {
        tracing::warn!(
            feature,
            "unknown or unsupported option for --enable-feature"
        );
    }
    let process = Arc::new(Process::new(
        flags.all(),
        flags.features(),
        store::retention_text(&store_options),
    ));
    let registry = Registry::new();
    register_process(&registry, process.clone());

    // The sockets are bound first: who comes early is told that the server is starting.
    let listener = listen(&flags).await?;
    let address = own_address(&listener);
    let scheme = if listener.is_tls() { "https" } else { "http" };
    let prefix = api_settings.route_prefix.clone();
    // The built-in settings name the server's own address, which is known only now.
    let (config, host_router) = match source {
        Source::File(_) => (config, Router::new()),
        Source::BuiltIn { .. } => {
            source = Source::BuiltIn {
                own_address: address.to_string(),
                prefix: prefix.clone(),
                scheme,
            };
            (
                source.load().map_err(Failure::of_user)?,
                host_routes(&prefix),
            )
        }
    };
    let mut parts = Parts::new(process.clone());
    parts.settings = api_settings;
    parts.registry = registry.clone();
    parts.syntax = engine_options.parse;
    let face = Face::new(router(parts.clone()));
    let (stop_web, web_stopped) = Stop::new();
    let web = tokio::spawn(listener.serve(face.clone(), web_stopped.wait()));
    announce(&source, &format!("{scheme}://{address}{prefix}"));

    let mut signals = Signals::listen(&[Signal::Interrupt, Signal::Terminate, Signal::Hangup])
        .map_err(|error| Failure::of_machine(format!("cannot listen for signals: {error}")))?;
    let db = open_store(&flags, store_options.clone()).await?;
    registry.register(StoreMetrics(db.clone()));

    let mut discovery_settings = ManagerSettings::default();
    discovery_settings.longest_wait = flags
        .duration("scrape.discovery-reload-interval")
        .map_err(Failure::of_user)?;
    let (discovery, driver) = Discovery::new(
        "scrape",
        &discovery_settings,
        &DiscoveryMetrics::new(&registry),
    );
    let scrape = ScrapeManager::builder(Arc::new(db.clone()))
        .options(scrape_options(&flags, &config))
        .registry(&registry)
        .build();
    let query_log = QueryLog::new(Env::real());
    let active = active_queries(&flags)?;
    let engine = Engine::new(Arc::new(db.clone()), engine_options)
        .map_err(|error| Failure::of_machine(format!("cannot start threads: {error}")))?
        .with_active_queries(active)
        .with_query_log(query_log.clone());

    let (reloader, mut reloads) = reload_hook();
    let (quit, quit_asked) = Stop::new();
    let applier = Arc::new(Applier {
        source: source.clone(),
        process: process.clone(),
        query_log,
        scrape: scrape.clone(),
        discovery: discovery.clone(),
        job_configs: Arc::new(RwLock::default()),
        retention: retention_of(&flags, &db),
        logging,
    });
    parts.engine = Some(Arc::new(engine));
    parts.samples = Some(Arc::new(db.clone()));
    parts.chunks = Some(Arc::new(db.clone()));
    parts.write = flags
        .on("web.enable-remote-write-receiver")
        .then(|| Arc::new(db.clone()) as _);
    parts.labels = Some(Arc::new(db.clone()));
    parts.exemplars = Some(Arc::new(db.clone()));
    parts.tsdb = Some(Arc::new(Store(db.clone())));
    parts.scraping = Arc::new(Scrapes {
        manager: scrape.clone(),
        configs: applier.job_configs.clone(),
    });
    parts.admin = flags
        .on("web.enable-admin-api")
        .then(|| Arc::new(Store(db.clone())) as _);
    let remote = Remote {
        reloader: reloader.clone(),
        quit,
        asked: AtomicBool::new(false),
    };
    // Kept here too: the quit of a server without lifecycle requests must not fire when nobody holds it.
    let remote = Arc::new(remote);
    parts.lifecycle = flags
        .on("web.enable-lifecycle")
        .then(|| remote.clone() as _);
    face.set(router(parts).merge(host_router));

    let mut group = RunGroup::new();
    let (ready, hangup) = (process.readiness.clone(), reloader.clone());
    group.add(Actor::stoppable("signals", async move |stop| {
        let ended = async {
            while signals.next().await == Signal::Hangup {
                hangup.request();
            }
        };
        tokio::select! {
            () = ended => tracing::info!("stopping because of a signal"),
            () = quit_asked.wait() => tracing::info!("stopping because of a request"),
            () = stop.wait() => {}
        }
        ready.set(State::Stopping);
        Ok(())
    }));
    group.add(Actor::stoppable("discovery", async move |stop| {
        tokio::select! { () = driver.run() => {}, () = stop.wait() => {} }
        Ok(())
    }));
    let opening = db.clone();
    group.add(Actor::stoppable("replay", async move |stop| {
        tokio::select! { outcome = watch_replay(opening) => outcome?, () = stop.wait() => {} }
        Ok(())
    }));
    let mut found = discovery.targets();
    let scraper = scrape.clone();
    group.add(Actor::new(
        "scrape",
        async move {
            while found.changed().await.is_ok() {
                let sets = crate::jobs::targets(&found.borrow_and_update().clone());
                scraper.sync(&sets);
            }
            Ok(())
        },
        // Returns once every loop has ended, so that the store is closed after the last scrape.
        async move { scrape.stop().await },
    ));
    let (ready, first) = (process.readiness.clone(), applier.clone());
    group.add(Actor::stoppable("reload", async move |stop| {
        first.apply(&config).await?;
        ready.set(State::Ready);
        tracing::info!("server is ready to receive web requests");
        let serve_wishes = async {
            while let Some(wish) = reloads.next().await {
                wish.done(applier.reload().await);
            }
        };
        tokio::select! { () = serve_wishes => {}, () = stop.wait() => {} }
        Ok(())
    }));
    if flags.on("config.auto-reload") || flags.has_feature("auto-reload-config") {
        let every = flags
            .duration("config.auto-reload-interval")
            .map_err(Failure::of_user)?;
        group.add(Actor::stoppable("watch", async move |stop| {
            tokio::select! { () = watch_files(source, every, reloader) => {}, () = stop.wait() => {} }
            Ok(())
        }));
    }
    group.add(Actor::new(
        "web",
        async move { Ok(web.await?) },
        async move { stop_web.stop() },
    ));
    let ended = group.run().await;
    drop(remote);
    close_store(db).await?;
    ended.map_err(|error| Failure::of_machine(error.to_string()))
}

/// Says where to look, for people who started the server by hand.
fn announce(source: &Source, url: &str) {
    if let Source::BuiltIn { .. } = source {
        println!("No prometheus.yml here: scraping this server and this machine every 5 seconds.");
    }
    println!("Look at {url}");
}

async fn listen(flags: &Flags) -> Result<Listener, Failure> {
    let mut settings = ServerSettings::on(flags.texts("web.listen-address"));
    let file = flags.text("web.config.file");
    settings.web_config_file = (!file.is_empty()).then(|| PathBuf::from(file));
    settings.max_connections = flags
        .number("web.max-connections")
        .map_err(Failure::of_user)?;
    settings.read_timeout = flags
        .duration("web.read-timeout")
        .map_err(Failure::of_user)?;
    Listener::bind(settings)
        .await
        .map_err(|error| Failure::of_machine(error.to_string()))
}

/// An address under which this machine reaches the server.
fn own_address(listener: &Listener) -> SocketAddr {
    let address = listener
        .addresses()
        .first()
        .copied()
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9090)));
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            SocketAddr::from(([127, 0, 0, 1], v4.port()))
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            SocketAddr::from(([127, 0, 0, 1], v6.port()))
        }
        other => other,
    }
}

/// Metrics of the machine, scraped by the built-in settings.
fn host_routes(prefix: &str) -> Router {
    let registry = Registry::new();
    registry.register(Host);
    let page = move || {
        let registry = registry.clone();
        async move {
            let body = registry.write(Protocol::PrometheusText0_0_4, Escaping::Underscores);
            (
                [(
                    CONTENT_TYPE,
                    content_type(Protocol::PrometheusText0_0_4, Escaping::Underscores),
                )],
                body,
            )
        }
    };
    Router::new().route(&format!("{prefix}/host/metrics"), get(page))
}

async fn open_store(flags: &Flags, options: StoreOptions) -> Result<Opening, Failure> {
    let path = flags.text("storage.tsdb.path");
    let builder = Db::builder(path).options(options);
    let early = flags.on("storage.tsdb.serve-during-replay");
    // Replay takes threads of its own and must not hold up those that answer requests.
    let opened = tokio::task::spawn_blocking(move || match early {
        true => {
            tracing::info!("the store is served while its log is read");
            builder.open_early()
        }
        false => builder.open().map(Opening::from),
    });
    let opened = opened.await;
    let opened =
        opened.map_err(|error| Failure::of_machine(format!("opening the store: {error}")))?;
    opened.map_err(|error| Failure::of_machine(format!("opening the store in {path}: {error}")))
}

/// What tells the store how long to keep samples, when the settings are loaded.
fn retention_of(flags: &Flags, store: &Opening) -> Keep {
    let (flags, store) = (flags.clone(), store.clone());
    Box::new(move |config| match store.db() {
        Some(db) => crate::store::apply(db, &flags, config),
        // The settings that it is opened with are these, unless they are loaded once more meanwhile.
        None => {
            let (flags, store, config) = (flags.clone(), store.clone(), config.clone());
            tokio::task::spawn_blocking(move || {
                let applied = store
                    .wait()
                    .map_err(|error| error.to_string())
                    .and_then(|db| crate::store::apply(&db, &flags, &config));
                if let Err(error) = applied {
                    tracing::error!(error, "the store does not take the settings");
                }
            });
            Ok(())
        }
    })
}

/// Ends the server if the log cannot be read.
async fn watch_replay(store: Opening) -> Result<(), String> {
    let opened = tokio::task::spawn_blocking(move || store.wait()).await;
    match opened {
        Ok(Ok(_)) => std::future::pending().await,
        Ok(Err(error)) => Err(format!("opening the store: {error}")),
        Err(error) => Err(format!("opening the store: {error}")),
    }
}

async fn close_store(db: Opening) -> Result<(), Failure> {
    let closed = tokio::task::spawn_blocking(move || db.close()).await;
    let closed =
        closed.map_err(|error| Failure::of_machine(format!("closing the store: {error}")))?;
    closed.map_err(|error| Failure::of_machine(format!("closing the store: {error}")))
}

fn api_settings(flags: &Flags) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    settings.query_timeout = flags.duration("query.timeout").map_err(Failure::of_user)?;
    settings.lookback = flags
        .duration("query.lookback-delta")
        .map_err(Failure::of_user)?;
    settings.page_title = flags.text("web.page-title").to_owned();
    settings.route_prefix = route_prefix(
        flags.text("web.route-prefix"),
        flags.text("web.external-url"),
    );
    let origin = Regex::anchored(flags.text("web.cors.origin"))
        .map_err(|error| Failure::of_user(format!("flag --web.cors.origin: {error}")))?;
    settings.cors_origin = Some(origin);
    set_remote(&mut settings, flags).map_err(Failure::of_user)?;
    Ok(settings)
}

fn set_remote(settings: &mut Settings, flags: &Flags) -> Result<(), String> {
    let name = "web.remote-write-receiver.accepted-protobuf-messages";
    let message = |text: &str| {
        WriteMessage::from_name(text)
            .ok_or_else(|| format!("flag --{name}: there is no message {text:?}"))
    };
    let texts = flags.texts(name);
    settings.write_messages = texts
        .iter()
        .flat_map(|text| text.split(','))
        .map(message)
        .collect::<Result<_, _>>()?;
    settings.remote_read_samples = flags.number("storage.remote.read-sample-limit")?;
    settings.concurrent_remote_reads = flags.number("storage.remote.read-concurrent-limit")?;
    settings.remote_read_frame_bytes = flags.number("storage.remote.read-max-bytes-in-frame")?;
    Ok(())
}

/// The prefix that was asked for, or else the path of the external URL; with a slash before it, without one behind.
fn route_prefix(asked: &str, external_url: &str) -> String {
    let path_of = |url: &str| {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        rest.split_once('/')
            .map_or(String::new(), |(_, path)| path.to_owned())
    };
    let path = if asked.is_empty() {
        path_of(external_url)
    } else {
        asked.to_owned()
    };
    match path.trim_matches('/') {
        "" => String::new(),
        path => format!("/{path}"),
    }
}

fn engine_options(
    flags: &Flags,
    config: &headwater_config::Config,
) -> Result<EngineOptions, Failure> {
    let on = |name: &str| flags.has_feature(name);
    let mut parse = ParseOptions::stable();
    parse.experimental_functions = on("promql-experimental-functions");
    parse.extended_ranges = on("promql-extended-range-selectors");
    parse.fill_modifiers = on("promql-binop-fill-modifiers");
    let mut options = EngineOptions::default();
    options.lookback = flags
        .millis("query.lookback-delta")
        .map_err(Failure::of_user)?;
    options.timeout = flags.duration("query.timeout").map_err(Failure::of_user)?;
    options.max_samples = flags
        .number("query.max-samples")
        .map_err(Failure::of_user)? as u64;
    options.max_concurrency = flags
        .number("query.max-concurrency")
        .map_err(Failure::of_user)?;
    options.default_subquery_step = config.global.evaluation_interval.millis();
    options.delayed_name_removal = on("promql-delayed-name-removal");
    options.use_start_timestamps = on("use-start-timestamps");
    options.type_and_unit_labels = on("type-and-unit-labels");
    options.parse = parse;
    Ok(options)
}

/// The file that tells after a crash which queries ran; what it tells goes to the log.
fn active_queries(flags: &Flags) -> Result<Arc<ActiveQueries>, Failure> {
    let dir = PathBuf::from(flags.text("storage.tsdb.path"));
    let most = flags
        .number("query.max-concurrency")
        .map_err(Failure::of_user)?;
    let (active, unfinished) = ActiveQueries::open(&Env::real(), &dir, most)
        .map_err(|error| Failure::of_machine(error.to_string()))?;
    if let Some(queries) = unfinished {
        tracing::info!(queries, "These queries didn't finish in the last run:");
    }
    Ok(active)
}

fn scrape_options(flags: &Flags, config: &headwater_config::Config) -> ManagerOptions {
    let on = |name: &str| flags.has_feature(name);
    let mut options = ManagerOptions::default();
    options.offset_seed = offset_seed(&hostname(), &crate::jobs::external_labels(config));
    options.append_metadata = on("metadata-wal-records");
    options.append_start_timestamps = on("st-storage");
    options
}

#[cfg(test)]
mod tests {
    use super::route_prefix;

    #[test]
    fn prefixes_come_from_the_flag_or_the_external_url() {
        for (asked, url, wanted) in [
            ("", "", ""),
            ("/", "http://x/y", ""),
            ("/a/", "", "/a"),
            ("", "http://host:1/b/c/", "/b/c"),
            ("", "http://host", ""),
        ] {
            assert_eq!(route_prefix(asked, url), wanted, "{asked} {url}");
        }
    }
}
