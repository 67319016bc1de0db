//! Who and what is free while a plan is made.

use std::collections::BTreeMap;

use crate::calendar::{LAST_MINUTE, Span, minute_at_or_after, next_five_minutes};
use crate::catalogue::JobKind;
use crate::config::{Plant, Technician};
use crate::orders::Order;
use crate::place::Spans;
use crate::plan::{Job, Place};
use crate::words::Unplaced;

/// A slot that was given is given up for an earlier one only when that gains this many minutes, so that the plan does
/// not churn.
const WORTH_MOVING: i64 = 60;

/// The free time of technicians and the taken time of assets.
#[derive(Debug)]
pub(crate) struct Board<'a> {
    plant: &'a Plant,
    /// The first minute that can be given.
    from: i64,
    /// By the technicians' order.
    free: Vec<Spans>,
    busy: BTreeMap<String, Spans>,
    /// Who can do what, by skills: indices of technicians.
    able: BTreeMap<Vec<String>, Vec<usize>>,
}

impl<'a> Board<'a> {
    /// From `now` to the horizon, with the work that has begun.
    pub fn new<'b>(plant: &'a Plant, now: i64, begun: impl Iterator<Item = &'b Order>) -> Self {
        let now = plant.not_before.map_or(now, |time| time.max(now));
        let from = next_five_minutes(now);
        let until = (minute_at_or_after(now) + plant.horizon).min(LAST_MINUTE);
        let free =
            plant.technicians.iter().map(|technician| Spans::new(technician.roster.spans(from, until))).collect();
        let mut board = Self { plant, from, free, busy: BTreeMap::new(), able: BTreeMap::new() };
        for order in begun {
            // The configuration may have changed since, so the technician may be gone.
            if let Some(place) = order.place().filter(|(_, slot)| slot.to > from) {
                board.take(place, &order.record.asset);
            }
        }
        board
    }

    /// Index of a technician; they are in order of their names.
    fn position(&self, name: &str) -> Option<usize> {
        self.plant.technicians.binary_search_by(|technician| technician.name.as_str().cmp(name)).ok()
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

    /// Gives back what [`Self::hold`] or [`Self::find`] took.
    pub fn release(&mut self, job: &Job<'_>, (technician, slot): Place<'_>) {
        if let Some(free) = self.position(technician).and_then(|index| self.free.get_mut(index)) {
            free.add(slot);
        }
        if let Some(busy) = self.busy.get_mut(&job.alert.asset) {
            busy.take(slot);
        }
    }

    /// Takes a slot for a job, if it is free and right for it.
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

    /// Finds out who can do a job, once.
    fn learn(&mut self, kind: &JobKind) {
        if !self.able.contains_key(&kind.skills) {
            let can = |technician: &Technician| kind.skills.iter().all(|skill| technician.skills.contains(skill));
            let technicians = self.plant.technicians.iter().enumerate();
            let able = technicians.filter(|(_, technician)| can(technician)).map(|(index, _)| index).collect();
            self.able.insert(kind.skills.clone(), able);
        }
    }

    fn able(&self, kind: &JobKind) -> &[usize] {
        self.able.get(&kind.skills).map_or(&[], Vec::as_slice)
    }

    /// Gives a job its slot, not before `ready`: the one it had, or else the earliest, then the cheapest, then the
    /// first by the technician's name.
    pub fn find(
        &mut self,
        job: &Job<'_>,
        ready: i64,
        had: Option<Place<'_>>,
    ) -> Result<(Span, &'a Technician), Unplaced> {
        self.learn(job.kind);
        let plant = self.plant;
        let duration = i64::from(job.kind.duration_minutes);
        let earliest = ready.max(self.from);
        let nothing = Spans::default();
        let asset = self.busy.get(&job.alert.asset).unwrap_or(&nothing);
        let mut best: Option<(i64, &Technician)> = None;
        for &index in self.able(job.kind) {
            let (Some(free), Some(technician)) = (self.free.get(index), plant.technicians.get(index)) else { continue };
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
        let kept = had.filter(|(_, slot)| slot.from >= earliest && slot.from < best.0 + WORTH_MOVING);
        let kept = kept.filter(|place| self.fits(job, *place));
        let kept = kept.and_then(|(name, slot)| Some((slot.from, plant.technicians.get(self.position(name)?)?)));
        let (start, technician) = kept.unwrap_or(best);
        let slot = Span { from: start, to: start + duration };
        self.take((&technician.name, slot), &job.alert.asset);
        Ok((slot, technician))
    }

    fn unplaced(&self, kind: &JobKind) -> Unplaced {
        let able = self.able(kind);
        if self.plant.technicians.is_empty() {
            return Unplaced::NoTechnicians;
        }
        if able.is_empty() {
            return Unplaced::NoSkills;
        }
        let stretches = able.iter().filter_map(|index| self.plant.technicians.get(*index));
        let longest = stretches.map(|technician| technician.roster.longest).max().unwrap_or(0);
        if longest < i64::from(kind.duration_minutes) { Unplaced::ShortShifts(longest) } else { Unplaced::Full }
    }
}
