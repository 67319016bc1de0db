//! Compares the alerts on a machine with its events.

use serde::Serialize;
use wheeltapper_alert::Severity;

use super::{EventKind, PlantCase, PlantEvent, PlantSet, RateUnit};
use crate::{
    alert_history::{AlertSpan, contains, count_episodes, false_part, length_outside, merge_ranges},
    diagnosis::Diagnosis,
};

/// Result for one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventScore {
    /// Name.
    pub name: String,
    /// Whether it is a fault of a sensor.
    pub is_sensor_fault: bool,
    /// Whether it is work on the machine, which need not be noticed.
    pub is_service: bool,
    /// Hours until an alert reported something new; `None` if none did in time.
    pub hours: Option<f64>,
    /// Whether it was reported as a fault of a sensor or as missing data.
    pub reported_as_sensor_fault: bool,
}

impl EventScore {
    /// Whether it was found: a sensor fault must be reported as such.
    #[must_use]
    pub fn is_found(&self) -> bool {
        if self.is_sensor_fault { self.reported_as_sensor_fault } else { self.hours.is_some() }
    }
}

/// Result for one machine, or for all of a set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlantScore {
    /// Units of the rate in which no alert was expected.
    pub units: f64,
    /// False alert episodes in them.
    pub false_episodes: usize,
    /// False alerts that became critical.
    pub false_critical: usize,
    /// Time in which no alert was expected and that of it with an open alert, in hours.
    pub judged_hours: f64,
    /// That with an open alert.
    pub alert_hours: f64,
    /// The events.
    pub events: Vec<EventScore>,
    /// False alert episodes that opened at certain times, by what happened then.
    pub apart: Vec<(&'static str, usize)>,
}

impl PlantScore {
    /// Adds another machine.
    pub fn add(&mut self, other: &Self) {
        self.units += other.units;
        self.false_episodes += other.false_episodes;
        self.false_critical += other.false_critical;
        self.judged_hours += other.judged_hours;
        self.alert_hours += other.alert_hours;
        self.events.extend(other.events.iter().cloned());
        for (name, count) in &other.apart {
            match self.apart.iter_mut().find(|(known, _)| known == name) {
                Some((_, all)) => *all += count,
                None => self.apart.push((name, *count)),
            }
        }
    }

    /// False alert episodes a unit; NaN if no time was judged.
    #[must_use]
    pub fn false_rate(&self) -> f64 {
        self.false_episodes as f64 / self.units
    }
}

/// Scores the alerts on a machine. An alert is false if it is open at the start of the judged time or opens in it, and
/// no excused time contains that moment; or if it is still open when the excused time is over. An event counts as noticed
/// at the first alert that tells something new between its start and the time by which it has to open.
#[must_use]
pub fn score(case: &PlantCase, spans: &[AlertSpan], set: &PlantSet) -> PlantScore {
    let (from, until) = case.judged;
    let excused = merge_ranges(case.excused.clone());
    let false_range = |span: &AlertSpan| {
        let closed = span.closed_by(i64::MAX);
        if closed <= from { None } else { false_part(span.opened.max(from), closed, until, &excused) }
    };
    let wrong: Vec<(&AlertSpan, (i64, i64))> =
        spans.iter().filter_map(|span| Some((span, false_range(span)?))).collect();
    let episodes = |is: &dyn Fn(&AlertSpan) -> bool| {
        let ranges: Vec<(i64, i64)> = wrong.iter().filter(|(span, _)| is(span)).map(|(_, range)| *range).collect();
        count_episodes(&ranges, set.gap, set.unit.length(), &excused)
    };
    let open =
        merge_ranges(spans.iter().map(|span| (span.opened.max(from), span.closed_by(i64::MAX).min(until))).collect());
    let hours = |ns: i64| ns as f64 / 3.6e12;
    let judged = length_outside(from, until, &excused);
    PlantScore {
        units: match set.unit {
            RateUnit::Time(ns, _) => judged as f64 / ns as f64,
            RateUnit::Machine => f64::from(u8::from(judged > 0)),
        },
        false_episodes: episodes(&|_| true),
        false_critical: wrong.iter().filter(|(span, _)| span.severity() == Severity::Critical).count(),
        judged_hours: hours(judged),
        alert_hours: hours(open.iter().map(|(from, until)| length_outside(*from, *until, &excused)).sum()),
        events: case.events.iter().map(|event| score_event(event, spans)).collect(),
        apart: case
            .apart
            .iter()
            .map(|(name, ranges)| (*name, episodes(&|span| contains(ranges, span.opened))))
            .collect(),
    }
}

