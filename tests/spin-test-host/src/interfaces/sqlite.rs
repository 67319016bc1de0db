//! `fermyon:spin/sqlite`.

use rusqlite::{Connection, params_from_iter, types::Value as Sql};
use wasmtime::component::Resource;

use super::bindings::fermyon::spin::sqlite::{Error, Host, HostConnection, QueryResult, RowResult, Value};
use crate::host_state::HostState;

/// A connection. Like Spin's, it waits up to five seconds for other writers.
#[derive(Debug)]
pub struct Database(Connection);

impl Host for HostState {}

impl HostConnection for HostState {
    fn open(&mut self, name: String) -> wasmtime::Result<Result<Resource<Database>, Error>> {
        self.instance.count_call()?;
        if name != "default" {
            return Ok(Err(Error::AccessDenied));
        }
        match Connection::open(&self.files.sqlite) {
            Ok(connection) => Ok(Ok(self.instance.table.push(Database(connection))?)),
            Err(error) => Ok(Err(Error::Io(error.to_string()))),
        }
    }

    fn execute(
        &mut self,
        connection: Resource<Database>,
        statement: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Result<QueryResult, Error>> {
        self.instance.count_call()?;
        let Database(connection) = self.instance.table.get(&connection)?;
        Ok(execute(connection, &statement, parameters).map_err(|error| Error::Io(error.to_string())))
    }

    fn drop(&mut self, connection: Resource<Database>) -> wasmtime::Result<()> {
        self.instance.table.delete(connection)?;
        Ok(())
    }
}

fn execute(connection: &Connection, statement: &str, parameters: Vec<Value>) -> rusqlite::Result<QueryResult> {
    let mut statement = connection.prepare_cached(statement)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let parameters = parameters.into_iter().map(|value| match value {
        Value::Null => Sql::Null,
        Value::Integer(integer) => Sql::Integer(integer),
        Value::Real(real) => Sql::Real(real),
        Value::Text(text) => Sql::Text(text),
        Value::Blob(blob) => Sql::Blob(blob),
    });
    let rows = statement.query_map(params_from_iter(parameters), |row| {
        let values = (0..columns.len()).map(|index| {
            Ok(match row.get(index)? {
                Sql::Null => Value::Null,
                Sql::Integer(integer) => Value::Integer(integer),
                Sql::Real(real) => Value::Real(real),
                Sql::Text(text) => Value::Text(text),
                Sql::Blob(blob) => Value::Blob(blob),
            })
        });
        Ok(RowResult { values: values.collect::<rusqlite::Result<_>>()? })
    })?;
    let rows = rows.collect::<rusqlite::Result<_>>()?;
    Ok(QueryResult { columns, rows })
}
