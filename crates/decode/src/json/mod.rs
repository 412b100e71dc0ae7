//! JSON, one object per line, into columns. Rejects whatever is not exactly that; repairs nothing.

pub(crate) mod clock;
mod column;
mod escape;
mod fault;
mod key_order;
pub(crate) mod members;
mod number;
mod paths;
mod projected;
pub(crate) mod scan;

use weir_model::{Decoder, ErrorKind, Fields, SeamError, SeamResult, Wanted};

use crate::JsonConfig;
use projected::ProjectedDecoder;

/// A decoder of JSON lines for what a plan wants.
pub(crate) fn decoder(config: &JsonConfig, wanted: &Wanted) -> SeamResult<Box<dyn Decoder>> {
    Ok(match &wanted.fields {
        Fields::These(these) => Box::new(ProjectedDecoder::new(config.zone, wanted, these)?),
        Fields::All => return Err(SeamError::new(ErrorKind::Config, "all fields of json are not decoded yet")),
    })
}
