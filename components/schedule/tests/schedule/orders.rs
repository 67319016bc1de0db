//! Tests of the orders that alerts cause, their slots, and the reasons for orders without a slot.
#![allow(clippy::unwrap_used, reason = "a test's helper may fail the test")]

use wheeltapper_schedule::{Alert, OrderStatus, Scheduler, Severity, StageError, WorkOrder};

const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;
/// 2026-01-05T00:00:00Z, a Monday.
const MONDAY: i64 = 20_458 * 24 * HOUR;

const CREW: &str = r#"{
  "technicians": [
    {"name": "Ada", "skills": ["vibration-analyst", "mechanic"], "hourly_cost": 60,
     "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}]},
    {"name": "Bob", "skills": ["mechanic"], "hourly_cost": 40,
     "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}]},
    {"name": "Eve", "skills": ["electrician"], "hourly_cost": 50,
     "shifts": [{"days": ["sun"], "start": "22:00", "end": "02:00"}]}
  ],
  "assets": {"p/vital": {"criticality": 5}, "p/spare": {"criticality": 1}},
  "currency": "EUR", "horizon_hours": 336, "utc_offset_minutes": 0
}"#;

fn alert(id: &str, asset: &str, severity: Severity, mode: Option<&str>, at: i64) -> Alert {
    Alert {
        id: id.into(),
        asset: asset.into(),
        sensor: format!("{asset}/vibration"),
        severity,
        open: true,
        opened: at,
        updated: at,
        fault_mode: mode.map(Into::into),
        title: format!("{asset}: abnormal"),
        recommendation: "Look at it.".into(),
    }
}

fn resolved(alert: &Alert, at: i64) -> Alert {
    Alert { open: false, updated: at, ..alert.clone() }
}

fn single(orders: Vec<WorkOrder>) -> WorkOrder {
    assert_eq!(orders.len(), 1, "{orders:#?}");
    orders.into_iter().next().unwrap()
}

fn of_kind<'a>(orders: &'a [WorkOrder], kind: &str) -> &'a WorkOrder {
    orders.iter().find(|order| order.kind == kind).unwrap()
}

#[test]
fn a_bearing_is_inspected_and_then_replaced() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler.push(&[alert("a", "p/1", Severity::High, Some("bearing-impacts"), MONDAY + 7 * HOUR + 1)]);
    let (inspection, replacement) = (of_kind(&orders, "inspection"), of_kind(&orders, "bearing-replacement"));
    assert_eq!((orders.len(), inspection.priority, inspection.status), (2, 2, OrderStatus::Planned));
    assert_eq!(inspection.scheduled, Some(MONDAY + 7 * HOUR + 5 * MINUTE));
    assert_eq!((inspection.technician.as_deref(), inspection.cost), (Some("Ada"), 60.0));
    // Bob is cheaper than Ada, and both are free.
    assert_eq!(replacement.scheduled, Some(MONDAY + 8 * HOUR + 5 * MINUTE));
    assert_eq!((replacement.technician.as_deref(), replacement.cost), (Some("Bob"), 4.0 * 40.0 + 180.0));
    assert_eq!(replacement.after, std::slice::from_ref(&inspection.id));
    assert_eq!(inspection.id.len(), 32);
    for text in ["p/1: abnormal.", "Look at it.", "Bring the spare bearing", "After inspection.", "180.00 EUR"] {
        assert!(replacement.notes.contains(text), "{}", replacement.notes);
    }
}

#[test]
fn a_job_waits_for_a_shift_that_is_long_enough() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    // At 13:30 half an hour is left; cavitation takes 90 minutes.
    let order = single(scheduler.push(&[alert(
        "a",
        "p/1",
        Severity::Low,
        Some("cavitation"),
        MONDAY + 13 * HOUR + 30 * MINUTE,
    )]));
    assert_eq!(order.scheduled, Some(MONDAY + 30 * HOUR));
    // Next Monday, after the weekend.
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let order = single(scheduler.push(&[alert(
        "b",
        "p/2",
        Severity::Low,
        Some("cavitation"),
        MONDAY + 4 * 24 * HOUR + 14 * HOUR,
    )]));
    assert_eq!(order.scheduled, Some(MONDAY + 7 * 24 * HOUR + 6 * HOUR));
    // A night shift that starts on Sunday.
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let order = single(scheduler.push(&[alert(
        "c",
        "p/3",
        Severity::Low,
        Some("electrical-overload"),
        MONDAY + 7 * 24 * HOUR,
    )]));
    assert_eq!(order.scheduled, Some(MONDAY + 7 * 24 * HOUR));
}

