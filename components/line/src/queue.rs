//! The queues between the stages, in the table `events`. The events of one topic and key are ordered by `seq`.

use crate::{LineError, PortError, Ports, Topic, Value, rows::text_value, store};

/// How often an insert is tried while other instances append to the same queue.
const MAX_ATTEMPTS: usize = 64;
/// The maximum number of events that one read returns.
const MAX_BATCH: i64 = 64;

/// An event in a queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueuedEvent {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) time: i64,
    pub(crate) body: Vec<u8>,
}

/// Appends an event to a queue, unless an event of that id is in it. Returns whether it was appended.
pub(crate) async fn append<P: Ports>(
    ports: &P,
    topic: Topic,
    key: &str,
    id: &str,
    time: i64,
    body: &[u8],
) -> Result<bool, LineError> {
    let statement = APPEND_SQL.replace("{BLOB}", ports.dialect().blob_type());
    let parameters =
        [text_value(topic.name()), text_value(key), text_value(id), Value::Integer(time), Value::Blob(body.to_vec())];
    for _ in 0..MAX_ATTEMPTS {
        if !store::execute(ports, &statement, &parameters).await?.is_empty() {
            return Ok(true);
        }
        // The id is in the queue, or another instance took the sequence number.
        let exists_statement = "SELECT seq FROM events WHERE topic = $1 AND key = $2 AND id = $3";
        if !store::execute(ports, exists_statement, &parameters[..3]).await?.is_empty() {
            return Ok(false);
        }
    }
    Err(LineError::Unavailable(format!("the queue {} of {key} is too busy; send the event again", topic.name())))
}

const APPEND_SQL: &str = "INSERT INTO events (topic, key, seq, id, time, body)
    SELECT CAST($1 AS TEXT), CAST($2 AS TEXT),
        coalesce((SELECT max(seq) FROM events WHERE topic = $1 AND key = $2), 0) + 1,
        CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS {BLOB})
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE topic = $1 AND key = $2 AND id = $3)
    ON CONFLICT DO NOTHING RETURNING seq";

/// Inserts an event at its sequence number: the output of event `seq` of one queue has the same number in the next
/// queue.
pub(crate) async fn insert_at<P: Ports>(
    ports: &P,
    topic: Topic,
    key: &str,
    event: &QueuedEvent,
) -> Result<(), PortError> {
    let statement =
        "INSERT INTO events (topic, key, seq, id, time, body) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let parameters = [
        text_value(topic.name()),
        text_value(key),
        Value::Integer(event.seq),
        text_value(event.id.as_str()),
        Value::Integer(event.time),
        Value::Blob(event.body.clone()),
    ];
    store::execute(ports, statement, &parameters).await.map(drop)
}

/// Returns the first events after `position`, in order, at most [`MAX_BATCH`].
pub(crate) async fn read_after<P: Ports>(
    ports: &P,
    topic: Topic,
    key: &str,
    position: i64,
) -> Result<Vec<QueuedEvent>, PortError> {
    let statement =
        "SELECT seq, id, time, body FROM events WHERE topic = $1 AND key = $2 AND seq > $3 ORDER BY seq LIMIT $4";
    let parameters = [text_value(topic.name()), text_value(key), Value::Integer(position), Value::Integer(MAX_BATCH)];
    let rows = store::execute(ports, statement, &parameters).await?;
    rows.into_iter()
        .map(|row| match <[Value; 4]>::try_from(row) {
            Ok([Value::Integer(seq), Value::Text(id), Value::Integer(time), Value::Blob(body)]) => {
                Ok(QueuedEvent { seq, id, time, body })
            }
            other => Err(PortError(format!("the table events gave a row of other types: {other:?}"))),
        })
        .collect()
}

/// Records how far a queue is processed, for [`pending_queues`] and [`prune`].
pub(crate) async fn mark_done<P: Ports>(ports: &P, topic: Topic, key: &str, position: i64) -> Result<(), PortError> {
    let statement = "INSERT INTO positions (topic, key, position) VALUES ($1, $2, $3)
        ON CONFLICT (topic, key) DO UPDATE SET position = excluded.position WHERE positions.position < excluded.position";
    store::execute(ports, statement, &[text_value(topic.name()), text_value(key), Value::Integer(position)])
        .await
        .map(drop)
}

/// Returns the queues that have unprocessed events.
pub(crate) async fn pending_queues<P: Ports>(ports: &P) -> Result<Vec<(Topic, String)>, PortError> {
    let statement = "SELECT last.topic, last.key FROM
            (SELECT topic, key, max(seq) AS seq FROM events GROUP BY topic, key) AS last
        LEFT JOIN positions ON positions.topic = last.topic AND positions.key = last.key
        WHERE positions.position IS NULL OR positions.position < last.seq ORDER BY last.topic, last.key";
    let rows = store::execute(ports, statement, &[]).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| match row.as_slice() {
            [Value::Text(topic), Value::Text(key)] => Some((Topic::from_name(topic)?, key.clone())),
            _ => None,
        })
        .collect())
}

/// Deletes processed events from before `time`. The last event of each queue stays, because it holds the sequence
/// number.
pub(crate) async fn prune<P: Ports>(ports: &P, time: i64) -> Result<(), PortError> {
    let statement = "DELETE FROM events WHERE time < $1 AND EXISTS (SELECT 1 FROM positions
        WHERE positions.topic = events.topic AND positions.key = events.key AND positions.position > events.seq)";
    store::execute(ports, statement, &[Value::Integer(time)]).await.map(drop)
}

/// Records that an instance is about to process what follows `position`. Returns the number of attempts and the time
/// of the first. If the stage kills the instance, the attempt stays recorded; otherwise [`undo_attempt`] takes it back.
pub(crate) async fn record_attempt<P: Ports>(
    ports: &P,
    topic: Topic,
    key: &str,
    position: i64,
    now: i64,
) -> Result<(i64, i64), PortError> {
    let statement = "INSERT INTO attempts (topic, key, position, count, first) VALUES ($1, $2, $3, 1, $4)
        ON CONFLICT (topic, key) DO UPDATE SET
            count = CASE WHEN attempts.position = excluded.position THEN attempts.count + 1 ELSE 1 END,
            first = CASE WHEN attempts.position = excluded.position THEN attempts.first ELSE excluded.first END,
            position = excluded.position
        RETURNING count, first";
    let parameters = [text_value(topic.name()), text_value(key), Value::Integer(position), Value::Integer(now)];
    let rows = store::execute(ports, statement, &parameters).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Value::Integer(count), Value::Integer(first)]) => Ok((*count, *first)),
        other => Err(PortError(format!("the table attempts gave {other:?}"))),
    }
}

/// Takes an attempt back: the stage processed what follows `position`, and something else failed.
pub(crate) async fn undo_attempt<P: Ports>(ports: &P, topic: Topic, key: &str, position: i64) -> Result<(), PortError> {
    let statement =
        "UPDATE attempts SET count = count - 1 WHERE topic = $1 AND key = $2 AND position = $3 AND count > 0";
    let parameters = [text_value(topic.name()), text_value(key), Value::Integer(position)];
    store::execute(ports, statement, &parameters).await.map(drop)
}
