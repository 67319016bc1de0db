//! What people do to orders, and what the plan makes of it.
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

fn of(order: &WorkOrder) -> Amendment {
    Amendment { order: order.id.clone(), ..Amendment::default() }
}

fn all(scheduler: &Scheduler) -> Vec<WorkOrder> {
    scheduler.orders().cloned().collect()
}

fn refused(scheduler: &mut Scheduler, amendment: Amendment) -> String {
    let before = scheduler.snapshot();
    let told = match scheduler.amend(&[amendment]) {
        Err(StageError::Batch(message)) => message,
        other => panic!("{other:?}"),
    };
    assert_eq!(scheduler.snapshot(), before);
    told
}

#[test]
fn what_is_pinned_stays_and_the_others_make_room() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler
        .push(&[alert("a", Severity::Low, "imbalance", MONDAY), alert("b", Severity::Low, "imbalance", MONDAY + 1)]);
    let (a, b) = (order(&orders, "a", "balancing"), order(&orders, "b", "balancing"));
    assert_eq!((a.scheduled, b.scheduled), (Some(MONDAY + 6 * HOUR), Some(MONDAY + 8 * HOUR)));
    // The second goes where the first was.
    let changed = scheduler.amend(&[Amendment { scheduled: Some(MONDAY + 6 * HOUR), ..of(&b) }]).unwrap();
    let (moved, pinned) = (order(&changed, "a", "balancing"), order(&changed, "b", "balancing"));
    assert_eq!(
        (pinned.scheduled, pinned.pinned, pinned.technician.as_deref()),
        (Some(MONDAY + 6 * HOUR), true, Some("Ada"))
    );
    assert_eq!((moved.scheduled, moved.pinned), (Some(MONDAY + 8 * HOUR), false));
    // Nothing more urgent moves it.
    let urgent = scheduler.push(&[alert("c", Severity::Critical, "imbalance", MONDAY + 2)]);
    assert_eq!(order(&urgent, "c", "balancing").scheduled, Some(MONDAY + 8 * HOUR));
    assert!(urgent.iter().all(|order| order.alert != "b"));
    // Outside of the shift, and with someone who has not the skills: a person's will.
    let night = Amendment { scheduled: Some(MONDAY + 20 * HOUR), technician: Some("Bob".into()), ..of(&b) };
    let night = order(&scheduler.amend(&[night]).unwrap(), "b", "balancing");
    assert_eq!(
        (night.scheduled, night.technician.as_deref(), night.cost),
        (Some(MONDAY + 20 * HOUR), Some("Bob"), 80.0)
    );
    // How urgent it is goes on with its alert.
    let raised = scheduler.push(&[alert("b", Severity::High, "imbalance", MONDAY + 3)]);
    let raised = order(&raised, "b", "balancing");
    assert_eq!((raised.priority, raised.scheduled, raised.pinned), (2, night.scheduled, true));
    // Let go, it takes the place that the planner gives it.
    let freed = order(&scheduler.amend(&[Amendment { pinned: Some(false), ..of(&b) }]).unwrap(), "b", "balancing");
    assert_eq!((freed.pinned, freed.technician.as_deref()), (false, Some("Ada")));
}

#[test]
fn what_comes_after_waits_for_a_pin_and_a_pin_in_the_past_has_begun() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler.push(&[alert("a", Severity::High, "bearing-ball", MONDAY + 6 * HOUR)]);
    let inspection = order(&orders, "a", "inspection");
    let changed = scheduler.amend(&[Amendment { scheduled: Some(MONDAY + 32 * HOUR + 7), ..of(&inspection) }]).unwrap();
    let replacement = order(&changed, "a", "bearing-replacement");
    assert_eq!(replacement.scheduled, Some(MONDAY + 33 * HOUR + MINUTE));
    // The person says that it was done in the morning: it has begun, and the rest follows at once.
    let changed = scheduler.amend(&[Amendment { scheduled: Some(MONDAY + 5 * HOUR), ..of(&inspection) }]).unwrap();
    assert_eq!(order(&changed, "a", "bearing-replacement").scheduled, Some(MONDAY + 6 * HOUR));
    let resolved = Alert { open: false, ..alert("a", Severity::High, "bearing-ball", MONDAY + 6 * HOUR + 1) };
    let closed = scheduler.push(&[resolved]);
    assert_eq!(order(&closed, "a", "inspection").status, OrderStatus::Done);
}

