//! Faults of machines.

use super::{healthy::make_coarse, *};

/// Onset in days after the first reading, if a scenario is not about learning.
const ONSET_DAYS: (f64, f64) = (7.0, 14.0);
/// Time to the limit, in days, of a fault that grows for days.
const DAYS: (f64, f64) = (2.0, 8.0);

/// A machine with a schedule and a fault.
fn fault(
    draft: &mut Draft,
    fault: Fault,
    days: (f64, f64),
    schedule: impl Fn(&mut Draft) -> Option<Schedule>,
) -> Plant {
    let mut machine = draft.machine();
    if let Some(schedule) = schedule(draft) {
        machine.process.schedule = schedule;
    }
    let course = draft.course(fault, ONSET_DAYS, days);
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn wear_in_days(draft: &mut Draft) -> Plant {
    fault(draft, Fault::BearingWear, (2.0, 4.0), |_| None)
}

pub(super) fn wear_in_weeks(draft: &mut Draft) -> Plant {
    fault(draft, Fault::BearingWear, (10.0, 15.0), |draft| {
        let loads = draft.loads();
        (draft.random.uniform() < 0.5).then(|| draft.in_turn(&loads))
    })
}

pub(super) fn wear_hourly_sensors(draft: &mut Draft) -> Plant {
    let kind = draft.kind();
    let mut machine = PlantMachine::generate(0, kind, HOUR, &mut draft.random);
    machine.process.schedule = draft.day_and_night();
    let course = draft.course(Fault::BearingWear, (9.0, 14.0), (10.0, 15.0));
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn wear_starts_and_stops(draft: &mut Draft) -> Plant {
    fault(draft, Fault::BearingWear, (3.0, 8.0), |draft| Some(draft.starts_and_stops()))
}

pub(super) fn wear_batch_cycle(draft: &mut Draft) -> Plant {
    fault(draft, Fault::BearingWear, (3.0, 8.0), |draft| Some(draft.batches()))
}

pub(super) fn wear_working_week(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let weekday = draft.random.below(7);
    machine.process.schedule = draft.working_week(weekday);
    let course = draft.course(Fault::BearingWear, ONSET_DAYS, (5.0, 12.0));
    let machine = draft.with_fault(machine, course);
    Plant::new(vec![machine], draft.span, weekday, &mut draft.random)
}

pub(super) fn wear_whole_degrees(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    make_coarse(&mut machine);
    let course = draft.course(Fault::BearingWear, ONSET_DAYS, (3.0, 8.0));
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn imbalance(draft: &mut Draft) -> Plant {
    fault(draft, Fault::Imbalance, DAYS, |draft| {
        let loads = draft.loads();
        Some(draft.in_turn(&loads))
    })
}

pub(super) fn misalignment(draft: &mut Draft) -> Plant {
    fault(draft, Fault::Misalignment, DAYS, |_| None)
}

pub(super) fn cavitation(draft: &mut Draft) -> Plant {
    let interval = draft.interval();
    let mut machine = PlantMachine::generate(0, MachineKind::Pump, interval, &mut draft.random);
    machine.process.schedule = draft.day_and_night();
    let course = draft.course(Fault::Cavitation, ONSET_DAYS, DAYS);
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn overheating(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    machine.process.ambient = draft.outdoors();
    machine.sensor(Quantity::AmbientTemperature).noise = 1.0;
    let course = draft.course(Fault::Overheating, ONSET_DAYS, DAYS);
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn lubrication_loss(draft: &mut Draft) -> Plant {
    fault(draft, Fault::LubricationLoss, DAYS, |draft| {
        let speeds = draft.speeds();
        Some(draft.in_turn(&speeds))
    })
}

/// A spall that grows in waveforms; half of the machines change their load.
fn spall(draft: &mut Draft, fault: Fault) -> Plant {
    let mut machine = draft.machine();
    if draft.random.uniform() < 0.5 {
        let loads = draft.loads();
        machine.process.schedule = draft.in_turn(&loads);
    }
    machine.waveforms = Some(draft.waveform_settings());
    let course = draft.course(fault, ONSET_DAYS, (4.0, 12.0));
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn outer_race(draft: &mut Draft) -> Plant {
    spall(draft, Fault::OuterRace)
}

pub(super) fn inner_race(draft: &mut Draft) -> Plant {
    spall(draft, Fault::InnerRace)
}

pub(super) fn ball(draft: &mut Draft) -> Plant {
    spall(draft, Fault::Ball)
}

pub(super) fn sudden(draft: &mut Draft) -> Plant {
    let machine = draft.machine();
    let mut course = draft.course(Fault::Imbalance, ONSET_DAYS, (1.0, 3.0));
    // Less than half of the way, so that there is time to find it.
    course.growth = Growth::Step(draft.between(0.2, 0.4));
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn in_first_days(draft: &mut Draft) -> Plant {
    let machine = draft.machine();
    let fault = [Fault::BearingWear, Fault::Imbalance, Fault::LubricationLoss][draft.random.below(3)];
    let course = draft.course(fault, (0.25, 3.0), (3.0, 8.0));
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn faulty_while_learnt(draft: &mut Draft) -> Plant {
    let machine = draft.machine();
    let repaired = draft.between(6.0, 14.0) * DAY;
    let growth = Growth::Constant(draft.between(0.5, 0.9));
    let course = FaultCourse { fault: Fault::BearingWear, onset: 0.0, limit: repaired, repaired, growth };
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn glitch_then_fault(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let course = draft.course(Fault::BearingWear, ONSET_DAYS, (2.0, 5.0));
    let before = draft.between(0.01, 1.0) * DAY;
    machine.sensor(Quantity::VibrationRms).glitches.push(course.onset - before);
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn dead_sensor_then_fault(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let course = draft.course(Fault::BearingWear, (11.0, 15.0), (3.0, 8.0));
    let kind = [SensorFaultKind::Stuck, SensorFaultKind::Silent, SensorFaultKind::OutOfRange][draft.random.below(3)];
    let quantity = [Quantity::Current, Quantity::Speed, Quantity::AxialVibrationRms][draft.random.below(3)];
    let from = draft.between(6.0, 9.0) * DAY;
    machine.add_sensor_fault(quantity, SensorFault { kind, from, until: draft.span });
    let machine = draft.with_fault(machine, course);
    draft.single(machine)
}

pub(super) fn twice(draft: &mut Draft) -> Plant {
    let machine = draft.machine();
    let first = draft.course(Fault::BearingWear, (6.0, 8.0), (2.0, 5.0));
    let machine = draft.with_fault(machine, first);
    let second = [Fault::Imbalance, Fault::BearingWear, Fault::Misalignment][draft.random.below(3)];
    let second = draft.course(second, (19.0, 21.0), (2.0, 5.0));
    let machine = draft.with_fault(machine, second);
    draft.single(machine)
}
