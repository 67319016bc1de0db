//! Tests of changes that people make to orders, and how the plan adapts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helper may fail the test")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wheeltapper_schedule::{Alert, Amendment, OrderStatus, Scheduler, Severity, StageError, WorkOrder};

const MINUTE: i64 = 60_000_000_000;
const HOUR: i64 = 60 * MINUTE;
/// 2026-01-05T00:00:00Z, a Monday.
const MONDAY: i64 = 20_458 * 24 * HOUR;
const CREW: &str = r#"{"technicians": [
    {"name": "Ada", "skills": ["vibration-analyst", "mechanic"], "hourly_cost": 60,
     "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}]},
    {"name": "Bob", "skills": ["mechanic"], "hourly_cost": 40,
     "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}]}]}"#;

fn alert(id: &str, severity: Severity, mode: &str, at: i64) -> Alert {
    Alert {
        id: id.into(),
        asset: format!("p/{id}"),
        sensor: "s".into(),
        severity,
        open: true,
        opened: at,
        updated: at,
        fault_mode: Some(mode.into()),
        title: format!("{id}: abnormal"),
        recommendation: String::new(),
    }
}

fn order(orders: &[WorkOrder], alert: &str, kind: &str) -> WorkOrder {
    orders.iter().find(|order| order.alert == alert && order.kind == kind).unwrap().clone()
}

fn change_of(order: &WorkOrder) -> Amendment {
    Amendment { order: order.id.clone(), ..Amendment::default() }
}

fn all_orders(scheduler: &Scheduler) -> Vec<WorkOrder> {
    scheduler.orders().cloned().collect()
}

fn rejected(scheduler: &mut Scheduler, amendment: Amendment) -> String {
    let before = scheduler.snapshot();
    let message = match scheduler.amend(&[amendment]) {
        Err(StageError::Batch(message)) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(scheduler.snapshot(), before);
    message
}

#[test]
fn a_pinned_order_stays_and_others_move() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler
        .push(&[alert("a", Severity::Low, "imbalance", MONDAY), alert("b", Severity::Low, "imbalance", MONDAY + 1)]);
    let (a, b) = (order(&orders, "a", "balancing"), order(&orders, "b", "balancing"));
    assert_eq!((a.scheduled, b.scheduled), (Some(MONDAY + 6 * HOUR), Some(MONDAY + 8 * HOUR)));
    // The second order moves to the slot of the first.
    let changed = scheduler.amend(&[Amendment { scheduled: Some(MONDAY + 6 * HOUR), ..change_of(&b) }]).unwrap();
    let (moved, pinned) = (order(&changed, "a", "balancing"), order(&changed, "b", "balancing"));
    assert_eq!(
        (pinned.scheduled, pinned.pinned, pinned.technician.as_deref()),
        (Some(MONDAY + 6 * HOUR), true, Some("Ada"))
    );
    assert_eq!((moved.scheduled, moved.pinned), (Some(MONDAY + 8 * HOUR), false));
    // A more urgent order does not move it.
    let urgent = scheduler.push(&[alert("c", Severity::Critical, "imbalance", MONDAY + 2)]);
    assert_eq!(order(&urgent, "c", "balancing").scheduled, Some(MONDAY + 8 * HOUR));
    assert!(urgent.iter().all(|order| order.alert != "b"));
    // A person may choose a time outside of the shift and a technician without the skills.
    let night = Amendment { scheduled: Some(MONDAY + 20 * HOUR), technician: Some("Bob".into()), ..change_of(&b) };
    let night = order(&scheduler.amend(&[night]).unwrap(), "b", "balancing");
    assert_eq!(
        (night.scheduled, night.technician.as_deref(), night.cost),
        (Some(MONDAY + 20 * HOUR), Some("Bob"), 80.0)
    );
    // Its priority follows its alert.
    let raised = scheduler.push(&[alert("b", Severity::High, "imbalance", MONDAY + 3)]);
    let raised = order(&raised, "b", "balancing");
    assert_eq!((raised.priority, raised.scheduled, raised.pinned), (2, night.scheduled, true));
    // Unpinned, it moves to the slot that the planner chooses.
    let freed =
        order(&scheduler.amend(&[Amendment { pinned: Some(false), ..change_of(&b) }]).unwrap(), "b", "balancing");
    assert_eq!((freed.pinned, freed.technician.as_deref()), (false, Some("Ada")));
}

#[test]
fn a_successor_waits_for_a_pinned_order_and_a_pin_in_the_past_has_started() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler.push(&[alert("a", Severity::High, "bearing-ball", MONDAY + 6 * HOUR)]);
    let inspection = order(&orders, "a", "inspection");
    let changed =
        scheduler.amend(&[Amendment { scheduled: Some(MONDAY + 32 * HOUR + 7), ..change_of(&inspection) }]).unwrap();
    let replacement = order(&changed, "a", "bearing-replacement");
    assert_eq!(replacement.scheduled, Some(MONDAY + 33 * HOUR + MINUTE));
    // The person reports that it was done in the morning: it has started, and the successor follows at once.
    let changed =
        scheduler.amend(&[Amendment { scheduled: Some(MONDAY + 5 * HOUR), ..change_of(&inspection) }]).unwrap();
    assert_eq!(order(&changed, "a", "bearing-replacement").scheduled, Some(MONDAY + 6 * HOUR));
    let resolved = Alert { open: false, ..alert("a", Severity::High, "bearing-ball", MONDAY + 6 * HOUR + 1) };
    let closed = scheduler.push(&[resolved]);
    assert_eq!(order(&closed, "a", "inspection").status, OrderStatus::Done);
}

#[test]
fn a_pinned_order_stays_when_the_diagnosis_changes_and_closes_with_the_alert() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", Severity::High, "imbalance", MONDAY);
    let planned = order(&scheduler.push(std::slice::from_ref(&first)), "a", "balancing");
    scheduler.amend(&[Amendment { pinned: Some(true), ..change_of(&planned) }]).unwrap();
    let other = Alert { fault_mode: Some("lubrication".into()), updated: MONDAY + 1, ..first.clone() };
    let changed = scheduler.push(&[other]);
    assert_eq!((changed.len(), changed[0].kind.as_str()), (1, "lubrication"));
    let changed = scheduler.push(&[Alert { open: false, updated: MONDAY + 2, ..first }]);
    assert!(changed.len() == 2 && changed.iter().all(|order| order.status == OrderStatus::Cancelled));
}