#[test]
fn a_pin_stays_when_the_diagnosis_changes_and_ends_with_the_alert() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", Severity::High, "imbalance", MONDAY);
    let planned = order(&scheduler.push(std::slice::from_ref(&first)), "a", "balancing");
    scheduler.amend(&[Amendment { pinned: Some(true), ..of(&planned) }]).unwrap();
    let other = Alert { fault_mode: Some("lubrication".into()), updated: MONDAY + 1, ..first.clone() };
    let changed = scheduler.push(&[other]);
    assert_eq!((changed.len(), changed[0].kind.as_str()), (1, "lubrication"));
    let changed = scheduler.push(&[Alert { open: false, updated: MONDAY + 2, ..first }]);
    assert!(changed.len() == 2 && changed.iter().all(|order| order.status == OrderStatus::Cancelled));
}

#[test]
fn what_is_done_or_cancelled_is_not_raised_again() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let first = alert("a", Severity::High, "bearing-ball", MONDAY + 6 * HOUR);
    let orders = scheduler.push(std::slice::from_ref(&first));
    let (inspection, replacement) = (order(&orders, "a", "inspection"), order(&orders, "a", "bearing-replacement"));
    let done = Amendment { status: Some(OrderStatus::Done), ..of(&inspection) };
    let changed = scheduler.amend(std::slice::from_ref(&done)).unwrap();
    let told = order(&changed, "a", "inspection");
    assert!(told.status == OrderStatus::Done && told.notes.ends_with("Reported as done."), "{}", told.notes);
    // What waited for it is free to begin.
    assert_eq!(order(&changed, "a", "bearing-replacement").scheduled, Some(MONDAY + 6 * HOUR));
    assert_eq!(scheduler.amend(&[done]).unwrap(), []);
    let cancelled = scheduler.amend(&[Amendment { status: Some(OrderStatus::Cancelled), ..of(&replacement) }]).unwrap();
    assert_eq!((cancelled.len(), cancelled[0].status), (1, OrderStatus::Cancelled));
    assert_eq!(all(&scheduler), []);
    // Neither when its alert changes, nor when that resolves and opens again.
    for (at, open) in [(1, true), (2, false), (3, true)] {
        let again = Alert { severity: Severity::Critical, updated: first.updated + at, open, ..first.clone() };
        assert_eq!(scheduler.push(&[again]), []);
    }
    // A person may take it up again.
    let told = refused(&mut scheduler, Amendment { pinned: Some(true), ..of(&replacement) });
    assert!(told.contains("is cancelled; give it the status planned"), "{told}");
    let again = scheduler.amend(&[Amendment { status: Some(OrderStatus::Planned), ..of(&replacement) }]).unwrap();
    assert_eq!(
        (again.len(), again[0].status, again[0].scheduled),
        (1, OrderStatus::Planned, Some(MONDAY + 6 * HOUR + 5 * MINUTE))
    );
    assert!(!again[0].notes.contains("Cancelled"), "{}", again[0].notes);
    // After a month without news it is forgotten.
    scheduler.amend(&[Amendment { status: Some(OrderStatus::Done), ..of(&replacement) }]).unwrap();
    scheduler.push(&[alert("b", Severity::Low, "imbalance", MONDAY + 40 * 24 * HOUR)]);
    assert!(refused(&mut scheduler, of(&inspection)).contains("is not known"));
}

#[test]
fn what_cannot_be_is_told_and_changes_nothing() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler
        .push(&[alert("a", Severity::Low, "imbalance", MONDAY), alert("b", Severity::Low, "sensor-stuck", MONDAY)]);
    let (planned, waiting) = (order(&orders, "a", "balancing"), order(&orders, "b", "sensor-repair"));
    let told = refused(&mut scheduler, Amendment { order: "nobody".into(), ..Amendment::default() });
    assert!(told.contains("nobody is not known"), "{told}");
    let told = refused(&mut scheduler, Amendment { technician: Some("Eve".into()), ..of(&planned) });
    assert!(told.contains("\"Eve\" is not known; there are Ada, Bob"), "{told}");
    let told = refused(&mut scheduler, Amendment { pinned: Some(true), ..of(&waiting) });
    assert!(told.contains("give a time too"), "{told}");
    let told = refused(&mut scheduler, Amendment { scheduled: Some(MONDAY), ..of(&waiting) });
    assert!(told.contains("give a technician too"), "{told}");
    let told = refused(&mut scheduler, Amendment { status: Some(OrderStatus::Unscheduled), ..of(&planned) });
    assert!(told.contains("planner's to say"), "{told}");
    // Of several all or none.
    let before = scheduler.snapshot();
    assert!(
        scheduler
            .amend(&[
                Amendment { pinned: Some(true), ..of(&planned) },
                of(&order(&orders, "b", "sensor-repair")),
                Amendment { order: "nobody".into(), ..Amendment::default() }
            ])
            .is_err()
    );
    assert_eq!(scheduler.snapshot(), before);
    // With both it is placed, though nobody has the skill.
    let placed = Amendment { scheduled: Some(MONDAY + HOUR), technician: Some("Bob".into()), ..of(&waiting) };
    assert_eq!(order(&scheduler.amend(&[placed]).unwrap(), "b", "sensor-repair").status, OrderStatus::Planned);
}

