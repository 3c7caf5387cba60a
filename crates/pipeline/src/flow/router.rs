//! Who gets which message.
//!
//! There is no router thread: whoever sends a batch matches it for all
//! consumers at once and pushes to their queues. The table of routes can be
//! exchanged while batches are under way; a batch sees one table.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use thiserror::Error;

use crate::event::Event;
use crate::matcher::{Hits, Matcher, MatcherSet};
use crate::plugin::Counter;

use super::batch::{Batch, Delivery};
use super::queue::{PushError, Queue};

/// The pipeline is being stopped and takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the pipeline is being stopped")]
pub struct Stopped;

/// One consumer: what it wants, and where to put it.
#[derive(Debug, Clone)]
pub struct Route {
    /// Name of the filter or output.
    pub name: Arc<str>,
    /// Which messages it wants.
    pub matcher: Matcher,
    /// Whose signature it demands, if any.
    pub signer: Option<String>,
    /// Where they go.
    pub queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Table {
    set: MatcherSet,
    routes: Vec<Route>,
}

impl Table {
    fn new(routes: Vec<Route>) -> Table {
        let matchers = routes.iter().map(|r| (r.matcher.clone(), r.signer.clone()));
        Table {
            set: MatcherSet::new(matchers),
            routes,
        }
    }
}

/// Memory that a sender reuses from batch to batch.
#[derive(Debug, Default)]
pub struct Scratch {
    hits: Hits,
    picked: Vec<Vec<u32>>,
}

/// The table of routes.
#[derive(Debug, Default)]
pub struct Router {
    table: ArcSwap<Table>,
    /// Serialises changes of the table.
    change: Mutex<()>,
    processed: Counter,
}

impl Router {
    /// A router without routes.
    pub fn new() -> Router {
        Router::default()
    }

    /// Changes the routes. Batches sent from now on see the new ones.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Route>)) {
        let _one = self.change.lock();
        let mut routes = self.table.load().routes.clone();
        change(&mut routes);
        self.table.store(Arc::new(Table::new(routes)));
    }

    /// Number of messages routed.
    pub fn processed(&self) -> u64 {
        self.processed.get()
    }

    /// Sends a batch to all consumers that match some of it. Those with room
    /// get theirs first; then it waits for the others.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if a consumer's queue was aborted; its share is abandoned.
    pub fn send(&self, batch: Batch, scratch: &mut Scratch) -> Result<(), Stopped> {
        self.processed.add(batch.events().len() as u64);
        let table = self.table.load();
        table.pick(batch.events(), scratch);
        let batch = Arc::new(batch);
        let mut blocked = Vec::new();
        let mut result = Ok(());
        for (route, picked) in table.routes.iter().zip(&mut scratch.picked) {
            let Some(delivery) = delivery(&batch, picked) else {
                continue;
            };
            match route.queue.try_push(delivery) {
                Ok(()) => {}
                Err(PushError::Full(delivery)) => blocked.push((&route.queue, delivery)),
                Err(PushError::Closed(delivery)) => result = gone(&route.queue, delivery),
            }
        }
        drop(batch);
        for (queue, delivery) in blocked {
            if let Err(delivery) = queue.push(delivery) {
                result = gone(queue, delivery);
            }
        }
        result
    }

    /// Sends what a filter injects. Never waits: what finds no room is
    /// refused. Messages that `from` itself matches would loop and are left
    /// out. Returns how many were.
    pub fn inject(&self, from: &str, events: Vec<Event>, scratch: &mut Scratch) -> usize {
        let table = self.table.load();
        let own = table.routes.iter().position(|route| &*route.name == from);
        let offered = events.len();
        let kept: Vec<Event> = match own {
            None => events,
            Some(own) => {
                let to_itself = |event: &Event, scratch: &mut Scratch| {
                    table.set.matches(event, &mut scratch.hits);
                    scratch.hits.contains(own)
                };
                let mut kept = events;
                kept.retain(|event| !to_itself(event, scratch));
                kept
            }
        };
        let left_out = offered - kept.len();
        self.processed.add(kept.len() as u64);
        table.pick(&kept, scratch);
        let batch = Arc::new(Batch::new(kept, None));
        for (route, picked) in table.routes.iter().zip(&mut scratch.picked) {
            let Some(delivery) = delivery(&batch, picked) else {
                continue;
            };
            // Injected deliveries are taken or refused, never handed back
            // for want of room; a closed queue abandons them.
            drop(route.queue.try_push(delivery.injected(true)));
        }
        left_out
    }
}

