//! How the processes of a ring find one another.
//!
//! Each listens, and connects to the next one until that answers: pods start in any order. Both ends say which run
//! and which rank they are of; a connection that says something else, or nothing, is dropped, and waiting goes on.
//! Once the ring is closed nobody listens any more, so that a process which was started again cannot slip into an
//! older attempt: it waits until the others have noticed that it was lost, and have begun again as well.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rand::Rng as _;

use super::{
    Ring, Settings,
    link::{Inbound, Outbound},
};
use crate::collective::Group as _;

const MAGIC: [u8; 8] = *b"atl-ring";
/// Magic, run, number of processes, rank.
const HELLO: usize = 8 + 32 + 4 + 4;
/// How long a connection may take to say what it is.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// Time between two tries.
const AGAIN: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);
/// Time between two lines of the log.
const SAY: Duration = Duration::from_secs(15);
/// Signs of life in the time after which a silent process counts as lost.
const SIGNS: u32 = 6;

/// Why a ring did not come about.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// The settings contradict themselves.
    #[error("{0}")]
    Settings(String),
    /// A socket could not be opened.
    #[error("failed to listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// Others did not come.
    #[error("waited {seconds} s for {who}: {why}; look at the other pods of this training")]
    Missing {
        /// Which.
        who: String,
        /// How long.
        seconds: u64,
        /// What happened last.
        why: String,
    },
    /// One was lost at once.
    #[error(transparent)]
    Lost(#[from] super::Lost),
    /// The system refused a thread or an option of a socket.
    #[error("failed to use a connection: {0}")]
    System(#[from] io::Error),
}

pub fn meet(mut settings: Settings) -> Result<Ring, MeetError> {
    let (rank, size) = (settings.rank, settings.addresses.len());
    if size < 2 || rank >= size {
        let what =
            format!("rank {rank} of {size} processes makes no ring: there must be at least 2, and ranks below that");
        return Err(MeetError::Settings(what));
    }
    let listener = match settings.listener.take() {
        Some(listener) => listener,
        None => listen(&settings.addresses[rank])?,
    };
    let begun = Instant::now();
    let deadline = begun + settings.patience;
    let (before, after) = ((rank + size - 1) % size, (rank + 1) % size);
    let given_up = Arc::new(AtomicBool::new(false));
    let accepting = accept(listener, hello(&settings, before), hello(&settings, rank), &given_up)?;

    let next = connect(&settings, after, deadline);
    let missing = |who: usize, why: String| MeetError::Missing {
        who: format!("rank {who} ({})", settings.addresses[who]),
        seconds: begun.elapsed().as_secs(),
        why,
    };
    let next = match next {
        Ok(next) => next,
        Err(why) => {
            given_up.store(true, Ordering::Relaxed);
            return Err(missing(after, why));
        }
    };
    while !accepting.is_finished() {
        if Instant::now() >= deadline {
            given_up.store(true, Ordering::Relaxed);
            return Err(missing(before, "it has not connected".into()));
        }
        thread::sleep(LOOK);
    }
    let previous = accepting
        .join()
        .map_err(|_| io::Error::other("the thread that listens has failed"))??;
    let mut ring = Ring {
        rank,
        size,
        attempt: 0,
        next: Outbound::new(next, settings.silence / SIGNS)?,
        previous: Inbound::new(previous, settings.patience.max(settings.silence))?,
    };
    // The message comes through when all links are there, which may take as long as the slowest one.
    let mut attempt = rand::rng().random::<u64>().to_le_bytes().to_vec();
    ring.broadcast(&mut attempt)?;
    ring.attempt = attempt.try_into().map(u64::from_le_bytes).unwrap_or_default();
    ring.previous.set_silence(settings.silence)?;
    ring.all_reduce(&mut vec![0.0; size])?;
    tracing::info!(rank, size, attempt = ring.attempt, "the ring is closed");
    Ok(ring)
}

fn hello(settings: &Settings, rank: usize) -> [u8; HELLO] {
    let mut hello = [0; HELLO];
    hello[..8].copy_from_slice(&MAGIC);
    hello[8..40].copy_from_slice(&settings.run);
    hello[40..44].copy_from_slice(&(settings.addresses.len() as u32).to_le_bytes());
    hello[44..].copy_from_slice(&(rank as u32).to_le_bytes());
    hello
}

fn listen(address: &str) -> Result<TcpListener, MeetError> {
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let Some(port) = port else {
        let what = format!("{address:?} is no address of a process: give HOST:PORT");
        return Err(MeetError::Settings(what));
    };
    let bound = TcpListener::bind(SocketAddr::from(([0; 16], port)))
        // Machines without IPv6.
        .or_else(|_| TcpListener::bind(SocketAddr::from(([0; 4], port))));
    bound.map_err(|error| MeetError::Listen {
        address: format!("port {port}"),
        error,
    })
}

/// Waits in a thread for the connection that says `expected`, and answers `own`.
fn accept(
    listener: TcpListener,
    expected: [u8; HELLO],
    own: [u8; HELLO],
    given_up: &Arc<AtomicBool>,
) -> io::Result<JoinHandle<io::Result<TcpStream>>> {
    listener.set_nonblocking(true)?;
    let given_up = given_up.clone();
    thread::Builder::new().name("ring-listener".into()).spawn(move || {
        loop {
            if given_up.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match listener.accept() {
                Ok((stream, from)) => match introduced(stream, &expected, &own) {
                    Ok(stream) => return Ok(stream),
                    Err(why) => tracing::warn!(%from, "dropped a connection: {why}"),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(LOOK),
                // One that was closed before it was accepted.
                Err(error) => {
                    tracing::warn!("failed to accept a connection: {error}");
                    thread::sleep(LOOK);
                }
            }
        }
    })
}

fn introduced(mut stream: TcpStream, expected: &[u8; HELLO], own: &[u8; HELLO]) -> io::Result<TcpStream> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(INTRODUCTION))?;
    stream.set_write_timeout(Some(INTRODUCTION))?;
    let mut found = [0; HELLO];
    stream.read_exact(&mut found)?;
    check(&found, expected)?;
    stream.write_all(own)?;
    Ok(stream)
}

