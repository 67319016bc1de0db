//! Validation of settings of the stages: values that a stage would reject, or that would harm the line.

use std::collections::BTreeSet;

use wheeltapper_condition_monitoring::life::library::MIN_RUNS;
use wheeltapper_detectors::DetectorKind;

use super::Checker;
use crate::{AlertRoute, AlertSettings, Config, DetectSettings, Duration, WindowSettings};

pub(super) const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const STAGES: [&str; 5] = ["ingest", "featurize", "detect", "alert", "schedule"];
const YEAR_SECONDS: f64 = 31_536_000.0;

pub(super) fn check(checker: &mut Checker<'_>, config: &Config) {
    check_ingest(checker, config);
    check_windows(checker, &config.windows);
    check_detect(checker, &config.detect);
    check_alerts(checker, &config.alerts);
    for (number, route) in config.alerts.routes.iter().enumerate() {
        self::check_route(checker, &format!("alerts.route.{number}"), route);
    }
    check_route_names(checker, &config.alerts.routes);
    check_schedule(checker, config);
    for stage in config.line.components.keys() {
        let message = format!("the stage `{stage}` is unknown");
        checker.check_one_of(&format!("line.components.{stage}"), stage, &STAGES, &message);
    }
}

impl Checker<'_> {
    /// Reports a duration that is not between `from` and `to` (in seconds). `words` describes the range.
    pub(super) fn check_duration(
        &mut self,
        path: &str,
        time: Duration,
        (from, to): (f64, f64),
        words: &str,
        help: &str,
    ) {
        if !(from..=to).contains(&time.seconds()) {
            let key = path.rsplit('.').next().unwrap_or(path);
            let found = humantime::format_duration(time.to_std());
            self.report(path, format!("`{key}` must be {words}, but is {found}"), help);
        }
    }

    /// Reports a number that is not between `from` and `to`.
    fn check_count(&mut self, path: &str, number: u32, (from, to): (u32, u32), help: &str) {
        if !(from..=to).contains(&number) {
            let key = path.rsplit('.').next().unwrap_or(path);
            self.report(path, format!("`{key}` must be from {from} to {to}, but is {number}"), help);
        }
    }
}

fn check_ingest(checker: &mut Checker<'_>, config: &Config) {
    // The line stores times as 64-bit nanoseconds.
    let earliest = config.ingest.earliest.parse::<jiff::Timestamp>().ok();
    if earliest.is_none_or(|time| i64::try_from(time.as_nanosecond()).is_err()) {
        let help = "write it as \"1990-01-01T00:00:00Z\"";
        checker.report("ingest.earliest", "this is not a time from the year 1678 to 2261", help);
    }
    let help = "write how far the clocks of devices may be ahead, such as \"5 min\"";
    checker.check_duration("ingest.max_future", config.ingest.max_future, (0.0, 3.2e9), "up to 100 years", help);
}

fn check_windows(checker: &mut Checker<'_>, windows: &WindowSettings) {
    if windows.size.to_std().is_zero() {
        checker.report("windows.size", "a window cannot be empty", "write a length such as \"30s\"");
        return;
    }
    let (range, words) = ((1e-6, YEAR_SECONDS), "from 1us to 365 days");
    checker.check_duration("windows.size", windows.size, range, words, "write a length such as \"30s\"");
    checker.check_duration(
        "windows.lateness",
        windows.lateness,
        (0.0, YEAR_SECONDS),
        "up to 365 days",
        "leave it out for 10s",
    );
    if windows.slide.seconds() < range.0 || windows.slide > windows.size {
        let at = if checker.is_set("windows.slide") { "windows.slide" } else { "windows.size" };
        checker.report(
            at,
            format!("windows of {} s cannot slide by {} s", windows.size.seconds(), windows.slide.seconds()),
            "write a slide above 0 that is at most the size; a slide equal to the size makes tumbling windows",
        );
    } else if windows.size.seconds() <= YEAR_SECONDS && windows.size.seconds() > windows.slide.seconds() * MAX_OVERLAP {
        let at = if checker.is_set("windows.slide") { "windows.slide" } else { "windows.size" };
        checker.report(
            at,
            format!(
                "with a slide of {} s, each reading is in more than {MAX_OVERLAP} windows",
                windows.slide.seconds()
            ),
            "write a slide of at least 1/3600 of the size",
        );
    }
}

/// Maximum number of windows that contain a reading; featurize rejects more.
const MAX_OVERLAP: f64 = 3_600.0;

