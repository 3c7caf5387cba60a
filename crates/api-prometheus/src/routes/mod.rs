//! The routes, one file a group.

pub(crate) mod admin;
pub(crate) mod exemplars;
pub(crate) mod explain;
pub(crate) mod expressions;
pub(crate) mod features;
pub(crate) mod federate;
pub(crate) mod labels;
pub(crate) mod lifecycle;
pub(crate) mod metadata;
pub(crate) mod metrics;
pub(crate) mod pages;
pub(crate) mod query;
pub(crate) mod read;
pub(crate) mod relabel;
pub(crate) mod remote;
pub(crate) mod rules;
pub(crate) mod status;
pub(crate) mod targets;
pub(crate) mod write;
