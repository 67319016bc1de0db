//! Compares the alerts of a run with what happened.
//!
//! - **False**: an alert opens on a machine while nothing is wrong with it and nothing has changed. For a day after a
//!   repair, alerts do not count; one that is then still open is false. A lasting change that is no fault (a service, a
//!   new sensor, a new load) may be reported once within three days, at most as medium, and may stay open for a week.
//!   While data are missing or late only that may be reported. False alerts of a machine that open within a day of
//!   the first are one episode.
//! - **Found**: after the onset and before the limit, an alert tells something new: it opens, becomes more severe or
//!   names another cause. For a machine fault it must not be a sensor fault; a sensor fault and missing data must be
//!   reported as such, a sensor fault with the right sensor.
//! - **Way**: the severity (0 at the onset, 1 at the limit) when it is found.
//! - **Kept open**: from then until the repair an alert is open for 95 % of the time, and at its end.
//! - **Misnamed**: an alert names a cause that is none of what is wrong with the machine at that time.

use serde::Serialize;
use wheeltapper_alert::Severity;
use wheeltapper_simulate::{LATE_DATA, TrueChange, TrueFault, TrueFaultKind, Truth};

use crate::{
    alert_history::{AlertSpan, contains, count_episodes, false_part, length_outside, merge_ranges},
    diagnosis::Diagnosis,
};

const HOUR_NS: i64 = 3_600_000_000_000;
pub(crate) const DAY_NS: i64 = 24 * HOUR_NS;
/// Time after a repair or an outage in which alerts do not count.
const GRACE_NS: i64 = DAY_NS;
/// Time after a lasting change in which it may be reported, and in which that alert may stay open.
const CHANGE_TOLD_NS: i64 = 3 * DAY_NS;
const CHANGE_OPEN_NS: i64 = 7 * DAY_NS;
/// Share of the time until the repair in which an alert must be open.
const KEPT_OPEN_SHARE: f64 = 0.95;

/// A false alert, for the reader.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FalseAlert {
    /// Id of the machine.
    pub machine: String,
    /// Day since the start.
    pub day: f64,
    /// Highest severity.
    pub severity: String,
    /// Its text.
    pub message: String,
}

/// Result for one fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultScore {
    /// What was wrong.
    pub fault: &'static str,
    /// Share of the way to the limit at which it was found; `None` if it was not found before the limit.
    pub way: Option<f64>,
    /// Hours from the onset until then.
    pub hours: Option<f64>,
    /// Hours from then to the limit.
    pub lead_hours: Option<f64>,
    /// Whether any alert was raised after the onset and before the limit, whatever its diagnosis.
    pub noticed: bool,
    /// Whether an alert stayed open until the repair.
    pub kept_open: bool,
    /// Whether an alert named a wrong cause.
    pub misnamed: bool,
    /// Whether an alert named the right cause, or of a sensor fault that it is one.
    pub named: bool,
    /// Whether it is a fault of a sensor or of missing data.
    pub is_data_fault: bool,
}

/// Result of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunScore {
    /// Time in which nothing was wrong, in machine-days.
    pub healthy_days: f64,
    /// Time of these in which an alert was open.
    pub alert_days: f64,
    /// False alert episodes.
    pub false_episodes: usize,
    /// False alerts that became critical.
    pub false_critical: usize,
    /// False alerts, at most the first ten.
    pub false_alerts: Vec<FalseAlert>,
    /// Faults that could be found; a fault that is there from the first reading cannot.
    pub faults: Vec<FaultScore>,
}

/// Scores a run.
#[must_use]
pub fn score(truth: &Truth, spans: &[AlertSpan]) -> RunScore {
    let mut score = RunScore::default();
    for machine in &truth.machines {
        let own: Vec<&AlertSpan> = spans.iter().filter(|span| span.covers(machine)).collect();
        let faults: Vec<&TrueFault> = truth.faults.iter().filter(|fault| fault.machine == *machine).collect();
        score_health(truth, machine, &faults, &own, &mut score);
        let findable = faults.iter().filter(|fault| !fault.from_start);
        score.faults.extend(findable.map(|fault| score_fault(fault, &faults, &own)));
    }
    score
}

