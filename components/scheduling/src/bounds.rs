//! Lower bounds of the makespan that need no search.

use std::collections::BTreeSet;

use crate::instance::{Instance, Time};

/// Most groups of technicians that are examined.
const MAX_GROUPS: usize = 400;

/// Returns a lower bound of the makespan, the largest of:
///
/// - the longest path through the dependencies;
/// - for each tool, and each group of technicians: the work that only they can do, divided by their number, with the
///   least time before and after that work (energetic reasoning over the heads and tails; Baptiste, Le Pape, Nuijten
///   2001).
pub(crate) fn makespan(instance: &Instance) -> Time {
    let mut bound = instance
        .jobs
        .iter()
        .map(|job| job.head.saturating_add(job.duration).saturating_add(job.tail))
        .max()
        .unwrap_or(0);
    for (tool, &count) in instance.tools.iter().enumerate() {
        let need = |job: usize| {
            let tools = &instance.jobs[job].tools;
            tools.iter().find(|(index, _)| *index == tool).map_or(0, |(_, need)| i64::from(*need))
        };
        bound = bound.max(energetic(instance, i64::from(count), need));
    }
    for group in groups(instance) {
        let need = |job: usize| work_of(instance, job, &group);
        bound = bound.max(energetic(instance, i64::try_from(group.len()).unwrap_or(1), need));
    }
    bound
}

/// Number of members of the group that a job occupies at least.
pub(crate) fn work_of(instance: &Instance, job: usize, group: &BTreeSet<usize>) -> i64 {
    let job = &instance.jobs[job];
    if let Some(crew) = &job.pinned_crew {
        return i64::try_from(crew.iter().filter(|member| group.contains(member)).count()).unwrap_or(0);
    }
    let inside = job.roles.iter().filter(|role| role.candidates.iter().all(|one| group.contains(one)));
    inside.map(|role| i64::try_from(role.count).unwrap_or(0)).sum()
}

/// Sets of technicians that may be scarce: those of each role, and unions of them.
pub(crate) fn groups(instance: &Instance) -> BTreeSet<BTreeSet<usize>> {
    let sets: BTreeSet<BTreeSet<usize>> = instance
        .jobs
        .iter()
        .flat_map(|job| &job.roles)
        .map(|role| role.candidates.iter().copied().collect::<BTreeSet<usize>>())
        .filter(|set| !set.is_empty())
        .collect();
    let mut groups = sets.clone();
    let mut newest: Vec<BTreeSet<usize>> = sets.iter().cloned().collect();
    while !newest.is_empty() && groups.len() < MAX_GROUPS {
        let mut next = Vec::new();
        for one in &newest {
            for other in &sets {
                let union: BTreeSet<usize> = one.union(other).copied().collect();
                if groups.len() < MAX_GROUPS && groups.insert(union.clone()) {
                    next.push(union);
                }
            }
        }
        newest = next;
    }
    let all: BTreeSet<usize> = sets.into_iter().flatten().collect();
    if !all.is_empty() {
        groups.insert(all);
    }
    groups
}

/// The largest of `head + tail + work / capacity` over all pairs of a head and a tail, with the work of the jobs that
/// have at least these.
fn energetic(instance: &Instance, capacity: i64, need: impl Fn(usize) -> i64) -> Time {
    let mut jobs: Vec<(Time, Time, i64)> = Vec::new();
    for (index, job) in instance.jobs.iter().enumerate() {
        let work = need(index) * i64::from(job.duration);
        if work > 0 {
            jobs.push((job.head, job.tail, work));
        }
    }
    if capacity == 0 {
        return 0;
    }
    jobs.sort_by_key(|job| job.1);
    let mut heads: Vec<Time> = jobs.iter().map(|job| job.0).collect();
    heads.sort_unstable();
    heads.dedup();
    let mut bound = 0;
    for head in heads {
        let mut work = 0;
        for &(job_head, tail, job_work) in jobs.iter().rev() {
            if job_head >= head {
                work += job_work;
                let length = work.div_euclid(capacity) + i64::from(work.rem_euclid(capacity) > 0);
                bound = bound.max(i64::from(head) + i64::from(tail) + length);
            }
        }
    }
    Time::try_from(bound).unwrap_or(Time::MAX)
}
