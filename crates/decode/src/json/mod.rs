//! JSON, one object per line, into columns. Rejects whatever is not exactly that; repairs nothing.

mod all;
pub(crate) mod clock;
mod column;
mod escape;
mod fault;
mod key_order;
pub(crate) mod members;
mod number;
mod paths;
mod plain;
mod projected;
mod rest;
pub(crate) mod scan;
mod tree;

use weir_model::{Decoder, Fields, SeamResult, Wanted};

use crate::JsonConfig;

use all::AllDecoder;
use projected::ProjectedDecoder;

/// A decoder of JSON lines for what a plan wants.
pub(crate) fn decoder(config: &JsonConfig, wanted: &Wanted) -> SeamResult<Box<dyn Decoder>> {
    Ok(match &wanted.fields {
        Fields::These(these) => Box::new(ProjectedDecoder::new(config, wanted, these)?),
        Fields::All => Box::new(AllDecoder::new(config, wanted)?),
    })
}

#[cfg(test)]
mod tests;