/// A queue that was closed in good order belongs to a consumer that left;
/// nobody will ever take the messages. An aborted one is part of a stop.
fn gone(queue: &Queue, delivery: Delivery) -> Result<(), Stopped> {
    if queue.is_aborted() {
        return Err(Stopped);
    }
    delivery.refuse();
    Ok(())
}

fn delivery(batch: &Arc<Batch>, picked: &mut Vec<u32>) -> Option<Delivery> {
    if picked.is_empty() {
        return None;
    }
    if picked.len() == batch.events().len() {
        return Some(Delivery::all(batch.clone()));
    }
    Some(Delivery::some(batch.clone(), std::mem::take(picked)))
}

impl Table {
    /// For each route the places of the messages it matches.
    fn pick(&self, events: &[Event], scratch: &mut Scratch) {
        scratch.picked.resize_with(self.routes.len(), Vec::new);
        scratch.picked.iter_mut().for_each(Vec::clear);
        for (place, event) in events.iter().enumerate() {
            self.set.matches(event, &mut scratch.hits);
            for route in scratch.hits.iter() {
                scratch.picked[route].push(place as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Pop, WhenFull};
    use crate::message::Message;

    fn route(name: &str, matcher: &str) -> Route {
        Route {
            name: name.into(),
            matcher: matcher.parse().unwrap(),
            signer: None,
            queue: Arc::new(Queue::new(1 << 20, WhenFull::Block)),
        }
    }

    fn events(kinds: &[&str]) -> Vec<Event> {
        let message = |kind: &&str| Message {
            kind: Some(kind.to_string().into()),
            ..Message::default()
        };
        kinds.iter().map(|kind| message(kind).into()).collect()
    }

    fn taken(queue: &Queue) -> Vec<String> {
        queue.close();
        let mut kinds = Vec::new();
        while let Pop::Delivery(delivery) = queue.pop(None) {
            let text = |event: &Event| String::from_utf8_lossy(event.kind()).into_owned();
            kinds.extend(delivery.events().map(text));
            delivery.done();
        }
        kinds
    }

    #[test]
    fn each_consumer_gets_what_it_matches_in_order() {
        let router = Router::new();
        let routes = vec![
            route("a", "Type == 'a'"),
            route("all", "TRUE"),
            route("none", "FALSE"),
        ];
        router.change(|table| *table = routes.clone());
        let batch = Batch::new(events(&["a", "b", "a"]), None);
        router.send(batch, &mut Scratch::default()).unwrap();
        let got: Vec<_> = routes.iter().map(|route| taken(&route.queue)).collect();
        assert_eq!(got, [vec!["a", "a"], vec!["a", "b", "a"], vec![]]);
        assert_eq!(router.processed(), 3);
    }

    #[test]
    fn a_filter_does_not_get_what_it_injects_itself() {
        let router = Router::new();
        let routes = vec![route("f", "Type == 'a'"), route("all", "TRUE")];
        router.change(|table| *table = routes.clone());
        let left_out = router.inject("f", events(&["a", "b"]), &mut Scratch::default());
        assert_eq!(left_out, 1);
        assert_eq!(taken(&routes[0].queue), [""; 0]);
        assert_eq!(taken(&routes[1].queue), ["b"]);
    }

    #[test]
    fn an_aborted_queue_stops_the_sender_but_not_the_others() {
        let router = Router::new();
        let routes = vec![route("gone", "TRUE"), route("here", "TRUE")];
        router.change(|table| *table = routes.clone());
        routes[0].queue.abort();
        let sent = router.send(Batch::new(events(&["a"]), None), &mut Scratch::default());
        assert_eq!(sent, Err(Stopped));
        assert_eq!(taken(&routes[1].queue), ["a"]);
    }
}
