//! Builds the modules in the order of their needs, and joins them. From top to bottom this is the path
//! that a line takes: the server gives it to the distributor, which asks the ring who keeps it; the
//! ingester takes it into the store, from where the querier reads it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use headwater_api_loki::{Parts, grpc, router_with_grpc};
use headwater_chunkstore::{ChunkStore, Config, Workers};
use headwater_env::Env;
use headwater_exposition::Registry;
use headwater_exposition::registry::process::ProcessCollector;
use headwater_http::{Server, ServerSettings};
use headwater_logs::{Distributor, Ingester, IngesterConfig, Overrides};
use headwater_query::CpuPool;
use headwater_ring::LifecycleConfig;
use headwater_ring_kv::{Lifecycler, LifecyclerHandle, MemoryStore};
use headwater_service::{
    Actor, BoxError, Logging, Modules, Readiness, Signal, Signals, State, Stop, Stopper,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::Failure;
use crate::face::Face;
use crate::host::Host;
use crate::settings::{Settings, Source};
use crate::states::{self, States};

/// What `-target` may name.
pub(crate) const TARGETS: [&str; 1] = ["all"];
/// The modules, those that others need first.
pub(crate) const MODULES: [&str; 8] = [
    "server",
    "overrides",
    "ring",
    "store",
    "ingester",
    "distributor",
    "querier",
    "compactor",
];
/// The ring of ingesters, under Loki's name.
pub(crate) const INGESTERS: &str = "ring";

const SIGNALS: [Signal; 2] = [Signal::Interrupt, Signal::Terminate];

/// What the modules give each other.
struct Context {
    source: Source,
    env: Env,
    registry: Registry,
    readiness: Readiness,
    states: States,
    logging: Logging,
    server: Option<ServerPart>,
    overrides: Option<Arc<Overrides>>,
    ring: Option<(Arc<MemoryStore>, LifecyclerHandle)>,
    store: Option<Arc<ChunkStore>>,
    /// Threads that write parts.
    workers: Option<Workers>,
    ingester: Option<Arc<Ingester>>,
    distributor: Option<Arc<Distributor>>,
}

/// A server that answers from its first moment.
struct ServerPart {
    face: Face,
    address: SocketAddr,
    /// Where gRPC will be spoken; nobody is answered there before everything runs.
    grpc: TcpListener,
    grpc_address: SocketAddr,
    stop: Stopper,
    /// Ends what would keep connections open for ever.
    stopping: Stop,
    serving: JoinHandle<()>,
}

/// What an earlier module has left.
fn had<'a, T>(part: &'a Option<T>, module: &str) -> Result<&'a T, BoxError> {
    part.as_ref()
        .ok_or_else(|| format!("the module {module} was not built").into())
}

/// Runs the server until it is told to stop.
pub(crate) async fn serve(source: Source, logging: Logging) -> Result<(), Failure> {
    let mut context = Context {
        source,
        env: Env::real(),
        registry: Registry::new(),
        readiness: Readiness::new(),
        states: States::of(&MODULES),
        logging,
        server: None,
        overrides: None,
        ring: None,
        store: None,
        workers: None,
        ingester: None,
        distributor: None,
    };
    context.registry.register(ProcessCollector);
    context
        .registry
        .build_info("loki", &[("version", env!("CARGO_PKG_VERSION"))]);
    let target = context.source.settings.target.clone();
    let mut group = modules()
        .build(&[&target], &mut context)
        .await
        .map_err(Failure::of_machine)?;
    let mut signals = Signals::listen(&SIGNALS)
        .map_err(|error| Failure::of_machine(format!("cannot listen for signals: {error}")))?;
    let (readiness, states) = (context.readiness.clone(), context.states.clone());
    group.add(Actor::stoppable("signals", async move |stop| {
        tokio::select! {
            _ = signals.next() => tracing::info!("stopping because of a signal"),
            () = stop.wait() => {}
        }
        readiness.set(State::Stopping);
        states.set_all(states::STOPPING);
        Ok(())
    }));
    context.readiness.set(State::Ready);
    let ended = group.run().await;
    context.readiness.set(State::Stopping);
    drop(context.workers.take());
    if let Some(store) = context.store.take() {
        close(store).await?;
    }
    tracing::info!("everything is stored; good bye");
    ended.map_err(Failure::of_machine)
}