#[test]
fn a_done_or_cancelled_order_is_not_raised_again() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", Severity::High, "bearing-ball", MONDAY + 6 * HOUR);
    let orders = scheduler.push(std::slice::from_ref(&first));
    let (inspection, replacement) = (order(&orders, "a", "inspection"), order(&orders, "a", "bearing-replacement"));
    let done = Amendment { status: Some(OrderStatus::Done), ..change_of(&inspection) };
    let changed = scheduler.amend(std::slice::from_ref(&done)).unwrap();
    let closed = order(&changed, "a", "inspection");
    assert!(closed.status == OrderStatus::Done && closed.notes.ends_with("Reported as done."), "{}", closed.notes);
    // Its successor can start now.
    assert_eq!(order(&changed, "a", "bearing-replacement").scheduled, Some(MONDAY + 6 * HOUR));
    assert_eq!(scheduler.amend(&[done]).unwrap(), []);
    let cancelled =
        scheduler.amend(&[Amendment { status: Some(OrderStatus::Cancelled), ..change_of(&replacement) }]).unwrap();
    assert_eq!((cancelled.len(), cancelled[0].status), (1, OrderStatus::Cancelled));
    assert_eq!(all_orders(&scheduler), []);
    // It is not raised again when its alert changes, nor when the alert resolves and opens again.
    for (at, open) in [(1, true), (2, false), (3, true)] {
        let again = Alert { severity: Severity::Critical, updated: first.updated + at, open, ..first.clone() };
        assert_eq!(scheduler.push(&[again]), []);
    }
    // A person may reopen it.
    let message = rejected(&mut scheduler, Amendment { pinned: Some(true), ..change_of(&replacement) });
    assert!(message.contains("is cancelled; set its status to planned"), "{message}");
    let again =
        scheduler.amend(&[Amendment { status: Some(OrderStatus::Planned), ..change_of(&replacement) }]).unwrap();
    assert_eq!(
        (again.len(), again[0].status, again[0].scheduled),
        (1, OrderStatus::Planned, Some(MONDAY + 6 * HOUR + 5 * MINUTE))
    );
    assert!(!again[0].notes.contains("Cancelled"), "{}", again[0].notes);
    // It is dropped after a month without news.
    scheduler.amend(&[Amendment { status: Some(OrderStatus::Done), ..change_of(&replacement) }]).unwrap();
    scheduler.push(&[alert("b", Severity::Low, "imbalance", MONDAY + 40 * 24 * HOUR)]);
    assert!(rejected(&mut scheduler, change_of(&inspection)).contains("is unknown"));
}

