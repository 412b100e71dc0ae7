//! What Avro becomes, and what becomes of what is not Avro.

mod bad_input;
mod evolution;
mod oracle;
mod random;
mod stories;

use weir_model::{Decoded, Decoder, Wanted};
use weir_schema::SchemaSource;

use super::{AvroConfig, AvroDecoder};
use crate::typed::trial::raw;

fn config(schema: &str) -> AvroConfig {
    AvroConfig { schema: Some(SchemaSource::Text(schema.to_owned())), ..AvroConfig::default() }
}

fn decode(config: &AvroConfig, wanted: &Wanted, records: &[Vec<u8>]) -> Decoded {
    AvroDecoder::new(config, wanted).expect("a decoder").decode(&raw(records))
}