fn modules() -> Modules<Context> {
    let mut modules = Modules::new();
    noted(&mut modules, "server", &[], server);
    noted(&mut modules, "overrides", &[], overrides);
    noted(&mut modules, "ring", &["server"], ring);
    noted(&mut modules, "store", &["overrides"], store);
    noted(&mut modules, "ingester", &["ring", "store"], ingester);
    noted(
        &mut modules,
        "distributor",
        &["ring", "overrides", "ingester"],
        distributor,
    );
    noted(
        &mut modules,
        "querier",
        &["store", "ingester", "distributor", "server"],
        querier,
    );
    noted(
        &mut modules,
        "compactor",
        &["overrides", "store"],
        compactor,
    );
    modules.alias("all", &["compactor", "querier", "distributor", "ingester"]);
    modules
}

/// Adds a module whose state is noted while it is built.
fn noted(
    modules: &mut Modules<Context>,
    name: &'static str,
    needs: &[&'static str],
    init: impl AsyncFnOnce(&mut Context) -> Result<Option<Actor>, BoxError> + 'static,
) {
    modules.module(name, needs, async move |context: &mut Context| {
        context.states.set(name, states::STARTING);
        let built = init(context).await?;
        context.states.set(name, states::RUNNING);
        Ok(built)
    });
}

/// Binds the sockets first: who comes early is told that the server is starting.
async fn server(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let settings = &context.source.settings.server;
    let http = socket(&settings.http_listen_address, settings.http_listen_port);
    let mut listen = ServerSettings::on([http]);
    listen.read_timeout = settings.http_server_read_timeout.to_std();
    listen.drain_timeout = settings.graceful_shutdown_timeout.to_std();
    let largest = context.source.settings.distributor.max_recv_msg_size as u64;
    // Bodies that are too large for a push are refused by the push, in its own words.
    listen.max_body_bytes = listen.max_body_bytes.max(largest.saturating_mul(2));
    let server = Server::bind(listen).await?;
    let address = server
        .addresses()
        .first()
        .copied()
        .ok_or("there is no address to listen on")?;
    let wanted = socket(&settings.grpc_listen_address, settings.grpc_listen_port);
    let wanted = wanted
        .strip_prefix(':')
        .map_or(wanted.clone(), |port| format!("[::]:{port}"));
    let grpc = TcpListener::bind(&wanted).await;
    let grpc = grpc.map_err(|error| format!("cannot listen for gRPC on {wanted}: {error}"))?;
    let grpc_address = grpc.local_addr()?;
    let states = context.states.clone();
    let starting = async move || {
        let text = states.not_running().unwrap_or_default();
        (http::StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"))
    };
    let face = Face::new(Router::new().fallback(starting));
    let (stop, stopping) = Stop::new();
    let serving = tokio::spawn(server.serve(face.clone(), stopping.clone().wait()));
    context.server = Some(ServerPart {
        face,
        address,
        grpc,
        grpc_address,
        stop,
        stopping,
        serving,
    });
    Ok(None)
}

/// An address as sockets are bound to it; all of the machine's without a host.
fn socket(host: &str, port: u16) -> String {
    match host {
        host if host.contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// The limits; those of single tenants are read again and again.
async fn overrides(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let settings = &context.source.settings;
    let overrides = Arc::new(Overrides::new(settings.limits_config.limits.clone()));
    context.overrides = Some(overrides.clone());
    let runtime = &settings.runtime_config;
    if runtime.file.is_empty() {
        return Ok(None);
    }
    let (file, period) = (PathBuf::from(&runtime.file), runtime.period.to_std());
    let mut last = read(&file)?;
    overrides
        .load(&last)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Some(Actor::stoppable("overrides", async move |stop| {
        let watch = async {
            loop {
                tokio::time::sleep(period.max(Duration::from_millis(100))).await;
                let text = match read(&file) {
                    Ok(text) if text == last => continue,
                    Ok(text) => text,
                    Err(error) => {
                        tracing::warn!(%error, "the runtime file cannot be read; the limits stay");
                        continue;
                    }
                };
                match overrides.load(&text) {
                    Ok(()) => tracing::info!(file = %file.display(), "new limits"),
                    Err(error) => {
                        tracing::warn!(%error, "the runtime file is not valid; the limits stay")
                    }
                }
                last = text;
            }
        };
        tokio::select! { () = watch => {}, () = stop.wait() => {} }
        Ok(())
    })))
}

fn read(file: &std::path::Path) -> Result<String, BoxError> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// The ring in memory, with this process as its member.
async fn ring(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let settings = &context.source.settings;
    let port = had(&context.server, "server")?.grpc_address.port();
    let common = &settings.common;
    let lifecycler = &settings.ingester.lifecycler;
    let address = [
        &lifecycler.address,
        &common.ring.instance_addr,
        &common.instance_addr,
    ]
    .into_iter()
    .find(|address| !address.is_empty())
    .map_or("127.0.0.1", String::as_str);
    let id = [&lifecycler.id, &common.ring.instance_id]
        .into_iter()
        .find(|id| !id.is_empty())
        .map_or("loki", String::as_str);
    let mut config = LifecycleConfig::new(id, format!("{address}:{port}"));
    config.tokens = lifecycler.num_tokens;
    config.zone = common.ring.instance_availability_zone.clone();
    config.min_ready_duration = lifecycler.min_ready_duration.millis() / 1000;
    let store = Arc::new(MemoryStore::new());
    let (clock, rng) = (context.env.clock.clone(), context.env.rng.clone());
    let driver = Lifecycler::new(store.clone(), INGESTERS, config, Vec::new(), clock, rng);
    let handle = driver.handle();
    context.ring = Some((store, handle.clone()));
    Ok(Some(Actor::new(
        "ring",
        async move { Ok(driver.run().await?) },
        async move { handle.go() },
    )))
}

/// Opens the store, which replays its log.
async fn store(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let folder = context.source.data();
    let ingester = &context.source.settings.ingester;
    let mut config = Config::new(&folder);
    config.max_age = ingester.max_chunk_age.to_std();
    config.idle = ingester.chunk_idle_period.to_std();
    let env = context.env.clone();
    let begun = std::time::Instant::now();
    let opened = tokio::task::spawn_blocking(move || ChunkStore::open(env, config)).await?;
    let store = opened.map_err(|error| format!("the store in {}: {error}", folder.display()))?;
    for damage in store.damaged() {
        tracing::error!(
            damage,
            "what is damaged is left where it is; the rest is served"
        );
    }
    tracing::info!(folder = %folder.display(), bytes = store.head_bytes(), duration = ?begun.elapsed(), "the log is replayed");
    let store = Arc::new(store);
    let report =
        |error: &_| tracing::error!(%error, "parts cannot be written; this is tried again");
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    context.workers = Some(store.start_workers(threads, report)?);
    context.store = Some(store);
    Ok(None)
}

/// Takes entries, and looks every now and then whether they should be written to parts.
async fn ingester(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let settings = &context.source.settings.ingester;
    let mut config = IngesterConfig::default();
    config.max_chunk_age = settings.max_chunk_age.to_std();
    config.idle = settings.chunk_idle_period.to_std();
    let store = had(&context.store, "store")?.clone();
    let ingester = Arc::new(Ingester::new(store, context.env.clock.clone(), config));
    context.ingester = Some(ingester.clone());
    let period = settings
        .flush_check_period
        .to_std()
        .max(Duration::from_millis(10));
    Ok(Some(Actor::stoppable("ingester", async move |stop| {
        let sweeps = async {
            loop {
                tokio::time::sleep(period).await;
                let ingester = ingester.clone();
                match tokio::task::spawn_blocking(move || ingester.sweep()).await? {
                    Ok(None) => {}
                    Ok(Some(reason)) => {
                        tracing::info!(reason = reason.as_str(), "heads are written to parts")
                    }
                    Err(error) => {
                        tracing::error!(%error, "heads cannot be written to parts; this is tried again")
                    }
                }
            }
        };
        tokio::select! { ended = sweeps => ended, () = stop.wait() => Ok(()) }
    })))
}

/// Removes what is older than its tenant and stream keep it, if that is wanted.
async fn compactor(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let settings = &context.source.settings.compactor;
    if !settings.retention_enabled {
        return Ok(None);
    }
    let period = settings
        .compaction_interval
        .to_std()
        .max(Duration::from_millis(10));
    let store = had(&context.store, "store")?.clone();
    let overrides = had(&context.overrides, "overrides")?.clone();
    Ok(Some(Actor::stoppable("compactor", async move |stop| {
        let rounds = async {
            loop {
                tokio::time::sleep(period).await;
                let (store, overrides) = (store.clone(), overrides.clone());
                match tokio::task::spawn_blocking(move || overrides.expire(&store)).await? {
                    Ok(0) => {}
                    Ok(parts) => tracing::info!(parts, "old entries are removed"),
                    Err(error) => {
                        tracing::error!(%error, "old entries cannot be removed; this is tried again")
                    }
                }
            }
        };
        tokio::select! { ended = rounds => ended, () = stop.wait() => Ok(()) }
    })))
}

async fn distributor(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let ingester = had(&context.ingester, "ingester")?.clone();
    let clock = context.env.clock.clone();
    context.distributor = Some(Arc::new(Distributor::new(ingester, clock)));
    Ok(None)
}

/// Answers questions; from here on the server serves everything.
async fn querier(context: &mut Context) -> Result<Option<Actor>, BoxError> {
    let settings = context.source.settings.clone();
    let overrides = had(&context.overrides, "overrides")?.clone();
    let distributor = had(&context.distributor, "distributor")?.clone();
    let ingester = had(&context.ingester, "ingester")?.clone();
    let (ring, member) = had(&context.ring, "ring")?.clone();
    let server = context
        .server
        .take()
        .ok_or("the module server was not built")?;
    let mut parts = Parts::new(distributor, ingester, overrides, context.env.clock.clone());
    parts.pool = Some(CpuPool::new(threads(&settings))?);
    parts.settings.auth_enabled = settings.auth_enabled;
    parts.settings.max_push_bytes = settings.distributor.max_recv_msg_size;
    parts.settings.max_decompressed_bytes = settings.distributor.max_decompressed_size;
    parts.registry = context.registry.clone();
    parts.stop = Some(server.stopping);
    let heartbeat_timeout = settings.common.ring.heartbeat_timeout.millis() / 1000;
    parts.settings.heartbeat_timeout_seconds = heartbeat_timeout;
    parts.status = Arc::new(Host {
        readiness: context.readiness.clone(),
        states: context.states.clone(),
        logging: context.logging.clone(),
        level: Mutex::new(settings.server.log_level.clone()),
        settings: settings.clone(),
        ring,
        member,
        heartbeat_timeout,
    });
    let stopping = parts
        .stop
        .clone()
        .ok_or("the module server was not built")?;
    let mut limits = grpc::Settings::default();
    limits.max_receive_bytes = settings.server.grpc_server_max_recv_msg_size;
    limits.max_send_bytes = settings.server.grpc_server_max_send_msg_size;
    let (http, grpc) = router_with_grpc(parts, &limits);
    server.face.set(http);
    let grpc = serve_grpc(&settings, server.grpc, grpc, stopping);
    announce(&context.source, server.address, server.grpc_address);
    // The server ends before the modules that its requests need.
    let (serving, stop) = (server.serving, server.stop);
    Ok(Some(Actor::new(
        "server",
        async move {
            let (http, grpc) = tokio::join!(serving, grpc);
            http?;
            grpc
        },
        async move { stop.stop() },
    )))
}

/// Answers gRPC until told to stop, then lets running calls end for a while.
fn serve_grpc(
    settings: &Settings,
    listener: TcpListener,
    routes: Routes,
    stop: Stop,
) -> impl Future<Output = Result<(), BoxError>> + use<> {
    let server = &settings.server;
    let patience = server.graceful_shutdown_timeout.to_std();
    let serving = tonic::transport::Server::builder()
        .max_concurrent_streams(server.grpc_server_max_concurrent_streams)
        .http2_keepalive_interval(Some(server.grpc_server_keepalive_time.to_std()))
        .http2_keepalive_timeout(Some(server.grpc_server_keepalive_timeout.to_std()))
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.clone().wait());
    async move {
        let too_long = async {
            stop.wait().await;
            tokio::time::sleep(patience).await;
        };
        tokio::select! {
            ended = serving => Ok(ended?),
            () = too_long => Ok(()),
        }
    }
}

fn threads(settings: &Settings) -> usize {
    match settings.querier.max_concurrent {
        0 => std::thread::available_parallelism().map_or(4, usize::from),
        threads => threads,
    }
}

/// Says where to push and look, for people who started the server by hand.
fn announce(source: &Source, address: SocketAddr, grpc: SocketAddr) {
    let host = match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    };
    tracing::info!(%address, %grpc, "listening");
    if source.file.is_none() {
        println!(
            "No -config.file: entries are kept in {}.",
            source.data().display()
        );
        println!(
            "Push to  http://{host}/loki/api/v1/push (JSON, protobuf) or http://{host}/otlp/v1/logs"
        );
        println!("Look at  http://{host}/loki/api/v1/query_range?query=%7Bapp%3D~%22.%2B%22%7D");
        println!("Follow   ws://{host}/loki/api/v1/tail?query=%7Bapp%3D~%22.%2B%22%7D");
    }
}

/// Writes what is in memory to parts and closes the log.
async fn close(store: Arc<ChunkStore>) -> Result<(), Failure> {
    let closed = tokio::task::spawn_blocking(move || store.close()).await;
    closed
        .map_err(|error| Failure::of_machine(format!("closing the store: {error}")))?
        .map_err(|error| Failure::of_machine(format!("closing the store: {error}")))
}
