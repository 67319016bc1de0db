//! What the process asks of a machine over time: starts and stops, loads and speeds, batches, days and weeks.

use crate::random::Random;

pub(crate) const HOUR: f64 = 3600.0;
pub(crate) const DAY: f64 = 24.0 * HOUR;

/// What the process asks of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Load as a share of the rated load; 0 when the machine stands still.
    pub load: f64,
    /// Shaft speed as a share of the rated speed; 0 when the machine stands still.
    pub speed: f64,
}

impl Demand {
    /// The machine stands still.
    pub const OFF: Self = Self { load: 0.0, speed: 0.0 };

    /// A load at rated speed.
    pub fn at_load(load: f64) -> Self {
        Self { load, speed: 1.0 }
    }

    /// Whether the machine turns.
    pub fn is_running(self) -> bool {
        self.speed > 0.0
    }
}

/// The demand over time: constant between two changes. Times are in seconds after the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Start and demand of each segment, in order; the first starts at 0.
    segments: Vec<(f64, Demand)>,
}

impl Schedule {
    /// One demand for ever.
    pub fn steady(demand: Demand) -> Self {
        Self { segments: vec![(0.0, demand)] }
    }

    /// The levels in turn; each lasts a random time within `dwell` (in s) before the next one.
    pub(crate) fn in_turn(levels: &[Demand], dwell: (f64, f64), span: f64, random: &mut Random) -> Self {
        let mut segments = Vec::new();
        let mut time = 0.0;
        while time < span || segments.is_empty() {
            for level in levels {
                segments.push((time, *level));
                time += random.between(dwell.0, dwell.1).max(1.0);
            }
        }
        Self { segments }
    }

    /// Runs at `demand` for a random time within `run`, then stands still for a random time within `stop`, in s.
    pub(crate) fn starts_and_stops(
        demand: Demand,
        run: (f64, f64),
        stop: (f64, f64),
        span: f64,
        random: &mut Random,
    ) -> Self {
        let mut segments = Vec::new();
        let mut time = 0.0;
        while time < span || segments.is_empty() {
            segments.push((time, demand));
            time += random.between(run.0, run.1).max(1.0);
            segments.push((time, Demand::OFF));
            time += random.between(stop.0, stop.1).max(1.0);
        }
        Self { segments }
    }

    /// Repeats a recipe of demands with their durations in s. Each duration varies by `jitter` (a share, one standard
    /// deviation).
    pub(crate) fn batches(recipe: &[(Demand, f64)], jitter: f64, span: f64, random: &mut Random) -> Self {
        let mut segments = Vec::new();
        let mut time = 0.0;
        while time < span || segments.is_empty() {
            for (demand, seconds) in recipe {
                segments.push((time, *demand));
                time += (seconds * (1.0 + jitter * random.normal())).max(0.2 * seconds).max(1.0);
            }
        }
        Self { segments }
    }

    /// `day` from 06:00 to 22:00 and `night` otherwise, with ramps of two hours in steps of 10 minutes. Each day's level
    /// varies by 3 %. The simulation starts at midnight.
    pub(crate) fn day_and_night(day: f64, night: f64, span: f64, random: &mut Random) -> Self {
        let step = 600.0;
        let steps = (span / step).ceil().max(1.0) as usize;
        let mut level = day;
        let segments = (0..steps).map(|at| {
            let time = at as f64 * step;
            let hour = time.rem_euclid(DAY) / HOUR;
            if hour == 0.0 {
                level = day * (1.0 + 0.03 * random.normal());
            }
            let share = ((hour - 5.0) / 2.0).clamp(0.0, 1.0) - ((hour - 21.0) / 2.0).clamp(0.0, 1.0);
            (time, Demand::at_load(night + (level - night) * share))
        });
        Self { segments: segments.collect() }
    }

    /// Runs at `demand` from Monday to Friday between two hours of the day and stands still otherwise. Shifts start and
    /// end up to 15 minutes late. `weekday` is that of the first day, 0 for Monday.
    pub(crate) fn working_week(
        demand: Demand,
        hours: (f64, f64),
        weekday: usize,
        span: f64,
        random: &mut Random,
    ) -> Self {
        let mut segments = vec![(0.0, Demand::OFF)];
        let days = (span / DAY).ceil().max(1.0) as usize;
        for day in (0..days).filter(|day| (day + weekday) % 7 < 5) {
            let late = |random: &mut Random| random.between(0.0, 900.0);
            segments.push((day as f64 * DAY + hours.0 * HOUR + late(random), demand));
            segments.push((day as f64 * DAY + hours.1 * HOUR + late(random), Demand::OFF));
        }
        Self { segments }
    }

