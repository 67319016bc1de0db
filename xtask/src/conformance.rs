//! `cargo xtask conformance`: runs the same cases on any host.

use anyhow::ensure;
use clap::ValueEnum;

use crate::{artifacts, cargo_command, composed_folder, run, setup};

/// Runs the cases of tests/conformance on a host
#[derive(Debug, clap::Args)]
pub(crate) struct Conformance {
    /// The host
    #[arg(long, value_enum, default_value_t = TestedHost::Edge)]
    host: TestedHost,
    /// Only this case
    #[arg(long)]
    case: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TestedHost {
    /// The edge host, which defines the expected files
    Edge,
    /// The components for Spin in a test host that provides exactly what Spin provides
    SpinTestHost,
    /// The components for wasmCloud in a test host that provides exactly what wasmCloud provides
    WasmcloudTestHost,
    /// Spin, with `spin up`
    Spin,
    /// wasmCloud, with `wash dev`, NATS and PostgreSQL
    Wash,
}

impl TestedHost {
    /// Returns the module of the tests in tests/conformance, and the programs that it needs.
    fn tests_and_programs(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Edge => ("edge::", &[]),
            Self::SpinTestHost => ("spin_test_host::", &[]),
            Self::WasmcloudTestHost => ("wasmcloud_test_host::", &["postgres"]),
            Self::Spin => ("spin::", &["spin"]),
            Self::Wash => ("wash::", &["wash", "nats-server", "postgres"]),
        }
    }

    /// Returns the platform whose composed components the host runs. `None`: it runs none.
    fn platform(self) -> Option<&'static str> {
        match self {
            Self::Edge => None,
            Self::SpinTestHost | Self::Spin => Some("spin"),
            Self::WasmcloudTestHost | Self::Wash => Some("wasmcloud"),
        }
    }
}

impl Conformance {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        setup::wasm_target()?;
        let (tests, programs) = self.host.tests_and_programs();
        // The test runs the `wash` named by this variable too.
        let is_wash_set = |program: &str| program == "wash" && std::env::var_os("WHEELTAPPER_WASH").is_some();
        let is_available = |program: &str| setup::is_installed(program) || is_wash_set(program);
        let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_available(program)).collect();
        ensure!(missing.is_empty(), "this host needs {} on the path; install it first", missing.join(", "));
        if let Some(platform) = self.host.platform() {
            artifacts(&["compose", platform])?;
        }
        // The features of the whole workspace, so that little is rebuilt after `cargo xtask test`.
        let arguments =
            ["test", "--release", "--workspace", "--test", "conformance", "--", "--nocapture", "--include-ignored"];
        let mut command = cargo_command();
        command.args(arguments).arg(tests).env("WHEELTAPPER_COMPOSED", composed_folder());
        match &self.case {
            Some(case) => command.env("CASE", case),
            None => command.env_remove("CASE"),
        };
        run(&mut command)
    }
}