#[test]
fn a_more_urgent_order_displaces_others() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let balance = Some("imbalance");
    let now = MONDAY + 5 * HOUR;
    let low = single(scheduler.push(&[alert("low", "p/1", Severity::Low, balance, now)]));
    assert_eq!((low.scheduled, low.priority), (Some(MONDAY + 6 * HOUR), 4));
    let orders = scheduler.push(&[alert("vital", "p/vital", Severity::High, balance, now + 1)]);
    let urgent = orders.iter().find(|order| order.alert == "vital").unwrap();
    let moved = orders.iter().find(|order| order.alert == "low").unwrap();
    assert_eq!((urgent.scheduled, urgent.priority), (Some(MONDAY + 6 * HOUR), 1));
    assert_eq!(moved.scheduled, Some(MONDAY + 8 * HOUR));
    // The mildest alert on the least critical asset comes last and displaces no order.
    let last = single(scheduler.push(&[alert("spare", "p/spare", Severity::Low, balance, now + 2)]));
    assert_eq!((last.scheduled, last.priority), (Some(MONDAY + 10 * HOUR), 5));
    // When its severity rises, it displaces only milder ones.
    let raised = Alert { severity: Severity::Critical, ..alert("spare", "p/spare", Severity::Low, balance, now + 3) };
    let orders = scheduler.push(&[raised]);
    assert_eq!(orders.len(), 2);
    assert!(orders.iter().any(|order| order.alert == "spare" && order.scheduled == Some(MONDAY + 8 * HOUR)));
}

#[test]
fn one_machine_has_one_job_at_a_time() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let now = MONDAY + 6 * HOUR;
    let orders = scheduler.push(&[
        alert("a", "p/1", Severity::Low, Some("cavitation"), now),
        alert("b", "p/1", Severity::Low, Some("lubrication"), now),
        alert("c", "p/2", Severity::Low, Some("lubrication"), now),
    ]);
    let at = |id: &str| orders.iter().find(|order| order.alert == id).unwrap().scheduled.unwrap();
    assert_eq!((at("a"), at("b"), at("c")), (now, now + 90 * MINUTE, now));
}

#[test]
fn resolving_closes_started_orders_and_cancels_the_others() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", "p/1", Severity::High, Some("bearing-impacts"), MONDAY + 5 * HOUR);
    scheduler.push(std::slice::from_ref(&first));
    let orders = scheduler.push(&[resolved(&first, MONDAY + 6 * HOUR)]);
    assert_eq!(of_kind(&orders, "inspection").status, OrderStatus::Done);
    assert_eq!(of_kind(&orders, "bearing-replacement").status, OrderStatus::Cancelled);
    assert!(of_kind(&orders, "bearing-replacement").notes.ends_with("Cancelled: the alert has resolved."));
    assert_eq!(scheduler.orders().count(), 0);
    assert_eq!(scheduler.push(&[resolved(&first, MONDAY + 6 * HOUR)]), []);
    // The alert opens again: the same orders are planned anew.
    let again = scheduler.push(&[Alert { updated: MONDAY + 7 * HOUR, ..first }]);
    assert_eq!(of_kind(&again, "inspection").id, of_kind(&orders, "inspection").id);
    assert_eq!(of_kind(&again, "inspection").scheduled, Some(MONDAY + 7 * HOUR));
}

#[test]
fn technicians_of_a_resolved_alert_are_free_at_once() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", "p/1", Severity::High, Some("imbalance"), MONDAY + 6 * HOUR);
    scheduler.push(std::slice::from_ref(&first));
    let now = MONDAY + 7 * HOUR;
    let orders = scheduler.push(&[resolved(&first, now), alert("b", "p/1", Severity::Low, Some("imbalance"), now)]);
    let statuses: Vec<_> =
        ["a", "b"].iter().map(|id| orders.iter().find(|order| order.alert == **id).unwrap()).collect();
    assert_eq!((statuses[0].status, statuses[1].scheduled), (OrderStatus::Done, Some(now)));
}

