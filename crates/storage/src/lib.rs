#![doc = include_str!("../README.md")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

pub mod append;
pub mod chunks;
pub mod conformance;
pub mod error;
pub mod extras;
pub mod fanout;
pub mod labels;
pub mod logs;
pub mod memory;
pub mod merge;
pub mod select;
pub mod ticket;

pub use append::{Append, AppendOptions, Appender, FloatSample, SampleValue, SeriesRef};
pub use chunks::{ChunkCursor, SelectChunks};
pub use error::{AppendError, Error, ErrorKind, Result};
pub use extras::{Delete, ExemplarSeries, MetadataEntry, MetadataStore, SelectExemplars};
pub use fanout::FanOut;
pub use headwater_blockfmt::{EncodedChunk, Encoding};
pub use labels::{LabelAnswer, LabelQueries, LabelRequest};
pub use logs::{
    Direction, LineNeed, LogBlock, LogCosts, LogCursor, LogFanOut, LogHints, LogRequest,
    MemoryLogs, NanoRange, SelectLogs,
};
pub use memory::MemoryStore;
pub use merge::{MergeCursor, merge_columns};
pub use select::{CursorVec, Projection, Select, SelectHints, SelectRequest, SeriesCursor};
pub use ticket::{Ticket, TicketSender};

/// A boxed future, as the object-safe traits of this crate return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs a future to its end on this thread: for tests and for programs without an async runtime.
/// Futures that need a runtime of their own (sockets, timers) must be run there instead.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
