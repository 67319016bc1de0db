//! The alerts of a run as spans of time.

use std::collections::HashMap;

use wheeltapper_alert::Severity;

use crate::{AlertUpdate, diagnosis::Diagnosis};

/// What an open alert said from a time on.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Time in ns since 1970.
    pub at: i64,
    /// Severity.
    pub severity: Severity,
    /// What it said is wrong.
    pub diagnosis: Diagnosis,
    /// Id of the leading sensor.
    pub sensor: String,
}

/// A time in which an alert was open. An alert that opens again makes another span.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSpan {
    /// Id of the asset, or of the area or site of a group alert.
    pub asset: String,
    /// Start in ns since 1970.
    pub opened: i64,
    /// End in ns since 1970; `None` if it is still open at the end of the run.
    pub closed: Option<i64>,
    /// What it said: at least one mark, in order.
    pub marks: Vec<Mark>,
    /// Description at the start.
    pub message: String,
}

impl AlertSpan {
    /// Whether the alert is about this machine: its own, or of an area or site that contains it.
    #[must_use]
    pub fn covers(&self, machine: &str) -> bool {
        machine.strip_prefix(self.asset.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// End, or `end` if it is still open.
    #[must_use]
    pub fn closed_by(&self, end: i64) -> i64 {
        self.closed.unwrap_or(end)
    }

    /// Whether it is open at a time.
    #[must_use]
    pub fn is_open_at(&self, time: i64) -> bool {
        self.opened <= time && self.closed.is_none_or(|closed| closed > time)
    }

    /// Highest severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.marks.iter().map(|mark| mark.severity).max().unwrap_or(Severity::Low)
    }

    /// The first mark at or after `from` that tells something new: the alert opened since then, became more severe or
    /// named another cause. An alert that was open before and says the same tells nothing.
    pub fn news_since(&self, from: i64) -> impl Iterator<Item = &Mark> {
        let before = self.marks.iter().rfind(|mark| mark.at < from);
        self.marks.iter().filter(move |mark| {
            mark.at >= from
                && before.is_none_or(|before| mark.severity > before.severity || mark.diagnosis != before.diagnosis)
        })
    }
}

/// Collects the spans of all alerts from their updates, in order.
#[must_use]
pub fn alert_spans(updates: &[AlertUpdate]) -> Vec<AlertSpan> {
    let mut spans: Vec<AlertSpan> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for update in updates {
        if !update.is_open {
            if let Some(span) = open.remove(update.id.as_str()).and_then(|at| spans.get_mut(at)) {
                span.closed = Some(update.at);
            }
            continue;
        }
        let mark = Mark {
            at: update.at,
            severity: update.severity,
            diagnosis: Diagnosis::from_fault_mode(update.fault_mode.as_deref()),
            sensor: update.sensor.clone(),
        };
        match open.get(update.id.as_str()).and_then(|at| spans.get_mut(*at)) {
            Some(span) => span.marks.push(mark),
            None => {
                open.insert(&update.id, spans.len());
                spans.push(AlertSpan {
                    asset: update.asset.clone(),
                    opened: update.at,
                    closed: None,
                    marks: vec![mark],
                    message: update.message.clone(),
                });
            }
        }
    }
    spans
}

/// Counts episodes of alerts that were open in these ranges. Ranges that start within `gap` ns after the first one of an
/// episode belong to it: an alert that opens and closes for ever makes one episode in each `gap`. An alert that stays
/// open counts again after each `again` ns of time that is not excused, as one that never closes is no better than one a
/// month. The excused ranges are merged.
#[must_use]
pub fn count_episodes(ranges: &[(i64, i64)], gap: i64, again: i64, excused: &[(i64, i64)]) -> usize {
    let mut starts: Vec<i64> = Vec::new();
    for (from, until) in ranges {
        let mut start = Some(*from);
        while let Some(time) = start.filter(|time| *time < *until || *time == *from) {
            starts.push(time);
            start = after_time_outside(time, again.max(1), excused);
        }
    }
    starts.sort_unstable();
    let mut count = 0;
    let mut first: Option<i64> = None;
    for time in starts {
        if first.is_none_or(|first| time.saturating_sub(first) > gap) {
            first = Some(time);
            count += 1;
        }
    }
    count
}

/// The time when `length` ns outside of the merged ranges have passed since `from`; `None` beyond the range of times.
fn after_time_outside(from: i64, length: i64, merged: &[(i64, i64)]) -> Option<i64> {
    let (mut time, mut left) = (from, length);
    for (start, end) in merged.iter().filter(|(_, end)| *end > from) {
        let free = start.saturating_sub(time).max(0);
        if free > left {
            break;
        }
        left -= free;
        time = *end;
    }
    time.checked_add(left)
}

/// The part of an alert that is false: all of it if no excused time contains its start, or what is left of it after
/// the excused time. `None` if nothing is left before `until`. The ranges are merged.
#[must_use]
pub fn false_part(opened: i64, closed: i64, until: i64, excused: &[(i64, i64)]) -> Option<(i64, i64)> {
    let excuse = excused.iter().find(|(from, end)| (*from..*end).contains(&opened));
    let start = excuse.map_or(opened, |(_, end)| *end);
    let is_left = start < until && (excuse.is_none() || closed > start);
    is_left.then(|| (start, closed.min(until)))
}

/// Merges ranges of time; returns them sorted and without overlap.
#[must_use]
pub fn merge_ranges(mut ranges: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    ranges.retain(|(from, until)| from < until);
    ranges.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from, until) in ranges {
        match merged.last_mut() {
            Some((_, last)) if from <= *last => *last = until.max(*last),
            _ => merged.push((from, until)),
        }
    }
    merged
}

