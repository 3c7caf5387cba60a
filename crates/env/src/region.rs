use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The bytes of an immutable file: mapped by [`RealFiles`](crate::RealFiles),
/// a copy on the heap elsewhere. Clones share the bytes.
#[derive(Clone)]
pub struct Region {
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    Mapped(Arc<memmap2::Mmap>),
    Heap(Arc<[u8]>),
}

impl Region {
    pub(crate) fn mapped(map: memmap2::Mmap) -> Region {
        Region {
            bytes: Bytes::Mapped(Arc::new(map)),
        }
    }
}

impl From<Vec<u8>> for Region {
    fn from(bytes: Vec<u8>) -> Region {
        Region {
            bytes: Bytes::Heap(bytes.into()),
        }
    }
}

impl Deref for Region {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Heap(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len()).finish()
    }
}
