//! `wheeltapper run`.

use std::{io::IsTerminal as _, path::PathBuf, sync::Arc};

use wheeltapper_config::ListenOverride;

use super::{GlobalArgs, load_config};
use crate::serve;

/// Runs the platform: HTTP on 8080, MQTT on 1883 (as configured), all stages, the store.
///
/// SIGHUP reloads the configuration; SIGTERM and Ctrl-C stop after all accepted data is stored.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Address for HTTP; overrides the configuration
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Address for the embedded MQTT broker; overrides the configuration
    #[arg(long, value_name = "ADDRESS")]
    mqtt: Option<String>,
    /// Write the addresses in use to this file once the host is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Print findings as they occur, even when standard output is not a terminal
    #[arg(long)]
    findings: bool,
}

impl Run {
    pub(super) fn run(self, global: &GlobalArgs) -> anyhow::Result<()> {
        let listen = ListenOverride { http: self.http, mqtt: self.mqtt };
        let (file, data) = (global.config.clone(), global.data.clone());
        let load = move || load_config(file.as_deref(), data.as_deref(), &listen);
        let config = load()?;
        let show = self.findings || std::io::stdout().is_terminal();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve::run_until_stopped(
            config.clone(),
            serve::Reload { load: Arc::new(load), initial: config },
            serve::StartupOutput { ready_file: self.ready_file, print_findings: show },
        ))
    }
}
