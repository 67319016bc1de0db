//! A lower bound of the costs by Lagrangian relaxation (Fisher 1981): each slot of each technician has a price, which
//! replaces the rule that a technician does one job at a time. Then each job can be placed alone. The prices rise where
//! technicians are overbooked and fall where they are free (subgradient steps after Held, Wolfe, Crowder 1974). The
//! bound converges to that of the time-indexed linear programme.
//!
//! Jobs that stop one machine share the cost of its standstill: each slot of each of them has a share, and the shares of
//! a slot sum up to the cost, so together they never pay more than the standstill costs. The shares move to the jobs
//! that use them.
//!
//! Travel, tools, parts and dependencies are left out, except that heads and tails limit the starts. What is left out
//! only lowers the bound.

use crate::{
    evaluate::{CostTable, index},
    instance::{Instance, JobData, Time},
};

/// Highest number of jobs x slots x candidates for which the bound is computed.
const MAX_SIZE: usize = 60_000_000;

/// Steps without a better bound after which the steps become shorter, and by which factor.
const PATIENCE: u32 = 20;
const SHORTER: f64 = 0.85;
/// The step length at which the bound counts as converged.
const SHORTEST: f64 = 1e-4;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct LagrangeBound {
    table: CostTable,
    jobs: Vec<JobTerms>,
    /// Price of each slot of each technician, and the sums of them before each slot.
    prices: Vec<Vec<f64>>,
    sums: Vec<Vec<f64>>,
    /// Jobs that occupy each slot, less one.
    overload: Vec<Vec<f64>>,
    stops: Vec<SharedStop>,
    step: f64,
    since_best: u32,
    /// The best bound.
    pub(crate) bound: f64,
    is_infeasible: bool,
}

/// Jobs that stop one machine.
#[derive(Debug)]
struct SharedStop {
    jobs: Vec<usize>,
    cost_per_slot: f64,
    /// For each of the jobs, its share of the cost of each slot, and the sums of them before each slot.
    shares: Vec<Vec<f64>>,
    sums: Vec<Vec<f64>>,
    /// The start of each of the jobs at the current prices.
    starts: Vec<Option<Time>>,
}

#[derive(Debug)]
struct JobTerms {
    /// The shared stop that the job takes part in, and its place there.
    stop: Option<(usize, usize)>,
    /// Starts from and to.
    first: Time,
    last: Time,
    /// Cost by start, counted from `first`.
    by_start: Vec<f64>,
    /// Technicians of each role: those who fill it, and how many.
    roles: Vec<(Vec<usize>, usize)>,
    parts: f64,
    postponed: Option<f64>,
}

impl LagrangeBound {
    /// None if the objective is no cost, or the problem is too large.
    pub(crate) fn new(instance: &Instance) -> Option<Self> {
        let table = CostTable::new(instance)?;
        let mut jobs: Vec<JobTerms> = (0..instance.jobs.len()).map(|job| terms(instance, &table, job)).collect();
        let stops = shared_stops(instance, &table, &mut jobs);
        let size: usize = jobs
            .iter()
            .map(|job| job.by_start.len() * job.roles.iter().map(|role| role.0.len()).sum::<usize>().max(1))
            .sum();
        if size > MAX_SIZE {
            return None;
        }
        let slots = index(instance.horizon);
        let technicians = instance.technicians.len();
        Some(Self {
            table,
            jobs,
            prices: vec![vec![0.0; slots]; technicians],
            sums: vec![vec![0.0; slots + 1]; technicians],
            overload: vec![vec![0.0; slots]; technicians],
            stops,
            step: 1.0,
            since_best: 0,
            bound: f64::NEG_INFINITY,
            is_infeasible: false,
        })
    }

    /// Whether a job has no place even alone.
    pub(crate) fn is_infeasible(&self) -> bool {
        self.is_infeasible
    }

    /// Whether more steps would hardly raise the bound.
    pub(crate) fn is_converged(&self) -> bool {
        self.is_infeasible || self.step < SHORTEST
    }

