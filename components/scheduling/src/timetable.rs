//! A partial plan into which jobs are inserted and from which they are removed.

use crate::{
    crew,
    instance::{Instance, JobData, Time},
    plan::{Place, Plan},
};

/// A partial plan; see the module documentation. Every constraint holds between the jobs that are in it, except that a
/// predecessor may be missing.
#[derive(Clone, Debug)]
pub(crate) struct Timetable<'a> {
    instance: &'a Instance,
    /// Start of each job; None if it is not in the plan.
    pub(crate) starts: Vec<Option<Time>>,
    pub(crate) crews: Vec<Vec<usize>>,
    bookings: Vec<Vec<Booking>>,
    /// Free tools by slot.
    tools: Vec<Vec<i64>>,
    /// Parts by slot that later jobs leave over: the least stock from the slot on.
    parts: Vec<Vec<i64>>,
    /// Jobs by slot that stop the machine.
    stops: Vec<Vec<u32>>,
}

/// Starts between which a technician can do a job without a change of the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) first: Time,
    pub(crate) last: Time,
    /// Travel that the job adds, in slots; negative if it saves some.
    pub(crate) travel: Time,
}

/// A job of a technician.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Booking {
    pub(crate) start: Time,
    pub(crate) end: Time,
    pub(crate) job: usize,
}

impl<'a> Timetable<'a> {
    pub(crate) fn new(instance: &'a Instance) -> Self {
        let slots = usize::try_from(instance.horizon).unwrap_or(0) + 1;
        let parts = instance
            .parts
            .iter()
            .map(|part| {
                let mut stock = vec![part.stock; slots];
                for &(at, quantity) in &part.deliveries {
                    let from = usize::try_from(at).unwrap_or(0).min(slots);
                    for slot in &mut stock[from..] {
                        *slot += quantity;
                    }
                }
                stock
            })
            .collect();
        Self {
            instance,
            starts: vec![None; instance.jobs.len()],
            crews: vec![Vec::new(); instance.jobs.len()],
            bookings: vec![Vec::new(); instance.technicians.len()],
            tools: instance.tools.iter().map(|&count| vec![i64::from(count); slots]).collect(),
            parts,
            stops: instance.machines.iter().map(|_| vec![0; slots]).collect(),
        }
    }

    /// Returns the jobs of a technician by their starts.
    pub(crate) fn bookings(&self, technician: usize) -> &[Booking] {
        &self.bookings[technician]
    }

    /// Returns the plan.
    pub(crate) fn plan(&self) -> Plan {
        let places = self.starts.iter().zip(&self.crews).map(|(start, crew)| {
            start.map(|start| Place { start: u32::try_from(start).unwrap_or(0), technicians: crew.clone() })
        });
        Plan { places: places.collect() }
    }

    /// Adds a job at a start and with a crew that [`Self::next_start`] or [`Self::crew_at`] has returned.
    pub(crate) fn insert(&mut self, job: usize, start: Time, crew: Vec<usize>) {
        let data = &self.instance.jobs[job];
        let booking = Booking { start, end: start + data.duration, job };
        for &member in &crew {
            let place = self.bookings[member].partition_point(|other| *other < booking);
            self.bookings[member].insert(place, booking);
        }
        self.starts[job] = Some(start);
        self.crews[job] = crew;
        self.use_shared(data, start, -1);
    }

    /// Removes a job, if it is in the plan.
    pub(crate) fn remove(&mut self, job: usize) {
        let Some(start) = self.starts[job].take() else { return };
        for member in std::mem::take(&mut self.crews[job]) {
            self.bookings[member].retain(|booking| booking.job != job);
        }
        self.use_shared(&self.instance.jobs[job], start, 1);
    }

    fn use_shared(&mut self, data: &JobData, start: Time, sign: i64) {
        let (from, to) = (index(start), index(start + data.duration));
        for &(tool, need) in &data.tools {
            for slot in &mut self.tools[tool][from..to] {
                *slot += sign * i64::from(need);
            }
        }
        for &(part, need) in &data.parts {
            for slot in &mut self.parts[part][from..] {
                *slot += sign * i64::from(need);
            }
        }
        if let Some(machine) = data.stops {
            for slot in &mut self.stops[machine][from..to] {
                *slot = if sign < 0 { *slot + 1 } else { *slot - 1 };
            }
        }
    }

    /// Returns the slots between two times in which nothing stops the machine yet.
    pub(crate) fn running_slots(&self, machine: usize, start: Time, end: Time) -> Time {
        let slots = &self.stops[machine][index(start)..index(end)];
        Time::try_from(slots.iter().filter(|&&jobs| jobs == 0).count()).unwrap_or(0)
    }

    /// Returns the slots in which the machine stands.
    pub(crate) fn stopped_slots(&self, machine: usize) -> Time {
        Time::try_from(self.stops[machine].iter().filter(|&&jobs| jobs > 0).count()).unwrap_or(0)
    }

