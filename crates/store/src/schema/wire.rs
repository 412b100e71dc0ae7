//! A schema as bytes: an Arrow IPC stream without batches. Inside JSON: those bytes in base64.

use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use weir_model::{ErrorKind, SeamError, SeamResult};

pub(crate) fn schema_to_bytes(schema: &Schema) -> SeamResult<Vec<u8>> {
    let write = || -> Result<Vec<u8>, ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), schema)?;
        writer.finish()?;
        writer.into_inner()
    };
    write().map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot encode a schema", error))
}

pub(crate) fn schema_from_bytes(bytes: &[u8]) -> SeamResult<SchemaRef> {
    let reader = StreamReader::try_new(bytes, None)
        .map_err(|error| SeamError::caused(ErrorKind::Corrupt, "cannot decode a schema", error))?;
    Ok(reader.schema())
}

pub(crate) fn schema_to_text(schema: &Schema) -> SeamResult<String> {
    Ok(BASE64_STANDARD.encode(schema_to_bytes(schema)?))
}

pub(crate) fn schema_from_text(text: &str) -> SeamResult<SchemaRef> {
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|error| SeamError::caused(ErrorKind::Corrupt, "a schema is not base64", error))?;
    schema_from_bytes(&bytes)
}