#[test]
fn freed_time_is_used_when_it_gains_an_hour() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let now = MONDAY + 5 * HOUR;
    let all: Vec<Alert> =
        ["a", "b", "c"].iter().map(|id| alert(id, &format!("p/{id}"), Severity::Low, Some("imbalance"), now)).collect();
    scheduler.push(&all);
    let orders = scheduler.push(&[resolved(&all[0], now + 1)]);
    let at = |id: &str| orders.iter().find(|order| order.alert == id).unwrap().scheduled.unwrap();
    assert_eq!((at("b"), at("c")), (MONDAY + 6 * HOUR, MONDAY + 8 * HOUR));

    // Half an hour gained by freed time is not worth a change of the plan.
    let mut scheduler = Scheduler::open(r#"{"technicians":[{"name":"Ada","skills":["mechanic"]}]}"#).unwrap();
    let first = alert("a", "p/1", Severity::Low, Some("lubrication"), MONDAY);
    scheduler.tick(MONDAY - HOUR);
    scheduler.push(&[first.clone(), alert("b", "p/2", Severity::Low, Some("lubrication"), MONDAY + 1)]);
    let changed = single(scheduler.push(&[resolved(&first, MONDAY + 2)]));
    assert_eq!((changed.alert.as_str(), changed.status), ("a", OrderStatus::Cancelled));
}

#[test]
fn started_work_stays_and_becomes_overdue() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let planned = single(scheduler.push(&[alert("a", "p/1", Severity::Low, Some("imbalance"), MONDAY + 5 * HOUR)]));
    assert_eq!(scheduler.tick(MONDAY + 6 * HOUR + 1), []);
    let urgent = single(scheduler.push(&[alert("b", "p/2", Severity::Critical, Some("imbalance"), MONDAY + 7 * HOUR)]));
    assert_eq!(urgent.scheduled, Some(MONDAY + 8 * HOUR));
    let due = single(scheduler.tick(MONDAY + 8 * HOUR));
    assert_eq!((&due.id, due.status, due.scheduled), (&planned.id, OrderStatus::Planned, planned.scheduled));
    assert!(due.notes.contains("Due:"));
    assert_eq!(scheduler.tick(MONDAY + 9 * HOUR), []);
    // Time never goes backwards.
    assert_eq!(scheduler.tick(0), []);
}

#[test]
fn another_diagnosis_requires_other_jobs() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", "p/1", Severity::Low, Some("bearing-impacts"), MONDAY);
    scheduler.push(std::slice::from_ref(&first));
    let orders =
        scheduler.push(&[Alert { fault_mode: Some("lubrication".into()), updated: MONDAY + 1, ..first.clone() }]);
    assert_eq!(of_kind(&orders, "inspection").status, OrderStatus::Cancelled);
    assert_eq!(of_kind(&orders, "bearing-replacement").status, OrderStatus::Cancelled);
    assert_eq!(of_kind(&orders, "lubrication").status, OrderStatus::Planned);
    // An older alert is ignored.
    assert_eq!(scheduler.push(&[first]), []);
}

#[test]
fn an_order_without_a_slot_states_the_reason() {
    let notes_of = |config: &str, mode: &str| {
        let mut scheduler = Scheduler::open(config).unwrap();
        let orders = scheduler.push(&[alert("a", "p/1", Severity::Low, Some(mode), MONDAY + 1)]);
        for order in &orders {
            assert_eq!((order.status, order.scheduled, &order.technician), (OrderStatus::Unscheduled, None, &None));
        }
        orders.iter().map(|order| order.notes.clone()).collect::<Vec<_>>().join("\n")
    };
    let assert_contains = |notes: &str, text: &str| assert!(notes.contains(text), "{notes}");
    assert_contains(&notes_of("", "lubrication"), "no technician is configured; add one with mechanic");
    assert_contains(&notes_of(CREW, "sensor-stuck"), "no technician has skill instrumentation");
    let split = r#"{"technicians":[{"name":"a","skills":["mechanic"]},{"name":"b","skills":["vibration-analyst"]}]}"#;
    assert_contains(&notes_of(split, "imbalance"), "no single technician comes with vibration-analyst and mechanic");
    let shift = |hours: u32| {
        format!(
            r#"{{"technicians":[{{"name":"a","skills":["mechanic"],"shifts":[{{"days":["sun"],"start":"06:00","end":"07:00"}}]}}],
                "horizon_hours":{hours}}}"#
        )
    };
    assert_contains(&notes_of(&shift(336), "cavitation"), "no shift is long enough: the job takes 90 minutes");
    assert_contains(&notes_of(&shift(24), "lubrication"), "the horizon of 24 hours is full");
    let notes = notes_of(
        r#"{"technicians":[{"name":"a","skills":["mechanic"]}]}"#.replace("mechanic", "x").as_str(),
        "bearing-ball",
    );
    assert_contains(&notes, "its predecessor inspection is not scheduled");
}

