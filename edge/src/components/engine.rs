//! The engine and the cache of compiled components.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::{
    cache::{self, CompileError},
    wasi,
};
use wasmtime::{
    Config, Engine,
    component::{Component, Linker, ResourceTable},
};
use wasmtime_wasi::{Deterministic, WasiCtx, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};

/// Interval at which the engine's epoch advances; deadlines are counted in epochs.
const EPOCH_INTERVAL: Duration = Duration::from_millis(10);

/// The five stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageName {
    /// Decodes and validates events.
    Ingest,
    /// Builds windows and computes features.
    Featurize,
    /// Scores windows and explains anomalies.
    Detect,
    /// Groups anomalies into alerts.
    Alert,
    /// Plans repairs.
    Schedule,
}

impl StageName {
    /// All stages, in processing order.
    pub const ALL: [Self; 5] = [Self::Ingest, Self::Featurize, Self::Detect, Self::Alert, Self::Schedule];

    /// The name in files, metrics and the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Featurize => "featurize",
            Self::Detect => "detect",
            Self::Alert => "alert",
            Self::Schedule => "schedule",
        }
    }

    fn embedded_component(self) -> &'static [u8] {
        match self {
            Self::Ingest => include_bytes!(concat!(env!("OUT_DIR"), "/ingest.wasm")),
            Self::Featurize => include_bytes!(concat!(env!("OUT_DIR"), "/featurize.wasm")),
            Self::Detect => include_bytes!(concat!(env!("OUT_DIR"), "/detect.wasm")),
            Self::Alert => include_bytes!(concat!(env!("OUT_DIR"), "/alert.wasm")),
            Self::Schedule => include_bytes!(concat!(env!("OUT_DIR"), "/schedule.wasm")),
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Why a stage cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The WebAssembly engine cannot be set up.
    #[error("the WebAssembly engine cannot start: {0:#}")]
    Engine(wasmtime::Error),
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The bytes are not a component, or not a component of this stage.
    #[error(
        "the {stage} component cannot be loaded: {source:#}; expected a component that exports wheeltapper:pipeline/{stage}@0.1.0"
    )]
    Component {
        /// The stage.
        stage: StageName,
        /// The error of the engine.
        source: wasmtime::Error,
    },
}

/// Limits for each stage instance.
#[derive(Clone, Copy, Debug)]
pub struct InstanceLimits {
    /// Maximum linear memory in bytes.
    pub memory: usize,
    /// Maximum CPU time of one call. Time spent waiting for a core does not count: on an overloaded machine a healthy
    /// call takes long, and its readings must not be rejected for that.
    pub max_cpu_time: Duration,
}

/// Number of engine epochs in a duration, at least one.
pub(super) fn epoch_count(time: Duration) -> u64 {
    u64::try_from(time.as_millis() / EPOCH_INTERVAL.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The CPU time that the current thread has used.
pub(crate) fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a `timespec` that lives for the whole call, and the call writes nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    if result != 0 {
        // The clock exists on every Linux since 2.6.12. Without it, no call would be stopped for its CPU time; the
        // memory limit still holds.
        return Duration::ZERO;
    }
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Host state of a stage instance: WASI without access to anything outside. Standard error is captured for panic
/// messages.
pub(super) struct StageHostState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(super) limits: wasmtime::StoreLimits,
    pub(super) stderr: MemoryOutputPipe,
    /// The thread's CPU time at the first epoch of the current call.
    pub(super) call_start_cpu_time: Option<Duration>,
}

impl StageHostState {
    pub(super) fn new(limits: InstanceLimits) -> Self {
        let stderr = MemoryOutputPipe::new(16 << 10);
        let wasi = WasiCtx::builder()
            .stderr(stderr.clone())
            .wall_clock(FrozenClock)
            .monotonic_clock(FrozenClock)
            .insecure_random_seed(0)
            .secure_random(Deterministic::new(vec![0]))
            .insecure_random(Deterministic::new(vec![0]))
            .build();
        let limits = wasmtime::StoreLimitsBuilder::new().memory_size(limits.memory).trap_on_grow_failure(true).build();
        Self { wasi, table: ResourceTable::new(), limits, stderr, call_start_cpu_time: None }
    }
}

impl fmt::Debug for StageHostState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StageHostState").finish_non_exhaustive()
    }
}