fn score_event(event: &PlantEvent, spans: &[AlertSpan]) -> EventScore {
    let news = || {
        let marks = spans.iter().flat_map(|span| span.news_since(event.from));
        marks.filter(|mark| mark.at <= event.until)
    };
    let as_sensor_fault = |sensor: &str| {
        news().any(|mark| {
            mark.diagnosis == Diagnosis::NoData || mark.diagnosis == Diagnosis::Sensor && mark.sensor == sensor
        })
    };
    EventScore {
        name: event.name.clone(),
        is_sensor_fault: matches!(event.kind, EventKind::SensorFault(_)),
        is_service: event.kind == EventKind::Service,
        hours: news().map(|mark| mark.at).min().map(|at| (at - event.from) as f64 / 3.6e12),
        reported_as_sensor_fault: match &event.kind {
            EventKind::SensorFault(sensor) => as_sensor_fault(sensor),
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert_history::Mark;

    const HOUR: i64 = 3_600_000_000_000;

    fn span(opened: i64, closed: Option<i64>, diagnosis: Diagnosis) -> AlertSpan {
        let sensor = "m/a".to_owned();
        AlertSpan {
            asset: "m".to_owned(),
            opened: opened * HOUR,
            closed: closed.map(|closed| closed * HOUR),
            marks: vec![Mark { at: opened * HOUR, severity: Severity::Critical, diagnosis, sensor }],
            message: String::new(),
        }
    }

    fn set() -> PlantSet {
        PlantSet {
            name: "made",
            protocol: "",
            unit: RateUnit::Time(100 * HOUR, "100 h"),
            gap: 24 * HOUR,
            floor: |_| None,
            floor_name: "",
            cases: Vec::new(),
        }
    }

    fn case() -> PlantCase {
        PlantCase {
            machine: "m".to_owned(),
            judged: (100 * HOUR, 400 * HOUR),
            excused: vec![(200 * HOUR, 300 * HOUR)],
            events: vec![
                PlantEvent { name: "fault".to_owned(), from: 210 * HOUR, until: 250 * HOUR, kind: EventKind::Fault },
                PlantEvent {
                    name: "frozen".to_owned(),
                    from: 260 * HOUR,
                    until: 290 * HOUR,
                    kind: EventKind::SensorFault("m/a".to_owned()),
                },
            ],
            apart: vec![("at night", vec![(310 * HOUR, 320 * HOUR)])],
            ..PlantCase::default()
        }
    }

    #[test]
    fn alerts_of_the_judged_time_are_false_and_events_are_found_in_time() {
        let spans = [
            span(10, Some(20), Diagnosis::Unnamed),
            span(150, Some(160), Diagnosis::Unnamed),
            span(170, Some(171), Diagnosis::Unnamed),
            span(230, Some(240), Diagnosis::Unnamed),
            span(270, Some(280), Diagnosis::Sensor),
            span(315, Some(330), Diagnosis::Unnamed),
            span(500, None, Diagnosis::Unnamed),
        ];
        let found = score(&case(), &spans, &set());
        assert_eq!((found.false_episodes, found.false_critical), (2, 3));
        assert_eq!((found.units, found.false_rate()), (2.0, 1.0));
        assert_eq!((found.judged_hours, found.alert_hours), (200.0, 26.0));
        assert_eq!(found.apart, [("at night", 1)]);
        let hours: Vec<Option<f64>> = found.events.iter().map(|event| event.hours).collect();
        assert_eq!(hours, [Some(20.0), Some(10.0)]);
        assert!(found.events.iter().all(EventScore::is_found));
    }

    #[test]
    fn one_alert_for_ever_is_false_again_and_again_and_finds_nothing() {
        let found = score(&case(), &[span(50, None, Diagnosis::Unnamed)], &set());
        // It counts again after 100 h that are not excused.
        assert_eq!((found.false_episodes, found.alert_hours), (2, 200.0));
        assert!(!found.events.iter().any(EventScore::is_found));
        let stale = score(&case(), &[span(270, Some(310), Diagnosis::Unnamed)], &set());
        assert_eq!((stale.false_episodes, stale.alert_hours), (1, 10.0), "open after the excused time");
        let unnamed = score(&case(), &[span(270, Some(280), Diagnosis::Unnamed)], &set());
        assert!(unnamed.events[1].hours.is_some() && !unnamed.events[1].is_found());
    }
}
