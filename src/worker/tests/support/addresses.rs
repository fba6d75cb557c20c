//! Addresses to listen on that nobody else can take.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// The next address of this test program's own.
///
/// A port that was free a moment ago is no such thing: a worker listens only once it has loaded, and until
/// then any connection that somebody opens from 127.0.0.1 may be given the port. So every program has a host
/// of the loopback network to itself, by its process id (22 bits), and counts its ports.
pub fn own_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let host = Ipv4Addr::from_bits((127 << 24) | (1 << 23) | (process::id() & 0x3f_ffff));
    SocketAddr::from((host, NEXT.fetch_add(1, Ordering::Relaxed)))
}
