//! Behaviour without a fault.

use super::*;
use crate::plant::{Outage, process::Service};

pub(super) fn steady(draft: &mut Draft) -> Plant {
    let machine = draft.machine();
    draft.single(machine)
}

fn with_schedule(draft: &mut Draft, schedule: impl Fn(&mut Draft) -> Schedule) -> Plant {
    let mut machine = draft.machine();
    machine.process.schedule = schedule(draft);
    draft.single(machine)
}

pub(super) fn starts_and_stops(draft: &mut Draft) -> Plant {
    with_schedule(draft, Draft::starts_and_stops)
}

pub(super) fn loads_in_turn(draft: &mut Draft) -> Plant {
    with_schedule(draft, |draft| {
        let loads = draft.loads();
        draft.in_turn(&loads)
    })
}

pub(super) fn speeds_in_turn(draft: &mut Draft) -> Plant {
    with_schedule(draft, |draft| {
        let speeds = draft.speeds();
        draft.in_turn(&speeds)
    })
}

pub(super) fn batch_cycle(draft: &mut Draft) -> Plant {
    with_schedule(draft, Draft::batches)
}

pub(super) fn day_and_night(draft: &mut Draft) -> Plant {
    with_schedule(draft, Draft::day_and_night)
}

pub(super) fn working_week(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let weekday = draft.random.below(7);
    machine.process.schedule = draft.working_week(weekday);
    Plant::new(vec![machine], draft.span, weekday, &mut draft.random)
}

pub(super) fn outdoors(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    machine.process.ambient = draft.outdoors();
    // Half of the machines have a sensor of the ambient temperature.
    if draft.random.uniform() < 0.5 {
        machine.sensor(Quantity::AmbientTemperature).noise = 1.0;
    }
    if draft.random.uniform() < 0.5 {
        machine.process.schedule = draft.day_and_night();
    }
    draft.single(machine)
}

pub(super) fn standby(draft: &mut Draft) -> Plant {
    with_schedule(draft, |draft| {
        let demand = Demand::at_load(draft.between(0.65, 0.95));
        let stop = draft.between(12.0, 48.0) * HOUR;
        let run = draft.between(0.5, 2.0) * HOUR;
        let (run, stop) = ((0.5 * run, 1.5 * run), (0.5 * stop, 1.5 * stop));
        Schedule::starts_and_stops(demand, run, stop, draft.span, &mut draft.random)
    })
}

pub(super) fn hourly_sensors(draft: &mut Draft) -> Plant {
    let kind = draft.kind();
    let mut machine = PlantMachine::generate(0, kind, HOUR, &mut draft.random);
    machine.process.schedule = draft.day_and_night();
    draft.single(machine)
}

pub(super) fn fast_sensors(draft: &mut Draft) -> Plant {
    let kind = draft.kind();
    let mut machine = PlantMachine::generate(0, kind, 5.0, &mut draft.random);
    // A gateway with a tight budget: four sensors.
    machine.sensors.truncate(4);
    let loads = draft.loads();
    machine.process.schedule = draft.in_turn(&loads);
    draft.single(machine)
}

/// Gives all sensors of the machine coarse steps.
pub(super) fn make_coarse(machine: &mut PlantMachine) {
    for sensor in &mut machine.sensors {
        sensor.resolution = match sensor.quantity.description().2 {
            "degC" => Some(1.0),
            "mm/s" => Some(0.1),
            "A" => Some(0.5),
            "rpm" => Some(10.0),
            "kW" => Some(0.5),
            _ => Some(0.1),
        };
    }
}

pub(super) fn whole_degrees(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    if draft.random.uniform() < 0.5 {
        machine.process.schedule = draft.day_and_night();
    }
    make_coarse(&mut machine);
    draft.single(machine)
}

pub(super) fn energy_counter(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    machine.process.schedule =
        if draft.random.uniform() < 0.5 { draft.day_and_night() } else { draft.starts_and_stops() };
    let resolution = [0.1, 1.0][draft.random.below(2)];
    machine.sensor(Quantity::Energy).resolution = Some(resolution);
    draft.single(machine)
}

pub(super) fn glitches(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let loads = draft.loads();
    machine.process.schedule = draft.in_turn(&loads);
    for _ in 0..3 + draft.random.below(6) {
        let at = draft.between(0.5 * DAY, draft.span);
        let sensors = machine.sensors.len();
        let sensor = draft.random.below(sensors);
        if let Some(sensor) = machine.sensors.get_mut(sensor) {
            sensor.glitches.push(at);
        }
    }
    for sensor in &mut machine.sensors {
        sensor.glitches.sort_by(f64::total_cmp);
    }
    draft.single(machine)
}

pub(super) fn late_data(draft: &mut Draft) -> Plant {
    let mut plant = day_and_night(draft);
    for week in 0..4 {
        let from = (f64::from(week) * 7.0 + draft.between(2.0, 6.0)) * DAY;
        plant.outages.push(Outage { from, until: from + draft.between(1.0, 10.0) * HOUR, buffered: true });
    }
    plant
}

pub(super) fn off_while_learnt(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let schedule =
        if draft.random.uniform() < 0.5 { draft.day_and_night() } else { Schedule::steady(Demand::at_load(0.8)) };
    machine.process.schedule = schedule.with(0.0, draft.between(0.5, 4.0) * DAY, Demand::OFF);
    draft.single(machine)
}

pub(super) fn new_load(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let at = draft.between(8.0, 16.0) * DAY;
    let (low, high) = (draft.between(0.4, 0.6), draft.between(0.8, 1.0));
    machine.process.schedule = Schedule::steady(Demand::at_load(low)).with(at, draft.span, Demand::at_load(high));
    machine.changes.push(LastingChange { name: "new load", at });
    draft.single(machine)
}

pub(super) fn service_step(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let at = draft.between(8.0, 16.0) * DAY;
    let service = Service { at, vibration: draft.between(0.75, 0.9), heat: draft.between(0.8, 0.92) };
    machine.process.services.push(service);
    let hours = draft.between(3.0, 10.0) * HOUR;
    machine.process.schedule = machine.process.schedule.clone().with(at - hours, at, Demand::OFF);
    machine.changes.push(LastingChange { name: "service", at });
    draft.single(machine)
}

pub(super) fn new_sensor(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let at = draft.between(8.0, 16.0) * DAY;
    let quantity = [Quantity::Temperature, Quantity::VibrationRms, Quantity::Current][draft.random.below(3)];
    let replacement = Replacement { at, offset: draft.between(-0.3, 0.3), gain: draft.between(0.95, 1.05) };
    machine.sensor(quantity).replacement = Some(replacement);
    machine.changes.push(LastingChange { name: "new sensor", at });
    draft.single(machine)
}

pub(super) fn waveforms(draft: &mut Draft) -> Plant {
    let mut machine = draft.machine();
    let loads = draft.loads();
    machine.process.schedule = draft.in_turn(&loads);
    machine.waveforms = Some(draft.waveform_settings());
    draft.single(machine)
}
