//! Export of tables as CSV and Parquet.

mod columns;
mod csv;
mod parquet;
mod rows;
#[cfg(test)]
mod tests;

pub use columns::Table;
