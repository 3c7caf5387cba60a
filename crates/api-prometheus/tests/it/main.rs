//! The API from outside: recorded exchanges with the original, and behaviour under bad input.

mod admin;
mod corpora;
mod explain;
mod fakes;
mod golden;
mod limits;
mod remote;
mod shape;
mod text;
