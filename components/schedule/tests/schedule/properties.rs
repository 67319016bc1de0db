//! Properties that hold for any crew and any stream of alerts.
#![allow(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use wheeltapper_schedule::{Alert, OrderStatus, Scheduler, Severity, WorkOrder};

const MINUTE: i64 = 60_000_000_000;
const DAY: i64 = 1_440;
const SKILLS: [&str; 4] = ["mechanic", "vibration-analyst", "electrician", "instrumentation"];
const MODES: [&str; 8] = [
    "bearing-impacts",
    "imbalance",
    "misalignment",
    "cavitation",
    "lubrication",
    "electrical-overload",
    "sensor-stuck",
    "odd",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Days as bits, start and end in minutes after midnight.
type Shift = (u8, i64, i64);

#[derive(Clone, Debug)]
struct Crew {
    /// Skills as bits, hourly cost, shifts.
    technicians: Vec<(u8, u8, Vec<Shift>)>,
    offset: i64,
    horizon_hours: i64,
}

impl Crew {
    fn json(&self) -> String {
        let names = |bits: u8, candidates: &[&str]| {
            let named = candidates
                .iter()
                .enumerate()
                .filter(|(bit, _)| bits & (1 << bit) != 0)
                .map(|(_, name)| format!("{name:?}"));
            named.collect::<Vec<_>>().join(",")
        };
        let time = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let technicians = self.technicians.iter().enumerate().map(|(index, (skills, cost, shifts))| {
            let shifts = shifts.iter().map(|(days, start, end)| {
                format!(r#"{{"days":[{}],"start":"{}","end":"{}"}}"#, names(*days, &DAYS), time(*start), time(*end))
            });
            let shifts = shifts.collect::<Vec<_>>().join(",");
            format!(
                r#"{{"name":"t{index}","skills":[{}],"hourly_cost":{cost},"shifts":[{shifts}]}}"#,
                names(*skills, &SKILLS)
            )
        });
        format!(
            r#"{{"technicians":[{}],"utc_offset_minutes":{},"horizon_hours":{},"assets":{{"m0":{{"criticality":5}},"m1":{{"criticality":1}}}}}}"#,
            technicians.collect::<Vec<_>>().join(","),
            self.offset,
            self.horizon_hours
        )
    }

    /// Returns whether the technician is on shift in this minute, by the calendar and not by the scheduler's own sets.
    fn works(&self, index: usize, minute: i64) -> bool {
        let shifts = &self.technicians[index].2;
        let local = minute + self.offset;
        let (day, at) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        // 1970-01-01 was a Thursday.
        let on = |days: u8, day: i64| days & (1 << (day + 3).rem_euclid(7)) != 0;
        shifts.is_empty()
            || shifts.iter().any(|(days, start, end)| {
                if end > start {
                    on(*days, day) && (*start..*end).contains(&at)
                } else {
                    (on(*days, day) && at >= *start) || (on(*days, day - 1) && at < *end)
                }
            })
    }
}

fn crew() -> impl Strategy<Value = Crew> {
    let shift = (1_u8..128, 0_i64..DAY, 0_i64..DAY);
    let technician = (0_u8..16, 0_u8..80, proptest::collection::vec(shift, 0..4));
    (proptest::collection::vec(technician, 0..5), -720_i64..=840, 4_i64..200)
        .prop_map(|(technicians, offset, horizon_hours)| Crew { technicians, offset, horizon_hours })
}

/// Time in nanoseconds, and the alerts; a step without alerts is a tick.
type Step = (i64, Vec<Alert>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let alert = (0_u8..12, 0_usize..4, 0_usize..MODES.len(), prop::bool::weighted(0.75));
    let step = (0_i64..400, proptest::collection::vec(alert, 0..5));
    (0_i64..40_000_000, proptest::collection::vec(step, 1..14)).prop_map(|(begin, steps)| {
        let mut now = begin;
        let steps = steps.into_iter().map(|(minutes_passed, alerts)| {
            now += minutes_passed;
            let alerts = alerts.into_iter().map(|(id, severity, mode, open)| Alert {
                id: format!("alert-{id}"),
                asset: format!("m{}", id % 4),
                sensor: "s".into(),
                severity: [Severity::Low, Severity::Medium, Severity::High, Severity::Critical][severity],
                open,
                opened: begin * MINUTE,
                updated: now * MINUTE + 7,
                fault_mode: Some(MODES[mode].into()),
                title: format!("alert {id}"),
                recommendation: String::new(),
            });
            (now * MINUTE + 7, alerts.collect())
        });
        steps.collect()
    })
}

fn step(scheduler: &mut Scheduler, (now, alerts): &Step) -> Vec<WorkOrder> {
    if alerts.is_empty() { scheduler.tick(*now) } else { scheduler.push(alerts) }
}

fn slot(order: &WorkOrder) -> Option<(i64, i64)> {
    let start = order.scheduled.filter(|_| order.status == OrderStatus::Planned)?;
    Some((start, start + i64::from(order.duration_minutes) * MINUTE))
}

fn overlaps(slots: &mut [(i64, i64)]) -> bool {
    slots.sort_unstable();
    slots.windows(2).any(|pair| pair[0].1 > pair[1].0)
}

/// Checks every rule of a plan against its orders.
fn check(
    crew: &Crew,
    now: i64,
    orders: &BTreeMap<String, WorkOrder>,
    changed: &[WorkOrder],
) -> Result<(), TestCaseError> {
    let mut by_technician: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    let mut by_asset: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for order in orders.values() {
        let Some((start, end)) = slot(order) else {
            prop_assert!(order.technician.is_none());
            prop_assert!(order.notes.contains("Not scheduled: "), "{}", order.notes);
            continue;
        };
        let name = order.technician.as_deref().unwrap();
        by_technician.entry(name).or_default().push((start, end));
        by_asset.entry(&order.asset).or_default().push((start, end));
        let index: usize = name[1..].parse().unwrap();
        for skill in &order.skills {
            let bit = SKILLS.iter().position(|known| known == skill).unwrap();
            prop_assert!(crew.technicians[index].0 & (1 << bit) != 0, "{name} cannot {skill}");
        }
        for minute in start / MINUTE..end / MINUTE {
            prop_assert!(crew.works(index, minute), "{name} is off at {minute}: {order:?}");
        }
        // Started work does not wait for orders that were added later; all other work waits for its predecessors.
        if start > now {
            for id in &order.after {
                prop_assert!(slot(&orders[id]).is_some_and(|(_, before)| before <= start));
            }
            prop_assert!(end <= now + MINUTE + crew.horizon_hours * 60 * MINUTE);
        }
        prop_assert!((1..=5).contains(&order.priority));
    }
    for slots in by_technician.values_mut().chain(by_asset.values_mut()) {
        prop_assert!(!overlaps(slots), "{slots:?}");
    }
    for order in changed.iter().filter(|order| matches!(order.status, OrderStatus::Done)) {
        prop_assert!(order.scheduled.is_some_and(|start| start <= now));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_follows_the_rules(crew in crew(), steps in steps()) {
        let mut scheduler = Scheduler::open(&crew.json()).unwrap();
        // The orders as a host knows them that stores every order it receives.
        let mut sent: BTreeMap<String, WorkOrder> = BTreeMap::new();
        for current in &steps {
            let started: Vec<WorkOrder> = sent.values().filter(|order| slot(order).is_some_and(|(start, _)| start <= current.0)).cloned().collect();
            let changed = step(&mut scheduler, current);
            for order in &changed {
                let before = sent.insert(order.id.clone(), order.clone());
                prop_assert_ne!(before.as_ref(), Some(order), "sent again unchanged");
            }
            for order in started {
                let now = &sent[&order.id];
                prop_assert!(now.status != OrderStatus::Planned || now.scheduled == order.scheduled, "started work was moved");
            }
            sent.retain(|_, order| matches!(order.status, OrderStatus::Planned | OrderStatus::Unscheduled));
            let planned: BTreeMap<String, WorkOrder> = scheduler.orders().map(|order| (order.id.clone(), order.clone())).collect();
            prop_assert_eq!(&sent, &planned);
            check(&crew, current.0, &sent, &changed)?;
        }
    }

    #[test]
    fn restoring_changes_nothing(crew in crew(), steps in steps()) {
        let json = crew.json();
        let mut straight = Scheduler::open(&json).unwrap();
        let mut restored = Scheduler::open(&json).unwrap();
        for current in &steps {
            restored = Scheduler::restore(&json, &restored.snapshot()).unwrap();
            prop_assert_eq!(step(&mut straight, current), step(&mut restored, current));
            prop_assert_eq!(straight.snapshot(), restored.snapshot());
        }
    }

    #[test]
    fn repeated_input_changes_nothing(crew in crew(), steps in steps()) {
        let mut scheduler = Scheduler::open(&crew.json()).unwrap();
        for current in &steps {
            step(&mut scheduler, current);
            // If an alert occurs twice in a step the last one counts, so only a single alert can be sent again.
            if let [alert] = current.1.as_slice() {
                prop_assert_eq!(scheduler.push(std::slice::from_ref(alert)), []);
            }
            prop_assert_eq!(scheduler.tick(current.0), []);
        }
    }

    #[test]
    fn restore_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), position: prop::sample::Index, value: u8) {
        let mut versioned = bytes.clone();
        versioned.insert(0, 2);
        let mut older = bytes.clone();
        older.insert(0, 1);
        let mut damaged = Scheduler::open(r#"{"technicians":[{"name":"a","skills":["mechanic"]}]}"#).unwrap();
        let alert = Alert {
            id: "a".into(), asset: "m".into(), sensor: "s".into(), severity: Severity::Low, open: true, opened: 0, updated: 0,
            fault_mode: None, title: "t".into(), recommendation: String::new(),
        };
        damaged.push(&[alert]);
        let mut snapshot = damaged.snapshot();
        let position = position.index(snapshot.len());
        snapshot[position] ^= value;
        for bytes in [bytes, versioned, older, snapshot] {
            if let Ok(mut scheduler) = Scheduler::restore(r#"{"technicians":[{"name":"a","skills":["mechanic"]}]}"#, &bytes) {
                scheduler.tick(0);
                scheduler.tick(i64::MAX);
            }
        }
    }
}
