//! Rows as messages of Protocol Buffers: a schema that says what the columns are, and values by that schema or by one that was
//! given. Pure. Refuses values that the schema has no place for; their rows are told apart from the others.

mod schema;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use schema::schema_of;
pub(crate) use writer::{message_indexes, messages};
