//! Which technicians fill which roles of a job: bipartite matching by augmenting paths (Kuhn 1955).

use crate::instance::RoleData;

/// Fills the roles with members of `available`, which is in the order of preference: a technician stands in the crew
/// whenever a crew with the better ones before has a place (the greedy choice of a transversal matroid is optimal).
///
/// Returns the crew in the order of the roles, or None if the roles cannot be filled.
pub(crate) fn fill(roles: &[RoleData], available: &[usize]) -> Option<Vec<usize>> {
    let needed: usize = roles.iter().map(|role| role.count).sum();
    if available.len() < needed {
        return None;
    }
    let mut matching = Matching { roles, members: vec![Vec::new(); roles.len()] };
    let mut filled = 0;
    for &technician in available {
        if filled == needed {
            break;
        }
        let mut visited = vec![false; roles.len()];
        filled += usize::from(matching.place(technician, &mut visited));
    }
    (filled == needed).then(|| matching.members.concat())
}

struct Matching<'a> {
    roles: &'a [RoleData],
    members: Vec<Vec<usize>>,
}

impl Matching<'_> {
    /// Gives the technician a role, and moves others to another role if that makes room.
    fn place(&mut self, technician: usize, visited: &mut [bool]) -> bool {
        for role in 0..self.roles.len() {
            if visited[role] || self.roles[role].candidates.binary_search(&technician).is_err() {
                continue;
            }
            visited[role] = true;
            if self.members[role].len() < self.roles[role].count {
                self.members[role].push(technician);
                return true;
            }
            for position in 0..self.members[role].len() {
                let other = self.members[role][position];
                if self.place(other, visited) {
                    self.members[role][position] = technician;
                    return true;
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_moves_to_another_role_to_make_room() {
        let role = |candidates: &[usize]| RoleData { candidates: candidates.to_vec(), count: 1 };
        assert_eq!(fill(&[role(&[0, 1]), role(&[0])], &[0, 1]), Some(vec![1, 0]));
        assert_eq!(fill(&[role(&[0, 1]), role(&[2])], &[0, 1]), None);
        assert_eq!(fill(&[role(&[0, 1, 2])], &[2, 0, 1]), Some(vec![2]));
    }
}