    /// Takes a step towards the objective of the best plan.
    pub(crate) fn step(&mut self, instance: &Instance, best: Option<f64>) {
        for (sums, prices) in self.sums.iter_mut().zip(&self.prices) {
            accumulate(prices, sums);
        }
        for stop in &mut self.stops {
            for (sums, shares) in stop.sums.iter_mut().zip(&stop.shares) {
                accumulate(shares, sums);
            }
            stop.starts.fill(None);
        }
        for row in &mut self.overload {
            row.fill(-1.0);
        }
        let mut value = -self.sums.iter().filter_map(|sums| sums.last()).sum::<f64>();
        for job in 0..self.jobs.len() {
            match self.cheapest(instance, job) {
                Some(cost) => value += cost,
                None => {
                    self.is_infeasible = true;
                    return;
                }
            }
        }
        if value > self.bound + 1e-9 * value.abs() {
            self.bound = value;
            self.since_best = 0;
        } else {
            self.since_best += 1;
            if self.since_best >= PATIENCE {
                self.since_best = 0;
                self.step *= SHORTER;
            }
        }
        self.move_prices(instance, value, best);
    }

    fn move_prices(&mut self, instance: &Instance, value: f64, best: Option<f64>) {
        // A slot without a price and without overload stays as it is.
        let moves = |(over, price): (&f64, &f64)| if *over > 0.0 || *price > 0.0 { over * over } else { 0.0 };
        let rows = self.overload.iter().zip(&self.prices);
        let mut norm: f64 = rows.map(|(row, prices)| row.iter().zip(prices).map(moves).sum::<f64>()).sum();
        norm += self.stops.iter().map(|stop| stop.norm(instance)).sum::<f64>();
        if norm == 0.0 {
            self.step = 0.0;
            return;
        }
        let target = best.unwrap_or_else(|| value.abs().mul_add(0.05, value) + 1.0);
        let length = self.step * (target - value).max(1e-3 * value.abs().max(1e-6)) / norm;
        for (row, prices) in self.overload.iter().zip(&mut self.prices) {
            for (price, over) in prices.iter_mut().zip(row) {
                *price = length.mul_add(*over, *price).max(0.0);
            }
        }
        for stop in &mut self.stops {
            stop.move_shares(instance, length);
        }
    }

    /// Returns the least cost of a job at the current prices, and books it. The members of a crew are chosen for each
    /// role alone.
    fn cheapest(&mut self, instance: &Instance, job: usize) -> Option<f64> {
        let terms = &self.jobs[job];
        let duration = instance.jobs[job].duration;
        let mut best: Option<(f64, Time)> = None;
        let mut scratch = Vec::new();
        for (start, &by_start) in (terms.first..=terms.last).zip(&terms.by_start) {
            let share = terms.stop.map_or(0.0, |(stop, place)| {
                let sums = &self.stops[stop].sums[place];
                sums[index(start + duration)] - sums[index(start)]
            });
            let by_start = by_start + share;
            if best.is_some_and(|best| by_start >= best.0) {
                continue;
            }
            let crew = self.crew_cost(instance, terms, start, duration, &mut scratch);
            if let Some(crew) = crew
                && best.is_none_or(|best| by_start + crew < best.0)
            {
                best = Some((by_start + crew, start));
            }
        }
        let planned = best.map(|best| best.0 + terms.parts);
        match (planned, terms.postponed) {
            (Some(planned), postponed) if postponed.is_none_or(|cost| planned < cost) => {
                let start = best.map_or(0, |best| best.1);
                if let Some((stop, place)) = terms.stop {
                    self.stops[stop].starts[place] = Some(start);
                }
                self.book(instance, job, start);
                Some(planned)
            }
            (_, postponed) => postponed,
        }
    }

