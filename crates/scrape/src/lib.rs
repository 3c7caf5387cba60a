#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! `config` is what jobs ask for; `target` makes targets of discovered labels; `manager` and
//! `pool` decide which loops run; `worker` is one loop: `schedule` says when, `fetch` gets the
//! body, `ingest` turns it into samples with the help of `cache`, `batch`, `labels`, `resolution` and `nhcb`,
//! `report` and `failure_log` tell how it went. `bodies` is the same without loops. `metadata` and `status` are for the API.

mod batch;
mod bodies;
mod cache;
mod config;
mod error;
mod failure_log;
mod fetch;
mod ingest;
mod labels;
mod manager;
mod metadata;
mod metrics;
mod nhcb;
mod pool;
mod report;
mod resolution;
mod schedule;
mod shared;
mod status;
mod target;
mod worker;

pub use bodies::Bodies;
pub use config::{JobConfig, ManagerOptions, ScrapeLimits, offset_seed};
pub use error::{JobError, ScrapeError, TargetError};
pub use fetch::{Fetch, FetchRequest, HttpFetch, MakeFetch, MakeHttpFetch};
pub use ingest::Counts;
pub use manager::{ScrapeManager, ScrapeManagerBuilder, TargetSets};
pub use status::{ActiveTarget, Health, PoolStatus, ScrapeStatus, TargetMetadata};
pub use target::{Target, discovered_labels, resolve};
