//! The cheapest place of a job in a partial plan.

use crate::{
    crew,
    evaluate::{CostTable, index},
    instance::{Instance, Time},
    random::Random,
    timetable::{Gap, Timetable},
};

/// A place with what it adds to the costs.
#[derive(Clone, Debug)]
pub(crate) struct Insertion {
    pub(crate) cost: f64,
    pub(crate) start: Time,
    pub(crate) crew: Vec<usize>,
}

/// What is left to chance, so that repeated insertions differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chance {
    /// Probability that a gap is overlooked (Christiaens and Vanden Berghe 2020).
    pub(crate) blink: f64,
    /// Probability that only a random part of the possible starts is tried first.
    pub(crate) part: f64,
}

impl Chance {
    pub(crate) const NONE: Self = Self { blink: 0.0, part: 0.0 };
}

/// Finds the cheapest place; the earliest of several.
pub(crate) fn cheapest(
    instance: &Instance,
    table: &CostTable,
    timetable: &Timetable<'_>,
    job: usize,
    chance: Chance,
    random: &mut Random,
) -> Option<Insertion> {
    let (from, last_end) = timetable.range(job);
    let duration = instance.jobs[job].duration;
    if from + duration > last_end {
        return None;
    }
    if chance.part > 0.0 && random.uniform() < chance.part {
        let below = |random: &mut Random, end: Time| Time::try_from(random.below(index(end))).unwrap_or(0);
        let first = from + below(random, last_end - duration - from + 1);
        let last = first + below(random, last_end - duration - first + 1);
        let part = cheapest_between(instance, table, timetable, job, (first, last + duration), chance.blink, random);
        if part.is_some() {
            return part;
        }
    }
    cheapest_between(instance, table, timetable, job, (from, last_end), chance.blink, random)
}

fn cheapest_between(
    instance: &Instance,
    table: &CostTable,
    timetable: &Timetable<'_>,
    job: usize,
    (from, last_end): (Time, Time),
    blink: f64,
    random: &mut Random,
) -> Option<Insertion> {
    let data = &instance.jobs[job];
    let mut search = Search { instance, table, timetable, job, last_end, best: None };
    let candidates = data.pinned_crew.as_ref().unwrap_or(&data.candidates);
    if data.roles.is_empty() {
        for start in from..=last_end - data.duration {
            search.offer(start, 0.0, &[]);
        }
        return search.best;
    }
    let mut options: Vec<(usize, Vec<Gap>)> = Vec::with_capacity(candidates.len());
    for &technician in candidates {
        let mut gaps = timetable.gaps(technician, job, from, last_end);
        if blink > 0.0 {
            gaps.retain(|_| random.uniform() >= blink);
        }
        options.push((technician, gaps));
    }
    if data.roles.len() == 1 && data.roles[0].count == 1 {
        for (technician, gaps) in &options {
            for gap in gaps {
                let travel = table.travel(instance, *technician, gap.travel);
                for start in gap.first..=gap.last {
                    let labour = table.labour(instance, *technician, start, start + data.duration);
                    search.offer(start, travel + labour, &[*technician]);
                }
            }
        }
        return search.best;
    }
    let mut next = vec![0; options.len()];
    for start in from..=last_end - data.duration {
        if search.best.as_ref().is_some_and(|best| search.cost_of_time(start) >= best.cost) {
            continue;
        }
        let mut free: Vec<(f64, usize)> = Vec::new();
        for (place, (technician, gaps)) in options.iter().enumerate() {
            while next[place] < gaps.len() && gaps[next[place]].last < start {
                next[place] += 1;
            }
            if let Some(gap) = gaps.get(next[place]).filter(|gap| gap.first <= start) {
                let travel = table.travel(instance, *technician, gap.travel);
                let labour = table.labour(instance, *technician, start, start + data.duration);
                free.push((travel + labour, *technician));
            }
        }
        free.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        let ordered: Vec<usize> = free.iter().map(|(_, technician)| *technician).collect();
        let crew = match &data.pinned_crew {
            Some(crew) => (ordered.len() == crew.len()).then(|| crew.clone()),
            None => crew::fill(&data.roles, &ordered),
        };
        if let Some(crew) = crew {
            let costs = free.iter().filter(|(_, technician)| crew.contains(technician)).map(|(cost, _)| cost);
            search.offer(start, costs.sum(), &crew);
        }
    }
    search.best
}

struct Search<'a> {
    instance: &'a Instance,
    table: &'a CostTable,
    timetable: &'a Timetable<'a>,
    job: usize,
    last_end: Time,
    best: Option<Insertion>,
}

impl Search<'_> {
    /// Returns the costs of a start that do not depend on the crew.
    fn cost_of_time(&self, start: Time) -> f64 {
        let data = &self.instance.jobs[self.job];
        let end = start + data.duration;
        let downtime = data.stops.map_or(0.0, |machine| {
            self.table.downtime(self.instance, machine, self.timetable.running_slots(machine, start, end))
        });
        downtime + self.table.by_end(self.job, end)
    }

    fn offer(&mut self, start: Time, crew_cost: f64, crew: &[usize]) {
        let is_better = |cost: f64| {
            self.best.as_ref().is_none_or(|best| cost < best.cost || (cost == best.cost && start < best.start))
        };
        if !is_better(crew_cost) {
            return;
        }
        let cost = crew_cost + self.cost_of_time(start);
        if is_better(cost) && self.timetable.is_shared_free(self.job, start, self.last_end) {
            self.best = Some(Insertion { cost, start, crew: crew.to_vec() });
        }
    }
}
