//! Terminal output while the host runs: a status line every few seconds, and every alert and work order.

use std::{
    collections::{HashMap, HashSet},
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, time};

use crate::{
    components::wit::types::{AlertState, Severity},
    host::Host,
    latest_findings::LatestFindings,
    topics::Finding,
};

/// Interval between two status lines.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);
/// An asset without an anomaly for this long (ns of event time) counts as healthy again.
const HEALTHY_AFTER_NS: i64 = 600_000_000_000;

struct Colors {
    enabled: bool,
}

impl Colors {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.enabled { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Prints until `stop` turns true or standard output is closed. The host continues without the output.
pub(crate) async fn print_findings(host: Arc<Host>, stop: watch::Receiver<bool>) {
    if let Err(error) = print_until_stopped(host, stop).await {
        tracing::warn!(%error, "findings are no longer printed: standard output cannot be written");
    }
}

async fn print_until_stopped(host: Arc<Host>, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let colors = Colors { enabled: std::io::stdout().is_terminal() };
    let mut findings = host.findings();
    let mut figures = time::interval(STATUS_INTERVAL);
    let mut orders = HashSet::new();
    // Time of each asset's last anomaly.
    let mut last = HashMap::new();
    loop {
        tokio::select! {
            () = crate::triggers::wait_for_stop(&mut stop) => return Ok(()),
            finding = findings.recv() => match finding {
                Ok(finding) => print_finding(&finding, &colors, &mut last)?,
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return Ok(()),
            },
            _ = figures.tick() => {
                let host = Arc::clone(&host);
                let Ok(Ok((latest, line))) = tokio::task::spawn_blocking(move || {
                    let line = format!(
                        "{:>9.0} readings/s   {} readings   {} sensors   {} windows",
                        host.metrics.readings_rate().get(), host.metrics.readings_in.get(), host.registry.len(), host.metrics.windows.get(),
                    );
                    LatestFindings::read(&host.store).map(|latest| (latest, line))
                }).await else { continue };
                writeln!(io::stdout(), "{}", colors.paint("2", &line))?;
                for order in latest.work_orders.iter().rev() {
                    if orders.insert((order.id.clone(), order.status.clone(), order.scheduled)) {
                        let assignment = match (&order.technician, order.scheduled) {
                            (Some(technician), Some(time)) => format!("{technician}, {}", crate::clock::format_time(time)),
                            _ => order.status.clone(),
                        };
                        writeln!(io::stdout(), "{} {} on {}: {assignment}, {} min, priority {}",
                            colors.paint("1;34", "WORK ORDER"), order.kind, order.asset, order.duration_minutes, order.priority)?;
                    }
                }
            }
        }
    }
}

/// Prints a finding. An anomaly is printed only when its asset was healthy for a while; the alert reports what follows.
fn print_finding(finding: &Finding, colors: &Colors, last: &mut HashMap<String, i64>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match finding {
        Finding::Anomaly(anomaly) => {
            let previous = last.insert(anomaly.asset.clone(), anomaly.start);
            if previous.is_none_or(|previous| anomaly.start.saturating_sub(previous) >= HEALTHY_AFTER_NS) {
                writeln!(out, "{} {}: {}", colors.paint("33", "ANOMALY"), anomaly.asset, anomaly.message)?;
            }
        }
        Finding::Drift(drift) => {
            writeln!(out, "{} {}: {}", colors.paint("36", "DRIFT"), drift.asset, drift.message)?;
        }
        // Prognoses are shown by the dashboard and `query prognoses`; a degrading asset has one per window.
        Finding::Prognosis(_) => {}
        Finding::Alert(alert) => {
            let (code, label) = match (alert.state, alert.severity) {
                (AlertState::Resolved, _) => ("32", "RESOLVED"),
                (AlertState::Open, Severity::Critical) => ("1;31", "ALERT critical"),
                (AlertState::Open, Severity::High) => ("31", "ALERT high"),
                (AlertState::Open, Severity::Medium) => ("1;33", "ALERT medium"),
                (AlertState::Open, Severity::Low) => ("33", "ALERT low"),
            };
            writeln!(
                out,
                "{} {}: {}\n    {}\n    {}",
                colors.paint(code, label),
                alert.asset,
                alert.title,
                alert.message,
                alert.recommendation
            )?;
        }
    }
    Ok(())
}