    fn crew_cost(
        &self,
        instance: &Instance,
        terms: &JobTerms,
        start: Time,
        duration: Time,
        scratch: &mut Vec<(f64, usize)>,
    ) -> Option<f64> {
        let mut sum = 0.0;
        for (candidates, count) in &terms.roles {
            self.offers(instance, candidates, start, duration, scratch);
            if scratch.len() < *count {
                return None;
            }
            if *count == 1 {
                sum += scratch.iter().map(|offer| offer.0).fold(f64::INFINITY, f64::min);
            } else {
                scratch.sort_by(|one, other| one.0.total_cmp(&other.0));
                sum += scratch[..*count].iter().map(|offer| offer.0).sum::<f64>();
            }
        }
        Some(sum)
    }

    fn offers(
        &self,
        instance: &Instance,
        candidates: &[usize],
        start: Time,
        duration: Time,
        offers: &mut Vec<(f64, usize)>,
    ) {
        offers.clear();
        for &technician in candidates {
            let windows = &instance.technicians[technician].windows;
            let window = windows.get(windows.partition_point(|window| window.1 < start + duration));
            if window.is_some_and(|window| window.0 <= start) {
                let sums = &self.sums[technician];
                let price = sums[index(start + duration)] - sums[index(start)];
                let labour = self.table.labour(instance, technician, start, start + duration);
                offers.push((price + labour, technician));
            }
        }
    }

    fn book(&mut self, instance: &Instance, job: usize, start: Time) {
        let duration = instance.jobs[job].duration;
        let mut offers = Vec::new();
        for role in 0..self.jobs[job].roles.len() {
            let (candidates, count) = &self.jobs[job].roles[role];
            let count = *count;
            self.offers(instance, candidates, start, duration, &mut offers);
            offers.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
            for &(_, technician) in offers.iter().take(count) {
                for over in &mut self.overload[technician][index(start)..index(start + duration)] {
                    *over += 1.0;
                }
            }
        }
    }
}

fn terms(instance: &Instance, table: &CostTable, job: usize) -> JobTerms {
    let data = &instance.jobs[job];
    let end = data.deadline.min(instance.horizon.saturating_sub(data.tail));
    let (first, last) = match data.pinned_start {
        // A pin that breaks another rule leaves no start.
        Some(pinned) if pinned < data.head || pinned + data.duration > end => (pinned, pinned - 1),
        Some(pinned) => (pinned, pinned),
        None => (data.head, end - data.duration),
    };
    let stops_alone = data.stops.is_some() && sharers(instance, data).count() == 1;
    let by_start = (first..=last).map(|start| {
        let fits = |window: &(Time, Time)| window.0 <= start && start + data.duration <= window.1;
        if data.windows.as_ref().is_some_and(|windows| !windows.iter().any(fits)) || start + data.duration > end {
            return f64::INFINITY;
        }
        let downtime = data.stops.filter(|_| stops_alone);
        let downtime = downtime.map_or(0.0, |machine| table.downtime(instance, machine, data.duration));
        downtime + table.by_end(job, start + data.duration)
    });
    let roles = match &data.pinned_crew {
        Some(crew) => crew.iter().map(|&member| (vec![member], 1)).collect(),
        None => data.roles.iter().map(|role| (role.candidates.clone(), role.count)).collect(),
    };
    JobTerms {
        stop: None,
        first,
        last,
        by_start: by_start.collect(),
        roles,
        parts: table.parts(instance, job),
        postponed: table.postponed(instance, job),
    }
}

/// Jobs that stop the machine that a job stops.
fn sharers<'a>(instance: &'a Instance, data: &'a JobData) -> impl Iterator<Item = usize> + 'a {
    (0..instance.jobs.len()).filter(|&other| instance.jobs[other].stops == data.stops)
}