/// Counts the false alerts of a machine.
fn score_health(truth: &Truth, machine: &str, faults: &[&TrueFault], own: &[&AlertSpan], score: &mut RunScore) {
    let (start, end) = truth.span_ns;
    let excused = merge_ranges(faults.iter().map(|fault| (fault.onset_ns, fault.end_ns + GRACE_NS)).collect());
    let changes: Vec<&TrueChange> = truth.changes.iter().filter(|change| change.machine == machine).collect();
    let mut reported_changes: Vec<i64> = Vec::new();
    let false_range = |span: &AlertSpan, reported_changes: &mut Vec<i64>| {
        let whole = Some((span.opened, span.closed_by(end)));
        if contains(&excused, span.opened) {
            let stale = false_part(span.opened, span.closed_by(i64::MAX), end, &excused);
            return if fits_outage(span, faults) { stale } else { whole };
        }
        let may_tell = |change: &&&TrueChange| {
            (change.at_ns..change.at_ns + CHANGE_TOLD_NS).contains(&span.opened)
                && !reported_changes.contains(&change.at_ns)
                && (change.name != LATE_DATA || span.marks.iter().all(|mark| mark.diagnosis == Diagnosis::NoData))
        };
        let Some(at) = changes.iter().find(may_tell).map(|change| change.at_ns) else { return whole };
        reported_changes.push(at);
        if span.severity() > Severity::Medium {
            return whole;
        }
        false_part(span.opened, span.closed_by(i64::MAX), end, &[(at, at + CHANGE_OPEN_NS)])
    };
    let wrong: Vec<(&AlertSpan, (i64, i64))> =
        own.iter().filter_map(|span| Some((*span, false_range(span, &mut reported_changes)?))).collect();
    let ranges: Vec<(i64, i64)> = wrong.iter().map(|(_, range)| *range).collect();
    score.false_episodes += count_episodes(&ranges, DAY_NS, 30 * DAY_NS, &excused);
    score.false_critical += wrong.iter().filter(|(span, _)| span.severity() == Severity::Critical).count();
    let room = 10_usize.saturating_sub(score.false_alerts.len());
    score.false_alerts.extend(wrong.iter().take(room).map(|(span, _)| FalseAlert {
        machine: machine.to_owned(),
        day: (span.opened - start) as f64 / DAY_NS as f64,
        severity: span.severity().to_string(),
        message: span.message.clone(),
    }));
    let open = merge_ranges(own.iter().map(|span| (span.opened, span.closed_by(end))).collect());
    let open_healthy: i64 = open.iter().map(|(from, until)| length_outside(*from, *until, &excused)).sum();
    score.healthy_days += length_outside(start, end, &excused) as f64 / DAY_NS as f64;
    score.alert_days += open_healthy as f64 / DAY_NS as f64;
}

/// Whether an alert that opened during an outage is about the missing data. True if there is no outage at that time.
fn fits_outage(span: &AlertSpan, faults: &[&TrueFault]) -> bool {
    let at_that_time = |fault: &&&TrueFault| (fault.onset_ns..fault.end_ns + GRACE_NS).contains(&span.opened);
    let mut active = faults.iter().filter(at_that_time).peekable();
    if active.peek().is_none() {
        return true;
    }
    let kinds: Vec<TrueFaultKind> = active.map(|fault| fault.kind).collect();
    let only_outage = kinds.iter().all(|kind| *kind == TrueFaultKind::NoData);
    !only_outage || span.marks.iter().any(|mark| mark.diagnosis == Diagnosis::NoData)
}

fn score_fault(fault: &TrueFault, all: &[&TrueFault], own: &[&AlertSpan]) -> FaultScore {
    let is_data_fault = !matches!(fault.kind, TrueFaultKind::Machine(_));
    let news = || own.iter().flat_map(|span| span.news_since(fault.onset_ns)).filter(|mark| mark.at < fault.limit_ns);
    let finds = |diagnosis: &Diagnosis, sensor: &str| {
        if is_data_fault {
            diagnosis.is_such(fault.kind)
                && (*diagnosis == Diagnosis::NoData || fault.sensor.as_deref().is_none_or(|own| own == sensor))
        } else {
            !matches!(diagnosis, Diagnosis::Sensor | Diagnosis::NoData)
        }
    };
    let found = news().filter(|mark| finds(&mark.diagnosis, &mark.sensor)).map(|mark| mark.at).min();
    let marks =
        own.iter().flat_map(|span| &span.marks).filter(|mark| (fault.onset_ns..fault.end_ns).contains(&mark.at));
    let (mut misnamed, mut named) = (false, false);
    for mark in marks {
        let active = || all.iter().filter(|other| (other.onset_ns..other.end_ns + GRACE_NS).contains(&mark.at));
        // A wrong name counts for the newest fault.
        let newest = active().map(|other| other.onset_ns).max() == Some(fault.onset_ns);
        misnamed |= newest && active().all(|other| !mark.diagnosis.fits(other.kind));
        named |= !matches!(mark.diagnosis, Diagnosis::Unnamed | Diagnosis::NewState) && mark.diagnosis.fits(fault.kind);
    }
    FaultScore {
        fault: fault.kind.name(),
        way: found.map(|at| fault.way(at)),
        hours: found.map(|at| (at - fault.onset_ns) as f64 / HOUR_NS as f64),
        lead_hours: found.map(|at| (fault.limit_ns - at) as f64 / HOUR_NS as f64),
        noticed: news().next().is_some(),
        kept_open: found.is_some_and(|at| is_kept_open(own, at, fault.end_ns)),
        misnamed,
        named,
        is_data_fault,
    }
}

/// Whether alerts are open for nearly all of the time from `from` to `until`, and at its end.
fn is_kept_open(own: &[&AlertSpan], from: i64, until: i64) -> bool {
    let open = merge_ranges(own.iter().map(|span| (span.opened, span.closed_by(i64::MAX))).collect());
    let closed = length_outside(from, until, &open) as f64;
    let length = (until - from).max(1) as f64;
    closed <= (1.0 - KEPT_OPEN_SHARE) * length && own.iter().any(|span| span.is_open_at(until - 1))
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
