//! Memory for what is read, used again once nobody needs what was read into it: asking the system for each chunk anew
//! costs a page fault per 4 KiB, and chunks that come from one thread and go in another leave holes in both.
//! Refuses to wait for memory: where none has come back there is new.

use std::collections::VecDeque;

use bytes::Bytes;

/// How many chunks are remembered: as many as may be on their way through a pipeline of a few tasks. More than these are
/// let go when they are done with.
const LENT_MAX: usize = 8;
/// Smaller ones cost nothing to make anew.
const BYTES_MIN: usize = 128 << 10;

/// The chunks of one source.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// What was handed out, in the order in which it was; it is back when nobody else has a part of it.
    lent: VecDeque<Bytes>,
}

impl Buffers {
    /// An empty buffer, with room for `bytes` at least.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<u8> {
        if bytes < BYTES_MIN {
            return Vec::with_capacity(bytes);
        }
        let back = self.lent.iter().position(Bytes::is_unique).and_then(|index| self.lent.remove(index));
        let mut buffer = back.map_or_else(Vec::new, |mut chunk| {
            chunk.clear();
            Vec::from(chunk)
        });
        buffer.reserve(bytes);
        buffer
    }

    /// Remembers that a buffer went on as `chunk`, a part of it or all.
    pub(super) fn lend(&mut self, chunk: &Bytes) {
        if chunk.len() < BYTES_MIN {
            return;
        }
        if self.lent.len() == LENT_MAX {
            self.lent.pop_front();
        }
        self.lent.push_back(chunk.clone());
    }

    /// Lets everything go: there is nothing to read for now.
    pub(super) fn rest(&mut self) {
        self.lent = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(buffers: &mut Buffers) -> Bytes {
        let mut buffer = buffers.take(1 << 20);
        buffer.resize(1 << 20, 7);
        Bytes::from(buffer)
    }

    #[test]
    fn a_chunk_is_used_again_once_every_part_of_it_is_gone() {
        let mut buffers = Buffers::default();
        let chunk = filled(&mut buffers);
        let (first, second) = (chunk.slice(..500_000), chunk.slice(500_000..));
        let place = chunk.as_ptr();
        drop(chunk);
        buffers.lend(&second);
        drop(second);
        let other = buffers.take(1 << 20);
        assert_ne!(other.as_ptr(), place, "a part is still needed");
        assert!(first.iter().all(|byte| *byte == 7));
        drop(first);
        let again = buffers.take(1 << 20);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        let other = buffers.take(1 << 20);
        assert_ne!(other.as_ptr(), place, "it was taken");
    }

    #[test]
    fn no_more_than_so_many_are_remembered_and_none_at_rest() {
        let mut buffers = Buffers::default();
        let chunks: Vec<Bytes> = (0..LENT_MAX + 3).map(|_| filled(&mut buffers)).collect();
        chunks.iter().for_each(|chunk| buffers.lend(chunk));
        assert_eq!(buffers.lent.len(), LENT_MAX);
        buffers.lend(&Bytes::from_static(b"small"));
        assert_eq!(buffers.lent.len(), LENT_MAX);
        buffers.rest();
        assert!(buffers.lent.is_empty());
    }
}
