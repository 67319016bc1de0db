//! The interfaces of WASI that a component gets: the standard streams, the environment, clocks and random numbers.
//!
//! They are what Rust's standard library imports for components like these. There are no files and no sockets: a
//! component that imports them is not accepted. wasmtime-wasi's functions that link all of WASI would also compile some
//! hundred host functions for each kind of state, which takes a minute.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::{
    WasiView,
    cli::{WasiCli, WasiCliView as _},
    clocks::{WasiClocks, WasiClocksView as _},
    p2::bindings::{cli, clocks, io, random, sync},
    random::{WasiRandom, WasiRandomView as _},
};

/// The resources of an instance, in which `wasi:io` finds its streams.
struct Resources;

impl HasData for Resources {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links the interfaces for instances whose calls block the thread.
///
/// # Errors
/// If one of them is already linked.
pub(crate) fn link_sync<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    sync::io::poll::add_to_linker::<T, Resources>(linker, |state| state.ctx().table)?;
    sync::io::streams::add_to_linker::<T, Resources>(linker, |state| state.ctx().table)?;
    link_nonblocking(linker)
}

/// Links the interfaces for instances whose calls are futures.
///
/// # Errors
/// If one of them is already linked.
pub(crate) fn link_async<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    io::poll::add_to_linker::<T, Resources>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<T, Resources>(linker, |state| state.ctx().table)?;
    link_nonblocking(linker)
}

fn link_nonblocking<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<T, Resources>(linker, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    random::random::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)
}
