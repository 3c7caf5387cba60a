//! A Prometheus-compatible time series storage engine: head, write-ahead log, blocks.
