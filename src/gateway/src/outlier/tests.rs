use rstest::rstest;

use super::*;

/// Workers 0 to `count`, and a clock that stands still until it is moved.
struct Fleet {
    detector: Detector,
    now: Instant,
}

fn address(i: usize) -> SocketAddr {
    ([10, 0, 0, i as u8], 8000).into()
}

impl Fleet {
    fn of(count: usize) -> Self {
        let now = Instant::now();
        let mut detector = Detector::new(now);
        detector.set((0..count).map(address));
        Self { detector, now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn report(&mut self, i: usize, succeeded: u32, failed: u32) -> Vec<Ejection> {
        let mut ejections = Vec::new();
        // Spread out, so that failures are in a row only where they are many.
        let (mut good, mut bad) = (0, 0);
        while good < succeeded || bad < failed {
            let is_good = bad >= failed || (good < succeeded && good * failed <= bad * succeeded);
            if is_good {
                good += 1;
            } else {
                bad += 1;
            }
            ejections.extend(self.detector.report(address(i), is_good, self.now));
        }
        ejections
    }

    fn ejected(&self) -> Vec<usize> {
        let is_ejected = |i: &usize| self.detector.is_ejected(address(*i), self.now);
        (0..256).filter(is_ejected).collect()
    }
}

#[test]
fn failures_in_a_row_eject_and_one_success_between_them_does_not() {
    let mut fleet = Fleet::of(3);
    assert_eq!(fleet.report(0, 0, CONSECUTIVE - 1), []);
    fleet.report(0, 1, 0);
    assert_eq!(fleet.report(0, 0, CONSECUTIVE - 1), []);
    let ejection = Ejection {
        address: address(0),
        reason: Reason::Consecutive,
        time: BASE,
    };
    assert_eq!(fleet.report(0, 0, 1), [ejection]);
    assert_eq!(fleet.ejected(), [0]);
    assert_eq!(fleet.detector.counts().next(), Some((Reason::Consecutive, 1)));
}

#[test]
fn ejections_grow_and_doing_well_makes_them_shorter_again() {
    let mut fleet = Fleet::of(3);
    let mut times = Vec::new();
    for _ in 0..12 {
        let [ejection] = fleet.report(0, 0, CONSECUTIVE)[..] else {
            panic!()
        };
        times.push(ejection.time.as_secs());
        fleet.pass(ejection.time.as_secs() - 1);
        assert_eq!(fleet.ejected(), [0]);
        // What was under way when it was ejected does not eject it again.
        assert_eq!(fleet.report(0, 0, 2 * CONSECUTIVE), []);
        fleet.pass(1);
        assert_eq!(fleet.ejected(), [] as [usize; 0]);
        assert_eq!(fleet.report(0, 1, 0), []);
    }
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times[0], BASE.as_secs());
    assert!(times.iter().all(|time| *time <= LONGEST.as_secs()), "{times:?}");
    fleet.pass(INTERVAL.as_secs() * 20);
    let [ejection] = fleet.report(0, 0, CONSECUTIVE)[..] else {
        panic!()
    };
    assert_eq!(ejection.time, BASE);
}

#[rstest]
#[case(1, 0)]
#[case(2, 1)]
#[case(3, 1)]
#[case(6, 2)]
#[case(10, 3)]
fn there_is_a_bound_and_the_last_one_stays(#[case] workers: usize, #[case] most: usize) {
    let mut fleet = Fleet::of(workers);
    for i in 0..workers {
        fleet.report(i, 0, 4 * CONSECUTIVE);
    }
    assert_eq!(fleet.ejected().len(), most);
    assert_eq!(fleet.detector.ejected(fleet.now), most);
    // Those that are back make room for others.
    fleet.pass(BASE.as_secs());
    for i in (0..workers).rev() {
        fleet.report(i, 0, CONSECUTIVE);
    }
    assert_eq!(fleet.ejected().len(), most);
}

#[test]
fn of_many_workers_the_one_far_below_the_mean_is_ejected() {
    let mut fleet = Fleet::of(10);
    for i in 0..10 {
        assert_eq!(
            fleet.report(i, if i == 7 { 70 } else { 98 }, if i == 7 { 30 } else { 2 }),
            []
        );
    }
    fleet.pass(INTERVAL.as_secs());
    let ejections = fleet.report(0, 1, 0);
    assert_eq!(
        ejections.iter().map(|it| (it.address, it.reason)).collect::<Vec<_>>(),
        [(address(7), Reason::SuccessRate)]
    );
    // The next interval begins with nothing.
    fleet.pass(INTERVAL.as_secs());
    assert_eq!(fleet.report(0, 1, 0), []);
}

#[test]
fn of_few_workers_the_one_that_fails_most_requests_is_ejected() {
    let mut fleet = Fleet::of(2);
    fleet.report(0, 40, 0);
    assert_eq!(fleet.report(1, 10, 15), []);
    fleet.pass(INTERVAL.as_secs());
    let ejections = fleet.report(0, 1, 0);
    assert_eq!(ejections.len(), 1);
    assert_eq!(
        (ejections[0].address, ejections[0].reason),
        (address(1), Reason::FailurePercentage)
    );
}

#[rstest]
#[case::all_alike([(10, 20), (10, 20), (10, 20)])]
#[case::too_few_requests([(40, 0), (40, 0), (5, 10)])]
#[case::below_the_bound([(40, 0), (40, 0), (30, 20)])]
#[case::no_peers([(0, 0), (0, 0), (10, 20)])]
fn what_is_no_outlier_stays(#[case] seen: [(u32, u32); 3]) {
    let mut fleet = Fleet::of(3);
    for (i, (succeeded, failed)) in seen.into_iter().enumerate() {
        assert_eq!(fleet.report(i, succeeded, failed), [], "{i}");
    }
    fleet.pass(INTERVAL.as_secs());
    assert_eq!(fleet.report(0, 1, 0), []);
}

#[test]
fn workers_that_go_are_forgotten_and_strangers_count_for_nothing() {
    let mut fleet = Fleet::of(3);
    fleet.report(0, 0, CONSECUTIVE);
    assert_eq!(fleet.report(9, 0, 4 * CONSECUTIVE), []);
    fleet.detector.set([1, 2].map(address));
    assert_eq!(fleet.ejected(), [] as [usize; 0]);
    // Who comes back is new; who stayed is known.
    fleet.report(1, 0, CONSECUTIVE - 1);
    fleet.detector.set([0, 1, 2].map(address));
    assert_eq!(fleet.report(1, 0, 1).len(), 1);
    assert_eq!(fleet.ejected(), [1]);
}
