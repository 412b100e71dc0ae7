//! Formats whose records say nothing about their own end: everything up to the end is one record. Right for sources that
//! know where a record ends, such as Kafka; a file is then one record.

use weir_model::{Framed, Framer};

/// Takes everything as one record.
#[derive(Debug)]
pub(crate) struct WholeFramer;

impl Framer for WholeFramer {
    fn frame(&self, buffer: &[u8], _scanned: usize, end: bool) -> Framed {
        if end && !buffer.is_empty() {
            Framed::Record { record: buffer.len(), next: buffer.len() }
        } else {
            Framed::Incomplete
        }
    }

    fn needs_lookahead(&self) -> bool {
        false
    }
}
