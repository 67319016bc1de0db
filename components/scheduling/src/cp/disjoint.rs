//! Pairs of jobs that cannot run at the same time, and cliques of them.

use crate::{
    crew,
    instance::{Instance, RoleData, Time},
};

/// Which pairs of jobs are separated in every plan.
#[derive(Clone, Debug)]
pub(crate) struct Disjoint {
    count: usize,
    /// Row by row: whether the first job ends before the second starts, by the dependencies.
    precedes: Vec<bool>,
    /// Whether their technicians or tools do not suffice for both.
    exclusive: Vec<bool>,
}

impl Disjoint {
    pub(crate) fn new(instance: &Instance) -> Self {
        let count = instance.jobs.len();
        let mut precedes = vec![false; count * count];
        for &job in instance.topological.iter().rev() {
            for &(later, _) in &instance.jobs[job].after {
                precedes[job * count + later] = true;
                for other in 0..count {
                    precedes[job * count + other] |= precedes[later * count + other];
                }
            }
        }
        let mut exclusive = vec![false; count * count];
        for one in 0..count {
            for other in 0..one {
                let related = precedes[one * count + other] || precedes[other * count + one];
                if !related && is_exclusive(instance, one, other) {
                    exclusive[one * count + other] = true;
                    exclusive[other * count + one] = true;
                }
            }
        }
        Self { count, precedes, exclusive }
    }

    pub(crate) fn related(&self, one: usize, other: usize) -> bool {
        self.precedes[one * self.count + other] || self.precedes[other * self.count + one]
    }

    pub(crate) fn exclusive(&self, one: usize, other: usize) -> bool {
        self.exclusive[one * self.count + other]
    }

    /// Returns at most `most` cliques of jobs that are pairwise separated, grown greedily from the longest jobs. Each
    /// has a pair that the dependencies do not separate.
    pub(crate) fn cliques(&self, instance: &Instance, most: usize) -> Vec<Vec<usize>> {
        let mut jobs: Vec<usize> = (0..self.count).filter(|&job| instance.jobs[job].duration > 0).collect();
        jobs.sort_by_key(|&job| std::cmp::Reverse(instance.jobs[job].duration));
        let mut covered = vec![false; self.count * self.count];
        let mut cliques: Vec<Vec<usize>> = Vec::new();
        for &one in &jobs {
            for &other in &jobs {
                if cliques.len() >= most {
                    return cliques;
                }
                if one == other || !self.exclusive(one, other) || covered[one * self.count + other] {
                    continue;
                }
                let mut clique = vec![one, other];
                for &next in &jobs {
                    let fits = |&member: &usize| self.exclusive(next, member) || self.related(next, member);
                    if !clique.contains(&next) && clique.iter().all(fits) {
                        clique.push(next);
                    }
                }
                for &first in &clique {
                    for &second in &clique {
                        covered[first * self.count + second] = true;
                    }
                }
                cliques.push(clique);
            }
        }
        cliques
    }
}

fn is_exclusive(instance: &Instance, one: usize, other: usize) -> bool {
    let (first, second) = (&instance.jobs[one], &instance.jobs[other]);
    if first.duration == 0 || second.duration == 0 {
        return false;
    }
    let tools = first.tools.iter().any(|&(tool, need)| {
        let others = second.tools.iter().find(|(index, _)| *index == tool).map_or(0, |(_, need)| *need);
        need.saturating_add(others) > instance.tools[tool]
    });
    if tools {
        return true;
    }
    let roles = |job: &crate::instance::JobData| -> Vec<RoleData> {
        match &job.pinned_crew {
            Some(crew) => crew.iter().map(|&member| RoleData { candidates: vec![member], count: 1 }).collect(),
            None => job.roles.clone(),
        }
    };
    let both = [roles(first), roles(second)].concat();
    let mut available: Vec<usize> = both.iter().flat_map(|role| role.candidates.iter().copied()).collect();
    available.sort_unstable();
    available.dedup();
    crew::fill(&both, &available).is_none()
}

/// Returns the largest `head + durations + tail` of a clique.
pub(crate) fn bound(instance: &Instance, cliques: &[Vec<usize>]) -> Time {
    let length = |clique: &Vec<usize>| {
        let head = clique.iter().map(|&job| instance.jobs[job].head).min().unwrap_or(0);
        let tail = clique.iter().map(|&job| instance.jobs[job].tail).min().unwrap_or(0);
        clique.iter().fold(head.saturating_add(tail), |sum, &job| sum.saturating_add(instance.jobs[job].duration))
    };
    cliques.iter().map(length).max().unwrap_or(0)
}
