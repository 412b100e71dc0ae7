//! Rows as records of Apache Avro: a schema that says what the columns are, and values by that schema or by one that was given.
//! Pure. Refuses values that the schema has no place for; their rows are told apart from the others.

mod container;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use container::{container_block, container_header};
pub(super) use schema::names;
pub(crate) use schema::{plain, schema_of};
pub(crate) use writer::records;
