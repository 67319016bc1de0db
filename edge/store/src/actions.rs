//! User actions: comments on anomalies, commands for the planner, and requested plans.

use rusqlite::{OptionalExtension as _, params};

use crate::{Store, StoreError};

/// Maximum number of commands that wait for the planner.
const MAX_PENDING_COMMANDS: i64 = 10_000;

/// A user action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRow {
    /// Derived from the other fields.
    pub id: String,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// The kind of action, such as `acknowledge`.
    pub action: String,
    /// Id of the anomaly or work order, or name of the machine.
    pub target: String,
    /// Its asset.
    pub asset: String,
    /// The user.
    pub actor: String,
    /// A comment; may be empty.
    pub text: String,
}

/// A requested plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Derived from the request.
    pub id: String,
    /// Nanoseconds since 1970.
    pub time: i64,
    /// The request, as JSON.
    pub request: String,
}

/// The rows of one user action, written in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionWrite {
    /// The action.
    pub action: Option<ActionRow>,
    /// Id of the anomaly to mark as handled.
    pub handled: Option<String>,
    /// The requested plan.
    pub task: Option<TaskRow>,
    /// The command for the planner, in a format defined by the host.
    pub planner_command: Option<Vec<u8>>,
}

impl Store {
    /// Writes an action. Returns the number of its planner command. Existing rows with the same id are not changed.
    ///
    /// # Errors
    /// [`StoreError`], such as [`StoreError::TooManyPlannerCommands`]; nothing is written.
    pub fn record_action(&self, write: &ActionWrite) -> Result<Option<u64>, StoreError> {
        self.write(|to| {
        if let Some(action) = &write.action {
            let ActionRow { id, time, action, target, asset, actor, text } = action;
            to.execute(
                "INSERT OR IGNORE INTO actions (id, time, action, target, asset, actor, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![id, time, action, target, asset, actor, text],
            )?;
        }
        if let Some(anomaly) = &write.handled {
            to.execute("UPDATE anomalies SET handled = 1 WHERE id = ?1", [anomaly])?;
        }
        if let Some(TaskRow { id, time, request }) = &write.task {
            to.execute(
                "INSERT OR IGNORE INTO tasks (id, time, status, request) VALUES (?1, ?2, 'queued', ?3)",
                params![id, time, request],
            )?;
        }
        let mut number = None;
        if let Some(command) = &write.planner_command {
            let waiting: i64 = to.query_row("SELECT count(*) FROM planner_commands", [], |row| row.get(0))?;
            if waiting >= MAX_PENDING_COMMANDS {
                return Err(StoreError::TooManyPlannerCommands(u64::try_from(waiting).unwrap_or(0)));
            }
            to.execute("INSERT INTO planner_commands (body) VALUES (?1)", [command])?;
            number = u64::try_from(to.last_insert_rowid()).ok();
        }
        Ok(number)
        })
    }

    /// Returns the oldest planner command after a number, with its number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn planner_command_after(&self, number: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let after = i64::try_from(number).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT seq, body FROM planner_commands WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
            let row = statement.query_row([after], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
            Ok(row.map(|(number, body)| (u64::try_from(number).unwrap_or(0), body)))
        })
    }

    /// Deletes the planner commands up to a number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn delete_planner_commands(&self, until: u64) -> Result<(), StoreError> {
        let until = i64::try_from(until).unwrap_or(i64::MAX);
        self.write(|to| {
            to.execute("DELETE FROM planner_commands WHERE seq <= ?1", [until])?;
            Ok(())
        })
    }

    /// Finishes a requested plan, with status `done` or `failed`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn finish_task(&self, id: &str, status: &str, result: &str, finished: i64) -> Result<(), StoreError> {
        self.write(|to| {
            let finish = "UPDATE tasks SET status = ?2, result = ?3, finished = ?4 WHERE id = ?1";
            to.execute(finish, params![id, status, result, finished])?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_action_is_written_once_and_its_planner_command_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.db")).unwrap();
        let action = ActionRow {
            id: "1".into(),
            time: 5,
            action: "comment".into(),
            target: "a".into(),
            asset: "m".into(),
            actor: "ada".into(),
            text: "seen".into(),
        };
        let write = ActionWrite { action: Some(action), planner_command: Some(vec![1, 2]), ..ActionWrite::default() };
        let first = store.record_action(&write).unwrap().unwrap();
        let second = store.record_action(&write).unwrap().unwrap();
        assert!(second > first);
        let rows = store.query_rows("SELECT actor FROM actions", Vec::new()).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(store.planner_command_after(0).unwrap(), Some((first, vec![1, 2])));
        store.delete_planner_commands(first).unwrap();
        assert_eq!(store.planner_command_after(0).unwrap(), Some((second, vec![1, 2])));
        assert_eq!(store.planner_command_after(second).unwrap(), None);
    }
}
