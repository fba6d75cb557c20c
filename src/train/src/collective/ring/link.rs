//! The two connections of a process.

use std::{
    io::{BufReader, ErrorKind},
    net::{Shutdown, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::frame::{self, Kind};

/// How long an end waits until what it has sent is on its way.
const FAREWELL: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);
/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// To the next process. A thread of its own writes, so that sending never waits for the other to read; when there
/// is nothing to send, it gives a sign of life, also while this process computes or writes a checkpoint.
#[derive(Debug)]
pub struct Outbound {
    queue: Option<Sender<Vec<u8>>>,
    writer: Option<JoinHandle<()>>,
    stream: TcpStream,
}

impl Outbound {
    /// Begins to write; a sign of life comes at least that often.
    pub fn new(stream: TcpStream, every: Duration) -> std::io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(None)?;
        let (queue, messages) = channel();
        let wire = stream.try_clone()?;
        let writer = thread::Builder::new()
            .name("ring-writer".into())
            .spawn(move || write_all(&wire, &messages, every))?;
        Ok(Self {
            queue: Some(queue),
            writer: Some(writer),
            stream,
        })
    }

    /// Sends a message, some time.
    pub fn send(&self, bytes: Vec<u8>) -> Result<(), String> {
        let sent = self.queue.as_ref().map(|queue| queue.send(bytes));
        match sent {
            Some(Ok(())) => Ok(()),
            _ => Err("its connection is closed".into()),
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        // What is in the queue is written before the thread ends.
        self.queue = None;
        let since = Instant::now();
        if let Some(writer) = self.writer.take() {
            while !writer.is_finished() && since.elapsed() < FAREWELL {
                thread::sleep(LOOK);
            }
        }
        // The other has what was sent, or is lost.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn write_all(wire: &TcpStream, messages: &Receiver<Vec<u8>>, every: Duration) {
    loop {
        let written = match messages.recv_timeout(every) {
            Ok(bytes) => frame::write(wire, Kind::Data, &bytes),
            Err(RecvTimeoutError::Timeout) => frame::write(wire, Kind::Alive, &[]),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if written.is_err() {
            return;
        }
    }
}

/// From the process before.
#[derive(Debug)]
pub struct Inbound {
    stream: BufReader<TcpStream>,
    message: Vec<u8>,
    silence: Duration,
}

impl Inbound {
    /// One that counts as lost when it is silent for longer.
    pub fn new(stream: TcpStream, silence: Duration) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(silence))?;
        Ok(Self {
            stream: BufReader::with_capacity(BUFFER, stream),
            message: Vec::new(),
            silence,
        })
    }

    /// Changes how long it may be silent.
    pub fn set_silence(&mut self, silence: Duration) -> std::io::Result<()> {
        self.silence = silence;
        self.stream.get_ref().set_read_timeout(Some(silence))
    }

    /// The next message.
    pub fn receive(&mut self) -> Result<&[u8], String> {
        loop {
            match frame::read(&mut self.stream, &mut self.message) {
                Ok(Kind::Data) => return Ok(&self.message),
                Ok(Kind::Alive) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(format!("nothing was heard of it for {} s", self.silence.as_secs_f64()));
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err("it closed the connection".into());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
