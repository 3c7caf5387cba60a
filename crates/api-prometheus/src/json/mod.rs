//! JSON as Prometheus writes it. Query results have a writer of their own, because they can be
//! large: it makes them piece by piece while they are sent. Everything else goes through serde.

pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod envelope;
pub(crate) mod histogram;
pub(crate) mod points;
pub(crate) mod stats;
pub(crate) mod text;
