//! The select statement of each table.

use wheeltapper_line_api::Table;

/// The parts of a table's select statement.
pub(super) struct TableQuery {
    pub(super) from: &'static str,
    /// The selected columns. The key in the JSON object is the name after ` AS `, if there is one.
    pub(super) columns: &'static [&'static str],
    pub(super) id: Option<&'static str>,
    pub(super) asset: Option<&'static str>,
    pub(super) sensor: Option<&'static str>,
    pub(super) kind: &'static [&'static str],
    /// The columns with the start and the end of a row's time range.
    pub(super) time_range: Option<(&'static str, &'static str)>,
    pub(super) order: &'static str,
    pub(super) site_source: SiteSource,
}

/// How the site of a row is determined.
#[derive(Clone, Copy, Debug)]
pub(super) enum SiteSource {
    /// From a column with the machine.
    Asset(&'static str),
    /// From a column with the sensor. Rows without a sensor belong to no site.
    Sensor(&'static str),
    /// From a column with a JSON object whose `assets` lists all machines of the row. A row without machines is about
    /// the whole plant and belongs to no site.
    JsonAssets(&'static str),
}

const EMPTY: TableQuery = TableQuery {
    from: "",
    columns: &[],
    id: None,
    asset: None,
    sensor: None,
    kind: &[],
    time_range: None,
    order: "",
    site_source: SiteSource::Asset("asset"),
};

pub(super) fn table_query(table: Table) -> TableQuery {
    match table {
        Table::Sensors => TableQuery {
            from: "sensors",
            columns: &["name", "asset", "unit", "kind"],
            id: Some("name"),
            asset: Some("asset"),
            sensor: Some("name"),
            kind: &["kind"],
            order: "name",
            ..EMPTY
        },
        Table::Readings => TableQuery {
            from: "readings",
            columns: &["sensor", "start_time", "end_time", "count", "times", "vals"],
            sensor: Some("sensor"),
            time_range: Some(("start_time", "end_time")),
            order: "start_time DESC, sensor, event",
            site_source: SiteSource::Sensor("sensor"),
            ..EMPTY
        },
        Table::Windows => TableQuery {
            from: "windows JOIN feature_lists ON feature_lists.id = windows.features",
            columns: &["sensor", "asset", "start_time", "end_time", "count", "names", "vals"],
            asset: Some("asset"),
            sensor: Some("sensor"),
            time_range: Some(("start_time", "end_time")),
            order: "start_time DESC, sensor, features",
            ..EMPTY
        },
        Table::Anomalies => TableQuery {
            from: "anomalies",
            columns: &[
                "id",
                "detection_time",
                "sensor",
                "asset",
                "start_time",
                "end_time",
                "score",
                "model",
                "severity",
                "handled",
                "threshold",
                "confidence",
                "fault_mode",
                "message",
                "metadata",
            ],
            id: Some("id"),
            asset: Some("asset"),
            sensor: Some("sensor"),
            kind: &["severity"],
            time_range: Some(("start_time", "end_time")),
            order: "detection_time DESC, id",
            ..EMPTY
        },
        Table::Alerts => TableQuery {
            from: "alerts",
            columns: &[
                "id",
                "asset",
                "sensor",
                "severity",
                "state",
                "opened",
                "updated",
                "resolved",
                "anomalies",
                "peak_score",
                "anomaly",
                "fault_mode",
                "title",
                "message",
                "recommendation",
            ],
            id: Some("id"),
            asset: Some("asset"),
            sensor: Some("sensor"),
            kind: &["severity", "state"],
            time_range: Some(("opened", "updated")),
            order: "updated DESC, id",
            ..EMPTY
        },
        Table::Drifts => TableQuery {
            from: "drifts",
            columns: &["id", "asset", "time", "kind", "sensors", "p_value", "message"],
            id: Some("id"),
            asset: Some("asset"),
            kind: &["kind"],
            time_range: Some(("time", "time")),
            order: "time DESC, id",
            ..EMPTY
        },
        Table::Prognoses => TableQuery {
            from: "prognoses",
            columns: &["asset", "time", "health", "p10_hours", "p50_hours", "p90_hours", "model"],
            asset: Some("asset"),
            time_range: Some(("time", "time")),
            order: "time DESC, asset",
            ..EMPTY
        },
        Table::WorkOrders => TableQuery {
            from: "work_orders",
            columns: &[
                "id",
                "alert",
                "asset",
                "type",
                "priority",
                "status",
                "scheduled_time",
                "estimated_duration_minutes",
                "technician",
                "skills",
                "after",
                "cost",
                "notes",
                "pinned",
            ],
            id: Some("id"),
            asset: Some("asset"),
            kind: &["status"],
            time_range: Some(("scheduled_time", "scheduled_time")),
            // The earliest order first, as they are worked on; orders without a time come last.
            order: "CASE WHEN scheduled_time IS NULL THEN 1 ELSE 0 END, scheduled_time, priority, id",
            ..EMPTY
        },
        Table::DeadLetters => TableQuery {
            from: "dead_letters",
            columns: &["id", "time", "source", "reason", "message", "payload", "readings", "sensor", "format"],
            id: Some("id"),
            sensor: Some("sensor"),
            kind: &["reason"],
            time_range: Some(("time", "time")),
            order: "time DESC, id",
            site_source: SiteSource::Sensor("sensor"),
            ..EMPTY
        },
        Table::Waveforms => TableQuery {
            from: "waveforms",
            columns: &["sensor", "start_time", "rate", "count", "samples"],
            sensor: Some("sensor"),
            time_range: Some(("start_time", "start_time")),
            order: "start_time DESC, sensor",
            site_source: SiteSource::Sensor("sensor"),
            ..EMPTY
        },
        Table::Machines => TableQuery {
            from: MACHINES_SUBQUERY,
            columns: &[
                "asset",
                "sensors",
                "open_alerts",
                "severity",
                "title",
                "fault_mode",
                "last_anomaly",
                "health",
                "p10_hours",
                "p50_hours",
                "p90_hours",
                "prognosis_time",
                "next_order",
            ],
            id: Some("asset"),
            asset: Some("asset"),
            kind: &["severity"],
            // The worst machine first; among equal ones the one with the least remaining life.
            order: "CASE severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 WHEN 'low' THEN 3 ELSE 4 END,
                CASE WHEN p50_hours IS NULL THEN 1 ELSE 0 END, p50_hours, asset",
            ..EMPTY
        },
        Table::Actions => TableQuery {
            from: "actions",
            columns: &["id", "time", "action", "target", "asset", "actor", "text"],
            // The filter's id selects the actions on a target.
            id: Some("target"),
            asset: Some("asset"),
            kind: &["action"],
            time_range: Some(("time", "time")),
            order: "time DESC, id",
            ..EMPTY
        },
        Table::Tasks => TableQuery {
            from: "tasks",
            columns: &["id", "time AS created", "status", "request", "result AS plan", "finished"],
            id: Some("id"),
            kind: &["status"],
            time_range: Some(("time", "time")),
            order: "time DESC, id",
            site_source: SiteSource::JsonAssets("request"),
            ..EMPTY
        },
    }
}

/// One row a machine. Each subquery is one lookup in an index by machine.
const MACHINES_SUBQUERY: &str = "(SELECT known.asset AS asset, known.sensors AS sensors, known.open_alerts AS open_alerts,
        worst.severity AS severity, worst.title AS title, worst.fault_mode AS fault_mode, known.last_anomaly AS last_anomaly,
        latest.health AS health, latest.p10_hours AS p10_hours, latest.p50_hours AS p50_hours, latest.p90_hours AS p90_hours,
        known.prognosis_time AS prognosis_time, known.next_order AS next_order
    FROM (SELECT plant.asset AS asset, plant.sensors AS sensors,
            (SELECT count(*) FROM alerts WHERE alerts.asset = plant.asset AND alerts.state = 'open') AS open_alerts,
            (SELECT alerts.id FROM alerts WHERE alerts.asset = plant.asset AND alerts.state = 'open'
                ORDER BY CASE alerts.severity WHEN 'critical' THEN 0 WHEN 'high' THEN 1 WHEN 'medium' THEN 2 ELSE 3 END,
                    alerts.updated DESC, alerts.id LIMIT 1) AS alert,
            (SELECT anomalies.detection_time FROM anomalies WHERE anomalies.asset = plant.asset
                ORDER BY anomalies.detection_time DESC LIMIT 1) AS last_anomaly,
            (SELECT prognoses.time FROM prognoses WHERE prognoses.asset = plant.asset
                ORDER BY prognoses.time DESC LIMIT 1) AS prognosis_time,
            (SELECT work_orders.scheduled_time FROM work_orders
                WHERE work_orders.asset = plant.asset AND work_orders.status = 'planned'
                ORDER BY work_orders.scheduled_time LIMIT 1) AS next_order
        FROM (SELECT asset, count(*) AS sensors FROM sensors GROUP BY asset) AS plant) AS known
    LEFT JOIN alerts AS worst ON worst.id = known.alert
    LEFT JOIN prognoses AS latest ON latest.asset = known.asset AND latest.time = known.prognosis_time) AS machines";
