//! Whole scrapes: targets whose answers are scripted, time that only moves when nothing else
//! is to be done, and a store in memory.

mod forgetful;
mod full;
mod http;
mod limits;
mod loops;
mod samples;
mod world;