fn check_detect(checker: &mut Checker<'_>, detect: &DetectSettings) {
    let models: Vec<&str> = DetectorKind::ALL.iter().map(|kind| kind.name()).collect();
    checker.check_one_of("detect.model", &detect.model, &models, &format!("the model `{}` is unknown", detect.model));
    if detect.threshold.is_some_and(|threshold| !(threshold > 0.0 && threshold < 1.0)) {
        checker.report("detect.threshold", "the threshold must be between 0 and 1", "leave it out for the default");
    }
    if detect.warmup_windows.is_some_and(|windows| windows < 5) {
        checker.report(
            "detect.warmup_windows",
            "fewer than 5 windows are not enough to train a model",
            "write 30 or more",
        );
    }
    let help = "write 30 or more: machines are not scored until the model is trained";
    checker.check_count(
        "detect.warmup_windows",
        detect.warmup_windows.map_or(5, |windows| windows.max(5)),
        (5, 100_000),
        help,
    );
    let help = "leave it out for no delay";
    checker.check_count("detect.spread_windows", detect.spread_windows.unwrap_or(0), (0, 100_000), help);
    if detect.life_limit.is_some_and(|limit| !(limit > 1.0 && limit.is_finite())) {
        let message = "life_limit must be a health index above 1: a healthy machine has about 1";
        checker.report("detect.life_limit", message, "leave it out for 8");
    }
    let Some(runs_to_failure) = &detect.run_to_failure else { return };
    if !(runs_to_failure.horizon_windows.is_finite() && runs_to_failure.horizon_windows > 0.0) {
        let message = "horizon_windows must be a number of windows above 0";
        checker.report("detect.run_to_failure.horizon_windows", message, "write 125.0 if in doubt");
    }
    if runs_to_failure.sensors.is_empty() {
        let message = "the list of sensors is empty";
        checker.report(
            "detect.run_to_failure.sensors",
            message,
            "write columns of the files, such as [\"temperature\"]",
        );
    }
    if runs_to_failure.files.len() < MIN_RUNS {
        let message = format!("{} runs to failure are not enough", runs_to_failure.files.len());
        let help = format!("write {MIN_RUNS} files or more, one for each run, or leave [detect.run_to_failure] out");
        checker.report("detect.run_to_failure.files", message, &help);
    }
}

fn check_alerts(checker: &mut Checker<'_>, alerts: &AlertSettings) {
    let (open_after, within) = (alerts.open_after.unwrap_or(2), alerts.within.unwrap_or(3));
    checker.check_count("alerts.within", within, (1, 1000), "leave it out for 3");
    if (1..=1000).contains(&within) && !(1..=within).contains(&open_after) {
        let at = if alerts.open_after.is_some() { "alerts.open_after" } else { "alerts.within" };
        checker.report(
            at,
            format!("an alert cannot open after {open_after} anomalous windows among the newest {within}"),
            &format!("write an open_after from 1 to {within}, or a larger within; the defaults are 2 and 3"),
        );
    }
    checker.check_count("alerts.close_after", alerts.close_after.unwrap_or(1), (1, 100_000), "leave it out for 6");
    if alerts.close_below.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
        let message = "close_below must be a share of the threshold, above 0 and at most 1";
        checker.report("alerts.close_below", message, "leave it out for 0.9");
    }
    if let Some(cooldown) = alerts.cooldown {
        let help = "leave it out for 10 min";
        checker.check_duration("alerts.cooldown", cooldown, (0.0, 31_622_400.0), "up to 366 days", help);
    }
    if let Some(severity) = &alerts.minimum_severity {
        checker.check_one_of("alerts.minimum_severity", severity, &SEVERITIES, "this severity is unknown");
    }
}

fn check_route_names(checker: &mut Checker<'_>, routes: &[AlertRoute]) {
    let mut seen = BTreeSet::new();
    for (number, route) in routes.iter().enumerate() {
        let at = format!("alerts.route.{number}.name");
        if route.name.trim().is_empty() {
            checker.report(
                &at,
                "the name of the route is empty: its delivery position is stored under the name",
                "write one, such as \"on-call\"",
            );
        } else if !seen.insert(route.name.as_str()) {
            checker.report(&at, format!("the route {} occurs twice", route.name), "give each its own name");
        }
    }
}

fn check_route(checker: &mut Checker<'_>, at: &str, route: &AlertRoute) {
    let message = format!("route {}: the severity `{}` is unknown", route.name, route.severity);
    checker.check_one_of(&format!("{at}.severity"), &route.severity, &SEVERITIES, &message);
    for (number, site) in route.sites.iter().enumerate() {
        super::network::check_site(checker, &format!("{at}.sites.{number}"), site);
    }
    match (&route.webhook, &route.webhook_env) {
        (Some(url), None) if !(url.starts_with("http://") || url.starts_with("https://")) => {
            let message = format!("route {}: the webhook is not a URL", route.name);
            checker.report(&format!("{at}.webhook"), message, "write it as https://host/path");
        }
        (Some(_), None) | (None, Some(_)) => {}
        _ => {
            let message = format!("route {} needs either webhook or webhook_env", route.name);
            let help = "webhook_env names an environment variable that holds the URL";
            checker.report(&format!("{at}.name"), message, help);
        }
    }
}

fn check_schedule(checker: &mut Checker<'_>, config: &Config) {
    let horizon = config.schedule.horizon;
    if horizon.to_std().is_zero() {
        checker.report("schedule.horizon", "the planning horizon must not be 0", "leave it out for 14 days");
    }
    let help = "leave it out for 14 days";
    checker.check_duration("schedule.horizon", horizon, (0.0, 8_784.0 * 3600.0), "up to 366 days", help);
    if !(-1_440..=1_440).contains(&config.schedule.utc_offset_minutes) {
        let message = format!(
            "utc_offset_minutes must be from -1440 to 1440, but is {}: write minutes, not seconds",
            config.schedule.utc_offset_minutes
        );
        checker.report("schedule.utc_offset_minutes", message, "for example, Berlin in winter is 60");
    }
}