/// Length of the part of `from..until` that no range contains. The ranges are merged.
#[must_use]
pub fn length_outside(from: i64, until: i64, merged: &[(i64, i64)]) -> i64 {
    let inside: i64 = merged.iter().map(|(start, end)| ((*end).min(until) - (*start).max(from)).max(0)).sum();
    (until - from).max(0) - inside
}

/// Whether a range contains the time.
#[must_use]
pub fn contains(ranges: &[(i64, i64)], time: i64) -> bool {
    ranges.iter().any(|(from, until)| (*from..*until).contains(&time))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn update(id: &str, at: i64, is_open: bool, severity: Severity, mode: &str) -> AlertUpdate {
        AlertUpdate {
            id: id.to_owned(),
            asset: "plant/hall/pump".to_owned(),
            sensor: "plant/hall/pump/vibration".to_owned(),
            severity,
            is_open,
            at,
            fault_mode: (!mode.is_empty()).then(|| mode.to_owned()),
            message: "m".to_owned(),
        }
    }

    #[test]
    fn updates_become_spans_and_a_reopened_alert_is_another_span() {
        let spans = alert_spans(&[
            update("a", 10, true, Severity::Low, ""),
            update("a", 20, true, Severity::High, "imbalance"),
            update("a", 30, false, Severity::High, "imbalance"),
            update("a", 40, true, Severity::High, "imbalance"),
        ]);
        let times: Vec<(i64, Option<i64>, usize)> =
            spans.iter().map(|span| (span.opened, span.closed, span.marks.len())).collect();
        assert_eq!(times, [(10, Some(30), 2), (40, None, 1)]);
        assert_eq!(spans[0].severity(), Severity::High);
        assert!(spans[0].is_open_at(29) && !spans[0].is_open_at(30) && spans[1].is_open_at(99));
        assert!(spans[0].covers("plant/hall/pump") && !spans[0].covers("plant/hall/pump-2"));
        let group = AlertSpan { asset: "plant".to_owned(), ..spans[0].clone() };
        assert!(group.covers("plant/hall/pump"));
    }

    #[test]
    fn an_alert_that_was_open_before_tells_nothing_unless_it_changes() {
        let spans = alert_spans(&[
            update("a", 10, true, Severity::Low, ""),
            update("a", 20, true, Severity::Low, ""),
            update("a", 30, true, Severity::Medium, ""),
        ]);
        let at = |from| spans[0].news_since(from).next().map(|mark| mark.at);
        assert_eq!((at(5), at(15), at(31)), (Some(10), Some(30), None));
    }

    #[test]
    fn alerts_within_a_time_of_the_first_are_one_episode() {
        let ranges = [(0, 10), (15, 20), (100, 101), (200, 200), (900, 901)];
        let of = |count: usize| count_episodes(ranges.get(..count).unwrap_or_default(), 24, 1000, &[]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(of), [0, 1, 1, 2, 3, 4]);
    }

    #[test]
    fn an_alert_that_stays_open_counts_again() {
        assert_eq!(count_episodes(&[(0, 2500)], 24, 1000, &[]), 3);
        assert_eq!(count_episodes(&[(0, i64::MAX)], 24, i64::MAX, &[]), 1);
        // Only 1300 of it count.
        assert_eq!(count_episodes(&[(0, 2500)], 24, 1000, &[(100, 700), (800, 1400)]), 2);
    }

    #[test]
    fn an_alert_is_false_from_the_end_of_its_excuse() {
        let excused = [(10, 20), (50, 60)];
        let part = |opened, closed| false_part(opened, closed, 100, &excused);
        assert_eq!(part(5, 15), Some((5, 15)));
        assert_eq!((part(12, 18), part(12, 20)), (None, None));
        assert_eq!((part(12, 200), part(99, 200), part(100, 200)), (Some((20, 100)), Some((99, 100)), None));
    }

    #[test]
    fn time_outside_of_ranges() {
        let merged = merge_ranges(vec![(50, 60), (10, 20), (15, 30), (5, 5)]);
        assert_eq!(merged, [(10, 30), (50, 60)]);
        assert_eq!(length_outside(0, 100, &merged), 70);
        assert_eq!(length_outside(25, 55, &merged), 20);
        assert!(contains(&merged, 10) && !contains(&merged, 30));
    }
}
