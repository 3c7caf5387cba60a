//! Reports as messages.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::flow::{Router, Scratch, Signal};
use crate::message::{Message, SEVERITY_DEFAULT, UuidSource};
use crate::plugin::{Globals, Services, now_nanos};

use super::report::Report;

/// Routes reports: once when told to, and again and again.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) router: Arc<Router>,
    pub(super) globals: Arc<Globals>,
    pub(super) services: Arc<Services>,
}

impl Reporter {
    /// Routes a report, if the pipeline runs. Like all injected messages it
    /// waits for nobody.
    pub(super) fn send(&self) {
        if let Some(report) = self.services.report() {
            let message = self.message(&report);
            self.router
                .inject("hekad", vec![message.into()], &mut Scratch::default());
        }
    }

    /// Routes reports until the returned signal is raised.
    pub(super) fn every(self, interval: Duration) -> Signal {
        let stop = Signal::new();
        let until = stop.clone();
        let run = move || {
            while !until.wait(interval) {
                self.send();
            }
        };
        let thread = thread::Builder::new().name("reports".to_owned()).spawn(run);
        if let Err(error) = thread {
            tracing::error!("no thread for reports: {error}");
        }
        stop
    }

    fn message(&self, report: &Report) -> Message {
        Message {
            uuid: Some(UuidSource::new().next_uuid()),
            timestamp: Some(now_nanos()),
            kind: Some("heka.all-report".into()),
            logger: Some("hekad".into()),
            severity: Some(SEVERITY_DEFAULT),
            payload: Some(report.to_json().into()),
            pid: Some(self.globals.pid),
            hostname: Some(self.globals.hostname.clone()),
            ..Message::default()
        }
    }
}