    /// Returns the travel of a technician in slots.
    pub(crate) fn travel_of(&self, technician: usize) -> Time {
        let instance = self.instance;
        if instance.travel.len() == 1 {
            return 0;
        }
        let data = &instance.technicians[technician];
        let mut sum = 0;
        let mut bookings = self.bookings[technician].iter().peekable();
        for &(open, close) in &data.windows {
            let mut at = None;
            while let Some(booking) = bookings.next_if(|booking| booking.start < close.max(open)) {
                let site = instance.jobs[booking.job].site;
                sum += instance.travel(at.unwrap_or(data.home), site);
                at = Some(site);
            }
            sum += at.map_or(0, |site| instance.travel(site, data.home));
        }
        sum
    }

    /// Returns the gaps of a technician for a job that starts at `from` or later and ends at `last_end` at the latest.
    pub(crate) fn gaps(&self, technician: usize, job: usize, from: Time, last_end: Time) -> Vec<Gap> {
        let instance = self.instance;
        let data = &instance.jobs[job];
        let home = instance.technicians[technician].home;
        let site = |booking: &Booking| instance.jobs[booking.job].site;
        let mut gaps = Vec::new();
        for &(open, close) in &instance.technicians[technician].windows {
            if close < from + data.duration {
                continue;
            }
            if open + data.duration > last_end {
                break;
            }
            let inside = self.bookings[technician].partition_point(|booking| booking.start < open);
            let mut at = open;
            let mut place = home;
            let mut is_used = false;
            let mut rest = self.bookings[technician][inside..].iter().take_while(|booking| booking.start < close);
            loop {
                let next = rest.next();
                is_used |= next.is_some();
                let (limit, next_site) = next.map_or((close, home), |booking| (booking.start, site(booking)));
                let first = (at + instance.travel(place, data.site)).max(from);
                let last = (limit - instance.travel(data.site, next_site)).min(last_end) - data.duration;
                if first <= last {
                    let direct = if is_used { instance.travel(place, next_site) } else { 0 };
                    let detour = instance.travel(place, data.site) + instance.travel(data.site, next_site);
                    gaps.push(Gap { first, last, travel: detour - direct });
                }
                let Some(booking) = next else { break };
                at = booking.end;
                place = site(booking);
            }
        }
        gaps
    }

    /// Whether tools, parts and stop windows allow the job at a start.
    pub(crate) fn is_shared_free(&self, job: usize, start: Time, last_end: Time) -> bool {
        let data = &self.instance.jobs[job];
        let is_limited = !(data.tools.is_empty() && data.parts.is_empty() && data.windows.is_none());
        !is_limited || self.next_shared(data, start, last_end) == Some(start)
    }

    /// Returns the times between which the job's neighbours in the dependencies allow it: its first start and its last
    /// end. Neighbours that are not in the plan allow what their own limits allow.
    pub(crate) fn range(&self, job: usize) -> (Time, Time) {
        let data = &self.instance.jobs[job];
        let mut first = data.head;
        for &(before, lag) in &data.before {
            if let Some(start) = self.starts[before] {
                first = first.max(start + self.instance.jobs[before].duration + lag);
            }
        }
        let mut last = data.deadline.min(self.instance.horizon.saturating_sub(data.tail));
        for &(after, lag) in &data.after {
            if let Some(start) = self.starts[after] {
                last = last.min(start - lag);
            }
        }
        if let Some(pinned) = data.pinned_start {
            if pinned < first {
                return (pinned, pinned - 1);
            }
            first = first.max(pinned);
            last = last.min(pinned + data.duration);
        }
        (first, last)
    }

