//! Availability of technicians and assets while a plan is made.

use std::collections::BTreeMap;

use crate::calendar::{LAST_MINUTE, Span, minute_at_or_after, next_five_minutes};
use crate::catalogue::JobKind;
use crate::config::{Plant, Technician};
use crate::orders::Order;
use crate::place::Spans;
use crate::plan::{Job, Place};
use crate::words::Unplaced;

/// An order moves to an earlier slot only if that gains at least this many minutes, so that the plan is stable.
const WORTH_MOVING: i64 = 60;

/// The free time of technicians and the occupied time of assets.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    config: &'a Plant,
    /// The first minute in which work can start.
    from: i64,
    /// Free time of each technician, in the order of the configuration.
    free: Vec<Spans>,
    busy: BTreeMap<String, Spans>,
    /// Indices of the technicians with all of a set of skills, cached by skills.
    able: BTreeMap<Vec<String>, Vec<usize>>,
}

impl<'a> Board<'a> {
    /// Covers the time from `now` to the horizon, with `begun` work occupying its slots.
    pub fn new<'b>(config: &'a Plant, now: i64, begun: impl Iterator<Item = &'b Order>) -> Self {
        let now = config.not_before.map_or(now, |time| time.max(now));
        let from = next_five_minutes(now);
        let until = (minute_at_or_after(now) + config.horizon).min(LAST_MINUTE);
        let free =
            config.technicians.iter().map(|technician| Spans::new(technician.roster.spans(from, until))).collect();
        let mut availability = Self { config, from, free, busy: BTreeMap::new(), able: BTreeMap::new() };
        for order in begun {
            // The technician may have been removed from the configuration since.
            if let Some(place) = order.place().filter(|(_, slot)| slot.to > from) {
                availability.take(place, &order.record.asset);
            }
        }
        availability
    }

    /// Returns the index of a technician; technicians are sorted by name.
    fn position(&self, name: &str) -> Option<usize> {
        self.config.technicians.binary_search_by(|technician| technician.name.as_str().cmp(name)).ok()
    }

    fn take(&mut self, (technician, slot): Place<'_>, asset: &str) {
        if let Some(free) = self.position(technician).and_then(|index| self.free.get_mut(index)) {
            free.take(slot);
        }
        if !self.busy.contains_key(asset) {
            self.busy.insert(asset.to_owned(), Spans::default());
        }
        if let Some(busy) = self.busy.get_mut(asset) {
            busy.add(slot);
        }
    }

    /// Releases the slot of a job.
    pub fn release(&mut self, job: &Job<'_>, (technician, slot): Place<'_>) {
        if let Some(free) = self.position(technician).and_then(|index| self.free.get_mut(index)) {
            free.add(slot);
        }
        if let Some(busy) = self.busy.get_mut(&job.alert.asset) {
            busy.take(slot);
        }
    }

    /// Reserves a slot for a job if the slot is free and suitable. Returns whether it was reserved.
    pub fn hold(&mut self, job: &Job<'_>, place: Place<'_>) -> bool {
        self.learn(job.kind);
        let fits = self.fits(job, place);
        if fits {
            self.take(place, &job.alert.asset);
        }
        fits
    }

    fn fits(&self, job: &Job<'_>, (technician, slot): Place<'_>) -> bool {
        slot.from >= self.from
            && slot.to - slot.from == i64::from(job.kind.duration_minutes)
            && self.busy.get(&job.alert.asset).is_none_or(|busy| busy.miss(slot))
            && self.position(technician).is_some_and(|index| {
                self.able(job.kind).contains(&index) && self.free.get(index).is_some_and(|free| free.hold(slot))
            })
    }

    /// Caches the technicians who have the skills for a job.
    fn learn(&mut self, kind: &JobKind) {
        if !self.able.contains_key(&kind.skills) {
            let has_skills =
                |technician: &Technician| kind.skills.iter().all(|skill| technician.skills.contains(skill));
            let technicians = self.config.technicians.iter().enumerate();
            let able = technicians.filter(|(_, technician)| has_skills(technician)).map(|(index, _)| index).collect();
            self.able.insert(kind.skills.clone(), able);
        }
    }

    fn able(&self, kind: &JobKind) -> &[usize] {
        self.able.get(&kind.skills).map_or(&[], Vec::as_slice)
    }

    /// Reserves a slot for a job that starts at or after `ready`: its previous slot `had`, unless moving gains enough,
    /// or else the earliest. Ties go to the lower cost, then to the name.
    pub fn find(
        &mut self,
        job: &Job<'_>,
        ready: i64,
        previous: Option<Place<'_>>,
    ) -> Result<(Span, &'a Technician), Unplaced> {
        self.learn(job.kind);
        let config = self.config;
        let duration = i64::from(job.kind.duration_minutes);
        let earliest = ready.max(self.from);
        let unoccupied = Spans::default();
        let asset = self.busy.get(&job.alert.asset).unwrap_or(&unoccupied);
        let mut best: Option<(i64, &Technician)> = None;
        for &index in self.able(job.kind) {
            let (Some(free), Some(technician)) = (self.free.get(index), config.technicians.get(index)) else {
                continue;
            };
            let latest = best.map_or(i64::MAX, |(start, _)| start);
            if let Some(start) = free.earliest(earliest, latest, duration, asset) {
                let better = best.is_none_or(|(first, other)| {
                    start < first || (start == first && technician.hourly_cost < other.hourly_cost)
                });
                if better {
                    best = Some((start, technician));
                }
            }
        }
        let best = best.ok_or_else(|| self.unplaced(job.kind))?;
        let unchanged = previous.filter(|(_, slot)| slot.from >= earliest && slot.from < best.0 + WORTH_MOVING);
        let unchanged = unchanged.filter(|place| self.fits(job, *place));
        let unchanged =
            unchanged.and_then(|(name, slot)| Some((slot.from, config.technicians.get(self.position(name)?)?)));
        let (start, technician) = unchanged.unwrap_or(best);
        let slot = Span { from: start, to: start + duration };
        self.take((&technician.name, slot), &job.alert.asset);
        Ok((slot, technician))
    }

    fn unplaced(&self, kind: &JobKind) -> Unplaced {
        let able = self.able(kind);
        if self.config.technicians.is_empty() {
            return Unplaced::NoTechnicians;
        }
        if able.is_empty() {
            return Unplaced::NoSkills;
        }
        let stretches = able.iter().filter_map(|index| self.config.technicians.get(*index));
        let longest = stretches.map(|technician| technician.roster.longest).max().unwrap_or(0);
        if longest < i64::from(kind.duration_minutes) { Unplaced::ShortShifts(longest) } else { Unplaced::Full }
    }
}
