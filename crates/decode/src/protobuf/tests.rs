//! What Protobuf becomes, and what becomes of what is not Protobuf.

mod bad_input;
mod oracle;
mod random;
mod stories;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use weir_model::{Decoded, Decoder, Wanted};
use weir_schema::SchemaSource;
use weir_schema::protobuf::Schema;

use super::{ProtobufConfig, ProtobufDecoder};
use crate::typed::trial::raw;

fn config(schema: &str) -> ProtobufConfig {
    ProtobufConfig {
        schema: Some(SchemaSource::Text(schema.to_owned())),
        message: Some("M".to_owned()),
        ..ProtobufConfig::default()
    }
}

fn decode(config: &ProtobufConfig, wanted: &Wanted, records: &[Vec<u8>]) -> Decoded {
    ProtobufDecoder::new(config, wanted).expect("a decoder").decode(&raw(records))
}

/// The message `M` of a schema, as the oracle knows it.
fn oracle(schema: &str) -> MessageDescriptor {
    use base64::Engine;
    use prost::Message;
    let file = Schema::descriptor(schema, &[]).expect("a schema");
    let file = base64::engine::general_purpose::STANDARD.decode(file).expect("base64");
    let file = prost_types::FileDescriptorProto::decode(&*file).expect("a descriptor");
    let mut pool = DescriptorPool::global();
    pool.add_file_descriptor_proto(file).expect("the oracle takes it");
    pool.all_messages().find(|message| message.name() == "M").expect("it is called M")
}

/// The message `M` of `schema` that the text format of Protobuf says, as bytes.
fn record(schema: &str, text: &str) -> Vec<u8> {
    use prost::Message;
    DynamicMessage::parse_text_format(oracle(schema), text).expect("the oracle reads it").encode_to_vec()
}
