//! Too much, too long, too late.
