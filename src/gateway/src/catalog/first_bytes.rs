//! How soon answers of a version begin.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The latest answers are looked at.
const REMEMBERED: usize = 200;
/// Of so few nobody knows what is late.
const ENOUGH: usize = 40;

/// Times to the first byte of the latest answers.
#[derive(Debug, Default)]
pub struct FirstBytes(Mutex<VecDeque<Duration>>);

impl FirstBytes {
    /// An answer began after that time.
    pub fn record(&self, time: Duration) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() >= REMEMBERED {
            times.pop_front();
        }
        times.push_back(time);
    }

    /// The time after which an answer is late: 95 of 100 begin earlier.
    pub fn late(&self) -> Option<Duration> {
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut times: Vec<_> = (times.len() >= ENOUGH).then(|| times.iter().copied().collect())?;
        let rank = times.len() * 95 / 100;
        Some(*times.select_nth_unstable(rank).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_what_few_of_the_latest_are() {
        let times = FirstBytes::default();
        for i in 0..ENOUGH as u64 - 1 {
            times.record(Duration::from_millis(1000 + i));
        }
        assert_eq!(times.late(), None);
        // The first ones are forgotten.
        for i in 0..REMEMBERED as u64 {
            times.record(Duration::from_millis(i % 100));
        }
        assert_eq!(times.late(), Some(Duration::from_millis(95)));
    }
}
