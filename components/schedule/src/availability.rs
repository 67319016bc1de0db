//! Availability of technicians and assets while a plan is made.

use std::collections::BTreeMap;

use crate::calendar::{Interval, LAST_MINUTE, ceil_to_five_minutes, ceil_to_minute};
use crate::catalogue::JobTemplate;
use crate::config::{Technician, ValidatedConfig};
use crate::interval_set::IntervalSet;
use crate::list_scheduler::{Assignment, Job};
use crate::messages::UnscheduledReason;
use crate::tracked_orders::TrackedOrder;

/// An order moves to an earlier slot only if that gains at least this many minutes, so that the plan is stable.
const MIN_GAIN_MINUTES: i64 = 60;

/// The free time of technicians and the occupied time of assets.
#[derive(Debug)]
pub(crate) struct Availability<'a> {
    config: &'a ValidatedConfig,
    /// The first minute in which work can start.
    first_minute: i64,
    /// Free time of each technician, in the order of the configuration.
    free_time: Vec<IntervalSet>,
    asset_occupancy: BTreeMap<String, IntervalSet>,
    /// Indices of the technicians with all of a set of skills, cached by skills.
    capable: BTreeMap<Vec<String>, Vec<usize>>,
}

impl<'a> Availability<'a> {
    /// Covers the time from `now` to the horizon, with `fixed` work occupying its slots.
    pub fn new<'b>(config: &'a ValidatedConfig, now: i64, fixed: impl Iterator<Item = &'b TrackedOrder>) -> Self {
        let now = config.not_before.map_or(now, |time| time.max(now));
        let from = ceil_to_five_minutes(now);
        let until = (ceil_to_minute(now) + config.horizon).min(LAST_MINUTE);
        let free_time = config
            .technicians
            .iter()
            .map(|technician| IntervalSet::new(technician.roster.working_intervals(from, until)))
            .collect();
        let mut availability =
            Self { config, first_minute: from, free_time, asset_occupancy: BTreeMap::new(), capable: BTreeMap::new() };
        for order in fixed {
            // The technician may have been removed from the configuration since.
            if let Some(assignment) = order.assignment().filter(|(_, slot)| slot.end > from) {
                availability.occupy(assignment, &order.record.asset);
            }
        }
        availability
    }

    /// Returns the index of a technician; technicians are sorted by name.
    fn technician_index(&self, name: &str) -> Option<usize> {
        self.config.technicians.binary_search_by(|technician| technician.name.as_str().cmp(name)).ok()
    }

    fn occupy(&mut self, (technician, slot): Assignment<'_>, asset: &str) {
        if let Some(free) = self.technician_index(technician).and_then(|index| self.free_time.get_mut(index)) {
            free.remove(slot);
        }
        if !self.asset_occupancy.contains_key(asset) {
            self.asset_occupancy.insert(asset.to_owned(), IntervalSet::default());
        }
        if let Some(busy) = self.asset_occupancy.get_mut(asset) {
            busy.insert(slot);
        }
    }

    /// Releases the slot of a job.
    pub fn release(&mut self, job: &Job<'_>, (technician, slot): Assignment<'_>) {
        if let Some(free) = self.technician_index(technician).and_then(|index| self.free_time.get_mut(index)) {
            free.insert(slot);
        }
        if let Some(busy) = self.asset_occupancy.get_mut(&job.alert.asset) {
            busy.remove(slot);
        }
    }

    /// Reserves a slot for a job if the slot is free and suitable. Returns whether it was reserved.
    pub fn reserve(&mut self, job: &Job<'_>, assignment: Assignment<'_>) -> bool {
        self.cache_capable(job.template);
        let fits = self.is_suitable(job, assignment);
        if fits {
            self.occupy(assignment, &job.alert.asset);
        }
        fits
    }

    fn is_suitable(&self, job: &Job<'_>, (technician, slot): Assignment<'_>) -> bool {
        slot.start >= self.first_minute
            && slot.end - slot.start == i64::from(job.template.duration_minutes)
            && self.asset_occupancy.get(&job.alert.asset).is_none_or(|busy| busy.is_disjoint(slot))
            && self.technician_index(technician).is_some_and(|index| {
                self.capable_technicians(job.template).contains(&index)
                    && self.free_time.get(index).is_some_and(|free| free.contains(slot))
            })
    }

    /// Caches the technicians who have the skills for a job.
    fn cache_capable(&mut self, template: &JobTemplate) {
        if !self.capable.contains_key(&template.skills) {
            let has_skills =
                |technician: &Technician| template.skills.iter().all(|skill| technician.skills.contains(skill));
            let technicians = self.config.technicians.iter().enumerate();
            let capable =
                technicians.filter(|(_, technician)| has_skills(technician)).map(|(index, _)| index).collect();
            self.capable.insert(template.skills.clone(), capable);
        }
    }

    fn capable_technicians(&self, template: &JobTemplate) -> &[usize] {
        self.capable.get(&template.skills).map_or(&[], Vec::as_slice)
    }

    /// Reserves a slot for a job that starts at or after `earliest_start`: its `previous` slot, unless moving gains
    /// enough, or else the earliest. Ties go to the lower cost, then to the name.
    pub fn assign(
        &mut self,
        job: &Job<'_>,
        earliest_start: i64,
        previous: Option<Assignment<'_>>,
    ) -> Result<(Interval, &'a Technician), UnscheduledReason> {
        self.cache_capable(job.template);
        let config = self.config;
        let duration = i64::from(job.template.duration_minutes);
        let earliest = earliest_start.max(self.first_minute);
        let unoccupied = IntervalSet::default();
        let asset = self.asset_occupancy.get(&job.alert.asset).unwrap_or(&unoccupied);
        let mut best: Option<(i64, &Technician)> = None;
        for &index in self.capable_technicians(job.template) {
            let (Some(free), Some(technician)) = (self.free_time.get(index), config.technicians.get(index)) else {
                continue;
            };
            let latest = best.map_or(i64::MAX, |(start, _)| start);
            if let Some(start) = free.earliest_start(earliest, latest, duration, asset) {
                let better = best.is_none_or(|(first, other)| {
                    start < first || (start == first && technician.hourly_cost < other.hourly_cost)
                });
                if better {
                    best = Some((start, technician));
                }
            }
        }
        let best = best.ok_or_else(|| self.unscheduled_reason(job.template))?;
        let unchanged = previous.filter(|(_, slot)| slot.start >= earliest && slot.start < best.0 + MIN_GAIN_MINUTES);
        let unchanged = unchanged.filter(|assignment| self.is_suitable(job, *assignment));
        let unchanged = unchanged
            .and_then(|(name, slot)| Some((slot.start, config.technicians.get(self.technician_index(name)?)?)));
        let (start, technician) = unchanged.unwrap_or(best);
        let slot = Interval { start, end: start + duration };
        self.occupy((&technician.name, slot), &job.alert.asset);
        Ok((slot, technician))
    }

    fn unscheduled_reason(&self, template: &JobTemplate) -> UnscheduledReason {
        let capable = self.capable_technicians(template);
        if self.config.technicians.is_empty() {
            return UnscheduledReason::NoTechnicians;
        }
        if capable.is_empty() {
            return UnscheduledReason::MissingSkills;
        }
        let longest_intervals = capable.iter().filter_map(|index| self.config.technicians.get(*index));
        let longest = longest_intervals.map(|technician| technician.roster.longest_interval).max().unwrap_or(0);
        if longest < i64::from(template.duration_minutes) {
            UnscheduledReason::ShiftsTooShort(longest)
        } else {
            UnscheduledReason::HorizonFull
        }
    }
}
