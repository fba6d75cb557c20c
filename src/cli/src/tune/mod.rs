//! `kubectl atelier tune`.

mod curve;
mod history;
mod list;
mod text;
mod view;
mod watch;

pub use list::list;
pub use watch::watch;
