//! The messages of Arrow Flight and Flight SQL, as far as questions need them (arrow.apache.org/docs/format/Flight.html and
//! FlightSql.html). Fields that are not read here are left out; Protobuf passes over them.

use bytes::Bytes;
use prost::Message;
use prost_types::Any;

/// What a client wants, or sends.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FlightDescriptor {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    /// A command, as [`Any`].
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) command: Bytes,
    #[prost(string, repeated, tag = "3")]
    pub(super) path: Vec<String>,
}

/// What an answer looks like, and how it is fetched.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FlightInfo {
    /// An Arrow IPC message with its prefix.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) schema: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) descriptor: Option<FlightDescriptor>,
    #[prost(message, repeated, tag = "3")]
    pub(super) endpoints: Vec<FlightEndpoint>,
    /// -1: not known.
    #[prost(int64, tag = "4")]
    pub(super) total_records: i64,
    /// -1: not known.
    #[prost(int64, tag = "5")]
    pub(super) total_bytes: i64,
    #[prost(bool, tag = "6")]
    pub(super) ordered: bool,
}

/// Where an answer is: without locations, where it was asked for.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FlightEndpoint {
    #[prost(message, optional, tag = "1")]
    pub(super) ticket: Option<Ticket>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Ticket {
    /// A command, as [`Any`].
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) ticket: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SchemaResult {
    /// An Arrow IPC message with its prefix.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) schema: Bytes,
}

/// An Arrow IPC message: its head without a prefix, and its body.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FlightData {
    #[prost(message, optional, tag = "1")]
    pub(super) descriptor: Option<FlightDescriptor>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) head: Bytes,
    #[prost(bytes = "bytes", tag = "1000")]
    pub(super) body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PutResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) metadata: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Action {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) body: Bytes,
}

/// `Result` of the specification.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ActionAnswer {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ActionType {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CancelFlightInfoRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<FlightInfo>,
}

/// What comes of cancelling, in both of its forms.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Cancelled {
    /// 1: cancelled, 3: it cannot be.
    #[prost(int32, tag = "1")]
    pub(super) outcome: i32,
}

/// `ActionCancelQueryRequest`, which older clients send.
#[derive(Clone, PartialEq, Message)]
pub(super) struct CancelQuery {
    /// A [`FlightInfo`].
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) info: Bytes,
}

/// Everything that has a text of SQL first: `CommandStatementQuery`, `CommandStatementUpdate`,
/// `ActionCreatePreparedStatementRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Text {
    #[prost(string, tag = "1")]
    pub(super) sql: String,
}

/// Everything that names something that the server gave: a prepared statement, a question.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Handle {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) handle: Bytes,
}

/// `ActionCreatePreparedStatementResult`
#[derive(Clone, PartialEq, Message)]
pub(super) struct PreparedStatement {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) parameter_schema: Bytes,
}

/// `CommandGetDbSchemas`, and the beginning of [`GetTables`].
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetSchemas {
    #[prost(string, optional, tag = "1")]
    pub(super) catalog: Option<String>,
    /// As in `LIKE`.
    #[prost(string, optional, tag = "2")]
    pub(super) schema: Option<String>,
}

/// `CommandGetTables`
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetTables {
    #[prost(string, optional, tag = "1")]
    pub(super) catalog: Option<String>,
    /// As in `LIKE`.
    #[prost(string, optional, tag = "2")]
    pub(super) schema: Option<String>,
    /// As in `LIKE`.
    #[prost(string, optional, tag = "3")]
    pub(super) table: Option<String>,
    #[prost(string, repeated, tag = "4")]
    pub(super) types: Vec<String>,
    #[prost(bool, tag = "5")]
    pub(super) with_columns: bool,
}

/// `CommandGetSqlInfo`
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetSqlInfo {
    #[prost(uint32, repeated, tag = "1")]
    pub(super) wanted: Vec<u32>,
}

/// A question that was asked for, as our tickets hold it: whoever has one needs nothing that the server remembers.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Asked {
    /// By which it is cancelled.
    #[prost(fixed64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) sql: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) parameters: Vec<Given>,
}

/// The value of a placeholder.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Given {
    /// As text; without one, null.
    #[prost(string, optional, tag = "1")]
    pub(super) value: Option<String>,
}

const TYPE_PREFIX: &str = "type.googleapis.com/arrow.flight.protocol.sql.";

/// The name and the content of a message of Flight SQL.
pub(super) fn unpacked(bytes: &[u8]) -> Option<(String, Vec<u8>)> {
    let any = Any::decode(bytes).ok()?;
    Some((any.type_url.strip_prefix(TYPE_PREFIX)?.to_owned(), any.value))
}

/// A message of Flight SQL with its name.
pub(super) fn packed(name: &str, message: &impl Message) -> Bytes {
    let any = Any { type_url: format!("{TYPE_PREFIX}{name}"), value: message.encode_to_vec() };
    any.encode_to_vec().into()
}