    /// Replaces the demand from `from` to `until` by another one.
    #[must_use]
    pub(crate) fn with(self, from: f64, until: f64, demand: Demand) -> Self {
        let after = self.at(until);
        let mut segments: Vec<(f64, Demand)> =
            self.segments.iter().copied().filter(|(start, _)| *start < from).collect();
        segments.push((from, demand));
        segments.push((until, after));
        segments.extend(self.segments.iter().copied().filter(|(start, _)| *start > until));
        Self { segments }
    }

    /// The demand at a time.
    pub fn at(&self, seconds: f64) -> Demand {
        let next = self.segments.partition_point(|(start, _)| *start <= seconds);
        self.segments.get(next.saturating_sub(1)).map_or(Demand::OFF, |(_, demand)| *demand)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_running(schedule: &Schedule, span: f64) -> f64 {
        let steps = (span / 60.0) as usize;
        (0..steps).filter(|step| schedule.at(*step as f64 * 60.0).is_running()).count() as f64 / steps as f64
    }

    #[test]
    fn levels_follow_each_other_and_repeat() {
        let levels = [Demand::at_load(0.5), Demand::at_load(0.9)];
        let schedule = Schedule::in_turn(&levels, (100.0, 100.0), 1000.0, &mut Random::new(1, 0));
        assert_eq!([50.0, 150.0, 250.0].map(|time| schedule.at(time).load), [0.5, 0.9, 0.5]);
        assert_eq!(Schedule::steady(Demand::at_load(0.7)).at(1e9).load, 0.7);
    }

    #[test]
    fn a_machine_that_starts_and_stops_runs_its_share() {
        let run =
            Schedule::starts_and_stops(Demand::at_load(0.8), (900.0, 1100.0), (900.0, 1100.0), 30.0 * DAY, &mut {
                Random::new(2, 0)
            });
        assert!((share_running(&run, 30.0 * DAY) - 0.5).abs() < 0.02);
    }

    #[test]
    fn a_batch_repeats_its_recipe_in_about_its_time() {
        let recipe = [(Demand::at_load(0.9), 600.0), (Demand::at_load(0.4), 300.0), (Demand::OFF, 180.0)];
        let schedule = Schedule::batches(&recipe, 0.02, 10.0 * DAY, &mut Random::new(3, 0));
        let starts = schedule.segments.iter().filter(|(time, demand)| *time < 10.0 * DAY && demand.load == 0.9).count();
        assert!((starts as f64 - 10.0 * DAY / 1080.0).abs() < 10.0, "{starts}");
    }

    #[test]
    fn nights_and_weekends_are_quiet() {
        let day = Schedule::day_and_night(0.9, 0.4, 3.0 * DAY, &mut Random::new(4, 0));
        assert_eq!(day.at(DAY + 2.0 * HOUR).load, 0.4);
        assert!((day.at(DAY + 12.0 * HOUR).load - 0.9).abs() < 0.12);
        let week = Schedule::working_week(Demand::at_load(0.8), (6.0, 22.0), 0, 14.0 * DAY, &mut Random::new(5, 0));
        assert!(week.at(4.0 * DAY + 12.0 * HOUR).is_running(), "Friday noon");
        assert!(!week.at(5.0 * DAY + 12.0 * HOUR).is_running(), "Saturday noon");
        assert!((share_running(&week, 14.0 * DAY) - 5.0 / 7.0 * 16.0 / 24.0).abs() < 0.01);
    }

    #[test]
    fn a_part_of_a_schedule_can_be_replaced() {
        let schedule = Schedule::in_turn(
            &[Demand::at_load(0.5), Demand::at_load(0.9)],
            (100.0, 100.0),
            1000.0,
            &mut Random::new(1, 0),
        )
        .with(250.0, 420.0, Demand::OFF);
        assert_eq!([240.0, 260.0, 419.0, 430.0, 550.0].map(|time| schedule.at(time).load), [0.5, 0.0, 0.0, 0.5, 0.9]);
    }
}