#[test]
fn an_invalid_amendment_is_rejected_and_changes_nothing() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler
        .push(&[alert("a", Severity::Low, "imbalance", MONDAY), alert("b", Severity::Low, "sensor-stuck", MONDAY)]);
    let (planned, waiting) = (order(&orders, "a", "balancing"), order(&orders, "b", "sensor-repair"));
    let message = rejected(&mut scheduler, Amendment { order: "nobody".into(), ..Amendment::default() });
    assert!(message.contains("nobody is unknown"), "{message}");
    let message = rejected(&mut scheduler, Amendment { technician: Some("Eve".into()), ..change_of(&planned) });
    assert!(message.contains("\"Eve\" is unknown; expected one of Ada, Bob"), "{message}");
    let message = rejected(&mut scheduler, Amendment { pinned: Some(true), ..change_of(&waiting) });
    assert!(message.contains("set a time too"), "{message}");
    let message = rejected(&mut scheduler, Amendment { scheduled: Some(MONDAY), ..change_of(&waiting) });
    assert!(message.contains("set a technician too"), "{message}");
    let message = rejected(&mut scheduler, Amendment { status: Some(OrderStatus::Unscheduled), ..change_of(&planned) });
    assert!(message.contains("only the planner does so"), "{message}");
    // Several amendments are applied completely or not at all.
    let before = scheduler.snapshot();
    assert!(
        scheduler
            .amend(&[
                Amendment { pinned: Some(true), ..change_of(&planned) },
                change_of(&order(&orders, "b", "sensor-repair")),
                Amendment { order: "nobody".into(), ..Amendment::default() }
            ])
            .is_err()
    );
    assert_eq!(scheduler.snapshot(), before);
    // With time and technician it is planned, though no technician has the skill.
    let assigned = Amendment { scheduled: Some(MONDAY + HOUR), technician: Some("Bob".into()), ..change_of(&waiting) };
    assert_eq!(order(&scheduler.amend(&[assigned]).unwrap(), "b", "sensor-repair").status, OrderStatus::Planned);
}

/// A what-if plan: a copy of the stage with fewer technicians and a later start.
#[test]
fn a_copy_plans_with_fewer_people_and_later() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler.push(&[
        alert("a", Severity::Low, "lubrication", MONDAY),
        alert("b", Severity::Low, "lubrication", MONDAY),
        alert("c", Severity::Low, "lubrication", MONDAY),
    ]);
    let pinned = order(&orders, "c", "lubrication");
    scheduler.amend(&[Amendment { pinned: Some(true), ..change_of(&pinned) }]).unwrap();
    let config = format!(
        r#"{{"technicians":[{{"name":"Ada","skills":["mechanic"]}}],"not_before":{},"horizon_hours":1}}"#,
        MONDAY + 30 * HOUR
    );
    let mut copy = Scheduler::restore(&config, &scheduler.snapshot()).unwrap();
    copy.tick(MONDAY + 1);
    copy.amend(&[]).unwrap();
    let planned = all_orders(&copy);
    let planned_order = |id: &str| order(&planned, id, "lubrication");
    assert_eq!(
        (planned_order("a").scheduled, planned_order("a").technician.as_deref()),
        (Some(MONDAY + 30 * HOUR), Some("Ada"))
    );
    assert_eq!(planned_order("b").scheduled, Some(MONDAY + 30 * HOUR + 30 * MINUTE));
    // A pinned order stays there too.
    assert_eq!((planned_order("c").scheduled, planned_order("c").pinned), (pinned.scheduled, true));
}

/// One step: minutes pass, alerts arrive, people change orders.
#[derive(Clone, Debug)]
struct Step {
    minutes_passed: i64,
    /// Index of the alert, severity, fault mode, whether it is open.
    alerts: Vec<(u8, usize, usize, bool)>,
    /// Order, minutes from now, technician, pinned, status.
    changes: Vec<RandomChange>,
}

type RandomChange = (prop::sample::Index, Option<i64>, Option<usize>, Option<bool>, Option<usize>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (
        any::<prop::sample::Index>(),
        prop::option::of(-300_i64..3_000),
        prop::option::of(0_usize..3),
        prop::option::of(any::<bool>()),
        prop::option::weighted(0.3, 0_usize..3),
    );
    let step = (
        0_i64..500,
        proptest::collection::vec((0_u8..6, 0_usize..4, 0_usize..4, prop::bool::weighted(0.8)), 0..4),
        proptest::collection::vec(change, 0..4),
    );
    proptest::collection::vec(
        step.prop_map(|(minutes_passed, alerts, changes)| Step { minutes_passed, alerts, changes }),
        1..10,
    )
}

const TEAM: &str = r#"{"technicians": [
    {"name": "t0", "skills": ["mechanic", "vibration-analyst"]},
    {"name": "t1", "skills": ["mechanic"], "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}]},
    {"name": "t2", "skills": ["vibration-analyst"]}], "horizon_hours": 200}"#;

fn slot(order: &WorkOrder) -> Option<(i64, i64)> {
    let start = order.scheduled.filter(|_| order.status == OrderStatus::Planned)?;
    Some((start, start + i64::from(order.duration_minutes) * MINUTE))
}