impl WasiView for StageHostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

struct FrozenClock;

impl wasmtime_wasi::HostWallClock for FrozenClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl wasmtime_wasi::HostMonotonicClock for FrozenClock {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}

/// The compiled stages, which can be instantiated from any thread.
#[derive(Clone)]
pub struct Sandbox {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<StageHostState>>,
    components: BTreeMap<StageName, Component>,
    pub(super) limits: InstanceLimits,
    _clock: Arc<DeadlineClock>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sandbox").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Loads all stages: those that `overrides` names from their files, the others from this binary. Compiled code is
    /// cached in the folder `cache`, keyed by the hash of the component and of the engine.
    ///
    /// # Errors
    /// [`SandboxError`], which names the stage and the file.
    pub fn load(
        cache: &Path,
        overrides: &BTreeMap<String, PathBuf>,
        limits: InstanceLimits,
    ) -> Result<Self, SandboxError> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).map_err(SandboxError::Engine)?;
        let mut linker = Linker::new(&engine);
        wasi::link_sync(&mut linker).map_err(SandboxError::Engine)?;
        fs::create_dir_all(cache).map_err(|source| SandboxError::File { path: cache.to_owned(), source })?;
        let components = thread::scope(|scope| {
            let compiling: Vec<_> = StageName::ALL
                .into_iter()
                .map(|stage| {
                    let engine = &engine;
                    let file = overrides.get(stage.as_str());
                    (stage, scope.spawn(move || load_component(engine, cache, stage, file)))
                })
                .collect();
            compiling
                .into_iter()
                .map(|(stage, thread)| match thread.join() {
                    Ok(component) => Ok((stage, component?)),
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect::<Result<_, SandboxError>>()
        })?;
        let clock = DeadlineClock::start(&engine);
        Ok(Self { engine, linker: Arc::new(linker), components, limits, _clock: clock })
    }

    /// The engine, shared with other components such as the API.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn component(&self, stage: StageName) -> Result<&Component, wasmtime::Error> {
        self.components.get(&stage).ok_or_else(|| wasmtime::Error::msg(format!("{stage} is not loaded")))
    }
}

fn load_component(
    engine: &Engine,
    folder: &Path,
    stage: StageName,
    file: Option<&PathBuf>,
) -> Result<Component, SandboxError> {
    let read;
    let bytes = match file {
        Some(path) => {
            read = fs::read(path).map_err(|source| SandboxError::File { path: path.clone(), source })?;
            read.as_slice()
        }
        None => stage.embedded_component(),
    };
    cache::load_or_compile(engine, folder, stage.as_str(), bytes).map_err(|error| match error {
        CompileError::File(path, source) => SandboxError::File { path, source },
        CompileError::Component(source) => SandboxError::Component { stage, source },
    })
}

/// A thread that advances the engine's epoch, so that deadlines expire.
struct DeadlineClock {
    stopped: Arc<AtomicBool>,
}

impl DeadlineClock {
    fn start(engine: &Engine) -> Arc<Self> {
        let stopped = Arc::new(AtomicBool::new(false));
        let clock = Arc::new(Self { stopped: Arc::clone(&stopped) });
        let alive: Weak<Self> = Arc::downgrade(&clock);
        let engine = engine.weak();
        let ticking = move || {
            while !stopped.load(Ordering::Relaxed) && alive.strong_count() > 0 {
                thread::sleep(EPOCH_INTERVAL);
                let Some(engine) = engine.upgrade() else { break };
                engine.increment_epoch();
            }
        };
        if let Err(error) = thread::Builder::new().name("deadlines".into()).spawn(ticking) {
            tracing::error!(%error, "cannot start the thread for deadlines: a component in an endless loop will not be stopped");
        }
        clock
    }
}

impl Drop for DeadlineClock {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
