//! A ring of processes over TCP: everybody sends to the next one and hears from the one before.
//!
//! Sums are made in two rounds (Patarasuk and Yuan 2009). In the first, each process adds its own values to a part
//! of the vector that comes by, so that after `n - 1` steps it holds one part of the sum complete; in the second,
//! complete parts go round. A part is always added up in the same order, so that equal values give equal bits,
//! and everybody has the same.

mod frame;
mod link;
mod meet;
#[cfg(test)]
mod tests;

use std::{net::TcpListener, ops::Range, time::Duration};

use super::{Group, Lost};
use link::{Inbound, Outbound};
pub use meet::MeetError;

/// Values that are sent at once.
const CHUNK: usize = 1 << 16;
/// Longest message that goes to everybody, in bytes.
const MAX_BROADCAST: u64 = 1 << 30;

/// How a ring is made.
#[derive(Debug)]
pub struct Settings {
    /// `host:port` of all, by rank.
    pub addresses: Vec<String>,
    /// Which of them this process is.
    pub rank: usize,
    /// What all must agree on, such as a digest of the plan: a process with another one is a stranger.
    pub run: [u8; 32],
    /// How long to wait for the others at the beginning.
    pub patience: Duration,
    /// How long another one may be silent before it counts as lost.
    pub silence: Duration,
    /// A socket that is bound already; otherwise the port of the own address is bound, at all interfaces.
    pub listener: Option<TcpListener>,
}

impl Settings {
    /// With the usual waiting times.
    pub fn new(addresses: Vec<String>, rank: usize, run: [u8; 32]) -> Self {
        Self {
            addresses,
            rank,
            run,
            patience: Duration::from_secs(600),
            silence: Duration::from_secs(30),
            listener: None,
        }
    }
}

/// A process of a ring.
#[derive(Debug)]
pub struct Ring {
    rank: usize,
    size: usize,
    attempt: u64,
    next: Outbound,
    previous: Inbound,
}

impl Ring {
    /// Waits until all processes are there and know of one another.
    ///
    /// # Errors
    /// When some are missing after the time that [`Settings::patience`] gives, or the settings contradict themselves.
    pub fn meet(settings: Settings) -> Result<Self, MeetError> {
        meet::meet(settings)
    }

    /// A number that rank 0 has drawn for this ring: in logs it tells one attempt from another.
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    fn before(&self) -> usize {
        (self.rank + self.size - 1) % self.size
    }

    fn after(&self) -> usize {
        (self.rank + 1) % self.size
    }

    fn send(&self, bytes: Vec<u8>) -> Result<(), Lost> {
        let rank = self.after();
        self.next.send(bytes).map_err(|why| Lost { rank, why })
    }

    /// The next message, which must have so many bytes.
    fn receive(&mut self, bytes: usize) -> Result<&[u8], Lost> {
        let rank = self.before();
        let message = self.previous.receive().map_err(|why| Lost { rank, why })?;
        if message.len() == bytes {
            return Ok(message);
        }
        let why = format!(
            "it sent {} bytes where {bytes} were expected: it is not at the same step",
            message.len()
        );
        Err(Lost { rank, why })
    }

    /// Sends one part of the values and receives another, piece by piece: nobody waits for room to send while
    /// nobody reads.
    fn exchange(
        &mut self,
        values: &mut [f32],
        send: Range<usize>,
        receive: Range<usize>,
        take: impl Fn(&mut f32, f32),
    ) -> Result<(), Lost> {
        let (mut sent, mut received) = (send.start, receive.start);
        while sent < send.end || received < receive.end {
            if sent < send.end {
                let end = send.end.min(sent + CHUNK);
                self.send(values[sent..end].iter().flat_map(|value| value.to_le_bytes()).collect())?;
                sent = end;
            }
            if received < receive.end {
                let end = receive.end.min(received + CHUNK);
                let message = self.receive((end - received) * 4)?;
                for (value, bytes) in values[received..end].iter_mut().zip(message.chunks_exact(4)) {
                    let bytes = bytes.try_into().expect("pieces have 4 bytes");
                    take(value, f32::from_le_bytes(bytes));
                }
                received = end;
            }
        }
        Ok(())
    }
}

/// The values of one part of `length` values.
fn part(length: usize, parts: usize, number: usize) -> Range<usize> {
    let number = number % parts;
    length * number / parts..length * (number + 1) / parts
}

impl Group for Ring {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_reduce(&mut self, values: &mut [f32]) -> Result<(), Lost> {
        let (length, size) = (values.len(), self.size);
        // So that no number falls below zero.
        let own = self.rank + size;
        for step in 0..size - 1 {
            let (send, receive) = (part(length, size, own - step), part(length, size, own - step - 1));
            self.exchange(values, send, receive, |own, other| *own += other)?;
        }
        for step in 0..size - 1 {
            let (send, receive) = (part(length, size, own + 1 - step), part(length, size, own - step));
            self.exchange(values, send, receive, |own, sum| *own = sum)?;
        }
        Ok(())
    }

    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<(), Lost> {
        let is_last = self.after() == 0;
        if self.rank == 0 {
            self.send((bytes.len() as u64).to_le_bytes().to_vec())?;
            for piece in bytes.chunks(CHUNK) {
                self.send(piece.to_vec())?;
            }
            return Ok(());
        }
        let rank = self.before();
        let header: [u8; 8] = self.receive(8)?.try_into().expect("it has 8 bytes");
        let length = u64::from_le_bytes(header);
        if length > MAX_BROADCAST {
            let why = format!("it announced {length} bytes, at most {MAX_BROADCAST} are taken");
            return Err(Lost { rank, why });
        }
        if !is_last {
            self.send(header.to_vec())?;
        }
        let length = length as usize;
        bytes.clear();
        while bytes.len() < length {
            let piece = self.receive(CHUNK.min(length - bytes.len()))?.to_vec();
            bytes.extend_from_slice(&piece);
            if !is_last {
                self.send(piece)?;
            }
        }
        Ok(())
    }
}
