//! JSON.
use crate::JsonConfig;
use crate::reject::rejected;
use weir_model::{Decoded, Decoder, Raw, SeamResult, Wanted};
pub(crate) struct JsonDecoder;
impl JsonDecoder {
    pub(crate) fn boxed(_config: &JsonConfig, _wanted: Wanted) -> SeamResult<Box<dyn Decoder>> {
        Ok(Box::new(Self))
    }
}
impl Decoder for JsonDecoder {
    fn decode(&mut self, raw: &Raw) -> Decoded {
        Decoded {
            batches: Vec::new(),
            rejected: raw
                .records
                .iter()
                .map(|span| rejected(raw, span, "json is not decoded yet".to_owned()))
                .collect(),
        }
    }
}
