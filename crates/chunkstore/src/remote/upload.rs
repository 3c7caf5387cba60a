//! Writing an object, piece by piece.

use std::sync::Arc;

use headwater_storage::Result;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use super::error::failed;
use super::{PIECE_BYTES, Remote};
use crate::object::Upload;

/// An upload: up to a piece in memory, the pieces before it in the store, where nobody sees them yet.
pub(super) struct RemoteUpload {
    remote: Arc<Remote>,
    path: Path,
    piece: Vec<u8>,
    /// What the store has of it; `None` before the first full piece.
    pieces: Option<Box<dyn MultipartUpload>>,
}

impl RemoteUpload {
    pub(super) fn new(remote: Arc<Remote>, path: Path) -> Self {
        Self {
            remote,
            path,
            piece: Vec::new(),
            pieces: None,
        }
    }

    fn send_piece(&mut self) -> Result<()> {
        let failed = failed("cannot write", self.path.as_ref());
        let payload = PutPayload::from(std::mem::take(&mut self.piece));
        if self.pieces.is_none() {
            let (store, path) = (self.remote.store.clone(), self.path.clone());
            let begun = async move { store.put_multipart(&path).await };
            self.pieces = Some(self.remote.wait(begun)?.map_err(&failed)?);
        }
        match &mut self.pieces {
            Some(pieces) => {
                let sent = pieces.put_part(payload);
                self.remote.wait(sent)?.map_err(&failed)
            }
            None => Ok(()),
        }
    }
}

impl Upload for RemoteUpload {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            // Full pieces leave when more comes: what is left at the end is never empty.
            if self.piece.len() == PIECE_BYTES {
                self.send_piece()?;
            }
            let room = PIECE_BYTES - self.piece.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.piece.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let failed = failed("cannot write", self.path.as_ref());
        if self.pieces.is_none() {
            let payload = PutPayload::from(std::mem::take(&mut self.piece));
            let (store, path) = (self.remote.store.clone(), self.path.clone());
            let put = async move { store.put(&path, payload).await };
            return self.remote.wait(put)?.map(drop).map_err(failed);
        }
        self.send_piece()?;
        let Some(mut pieces) = self.pieces.take() else {
            return Ok(());
        };
        let completed = async move {
            let completed = pieces.complete().await;
            (completed, pieces)
        };
        let (completed, pieces) = self.remote.wait(completed)?;
        completed.map(drop).map_err(|error| {
            // To be given up when this is dropped.
            self.pieces = Some(pieces);
            failed(error)
        })
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if let Some(mut pieces) = self.pieces.take() {
            // Nobody waits, and what is left is not listed: rules of the bucket remove such pieces.
            let abort = async move { pieces.abort().await };
            drop(self.remote.runtime.spawn(abort));
        }
    }
}
