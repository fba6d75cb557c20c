//! `atelier-worker serve`: load, warm up, answer, drain.

mod adapters;
mod api;
pub mod chat_template;
mod constraint;
mod encode;
mod encode_metrics;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod generation;
mod grpc;
mod metrics;
mod tools;
mod trace;

use std::{net::SocketAddr, sync::Arc, time::Duration, time::Instant};

use anyhow::{Context, Result, anyhow, bail};
use artifacts::digest::Digest;
use axum::Router;
use checkpoint::Checkpoint;
use engine::{
    Cache, Device, Dtype, Engine, EngineOptions, ModelOptions, Ops, available_threads, lora::Adapter, text::Tokenizer,
};
use prometheus::Registry;
use telemetry::{Readiness, Tracing, admin, shutdown_signal};
use tokio::{net::TcpListener, sync::oneshot, task::spawn_blocking, time::interval};
use tokio_util::sync::CancellationToken;

use self::{
    adapters::{Adapters, Keeper},
    api::EncodeApi,
    chat_template::ChatTemplate,
    constraint::Constraints,
    encode_metrics::EncodeMetrics,
    trace::TraceLayer,
};
pub use self::{
    api::{Api, router},
    metrics::Metrics,
};
use crate::cli::{self, Serve, Task};

/// Tokens of one pass, where the command line says nothing.
const BATCH_TOKENS: u64 = 512;
/// The same on a GPU.
const BATCH_TOKENS_ON_GPU: u64 = 2048;
/// How often the engine thread is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Serves until SIGTERM, and returns the process's exit code.
pub fn run(args: Serve) -> i32 {
    telemetry::init("worker");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime
        .context("failed to start the runtime")
        .and_then(|runtime| runtime.block_on(serve(args)));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error:#}");
            1
        }
    }
}

async fn serve(args: Serve) -> Result<()> {
    let _weights = args.model.hold()?;
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            shutdown_signal().await;
            stop.cancel();
        }
    });

    let registry = Registry::new();
    let tracing = Tracing::from_env("atelier-worker", &registry);
    let traces = TraceLayer::new(tracing.clone(), &args.served_name);
    let readiness = Readiness::default();
    let admin = bind(args.admin_listen).await?;
    // It outlives the API, so that the last answers are counted and probes do not fail meanwhile.
    let all_done = CancellationToken::new();
    let adapters = adapters::Slot::default();
    let routes = match args.task {
        Task::Generate => adapters::routes(adapters.clone()),
        Task::Embed | Task::Rerank => Router::new(),
    };
    let admin = tokio::spawn(admin::serve_with(
        admin,
        registry.clone(),
        readiness.clone(),
        routes,
        all_done.clone().cancelled_owned(),
    ));

    let (listen, grpc_listen) = (args.listen, args.grpc_listen);
    let loading = {
        let (registry, stop, adapters) = (registry.clone(), stop.clone(), adapters.clone());
        spawn_blocking(move || match args.task {
            Task::Generate => generation_service(&args, &registry, &adapters, stop),
            Task::Embed | Task::Rerank => encoding_service(&args, &registry, stop),
        })
    };
    let Service {
        api,
        grpc,
        keeper,
        stopped,
    } = tokio::select! {
        loaded = loading => loaded.context("failed to load the model")??,
        // Nobody waits for an answer yet, and the loading thread cannot be stopped.
        () = stop.cancelled() => std::process::exit(0),
    };
    if let Some(keeper) = keeper {
        let (first, settled) = oneshot::channel();
        tokio::spawn(keeper.run(first));
        tokio::select! {
            // If it is lost, the model serves all the same.
            _ = settled => {}
            () = stop.cancelled() => std::process::exit(0),
        }
    }
    let listener = bind(listen).await?;
    let grpc = match grpc_listen {
        Some(address) => Some((grpc, bind(address).await?)),
        None => None,
    };
    readiness.set_ready(true);
    tracing::info!(%listen, grpc_listen = grpc_listen.map(|address| address.to_string()), "serving");

    let draining = {
        let (stop, readiness) = (stop.clone(), readiness.clone());
        async move {
            stop.cancelled().await;
            readiness.set_ready(false);
        }
    };
    let http = axum::serve(listener, api.layer(traces.clone())).with_graceful_shutdown(draining);
    let grpc = async {
        match grpc {
            Some((methods, listener)) => grpc::serve(listener, methods, traces, stop.clone()).await,
            None => Ok(()),
        }
    };
    let served = async { tokio::try_join!(async { http.await.context("failed to serve") }, grpc) };
    tokio::select! {
        served = served => drop(served?),
        error = engine_death(stopped) => {
            tracing.shutdown().await;
            return Err(error);
        }
    }
    tracing.shutdown().await;
    all_done.cancel();
    admin
        .await
        .context("failed to serve the admin port")?
        .context("failed to serve the admin port")?;
    tracing::info!("drained");
    Ok(())
}