/// What a plan would look like: a scratch copy with fewer people, later.
#[test]
fn a_copy_plans_with_fewer_people_and_later() {
    let mut scheduler = Scheduler::open(CREW).unwrap();
    let orders = scheduler.push(&[
        alert("a", Severity::Low, "lubrication", MONDAY),
        alert("b", Severity::Low, "lubrication", MONDAY),
        alert("c", Severity::Low, "lubrication", MONDAY),
    ]);
    let pinned = order(&orders, "c", "lubrication");
    scheduler.amend(&[Amendment { pinned: Some(true), ..of(&pinned) }]).unwrap();
    let config = format!(
        r#"{{"technicians":[{{"name":"Ada","skills":["mechanic"]}}],"not_before":{},"horizon_hours":1}}"#,
        MONDAY + 30 * HOUR
    );
    let mut copy = Scheduler::restore(&config, &scheduler.snapshot()).unwrap();
    copy.tick(MONDAY + 1);
    copy.amend(&[]).unwrap();
    let planned = all(&copy);
    let of = |id: &str| order(&planned, id, "lubrication");
    assert_eq!((of("a").scheduled, of("a").technician.as_deref()), (Some(MONDAY + 30 * HOUR), Some("Ada")));
    assert_eq!(of("b").scheduled, Some(MONDAY + 30 * HOUR + 30 * MINUTE));
    // A person's word holds there too.
    assert_eq!((of("c").scheduled, of("c").pinned), (pinned.scheduled, true));
}

/// What happens: minutes pass, alerts come, people act.
#[derive(Clone, Debug)]
struct Step {
    pass: i64,
    /// Number, severity, mode, open.
    alerts: Vec<(u8, usize, usize, bool)>,
    /// Which order, minutes from now or none, technician, pinned, status.
    wishes: Vec<Wish>,
}

type Wish = (prop::sample::Index, Option<i64>, Option<usize>, Option<bool>, Option<usize>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wish = (
        any::<prop::sample::Index>(),
        prop::option::of(-300_i64..3_000),
        prop::option::of(0_usize..3),
        prop::option::of(any::<bool>()),
        prop::option::weighted(0.3, 0_usize..3),
    );
    let step = (
        0_i64..500,
        proptest::collection::vec((0_u8..6, 0_usize..4, 0_usize..4, prop::bool::weighted(0.8)), 0..4),
        proptest::collection::vec(wish, 0..4),
    );
    proptest::collection::vec(step.prop_map(|(pass, alerts, wishes)| Step { pass, alerts, wishes }), 1..10)
}

const TEAM: &str = r#"{"technicians": [
    {"name": "t0", "skills": ["mechanic", "vibration-analyst"]},
    {"name": "t1", "skills": ["mechanic"], "shifts": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "06:00", "end": "14:00"}]},
    {"name": "t2", "skills": ["vibration-analyst"]}], "horizon_hours": 200}"#;

fn slot(order: &WorkOrder) -> Option<(i64, i64)> {
    let start = order.scheduled.filter(|_| order.status == OrderStatus::Planned)?;
    Some((start, start + i64::from(order.duration_minutes) * MINUTE))
}

