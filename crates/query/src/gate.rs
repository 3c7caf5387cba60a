//! Admission: so many at once, others wait in the order in which they came.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Lets a fixed number of tasks through at once. Needs no async runtime.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// The next number to hand out.
    next: u64,
    waiting: VecDeque<Waiting>,
    /// Who was let in and has not come yet.
    called: Vec<u64>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    waker: Waker,
}

/// The right to be inside; leaving is dropping it.
#[derive(Debug)]
pub struct Permit(Arc<Gate>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Gate {
    /// A gate for `permits` tasks at once, at least one.
    pub fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: permits.max(1),
                next: 0,
                waiting: VecDeque::new(),
                called: Vec::new(),
            }),
        })
    }

    /// Waits until there is room and all who came before were let in.
    pub fn enter(self: &Arc<Self>) -> Enter {
        Enter {
            gate: self.clone(),
            number: None,
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    fn leave(&self) {
        let mut state = self.state.lock();
        let Some(next) = state.waiting.pop_front() else {
            state.free += 1;
            return;
        };
        state.called.push(next.number);
        drop(state);
        next.waker.wake();
    }
}

/// Resolves once the gate lets its task in. Giving up the wait is dropping it.
#[derive(Debug)]
pub struct Enter {
    gate: Arc<Gate>,
    /// The number drawn, while it waits.
    number: Option<u64>,
}

impl Future for Enter {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let gate = self.gate.clone();
        let mut state = gate.state.lock();
        let waker = context.waker();
        match self.number {
            None if state.free > 0 && state.waiting.is_empty() => state.free -= 1,
            None => {
                let number = state.next;
                state.next += 1;
                state.waiting.push_back(Waiting {
                    number,
                    waker: waker.clone(),
                });
                self.number = Some(number);
                return Poll::Pending;
            }
            Some(number) => match state.called.iter().position(|called| *called == number) {
                Some(at) => {
                    state.called.swap_remove(at);
                    self.number = None;
                }
                None => {
                    let mine = state.waiting.iter_mut().find(|one| one.number == number);
                    if let Some(mine) = mine {
                        mine.waker.clone_from(waker);
                    }
                    return Poll::Pending;
                }
            },
        }
        drop(state);
        Poll::Ready(Permit(gate))
    }
}

impl Drop for Enter {
    fn drop(&mut self) {
        let Some(number) = self.number else {
            return;
        };
        let mut state = self.gate.state.lock();
        state.waiting.retain(|one| one.number != number);
        if let Some(at) = state.called.iter().position(|called| *called == number) {
            // Called, but gone before it could come: the next one's turn.
            state.called.swap_remove(at);
            drop(state);
            self.gate.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(enter: &mut Enter) -> Option<Permit> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(enter).poll(&mut context) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn tasks_come_in_in_order() {
        let gate = Gate::new(1);
        let inside = poll(&mut gate.enter()).unwrap();
        let (mut first, mut second) = (gate.enter(), gate.enter());
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        drop(inside);
        assert!(poll(&mut second).is_none());
        let inside = poll(&mut first).unwrap();
        drop(inside);
        assert!(poll(&mut second).is_some());
    }

    #[test]
    fn who_gives_up_holds_nobody_up() {
        let gate = Gate::new(1);
        let inside = poll(&mut gate.enter()).unwrap();
        let (mut first, mut second) = (gate.enter(), gate.enter());
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        assert_eq!(gate.waiting(), 2);
        drop(inside);
        drop(first);
        assert!(poll(&mut second).is_some());
        assert_eq!(gate.waiting(), 0);
    }
}
