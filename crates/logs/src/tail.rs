//! Following what is stored, as it is stored.

use std::sync::Arc;

use headwater_chunkstore::PushStream;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Pushes that a slow follower may be behind before it loses the oldest.
const QUEUE: usize = 100;

/// One push of one tenant.
#[derive(Debug)]
pub struct Stored {
    /// Whose it is.
    pub tenant: String,
    /// What was stored.
    pub streams: Vec<PushStream>,
}

/// Where followers learn of pushes. Costs nothing while nobody follows.
#[derive(Clone, Debug)]
pub struct Followers(broadcast::Sender<Arc<Stored>>);

impl Default for Followers {
    fn default() -> Self {
        Self(broadcast::Sender::new(QUEUE))
    }
}

impl Followers {
    /// Follows from now on.
    pub fn follow(&self) -> Follower {
        Follower(self.0.subscribe())
    }

    /// How many follow.
    pub fn count(&self) -> usize {
        self.0.receiver_count()
    }

    pub(crate) fn tell(&self, tenant: &str, streams: Vec<PushStream>) {
        // Nobody follows any more: nothing is lost by not telling.
        let _ = self.0.send(Arc::new(Stored {
            tenant: tenant.to_owned(),
            streams,
        }));
    }
}

/// Somebody who follows.
#[derive(Debug)]
pub struct Follower(broadcast::Receiver<Arc<Stored>>);

/// What a follower learns.
#[derive(Clone, Debug)]
pub enum News {
    /// The next push.
    Stored(Arc<Stored>),
    /// So many pushes came faster than they were taken, and are lost to this follower.
    Missed(u64),
}

impl Follower {
    /// Waits for the next push; `None` once nothing will come any more.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(stored) => Some(News::Stored(stored)),
            Err(RecvError::Lagged(missed)) => Some(News::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
