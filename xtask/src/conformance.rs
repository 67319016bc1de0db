//! `cargo xtask conformance`: the same cases on any host.

use anyhow::ensure;
use clap::ValueEnum;

use crate::{cargo_command, compose, run, setup};

/// Runs the cases of tests/conformance on a host
#[derive(Debug, clap::Args)]
pub(crate) struct Conformance {
    /// Which
    #[arg(long, value_enum, default_value_t = Host::Edge)]
    host: Host,
    /// Only this case
    #[arg(long)]
    case: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Host {
    /// The edge host, which says what is expected
    Edge,
    /// The components for Spin in a host that offers just what Spin offers
    SpinWorld,
    /// The components for wasmCloud in a host that offers just what wasmCloud offers
    WasmcloudWorld,
    /// Spin itself
    Spin,
    /// wasmCloud itself, by `wash dev`, with NATS and PostgreSQL
    Wash,
}

impl Host {
    /// The test of tests/conformance, and the programs that it needs.
    fn test(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Edge => ("edge", &[]),
            Self::SpinWorld => ("spin_test_host", &[]),
            Self::WasmcloudWorld => ("wasmcloud_test_host", &["postgres"]),
            Self::Spin => ("spin", &["spin"]),
            Self::Wash => ("wash", &["wash", "nats-server", "postgres"]),
        }
    }

    /// Whose components it runs.
    fn composed(self) -> Option<&'static str> {
        match self {
            Self::Edge => None,
            Self::SpinWorld | Self::Spin => Some("spin"),
            Self::WasmcloudWorld | Self::Wash => Some("wasmcloud"),
        }
    }
}

impl Conformance {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::target()?;
        let (test, programs) = self.host.test();
        // The test takes wash from there too.
        let named = |program: &str| program == "wash" && std::env::var_os("WHEELTAPPER_WASH").is_some();
        let there = |program: &str| setup::there(program) || named(program);
        let missing: Vec<&str> = programs.iter().copied().filter(|program| !there(program)).collect();
        ensure!(missing.is_empty(), "this host needs {} on the path; install it first", missing.join(", "));
        if let Some(host) = self.host.composed() {
            compose::Compose::of(host).run()?;
        }
        // With the features of the whole workspace, so that little is built anew after `cargo xtask test`.
        let arguments = ["test", "--release", "--workspace", "--test", test, "--", "--nocapture", "--include-ignored"];
        let mut command = cargo_command();
        command.args(arguments).env("WHEELTAPPER_COMPOSED", compose::folder());
        match &self.case {
            Some(case) => command.env("CASE", case),
            None => command.env_remove("CASE"),
        };
        run(&mut command)
    }
}
