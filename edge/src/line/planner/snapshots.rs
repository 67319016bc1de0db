//! Where the planner's snapshots are stored.

use wheeltapper_store::Store;

use crate::line::snapshot_folder::SnapshotFolder;

/// The planner's row in the store's table of checkpoints.
pub(super) const PLANNER_OWNER: u16 = u16::MAX;
/// The planner's checkpoint row and the key of its snapshot. In the store the snapshot is under `planner/<plan>`, in a
/// backup under the key itself. A backup must include it, because only the snapshot relates open work orders to their
/// alerts.
pub(crate) const PLANNER_SNAPSHOT: (u16, &str) = (PLANNER_OWNER, "planner");

/// Store key of the snapshot of a plan.
pub(super) fn snapshot_key(plan: impl std::fmt::Display) -> String {
    format!("{}/{plan}", PLANNER_SNAPSHOT.1)
}

/// The snapshot of a plan. Earlier versions kept it in a file.
pub(super) fn load_snapshot(store: &Store, files: &SnapshotFolder, plan: u64) -> anyhow::Result<Vec<u8>> {
    match store.state_get(&snapshot_key(plan))? {
        Some(snapshot) => Ok(snapshot),
        None => Ok(files.read_stage(plan, "schedule")?),
    }
}