/// Returns the machines that several jobs stop. At first each job has the same share.
fn shared_stops(instance: &Instance, table: &CostTable, terms: &mut [JobTerms]) -> Vec<SharedStop> {
    let slots = index(instance.horizon);
    let mut stops = Vec::new();
    for machine in 0..instance.machines.len() {
        let jobs: Vec<usize> = (0..terms.len()).filter(|&job| instance.jobs[job].stops == Some(machine)).collect();
        let cost_per_slot = table.downtime(instance, machine, 1);
        if jobs.len() < 2 || cost_per_slot <= 0.0 {
            continue;
        }
        for (place, &job) in jobs.iter().enumerate() {
            terms[job].stop = Some((stops.len(), place));
        }
        #[allow(clippy::cast_precision_loss, reason = "there are at most 10,000 jobs")]
        let share = cost_per_slot / jobs.len() as f64;
        stops.push(SharedStop {
            shares: vec![vec![share; slots]; jobs.len()],
            sums: vec![vec![0.0; slots + 1]; jobs.len()],
            starts: vec![None; jobs.len()],
            jobs,
            cost_per_slot,
        });
    }
    stops
}

impl SharedStop {
    /// Calls `each` with the slot and the jobs (by place) that run in it, for each slot in which some but not all run.
    fn contested(&self, instance: &Instance, mut each: impl FnMut(usize, &[bool])) {
        let ends =
            |place: usize| self.starts[place].map(|start| (start, start + instance.jobs[self.jobs[place]].duration));
        let first = (0..self.jobs.len()).filter_map(|place| Some(ends(place)?.0)).min().unwrap_or(0);
        let last = (0..self.jobs.len()).filter_map(|place| Some(ends(place)?.1)).max().unwrap_or(0);
        for slot in first..last {
            let runs: Vec<bool> = (0..self.jobs.len())
                .map(|place| ends(place).is_some_and(|(start, end)| start <= slot && slot < end))
                .collect();
            if runs.iter().any(|&runs| runs) && !runs.iter().all(|&runs| runs) {
                each(index(slot), &runs);
            }
        }
    }

    /// Squared length of the direction in which the shares move.
    #[allow(clippy::cast_precision_loss, reason = "there are at most 10,000 jobs")]
    fn norm(&self, instance: &Instance) -> f64 {
        let mut norm = 0.0;
        self.contested(instance, |_, runs| {
            let running = runs.iter().filter(|&&runs| runs).count() as f64;
            norm += running * (1.0 - running / runs.len() as f64);
        });
        norm
    }

    /// Raises the shares of the jobs that run in a slot, and projects the shares of the slot to those that sum up to
    /// the cost.
    fn move_shares(&mut self, instance: &Instance, length: f64) {
        let mut changes: Vec<(usize, Vec<f64>)> = Vec::new();
        self.contested(instance, |slot, runs| {
            let raised = runs
                .iter()
                .enumerate()
                .map(|(place, runs)| self.shares[place][slot] + if *runs { length } else { 0.0 });
            let mut raised: Vec<f64> = raised.collect();
            project(&mut raised, self.cost_per_slot);
            changes.push((slot, raised));
        });
        for (slot, values) in changes {
            for (shares, value) in self.shares.iter_mut().zip(values) {
                shares[slot] = value;
            }
        }
    }
}

/// Projects values to the nearest ones that are at least 0 and sum up to `total` (Held, Wolfe, Crowder 1974).
#[allow(clippy::cast_precision_loss, reason = "there are at most 10,000 jobs")]
fn project(values: &mut [f64], total: f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(|one, other| other.total_cmp(one));
    let mut sum = 0.0;
    let mut excess = 0.0;
    for (count, value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - total) / (count + 1) as f64;
        if *value > candidate {
            excess = candidate;
        }
    }
    for value in values.iter_mut() {
        *value = (*value - excess).max(0.0);
    }
}

/// Writes the sums of the values before each place.
fn accumulate(values: &[f64], sums: &mut [f64]) {
    let mut sum = 0.0;
    for (before, value) in sums.iter_mut().zip(values) {
        *before = sum;
        sum += value;
    }
    if let Some(last) = sums.last_mut() {
        *last = sum;
    }
}