#[test]
fn a_tick_plans_orders_that_were_beyond_the_horizon() {
    let config = r#"{"technicians":[{"name":"a","skills":["mechanic"],"shifts":[{"days":["sun"],"start":"06:00","end":"07:00"}]}],
        "horizon_hours":24}"#;
    let mut scheduler = Scheduler::open(config).unwrap();
    let order = single(scheduler.push(&[alert("a", "p/1", Severity::Low, Some("lubrication"), MONDAY)]));
    assert_eq!(order.status, OrderStatus::Unscheduled);
    assert_eq!(scheduler.tick(MONDAY + 24 * HOUR), []);
    let order = single(scheduler.tick(MONDAY + (6 * 24 - 2) * HOUR));
    assert_eq!(order.scheduled, Some(MONDAY + (6 * 24 + 6) * HOUR));
}

#[test]
fn extreme_times_do_not_panic() {
    for at in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let mut scheduler = Scheduler::open(CREW).unwrap();
        let orders = scheduler.push(&[alert("a", "p/1", Severity::Low, Some("bearing-impacts"), at)]);
        assert_eq!(orders.len(), 2);
        assert!(orders.iter().all(|order| order.scheduled.is_none_or(|start| start >= at)));
        scheduler.tick(i64::MIN);
        scheduler.tick(i64::MAX);
    }
}

#[test]
fn damaged_snapshots_are_rejected() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    scheduler.push(&[alert("a", "p/1", Severity::Low, Some("bearing-impacts"), MONDAY)]);
    let bytes = scheduler.snapshot();
    assert_eq!(Scheduler::restore(CREW, &bytes).unwrap().snapshot(), bytes);
    for cut in 0..bytes.len() {
        assert!(matches!(Scheduler::restore(CREW, &bytes[..cut]), Err(StageError::Snapshot(_))), "{cut}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(Scheduler::restore(CREW, &longer), Err(StageError::Snapshot(_))));
    let mut other = bytes;
    other[0] = 9;
    assert!(
        matches!(Scheduler::restore(CREW, &other), Err(StageError::Snapshot(message)) if message.contains("version 2"))
    );
}

#[test]
fn ten_thousand_jobs_are_planned_at_once() {
    let technicians: Vec<String> = (0..50)
        .map(|index| {
            format!(
                r#"{{"name":"t{index}","skills":["mechanic","vibration-analyst"],"hourly_cost":{},
                    "shifts":[{{"days":["mon","tue","wed","thu","fri"],"start":"06:00","end":"14:00"}}]}}"#,
                40 + index % 7
            )
        })
        .collect();
    let mut scheduler = Scheduler::open(&format!(r#"{{"technicians":[{}]}}"#, technicians.join(","))).unwrap();
    let alerts: Vec<Alert> = (0..5_000_i64)
        .map(|index| {
            let severity = [Severity::Low, Severity::Medium, Severity::High][(index % 3) as usize];
            alert(
                &format!("{index:032x}"),
                &format!("p/{}", index % 2_000),
                severity,
                Some("bearing-impacts"),
                MONDAY + index,
            )
        })
        .collect();
    for (round, urgent) in [("first", None), ("again", Some("u"))] {
        let urgent = urgent.map(|id| alert(id, "p/9", Severity::Critical, Some("imbalance"), MONDAY + 6_000));
        let pushed: Vec<Alert> = urgent.map_or_else(|| alerts.clone(), |urgent| vec![urgent]);
        let started = std::time::Instant::now();
        let changed = scheduler.push(&pushed);
        let elapsed = started.elapsed();
        // One urgent job moves the orders whose slots it takes and a few after them, not the whole plan.
        assert!(round == "first" || changed.len() < 100, "{} orders changed", changed.len());
        println!("{round}: {} orders changed in {elapsed:?}", changed.len());
        // A tenth of this limit is usual; the rest is a margin for a loaded machine.
        assert!(elapsed.as_secs_f64() < 3.0, "{elapsed:?}");
    }
    assert_eq!(scheduler.orders().count(), 10_001);
}