fn check(found: &[u8; HELLO], expected: &[u8; HELLO]) -> io::Result<()> {
    let what = match () {
        () if found == expected => return Ok(()),
        () if found[..8] != expected[..8] => "it is no process of a training",
        () if found[8..40] != expected[8..40] => "it is of another run, or of another plan of this one",
        () => "it is another rank than the one that is expected",
    };
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

fn connect(settings: &Settings, to: usize, deadline: Instant) -> Result<TcpStream, String> {
    let address = &settings.addresses[to];
    let (own, expected) = (hello(settings, settings.rank), hello(settings, to));
    let mut said: Option<Instant> = None;
    loop {
        let why = match introduce(address, &own, &expected) {
            Ok(stream) => return Ok(stream),
            Err(why) => why.to_string(),
        };
        if Instant::now() + AGAIN >= deadline {
            return Err(why);
        }
        if said.is_none_or(|said| said.elapsed() >= SAY) {
            tracing::info!(rank = to, address, "waiting: {why}");
            said = Some(Instant::now());
        }
        thread::sleep(AGAIN);
    }
}

fn introduce(address: &str, own: &[u8; HELLO], expected: &[u8; HELLO]) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address yet");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, INTRODUCTION) {
            Ok(mut stream) => {
                // Longer than the other needs: it may be busy with a stranger.
                stream.set_read_timeout(Some(INTRODUCTION * 4))?;
                stream.set_write_timeout(Some(INTRODUCTION))?;
                stream.write_all(own)?;
                let mut found = [0; HELLO];
                stream.read_exact(&mut found)?;
                check(&found, expected)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
