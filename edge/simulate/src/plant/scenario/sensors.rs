//! Faults of sensors, and data that stop.

use super::*;
use crate::plant::Outage;

/// Sensors that fail: those of which an engineer would expect an alert.
const QUANTITIES: [Quantity; 4] =
    [Quantity::VibrationRms, Quantity::Temperature, Quantity::Current, Quantity::AxialVibrationRms];

/// A machine, half of the time with changing loads, of which one sensor fails until it is replaced.
fn sensor_fault(draft: &mut Draft, kind: SensorFaultKind, quantities: &[Quantity]) -> Plant {
    let mut machine = draft.machine();
    if draft.random.uniform() < 0.5 {
        let loads = draft.loads();
        machine.process.schedule = draft.in_turn(&loads);
    }
    let quantity = quantities[draft.random.below(quantities.len())];
    let from = draft.between(7.0, 16.0) * DAY;
    let until = from + draft.between(3.0, 8.0) * DAY;
    machine.add_sensor_fault(quantity, SensorFault { kind, from, until });
    draft.single(machine)
}

pub(super) fn stuck(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::Stuck, &QUANTITIES)
}

pub(super) fn dropout(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::Dropout, &QUANTITIES)
}

pub(super) fn silent(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::Silent, &QUANTITIES)
}

pub(super) fn noise(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::Noise, &QUANTITIES)
}

pub(super) fn spikes(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::Spikes, &QUANTITIES)
}

pub(super) fn offset(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::OffsetStep, &QUANTITIES)
}

pub(super) fn clipping(draft: &mut Draft) -> Plant {
    // Vibration varies around its level, so a saturation there shows.
    sensor_fault(draft, SensorFaultKind::Clipping, &[Quantity::VibrationRms, Quantity::AxialVibrationRms])
}

pub(super) fn unit(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::WrongUnit, &[Quantity::VibrationRms, Quantity::Temperature])
}

pub(super) fn out_of_range(draft: &mut Draft) -> Plant {
    sensor_fault(draft, SensorFaultKind::OutOfRange, &QUANTITIES)
}

fn three_machines(draft: &mut Draft) -> Plant {
    let machines = (0..3)
        .map(|number| {
            let (kind, interval) = (draft.kind(), draft.interval());
            let mut machine = PlantMachine::generate(number, kind, interval, &mut draft.random);
            if number == 1 {
                machine.process.schedule = draft.day_and_night();
            }
            machine
        })
        .collect();
    Plant::new(machines, draft.span, 0, &mut draft.random)
}

pub(super) fn gateway_dead(draft: &mut Draft) -> Plant {
    let mut plant = three_machines(draft);
    let from = draft.between(5.0, 15.0) * DAY;
    plant.outages.push(Outage { from, until: from + draft.between(0.5, 3.0) * DAY, buffered: false });
    plant
}

pub(super) fn gateway_flapping(draft: &mut Draft) -> Plant {
    let mut plant = three_machines(draft);
    let mut from = draft.between(4.0, 6.0) * DAY;
    for _ in 0..4 {
        let until = from + draft.between(3.0, 8.0) * HOUR;
        plant.outages.push(Outage { from, until, buffered: false });
        from = until + draft.between(2.0, 5.0) * DAY;
    }
    plant
}
