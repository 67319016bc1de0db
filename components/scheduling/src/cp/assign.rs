//! Crews for given starts.

use crate::{
    crew,
    instance::{Instance, Time},
    plan::Plan,
    random::Random,
};

/// Attempts, each with other preferences.
const ATTEMPTS: usize = 300;

/// Finds crews for jobs whose starts are given. None if no attempt succeeds; there may be crews nevertheless.
pub(super) fn assign(instance: &Instance, starts: &[Time], random: &mut Random) -> Option<Plan> {
    let mut order: Vec<usize> = (0..starts.len()).collect();
    order.sort_by_key(|&job| (starts[job], instance.jobs[job].duration == 0, job));
    (0..ATTEMPTS).find_map(|_| attempt(instance, starts, &order, random))
}

fn attempt(instance: &Instance, starts: &[Time], order: &[usize], random: &mut Random) -> Option<Plan> {
    let mut free_from = vec![0; instance.technicians.len()];
    let mut places = vec![None; starts.len()];
    for &job in order {
        let data = &instance.jobs[job];
        let is_free = |technician: &usize| free_from[*technician] <= starts[job];
        let crew = match &data.pinned_crew {
            Some(crew) => crew.iter().all(is_free).then(|| crew.clone())?,
            None => {
                let mut free: Vec<usize> = data.candidates.iter().copied().filter(is_free).collect();
                random.shuffle(&mut free);
                crew::fill(&data.roles, &free)?
            }
        };
        for &member in &crew {
            free_from[member] = starts[job] + data.duration;
        }
        places[job] = super::place(starts[job], crew);
    }
    Some(Plan { places })
}