/// Checks that no technician and no asset has two orders at a time, except where a person placed one.
fn check(orders: &[WorkOrder], by_hand: &BTreeSet<String>, now: i64) -> Result<(), TestCaseError> {
    for (at, first) in orders.iter().enumerate() {
        let Some((start, end)) = slot(first) else { continue };
        let placed_by_person = |order: &WorkOrder| {
            order.pinned || (by_hand.contains(&order.id) && order.scheduled.is_some_and(|start| start <= now))
        };
        for other in &orders[at + 1..] {
            let Some((from, to)) = slot(other) else { continue };
            let shared = first.technician == other.technician || first.asset == other.asset;
            let disjoint = end <= from || to <= start;
            prop_assert!(
                !shared || disjoint || placed_by_person(first) || placed_by_person(other),
                "{first:?} {other:?}"
            );
        }
        if !placed_by_person(first) && start > now {
            for before in first.after.iter().filter_map(|id| orders.iter().find(|order| order.id == *id)) {
                prop_assert!(slot(before).is_some_and(|(_, end)| end <= start), "{first:?} {before:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changes_by_people_take_precedence(steps in steps()) {
        let modes = ["bearing-ball", "imbalance", "lubrication", "odd"];
        let mut scheduler = Scheduler::open(TEAM).unwrap();
        let mut now = MONDAY;
        let mut sent: BTreeMap<String, WorkOrder> = BTreeMap::new();
        let (mut closed, mut by_hand) = (BTreeMap::new(), BTreeSet::new());
        for Step { minutes_passed, alerts, changes } in steps {
            now += minutes_passed * MINUTE;
            let pinned: Vec<WorkOrder> = all_orders(&scheduler).into_iter().filter(|order| order.pinned).collect();
            let alerts: Vec<Alert> = alerts.iter().map(|(id, severity, mode, open)| Alert {
                asset: format!("m{}", id % 3),
                severity: [Severity::Low, Severity::Medium, Severity::High, Severity::Critical][*severity],
                open: *open,
                opened: MONDAY,
                ..alert(&format!("{id}"), Severity::Low, modes[*mode], now)
            }).collect();
            let changed = if alerts.is_empty() { scheduler.tick(now) } else { scheduler.push(&alerts) };
            let amended = all_orders(&scheduler);
            for before in &pinned {
                if let Some(after) = amended.iter().find(|order| order.id == before.id) {
                    prop_assert_eq!((after.scheduled, &after.technician, after.pinned), (before.scheduled, &before.technician, true));
                }
            }
            for order in changed {
                prop_assert!(!closed.contains_key(&order.id), "raised again: {:?}", order);
                sent.insert(order.id.clone(), order);
            }
            check(&amended, &by_hand, now)?;

            let ids: Vec<String> = sent.keys().cloned().collect();
            let amendments: Vec<Amendment> = changes.iter().filter(|_| !ids.is_empty()).map(|(at, minutes, technician, pinned, status)| Amendment {
                order: at.get(&ids).clone(),
                scheduled: minutes.map(|minutes| now + minutes * MINUTE + 7),
                technician: technician.map(|at| format!("t{at}")),
                pinned: *pinned,
                status: status.map(|at| [OrderStatus::Planned, OrderStatus::Done, OrderStatus::Cancelled][at]),
            }).collect();
            // One by one, all at once, and after a restart give the same result.
            let mut together = Scheduler::restore(TEAM, &scheduler.snapshot()).unwrap();
            let mut applied = Vec::new();
            for amendment in &amendments {
                let before = all_orders(&scheduler);
                let Ok(changed) = scheduler.amend(std::slice::from_ref(amendment)) else { continue };
                applied.push(amendment.clone());
                by_hand.insert(amendment.order.clone());
                for order in changed {
                    if order.id != amendment.order {
                        let was = before.iter().find(|was| was.id == order.id);
                        prop_assert!(was.is_none_or(|was| !was.pinned), "another pin moved: {order:?}");
                        prop_assert!(!closed.contains_key(&order.id), "raised again: {:?}", order);
                    }
                    sent.insert(order.id.clone(), order);
                }
                match sent[&amendment.order].status {
                    _ if amendment.status == Some(OrderStatus::Planned) => { closed.remove(&amendment.order); }
                    status @ (OrderStatus::Done | OrderStatus::Cancelled) => { closed.insert(amendment.order.clone(), status); }
                    _ => {}
                }
                check(&all_orders(&scheduler), &by_hand, now)?;
            }
            together.amend(&applied).unwrap();
            prop_assert_eq!(together.snapshot(), scheduler.snapshot());
            for (id, status) in &closed {
                prop_assert_eq!(sent[id].status, *status);
                prop_assert!(all_orders(&scheduler).iter().all(|order| order.id != *id));
            }
        }
    }
}
