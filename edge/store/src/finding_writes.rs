//! Writes the findings of the stages, row by row.

use rusqlite::{Connection, params};

use crate::{
    AlertRow, AnomalyRow, Commit, DeadLetter, DriftRow, PrognosisRow, SkippedRange, StoreError, WorkOrderRow,
    counts::add_to_counter,
};

/// Converts an offset to an SQLite integer.
pub(crate) fn to_sql_integer(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

pub(crate) fn put_anomalies(to: &Connection, rows: &[AnomalyRow]) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT INTO anomalies VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
         ON CONFLICT (id) DO UPDATE SET score = excluded.score, severity = excluded.severity, threshold = excluded.threshold,
            confidence = excluded.confidence, fault_mode = excluded.fault_mode, message = excluded.message,
            metadata = excluded.metadata, sensor = excluded.sensor",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.detection_time,
            row.sensor,
            row.asset,
            row.start_time,
            row.end_time,
            row.score,
            row.model,
            row.severity,
            row.handled,
            row.threshold,
            row.confidence,
            row.fault_mode,
            row.message,
            row.metadata,
        ])?;
    }
    Ok(())
}

pub(crate) fn put_alerts(to: &Connection, rows: &[AlertRow]) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT OR REPLACE INTO alerts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.asset,
            row.sensor,
            row.severity,
            row.state,
            row.opened,
            row.updated,
            row.resolved,
            row.anomalies,
            row.peak_score,
            row.anomaly,
            row.fault_mode,
            row.title,
            row.message,
            row.recommendation,
        ])?;
    }
    Ok(())
}

/// `plan` is the number of the plan that contains the orders.
pub(crate) fn put_work_orders(to: &Connection, rows: &[WorkOrderRow], plan: i64) -> Result<(), StoreError> {
    let mut upsert = to.prepare_cached(
        "INSERT OR REPLACE INTO work_orders VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    for row in rows {
        upsert.execute(params![
            row.id,
            row.alert,
            row.asset,
            row.kind,
            row.priority.clamp(1, 5),
            row.status,
            row.scheduled,
            row.duration_minutes,
            row.technician,
            json_list(&row.skills),
            json_list(&row.after),
            row.cost,
            row.notes,
            row.pinned,
            plan,
        ])?;
    }
    Ok(())
}

fn json_list(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

pub(crate) fn put_dead_letters(to: &Connection, rows: &[DeadLetter]) -> Result<(), StoreError> {
    let mut insert =
        to.prepare_cached("INSERT OR IGNORE INTO dead_letters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let mut rejected = 0;
    for row in rows {
        let new = insert.execute(params![
            row.id,
            row.time,
            row.source,
            row.reason,
            row.message,
            row.payload,
            row.readings,
            row.sensor,
            row.format,
        ])?;
        if new > 0 {
            rejected += u64::from(row.readings);
        }
    }
    add_to_counter(to, "rejected_readings", rejected)
}

pub(crate) fn put_skipped(to: &Connection, partition: u16, rows: &[SkippedRange]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO skipped VALUES (?1, ?2, ?3, ?4)")?;
    for row in rows {
        let asset = row.asset.as_deref().unwrap_or_default();
        insert.execute(params![partition, to_sql_integer(row.start), to_sql_integer(row.stop), asset])?;
    }
    Ok(())
}

pub(crate) fn put_drifts(to: &Connection, rows: &[DriftRow]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO drifts VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in rows {
        let sensors = serde_json::to_string(&row.sensors).unwrap_or_default();
        insert.execute(params![row.id, row.asset, row.time, row.kind, sensors, row.p_value, row.message])?;
    }
    Ok(())
}

pub(crate) fn put_prognoses(to: &Connection, rows: &[PrognosisRow]) -> Result<(), StoreError> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO prognoses VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for row in rows {
        insert.execute(params![
            row.asset,
            row.time,
            row.health,
            row.p10_hours,
            row.p50_hours,
            row.p90_hours,
            row.model
        ])?;
    }
    Ok(())
}

pub(crate) fn put_partition(to: &Connection, commit: &Commit<'_>) -> Result<(), StoreError> {
    to.prepare_cached("INSERT INTO partitions VALUES (?1, 0, 0, NULL, '{}') ON CONFLICT DO NOTHING")?
        .execute([commit.partition])?;
    if let Some(applied) = &commit.applied {
        to.prepare_cached("UPDATE partitions SET applied_offset = ?2, topic_ends = ?3 WHERE partition = ?1")?
            .execute(params![commit.partition, to_sql_integer(applied.offset), applied.topic_ends])?;
    }
    if let Some(checkpoint) = &commit.checkpoint {
        to.prepare_cached("UPDATE partitions SET snapshot_offset = ?2, snapshot = ?3 WHERE partition = ?1")?
            .execute(params![commit.partition, to_sql_integer(checkpoint.snapshot_offset), checkpoint.snapshot])?;
    }
    Ok(())
}
