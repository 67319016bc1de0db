//! `wasmcloud:postgres/query`, with the types that the line's tables use.

use tokio_postgres::{
    Row,
    types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::bindings::wasmcloud::postgres::{
    query::{Host, QueryError, ResultRow},
    types::{self, PgValue, ResultRowEntry},
};
use crate::{connection_pool::format_error, host_state::HostState};
use wheeltapper_on_wasmcloud::double::DoubleParts;

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

impl types::Host for &mut HostState {}

impl Host for &mut HostState {
    async fn query(
        &mut self,
        statement: String,
        parameters: Vec<PgValue>,
    ) -> wasmtime::Result<Result<Vec<ResultRow>, QueryError>> {
        self.instance.count_call()?;
        let parameters: Vec<Parameter> = parameters.into_iter().map(Parameter).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|each| each as _).collect();
        let client = match self.shared.pool.acquire().await {
            Ok(client) => client,
            Err(error) => {
                return Ok(Err(QueryError::Unexpected(format!("failed to get connection: {}", format_error(&error)))));
            }
        };
        let rows = match client.query(&statement, &parameters).await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(QueryError::InvalidQuery(format!("query failed: {}", format_error(&error))))),
        };
        self.shared.pool.release(client);
        rows.iter().map(row).collect::<Result<_, _>>().map(Ok)
    }

    async fn query_batch(&mut self, _: String) -> wasmtime::Result<Result<(), QueryError>> {
        Ok(Err(QueryError::Unexpected("this host runs one statement at a time".to_owned())))
    }
}

/// Computes a double from its parts as wasmCloud does.
fn host_double((mantissa, exponent, sign): DoubleParts) -> f64 {
    f64::from(sign) * (mantissa as f64) * 2_f64.powf(f64::from(exponent))
}

/// Returns the parts of a double as wasmCloud does: the mantissa has the implicit digit, or is doubled if there is
/// none.
fn host_parts(value: f64) -> DoubleParts {
    let bits = value.to_bits();
    let exponent = i16::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let digits = bits & ((1 << 52) - 1);
    let mantissa = if exponent == 0 { digits << 1 } else { digits | (1 << 52) };
    (mantissa, exponent - 1075, if value.is_sign_negative() { -1 } else { 1 })
}

#[derive(Debug)]
struct Parameter(PgValue);

impl ToSql for Parameter {
    fn to_sql(&self, sql_type: &Type, out: &mut BytesMut) -> Result<IsNull, BoxedError> {
        match &self.0 {
            PgValue::Null => Ok(IsNull::Yes),
            PgValue::Int8(integer) => integer.to_sql(sql_type, out),
            PgValue::Float8(parts) => host_double(*parts).to_sql(sql_type, out),
            PgValue::Text(text) => text.to_sql(sql_type, out),
            PgValue::Bytea(bytes) => bytes.to_sql(sql_type, out),
            other => Err(format!("this host does not support parameters like {other:?}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn row(row: &Row) -> wasmtime::Result<ResultRow> {
    let entry = |(index, column): (usize, &tokio_postgres::Column)| {
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index)?.map(PgValue::Int8),
            Type::INT4 => row.try_get::<_, Option<i32>>(index)?.map(PgValue::Int4),
            Type::FLOAT8 => row.try_get::<_, Option<f64>>(index)?.map(|value| PgValue::Float8(host_parts(value))),
            Type::TEXT => row.try_get::<_, Option<String>>(index)?.map(PgValue::Text),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index)?.map(PgValue::Bytea),
            ref other => return Err(wasmtime::format_err!("this host does not support columns of type {other}")),
        };
        Ok(ResultRowEntry { column_name: column.name().to_owned(), value: value.unwrap_or(PgValue::Null) })
    };
    row.columns().iter().enumerate().map(entry).collect()
}
