//! Queries of the API on the store.

mod table_queries;

use serde_json::{Map, Value as Json, json};
use wheeltapper_line_api::{Filter, Table};

use crate::{LineError, Ports, Value, store};
use table_queries::{SiteSource, table_query};

/// Returns the rows as a JSON array of objects.
pub(crate) async fn query_table<P: Ports>(ports: &P, table: Table, filter: &Filter) -> Result<String, LineError> {
    let (statement, parameters) = select_statement(table, filter, None);
    Ok(rows_to_json(table, store::execute(ports, &statement, &parameters).await?))
}

/// A statement under construction.
#[derive(Default)]
struct SelectBuilder {
    conditions: Vec<String>,
    parameters: Vec<Value>,
}

impl SelectBuilder {
    /// Adds a parameter and returns its placeholder.
    fn bind(&mut self, value: Value) -> String {
        self.parameters.push(value);
        format!("${}", self.parameters.len())
    }

    fn restrict_column(&mut self, column: Option<&str>, value: Option<&String>) {
        let Some(value) = value else { return };
        let condition = match column {
            Some(column) => format!("{column} = {}", self.bind(Value::Text(value.clone()))),
            // A table without such a column has no matching rows.
            None => "1 = 0".to_owned(),
        };
        self.conditions.push(condition);
    }

    /// Restricts the rows to these sites. A range rather than LIKE, so that an index can be used: `0` is the
    /// character after `/`.
    fn restrict_sites(&mut self, site_source: SiteSource, sites: &[String]) {
        let column = match site_source {
            SiteSource::Asset(column) => column,
            SiteSource::Sensor(_) => "sensors.asset",
            SiteSource::JsonAssets(_) => "named.value",
        };
        let mut alternatives = Vec::with_capacity(sites.len());
        for site in sites {
            let site = site.trim_end_matches('/');
            let (exact, from, to) = (
                self.bind(Value::Text(site.to_owned())),
                self.bind(Value::Text(format!("{site}/"))),
                self.bind(Value::Text(format!("{site}0"))),
            );
            alternatives.push(format!("{column} = {exact} OR ({column} >= {from} AND {column} < {to})"));
        }
        let any = if alternatives.is_empty() { "1 = 0".to_owned() } else { alternatives.join(" OR ") };
        self.conditions.push(match site_source {
            SiteSource::Sensor(sensor) => format!("{sensor} IN (SELECT sensors.name FROM sensors WHERE {any})"),
            SiteSource::Asset(_) => format!("({any})"),
            SiteSource::JsonAssets(json) => format!(
                "json_array_length({json}, '$.assets') > 0 AND NOT EXISTS \
                 (SELECT 1 FROM json_each({json}, '$.assets') AS named WHERE NOT ({any}))"
            ),
        });
    }
}

/// Returns the statement that selects the rows, and its parameters. It is the same in every dialect.
///
/// `sites` restricts the rows to the machines of these sites, for a caller who may see no others. A machine belongs
/// to a site if its name is the site's, or begins with the site's name and a `/`. Tasks are selected only if all
/// their machines belong to the sites: a plan of the whole plant is visible only to callers who may see all of it.
/// The restriction is for SQLite, which compares texts byte by byte.
pub fn select_statement(table: Table, filter: &Filter, sites: Option<&[String]>) -> (String, Vec<Value>) {
    let query = table_query(table);
    let mut builder = SelectBuilder::default();
    builder.restrict_column(query.id, filter.id.as_ref());
    builder.restrict_column(query.asset, filter.asset.as_ref());
    builder.restrict_column(query.sensor, filter.sensor.as_ref());
    if let Some(kind) = &filter.kind {
        let mut either = Vec::with_capacity(query.kind.len());
        for column in query.kind {
            either.push(format!("{column} = {}", builder.bind(Value::Text(kind.clone()))));
        }
        builder.conditions.push(if either.is_empty() {
            "1 = 0".to_owned()
        } else {
            format!("({})", either.join(" OR "))
        });
    }
    if let Some((begin, end)) = query.time_range {
        for (column, operator, limit) in [(end, ">", filter.after), (begin, "<", filter.before)] {
            if let Some(limit) = limit {
                let placeholder = builder.bind(Value::Integer(limit));
                builder.conditions.push(format!("{column} {operator} {placeholder}"));
            }
        }
    }
    if let Some(sites) = sites {
        builder.restrict_sites(query.site_source, sites);
    }
    let limit = builder.bind(Value::Integer(i64::from(filter.limit.min(Filter::MAX_ROWS))));
    let offset = builder.bind(Value::Integer(i64::from(filter.offset)));
    let SelectBuilder { conditions, parameters } = builder;
    let where_clause =
        if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let statement = format!(
        "SELECT {} FROM {}{where_clause} ORDER BY {} LIMIT {limit} OFFSET {offset}",
        query.columns.join(", "),
        query.from,
        query.order,
    );
    (statement, parameters)
}

/// Formats the rows of [`select_statement`] as a JSON array of objects.
pub fn rows_to_json(table: Table, rows: Vec<Vec<Value>>) -> String {
    Json::Array(rows.into_iter().map(|row| row_to_json(table, row)).collect()).to_string()
}

/// Formats one row as a JSON object with the table's column names as keys.
pub fn row_to_json(table: Table, row: Vec<Value>) -> Json {
    let mut object = Map::new();
    let mut names = None;
    let keys =
        table_query(table).columns.iter().map(|column| column.rsplit_once(" AS ").map_or(*column, |(_, key)| key));
    for (column, value) in keys.zip(row) {
        let value = match (column, value) {
            ("names", Value::Text(list)) => {
                names = Some(list);
                continue;
            }
            ("times", Value::Blob(bytes)) => {
                json!(eight_byte_chunks(&bytes).map(i64::from_le_bytes).collect::<Vec<_>>())
            }
            ("vals", Value::Blob(bytes)) => {
                let values: Vec<f64> = eight_byte_chunks(&bytes).map(f64::from_le_bytes).collect();
                if let Some(list) = &names {
                    // A feature that is not defined for its window is null.
                    let features: Map<String, Json> =
                        list.split(',').zip(values).map(|(name, value)| (name.to_owned(), json!(value))).collect();
                    object.insert("features".to_owned(), Json::Object(features));
                    continue;
                }
                json!(values)
            }
            ("samples", Value::Blob(bytes)) => {
                json!(bytes.as_chunks::<4>().0.iter().map(|&sample| f32::from_le_bytes(sample)).collect::<Vec<_>>())
            }
            ("payload", Value::Blob(bytes)) => json!(String::from_utf8_lossy(&bytes)),
            ("handled" | "pinned", Value::Integer(flag)) => json!(flag != 0),
            (_, Value::Null) => Json::Null,
            (_, Value::Integer(integer)) => json!(integer),
            (_, Value::Real(real)) => json!(real),
            (_, Value::Text(text)) => Json::String(text),
            (_, Value::Blob(bytes)) => json!(bytes.len()),
        };
        object.insert(column.to_owned(), value);
    }
    Json::Object(object)
}

fn eight_byte_chunks(bytes: &[u8]) -> impl Iterator<Item = [u8; 8]> {
    bytes.as_chunks::<8>().0.iter().copied()
}