    /// Returns the first start at `from` or later at which tools, parts and stop windows allow the job.
    pub(crate) fn next_shared(&self, data: &JobData, from: Time, last_end: Time) -> Option<Time> {
        let mut at = from;
        'again: loop {
            if at + data.duration > last_end {
                return None;
            }
            if let Some(windows) = &data.windows {
                let fits = windows.iter().find(|window| window.1 >= at.max(window.0) + data.duration)?;
                if fits.0 > at {
                    at = fits.0;
                    continue 'again;
                }
            }
            let (start, end) = (index(at), index(at + data.duration));
            for &(tool, need) in &data.tools {
                let busy = self.tools[tool][start..end].iter().rposition(|&free| free < i64::from(need));
                if let Some(slot) = busy {
                    at += Time::try_from(slot).unwrap_or(0) + 1;
                    continue 'again;
                }
            }
            for &(part, need) in &data.parts {
                let short = self.parts[part][start..].iter().rposition(|&left| left < i64::from(need));
                if let Some(slot) = short {
                    at += Time::try_from(slot).unwrap_or(0) + 1;
                    continue 'again;
                }
            }
            return Some(at);
        }
    }

    /// Returns the first start at `from` or later at which the technician can do the job.
    pub(crate) fn next_free(&self, technician: usize, data: &JobData, from: Time, last_end: Time) -> Option<Time> {
        let instance = self.instance;
        let (bookings, home) = (&self.bookings[technician], instance.technicians[technician].home);
        let travel = |one: usize, other: usize| instance.travel(one, other);
        let site = |booking: &Booking| instance.jobs[booking.job].site;
        let mut at = from;
        let mut next = bookings.partition_point(|booking| booking.end <= at);
        let windows = &instance.technicians[technician].windows;
        let first_window = windows.partition_point(|window| window.1 <= at && data.duration > 0 || window.1 < at);
        for &(open, close) in &windows[first_window..] {
            if at + data.duration > last_end {
                return None;
            }
            at = at.max(open);
            loop {
                while next < bookings.len() && bookings[next].end <= at && bookings[next].start < close {
                    next += 1;
                }
                let before = next.checked_sub(1).map(|place| &bookings[place]).filter(|booking| booking.start >= open);
                at = at.max(match before {
                    Some(booking) => booking.end + travel(site(booking), data.site),
                    None => open + travel(home, data.site),
                });
                let after = bookings.get(next).filter(|booking| booking.start < close);
                let limit = match after {
                    Some(booking) => booking.start - travel(data.site, site(booking)),
                    None => close - travel(data.site, home),
                };
                if at + data.duration <= limit {
                    return (at + data.duration <= last_end).then_some(at);
                }
                match after {
                    Some(booking) => {
                        at = at.max(booking.end);
                        next += 1;
                    }
                    None => break,
                }
            }
        }
        None
    }

    /// Returns the first start at `from` or later at which the job fits in, with a crew. `preference` orders the
    /// technicians: those with the lowest value go first.
    pub(crate) fn next_start(
        &self,
        job: usize,
        from: Time,
        last_end: Time,
        preference: &dyn Fn(usize) -> f64,
    ) -> Option<(Time, Vec<usize>)> {
        let data = &self.instance.jobs[job];
        let mut at = from;
        loop {
            at = self.next_shared(data, at, last_end)?;
            match self.crew_from(data, at, last_end, preference)? {
                (start, Some(crew)) if start == at => return Some((at, crew)),
                (start, _) => at = start,
            }
        }
    }

    /// Returns `at` and a crew that is free then; or the next time at which the answer may be another.
    fn crew_from(
        &self,
        data: &JobData,
        at: Time,
        last_end: Time,
        preference: &dyn Fn(usize) -> f64,
    ) -> Option<(Time, Option<Vec<usize>>)> {
        if data.roles.is_empty() {
            return Some((at, Some(Vec::new())));
        }
        if let Some(crew) = &data.pinned_crew {
            let mut latest = at;
            for &member in crew {
                latest = latest.max(self.next_free(member, data, at, last_end)?);
            }
            return Some((latest, (latest == at).then(|| crew.clone())));
        }
        let mut free: Vec<(f64, usize)> = Vec::with_capacity(data.candidates.len());
        let mut soonest: Option<Time> = None;
        for &technician in &data.candidates {
            match self.next_free(technician, data, at, last_end) {
                Some(start) if start == at => free.push((preference(technician), technician)),
                Some(start) => soonest = Some(soonest.map_or(start, |other: Time| other.min(start))),
                None => {}
            }
        }
        free.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let ordered: Vec<usize> = free.into_iter().map(|(_, technician)| technician).collect();
        match crew::fill(&data.roles, &ordered) {
            Some(crew) => Some((at, Some(crew))),
            None => soonest.map(|start| (start, None)),
        }
    }
}

fn index(time: Time) -> usize {
    usize::try_from(time).unwrap_or(0)
}

/// Inserts the jobs in the order of the list, each at its earliest start (serial schedule generation; Kolisch 1996);
/// pinned ones first. Returns whether all have a place; a job without one, and those after it, are left out.
pub(crate) fn insert_all(
    timetable: &mut Timetable<'_>,
    order: &[usize],
    preference: &dyn Fn(usize, usize) -> f64,
) -> bool {
    let instance = timetable.instance;
    let is_pinned = |job: usize| instance.jobs[job].pinned_start.is_some();
    let pinned: Vec<usize> = order.iter().copied().filter(|&job| is_pinned(job)).collect();
    let others = order.iter().copied().filter(|&job| !is_pinned(job));
    let mut all = true;
    for job in pinned.iter().copied().chain(others) {
        let waits = |&(first, _): &(usize, Time)| timetable.starts[first].is_none() && !is_pinned(job);
        let ready = !instance.jobs[job].before.iter().any(waits);
        let (first, last) = timetable.range(job);
        let place = if ready { timetable.next_start(job, first, last, &|one| preference(job, one)) } else { None };
        match place {
            Some((start, crew)) => timetable.insert(job, start, crew),
            None => all = false,
        }
    }
    all
}
