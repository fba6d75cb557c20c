use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use rstest::rstest;

use super::{Group, MeetError, Ring, Settings};

/// Sockets for all processes of a ring, and their addresses.
fn sockets(size: usize) -> (Vec<TcpListener>, Vec<String>) {
    let sockets: Vec<_> = (0..size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses = sockets.iter().map(|it| it.local_addr().unwrap().to_string()).collect();
    (sockets, addresses)
}

fn settings(listener: TcpListener, addresses: &[String], rank: usize) -> Settings {
    Settings {
        patience: Duration::from_secs(60),
        silence: Duration::from_secs(20),
        listener: Some(listener),
        ..Settings::new(addresses.to_vec(), rank, [7; 32])
    }
}

/// Runs `work` in as many threads, each a process of a ring.
fn ring<T: Send + 'static>(size: usize, work: impl Fn(Ring) -> T + Send + Clone + 'static) -> Vec<T> {
    let (sockets, addresses) = sockets(size);
    let threads: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(rank, socket)| {
            let (settings, work) = (settings(socket, &addresses, rank), work.clone());
            thread::spawn(move || work(Ring::meet(settings).unwrap()))
        })
        .collect();
    threads.into_iter().map(|it| it.join().unwrap()).collect()
}

/// Numbers whose sum depends on the order.
fn values(rank: usize, length: usize) -> Vec<f32> {
    let value = |at: usize| ((at * 7919 + rank * 104_729) % 1000) as f32 * 1.000_1 - 300.0 + 1e-4 * rank as f32;
    (0..length).map(value).collect()
}

#[rstest]
#[case(2, 0)]
#[case(2, 1)]
#[case(2, 200_003)]
#[case(3, 2)]
#[case(3, 1000)]
#[case(5, 4)]
#[case(5, 131_101)]
fn sums_are_right_and_the_same_everywhere(#[case] size: usize, #[case] length: usize) {
    let sums = ring(size, move |mut ring| {
        let mut first = values(ring.rank(), length);
        ring.all_reduce(&mut first).unwrap();
        let mut second = values(ring.rank(), length);
        ring.all_reduce(&mut second).unwrap();
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        (bits(first), bits(second))
    });
    let mut expected = vec![0.0; length];
    for rank in 0..size {
        for (sum, value) in expected.iter_mut().zip(values(rank, length)) {
            *sum += f64::from(value);
        }
    }
    for (first, second) in &sums {
        assert!(first == second && *first == sums[0].0);
    }
    for (bits, expected) in sums[0].0.iter().zip(expected) {
        let found = f64::from(f32::from_bits(*bits));
        assert!((found - expected).abs() <= 1e-3, "{found} is not {expected}");
    }
}

#[rstest]
#[case(2, 0)]
#[case(3, 70_000)]
#[case(5, 5)]
fn everybody_gets_what_rank_0_has(#[case] size: usize, #[case] length: usize) {
    let wanted: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    let sent = wanted.clone();
    let found = ring(size, move |mut ring| {
        let mut bytes = if ring.rank() == 0 { sent.clone() } else { vec![1; 3] };
        ring.broadcast(&mut bytes).unwrap();
        (bytes, ring.attempt())
    });
    assert!(found.iter().all(|it| it.0 == wanted && it.1 == found[0].1));
}

#[test]
fn nobody_waits_for_one_that_died() {
    let since = Instant::now();
    let ends = ring(3, |mut ring| {
        let mut values = vec![1.0; 10];
        ring.all_reduce(&mut values).unwrap();
        if ring.rank() == 1 {
            return None;
        }
        // The first may still come through at some.
        Some((0..3).find_map(|_| ring.all_reduce(&mut values).err()))
    });
    assert!(ends[0].as_ref().is_some_and(Option::is_some), "{ends:?}");
    assert!(ends[2].as_ref().is_some_and(Option::is_some), "{ends:?}");
    // A closed connection is noticed at once, long before silence would be.
    assert!(since.elapsed() < Duration::from_secs(20));
}