/// A model behind its API.
struct Service {
    api: Router,
    /// The same over gRPC.
    grpc: grpc::Methods,
    /// Brings the adapters that are wanted.
    keeper: Option<Keeper>,
    /// Whether the thread that computes has ended.
    stopped: Box<dyn Fn() -> bool + Send>,
}

fn generation_service(
    args: &Serve,
    registry: &Registry,
    adapters: &adapters::Slot,
    stop: CancellationToken,
) -> Result<Service> {
    let loaded = load(args)?;
    let engine = loaded.engine.clone();
    let metrics = Metrics::new(registry, &loaded.served_name, &engine).context("failed to register the metrics")?;
    adapters::Metrics::register(registry, &loaded.adapters).context("failed to register the metrics")?;
    adapters.fill(loaded.adapters.clone());
    let files = args.adapters.clone().zip(args.adapter_store.clone());
    let keeper = files.map(|(file, store)| Keeper::new(loaded.adapters.clone(), file, store));
    let api = Arc::new(Api::new(loaded, Arc::new(metrics), stop.clone()));
    Ok(Service {
        api: api::router(api.clone(), stop),
        grpc: grpc::Methods::Generation(api),
        keeper,
        stopped: Box::new(move || engine.gauges().has_stopped()),
    })
}

fn encoding_service(args: &Serve, registry: &Registry, stop: CancellationToken) -> Result<Service> {
    if args.adapters_dir.is_some() || args.adapters.is_some() {
        bail!("--adapters-dir and --adapters are for --task generate: encoders take no adapters");
    }
    if args.model.device != Device::Cpu {
        bail!(
            "--device {} is for --task generate: encoders compute on cpu",
            args.model.device
        );
    }
    if args.model.tuned.is_some() {
        bail!("--tuned is for --task generate: encoders take no adapters");
    }
    if args.model.cache_dir.is_some() {
        bail!("--cache-dir is for --task generate: encoders have nothing to keep");
    }
    let loaded = encode::load(args)?;
    let encoder = loaded.encoder.clone();
    let metrics = EncodeMetrics::new(registry, &loaded.served_name, &encoder);
    let metrics = metrics.context("failed to register the metrics")?;
    let api = Arc::new(EncodeApi::new(loaded, metrics, stop));
    Ok(Service {
        api: api::encode_router(api.clone()),
        grpc: grpc::Methods::Encoding(api),
        keeper: None,
        stopped: Box::new(move || encoder.gauges().has_stopped()),
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}"))
}

/// Completes when the engine thread has ended: then the process must, so that it is started again.
async fn engine_death(stopped: Box<dyn Fn() -> bool + Send>) -> anyhow::Error {
    let mut look = interval(LOOK);
    while !stopped() {
        look.tick().await;
    }
    anyhow!("the engine thread has ended")
}

/// A model that can answer.
pub struct Loaded {
    served_name: String,
    engine: Engine,
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
    constraints: Constraints,
    system_prompt: Option<String>,
    adapters: Arc<Adapters>,
    /// What requests are computed with that name no adapter.
    tuned: Option<Arc<Adapter>>,
}

impl Loaded {
    /// What computes.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Loads a model as it is served, with nothing beside it that requests could name.
///
/// # Errors
/// When it cannot be loaded.
pub fn load_to_evaluate(model: cli::Model, served_name: &str) -> Result<Loaded> {
    let max_queue = model.max_concurrent_sequences;
    load(&Serve {
        model,
        task: Task::Generate,
        served_name: served_name.into(),
        max_queue,
        prefix_cache: true,
        adapters_dir: None,
        adapters: None,
        adapter_store: None,
        adapter_memory: 0,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        grpc_listen: None,
        admin_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    })
}

fn load(args: &Serve) -> Result<Loaded> {
    let started = Instant::now();
    let verified = args.model.verify()?;
    let cache = match &args.model.cache_dir {
        Some(directory) => Some(Cache {
            directory: directory.clone(),
            digest: match verified {
                Some(digest) => digest,
                None => Digest::of_model(&args.model.path)?.prefixed(),
            },
        }),
        None => None,
    };
    let file = Checkpoint::open(&args.model.path)?;
    let metadata = &file.header().metadata;
    let tokenizer = Arc::new(Tokenizer::from_metadata(metadata)?);
    let template = match &args.model.chat_template {
        Some(path) => {
            let source = std::fs::read_to_string(path);
            Some(source.with_context(|| format!("failed to read the chat template {}", path.display()))?)
        }
        None => tokenizer.chat_template().map(Into::into),
    };
    let marks = [tokenizer.begin(), tokenizer.end()].map(|token| token.map_or("", |token| tokenizer.name(token)));
    let template = template.map(|source| ChatTemplate::new(source, marks)).transpose()?;
    if let (Some(template), Some(system)) = (&template, &args.model.system_prompt) {
        template.check(system)?;
    } else if args.model.system_prompt.is_some() {
        bail!("failed to set the system prompt: the model has no chat template to write it with");
    }
    let trained = engine::ModelConfig::from_header(file.header())?.context_length;
    let options = EngineOptions {
        model: ModelOptions {
            device: args.model.device,
            dtype: args.model.dtype.unwrap_or(Dtype::Bf16),
            ops: match args.model.device {
                Device::Cpu => Ops::Own,
                Device::Cuda(_) => Ops::Aten,
            },
            context_length: args.model.context_length.map_or(trained, |length| length as usize),
            threads: args
                .model
                .threads
                .map_or_else(available_threads, |threads| threads as usize),
            cache,
        },
        max_concurrent_sequences: args.model.max_concurrent_sequences as usize,
        max_batch_tokens: args.model.max_batch_tokens.unwrap_or(match args.model.device {
            Device::Cpu => BATCH_TOKENS,
            Device::Cuda(_) => BATCH_TOKENS_ON_GPU,
        }) as usize,
        max_queue: args.max_queue as usize,
        prefix_cache: args.prefix_cache,
        kv_cache_tokens: args.model.kv_cache_tokens.map(|tokens| tokens as usize),
    };
    let engine = Engine::start(file, options)?;
    let options = engine.options();
    tracing::info!(
        seconds = started.elapsed().as_secs_f64(),
        device = %options.model.device,
        dtype = %options.model.dtype,
        threads = options.model.threads,
        context_length = options.model.context_length,
        "loaded"
    );
    let tuned = adapters::tuned(&args.model, &engine)?;
    let adapters = Arc::new(Adapters::new(&engine, args));
    adapters.scan()?;
    Ok(Loaded {
        served_name: args.served_name.clone(),
        adapters,
        tuned,
        engine,
        constraints: Constraints::new(tokenizer.clone()),
        tokenizer,
        template,
        system_prompt: args.model.system_prompt.clone(),
    })
}