/// No two of one technician or one machine at a time, but where a person wanted it so.
fn check(orders: &[WorkOrder], by_hand: &BTreeSet<String>, now: i64) -> Result<(), TestCaseError> {
    for (at, one) in orders.iter().enumerate() {
        let Some((start, end)) = slot(one) else { continue };
        let wanted = |order: &WorkOrder| {
            order.pinned || (by_hand.contains(&order.id) && order.scheduled.is_some_and(|start| start <= now))
        };
        for other in &orders[at + 1..] {
            let Some((from, to)) = slot(other) else { continue };
            let shared = one.technician == other.technician || one.asset == other.asset;
            let apart = end <= from || to <= start;
            prop_assert!(!shared || apart || wanted(one) || wanted(other), "{one:?} {other:?}");
        }
        if !wanted(one) && start > now {
            for before in one.after.iter().filter_map(|id| orders.iter().find(|order| order.id == *id)) {
                prop_assert!(slot(before).is_some_and(|(_, end)| end <= start), "{one:?} {before:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn people_have_the_last_word(steps in steps()) {
        let modes = ["bearing-ball", "imbalance", "lubrication", "odd"];
        let mut scheduler = Scheduler::open(TEAM).unwrap();
        let mut now = MONDAY;
        let mut told: BTreeMap<String, WorkOrder> = BTreeMap::new();
        let (mut closed, mut by_hand) = (BTreeMap::new(), BTreeSet::new());
        for Step { pass, alerts, wishes } in steps {
            now += pass * MINUTE;
            let pinned: Vec<WorkOrder> = all(&scheduler).into_iter().filter(|order| order.pinned).collect();
            let alerts: Vec<Alert> = alerts.iter().map(|(id, severity, mode, open)| Alert {
                asset: format!("m{}", id % 3),
                severity: [Severity::Low, Severity::Medium, Severity::High, Severity::Critical][*severity],
                open: *open,
                opened: MONDAY,
                ..alert(&format!("{id}"), Severity::Low, modes[*mode], now)
            }).collect();
            let changed = if alerts.is_empty() { scheduler.tick(now) } else { scheduler.push(&alerts) };
            let amended = all(&scheduler);
            for before in &pinned {
                if let Some(after) = amended.iter().find(|order| order.id == before.id) {
                    prop_assert_eq!((after.scheduled, &after.technician, after.pinned), (before.scheduled, &before.technician, true));
                }
            }
            for order in changed {
                prop_assert!(!closed.contains_key(&order.id), "raised again: {:?}", order);
                told.insert(order.id.clone(), order);
            }
            check(&amended, &by_hand, now)?;

            let ids: Vec<String> = told.keys().cloned().collect();
            let amendments: Vec<Amendment> = wishes.iter().filter(|_| !ids.is_empty()).map(|(at, minutes, technician, pinned, status)| Amendment {
                order: at.get(&ids).clone(),
                scheduled: minutes.map(|minutes| now + minutes * MINUTE + 7),
                technician: technician.map(|at| format!("t{at}")),
                pinned: *pinned,
                status: status.map(|at| [OrderStatus::Planned, OrderStatus::Done, OrderStatus::Cancelled][at]),
            }).collect();
            // One by one, and all at once, and after a restart: the same.
            let mut together = Scheduler::restore(TEAM, &scheduler.snapshot()).unwrap();
            let mut taken = Vec::new();
            for amendment in &amendments {
                let before = all(&scheduler);
                let Ok(changed) = scheduler.amend(std::slice::from_ref(amendment)) else { continue };
                taken.push(amendment.clone());
                by_hand.insert(amendment.order.clone());
                for order in changed {
                    if order.id != amendment.order {
                        let was = before.iter().find(|was| was.id == order.id);
                        prop_assert!(was.is_none_or(|was| !was.pinned), "another pin moved: {order:?}");
                        prop_assert!(!closed.contains_key(&order.id), "raised again: {:?}", order);
                    }
                    told.insert(order.id.clone(), order);
                }
                match told[&amendment.order].status {
                    _ if amendment.status == Some(OrderStatus::Planned) => { closed.remove(&amendment.order); }
                    status @ (OrderStatus::Done | OrderStatus::Cancelled) => { closed.insert(amendment.order.clone(), status); }
                    _ => {}
                }
                check(&all(&scheduler), &by_hand, now)?;
            }
            together.amend(&taken).unwrap();
            prop_assert_eq!(together.snapshot(), scheduler.snapshot());
            for (id, status) in &closed {
                prop_assert_eq!(told[id].status, *status);
                prop_assert!(all(&scheduler).iter().all(|order| order.id != *id));
            }
        }
    }
}