#[test]
fn one_that_computes_for_long_is_not_lost() {
    let (sockets, addresses) = sockets(2);
    let threads: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(rank, socket)| {
            let settings = Settings {
                silence: Duration::from_secs(2),
                ..settings(socket, &addresses, rank)
            };
            thread::spawn(move || {
                let mut ring = Ring::meet(settings).unwrap();
                if rank == 0 {
                    thread::sleep(Duration::from_secs(5));
                }
                ring.all_reduce(&mut [1.0, 2.0]).map_err(|lost| lost.to_string())
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}

#[test]
fn one_that_falls_silent_is_lost() {
    let (mut sockets, addresses) = sockets(2);
    let own = Settings {
        silence: Duration::from_millis(300),
        ..settings(sockets.remove(0), &addresses, 0)
    };
    // The other end follows the protocol up to where the ring is closed, and then says nothing more.
    let other = thread::spawn({
        let (address, listener) = (addresses[0].clone(), sockets.remove(0));
        move || {
            let hello = |rank: u8| [&b"atl-ring"[..], &[7; 32], &[2, 0, 0, 0], &[rank, 0, 0, 0]].concat();
            let (mut from, _) = listener.accept().unwrap();
            let mut said = vec![0; 48];
            from.read_exact(&mut said).unwrap();
            assert_eq!(said, hello(0));
            from.write_all(&hello(1)).unwrap();
            let mut to = TcpStream::connect(address).unwrap();
            to.write_all(&hello(1)).unwrap();
            to.read_exact(&mut said).unwrap();
            // Both rounds of the first sum.
            for _ in 0..2 {
                to.write_all(&[1, 4, 0, 0, 0, 0, 0, 0, 0]).unwrap();
            }
            (from, to)
        }
    });
    let mut ring = Ring::meet(own).unwrap();
    let held = other.join().unwrap();
    let lost = ring.all_reduce(&mut [1.0, 2.0]).unwrap_err();
    assert!(lost.rank == 1 && lost.why.contains("nothing was heard"), "{lost}");
    drop(held);
}

#[test]
fn strangers_do_no_harm() {
    let (sockets, addresses) = sockets(2);
    let strangers: Vec<_> = [
        &b"GET / HTTP/1.1\r\nHost: example\r\nAccept: application/json\r\n\r\n"[..],
        // Another run, and a rank that is not expected.
        &[&b"atl-ring"[..], &[8; 32], &[2, 0, 0, 0], &[1, 0, 0, 0]].concat(),
        &[&b"atl-ring"[..], &[7; 32], &[2, 0, 0, 0], &[0, 0, 0, 0]].concat(),
        b"short",
    ]
    .into_iter()
    .map(|bytes| {
        let mut stream = TcpStream::connect(&addresses[0]).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream
    })
    .collect();
    let threads: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(rank, socket)| {
            let settings = settings(socket, &addresses, rank);
            thread::spawn(move || {
                let mut values = [rank as f32, 1.0, 2.0];
                Ring::meet(settings).unwrap().all_reduce(&mut values).unwrap();
                values
            })
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), [1.0, 2.0, 4.0]);
    }
    drop(strangers);
}

#[test]
fn one_that_does_not_come_is_named() {
    let (mut sockets, addresses) = sockets(2);
    drop(sockets.pop());
    let settings = Settings {
        patience: Duration::from_millis(700),
        ..settings(sockets.remove(0), &addresses, 0)
    };
    let error = Ring::meet(settings).unwrap_err();
    assert!(matches!(error, MeetError::Missing { .. }));
    assert!(
        error.to_string().contains(&format!("rank 1 ({})", addresses[1])),
        "{error}"
    );
}

#[rstest]
#[case(0, 1)]
#[case(2, 2)]
fn settings_that_make_no_ring_are_refused(#[case] rank: usize, #[case] size: usize) {
    let settings = Settings::new(vec!["localhost:1".into(); size], rank, [0; 32]);
    assert!(matches!(Ring::meet(settings).unwrap_err(), MeetError::Settings(_)));
}
