//! What the program knows of itself, for operators.

use headwater_api_loki::{ServiceState, Status};
use headwater_ring::Desc;
use headwater_ring_kv::{LifecyclerHandle, MemoryStore, RingStoreExt};
use headwater_service::{Logging, Readiness, State};
use std::sync::{Arc, Mutex, PoisonError};

use crate::modules::INGESTERS;
use crate::settings::Settings;
use crate::states::States;

pub(crate) struct Host {
    pub(crate) readiness: Readiness,
    pub(crate) states: States,
    pub(crate) logging: Logging,
    /// The least important level that is logged now.
    pub(crate) level: Mutex<String>,
    pub(crate) settings: Settings,
    pub(crate) ring: Arc<MemoryStore>,
    pub(crate) member: LifecyclerHandle,
    pub(crate) heartbeat_timeout: i64,
}

impl Status for Host {
    fn ready(&self) -> Result<(), String> {
        match self.readiness.get() {
            State::NotReady => Err(self.states.not_running().unwrap_or_default()),
            State::Stopping => Err("Application is stopping".into()),
            State::Ready => match self.member.not_ready(self.heartbeat_timeout) {
                Some(why) => Err(format!("Ingester not ready: {why}")),
                None => Ok(()),
            },
        }
    }

    fn services(&self) -> Vec<ServiceState> {
        self.states.list()
    }

    fn log_level(&self) -> String {
        self.level
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_log_level(&self, level: &str) -> Result<(), String> {
        let parsed = level
            .parse()
            .map_err(|_| format!("unrecognized log level {level:?}"))?;
        self.logging.set_level(parsed);
        level.clone_into(&mut self.level.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn config(&self, mode: &str) -> String {
        match mode {
            "defaults" => Settings::default().shown(),
            "diffs" => differences(&self.settings.shown(), &Settings::default().shown()),
            _ => self.settings.shown(),
        }
    }

    fn ring(&self) -> Desc {
        Desc::clone(&self.ring.current(INGESTERS))
    }

    fn forget(&self, member: &str) {
        let ring = self.ring.clone();
        let member = member.to_owned();
        tokio::spawn(async move {
            if let Err(error) = ring.forget(INGESTERS, &member).await {
                tracing::warn!(%error, member, "the member could not be forgotten");
            }
        });
    }
}

/// Lines that only the first text has.
fn differences(text: &str, other: &str) -> String {
    let known: std::collections::HashSet<&str> = other.lines().collect();
    let mut lines: Vec<&str> = text.lines().filter(|line| !known.contains(line)).collect();
    lines.push("");
    lines.join("\n")
}
