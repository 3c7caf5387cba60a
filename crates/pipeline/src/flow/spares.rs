//! Buffers that are used again.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// Buffers kept for another use at most.
const KEPT: usize = 4;

/// Lends buffers to messages and takes them back when the last message cut
/// out of them is gone. Clones share the buffers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spares(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spares {
    /// A buffer of `size` bytes, whatever they are. One that is much too
    /// large is not kept for it.
    pub(crate) fn take(&self, size: usize) -> Vec<u8> {
        let spare = self.0.lock().pop();
        match spare {
            Some(mut buffer) if (size..=size * 2).contains(&buffer.capacity()) => {
                buffer.resize(size, 0);
                buffer
            }
            _ => vec![0; size],
        }
    }

    /// The first `used` bytes of a buffer, to be shared by messages.
    pub(crate) fn share(&self, buffer: Vec<u8>, used: usize) -> Bytes {
        let owner = Lent {
            buffer,
            home: self.clone(),
        };
        Bytes::from_owner(owner).slice(..used)
    }

    /// A copy of `bytes` to be shared by messages.
    pub(crate) fn copy(&self, bytes: &[u8]) -> Bytes {
        let mut buffer = self.take(bytes.len());
        buffer.copy_from_slice(bytes);
        self.share(buffer, bytes.len())
    }
}

/// A buffer on loan to messages.
#[derive(Debug)]
struct Lent {
    buffer: Vec<u8>,
    home: Spares,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spares = self.home.0.lock();
        if spares.len() < KEPT {
            spares.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_slice_is_gone() {
        let spares = Spares::default();
        let bytes = spares.copy(b"some bytes");
        let place = bytes.as_ptr();
        let slice = bytes.slice(5..);
        drop(bytes);
        assert_eq!(spares.0.lock().len(), 0);
        assert_eq!(slice, "bytes");
        drop(slice);
        let again = spares.take(10);
        assert_eq!(again.as_ptr(), place);
    }

    #[test]
    fn a_buffer_of_another_size_is_not_handed_out() {
        let spares = Spares::default();
        drop(spares.copy(&[0; 1000]));
        assert_eq!(spares.take(10).capacity(), 10);
    }
}
