//! HTTP headers between our own processes.

/// For whom the gateway asks: letters and digits that are the same for every request of one user and
/// tell nothing else about them. Users get equal shares of a worker, and what is kept of a prompt is
/// used for the same user's prompts only.
pub const USER: &str = "x-atelier-user";
