//! Around the routes: which methods they take, which pages of other origins may read them, when
//! they answer at all.

pub(crate) mod asker;
pub(crate) mod cors;
pub(crate) mod gate;
pub(crate) mod methods;
pub(crate) mod observe;
pub(crate) mod plain;
