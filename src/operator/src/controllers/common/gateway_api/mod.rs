//! Gateways of others, by Gateway API: what a `spec.route` asks of them, and what they say.

mod asked;
mod routes;
mod told;

pub use asked::{fault, parents, proxies};
pub use routes::Routes;
pub use told::told;
