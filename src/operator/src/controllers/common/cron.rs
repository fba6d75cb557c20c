//! Times as cron writes them: five fields, or a nickname. Pure.
//!
//! A time of day that the clock skips when it is put forward comes as much later as the clock is put forward. One
//! that comes twice when the clock is put back counts once, the first time. When both the day of the month and the day
//! of the week are restricted, a day that is either counts, as everywhere since Vixie's cron.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// Days that are looked at for a match: a leap day that is no leap day of a century is at most eight years away.
const HORIZON: i32 = 366 * 9;
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A set of times: a bit for each value that a field may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day counts that is in either of `days` and `weekdays`.
    is_either: bool,
}

/// What a field may hold.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    /// Names of values, from `first` on.
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    field("minute", 0, 59, &[]),
    field("hour", 0, 23, &[]),
    field("day of the month", 1, 31, &[]),
    field("month", 1, 12, &MONTHS),
    // Sunday is 0 and 7.
    field("day of the week", 0, 7, &WEEKDAYS),
];

const fn field(name: &'static str, first: u32, last: u32, names: &'static [&'static str]) -> Field {
    Field {
        name,
        first,
        last,
        names,
    }
}

impl Cron {
    /// The times that `text` means.
    ///
    /// # Errors
    /// Which field makes no sense, or that no day ever matches.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("{text:?} has {} fields instead of 5", fields.len()));
        };
        let mut bits = [0; 5];
        for ((bits, field), text) in bits
            .iter_mut()
            .zip(&FIELDS)
            .zip([minutes, hours, days, months, weekdays])
        {
            *bits = field.parse(text)?;
        }
        let [minutes, hours, day_bits, months, weekday_bits] = bits;
        let is_open = |text: &&str| text.starts_with(['*', '?']);
        let cron = Self {
            minutes,
            hours,
            days: day_bits,
            months,
            weekdays: weekday_bits | (weekday_bits >> 7 & 1),
            is_either: !is_open(days) && !is_open(weekdays),
        };
        let some_day = jiff::civil::date(2000, 1, 1);
        match (0..HORIZON).any(|days| later(some_day, days).is_some_and(|date| cron.is_day(date))) {
            true => Ok(cron),
            false => Err(format!("{text:?} never comes: no such day exists")),
        }
    }

    /// The first time after `time`.
    pub fn after(&self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = time.to_zoned(zone.clone()).date();
        (0..HORIZON)
            .filter_map(|days| later(today, days))
            .filter(|date| self.is_day(*date))
            .find_map(|date| self.times(date, zone).filter(|found| *found > time).min())
    }

    /// The last time that is not after `time`.
    pub fn until(&self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let today = time.to_zoned(zone.clone()).date();
        (0..HORIZON)
            .filter_map(|days| later(today, -days))
            .filter(|date| self.is_day(*date))
            .find_map(|date| self.times(date, zone).filter(|found| *found <= time).max())
    }

    fn is_day(&self, date: Date) -> bool {
        let has = |bits: u64, value: i8| bits >> value & 1 == 1;
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let is_day = if self.is_either { day || weekday } else { day && weekday };
        is_day && has(self.months, date.month())
    }

    /// The times of a day, in no order: those that the clock skips come with others.
    fn times(&self, date: Date, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
        let (hours, minutes) = (self.hours, self.minutes);
        let all = (0_i8..24).filter(move |hour| hours >> hour & 1 == 1);
        all.flat_map(move |hour| {
            let minutes = (0_i8..60).filter(move |minute| minutes >> minute & 1 == 1);
            minutes.filter_map(move |minute| {
                let ambiguous = zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
                ambiguous.compatible().ok()
            })
        })
    }
}

fn later(date: Date, days: i32) -> Option<Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64, String> {
        text.split(',').try_fold(0, |bits, part| Ok(bits | self.part(part)?))
    }

    /// `*`, `a`, `a-b`, each with `/step` or without.
    fn part(&self, part: &str) -> Result<u64, String> {
        let fault = |why: &str| format!("the {} {part:?} {why}", self.name);
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.first, self.last),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // Vixie's cron: from there to the end.
            None if step.is_some() => (self.value(range)?, self.last),
            None => (self.value(range)?, self.value(range)?),
        };
        let step: u32 = match step {
            None => 1,
            Some(step) => step.parse().map_err(|_| fault("has a step that is no number"))?,
        };
        if step == 0 {
            return Err(fault("has a step of 0"));
        }
        if from > to {
            return Err(fault("ends before it begins"));
        }
        let step = usize::try_from(step).map_err(|_| fault("has a step that is too large"))?;
        Ok((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u32::try_from(index).ok());
        let value = named.map(|index| index + self.first).or_else(|| text.parse().ok());
        value
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| {
                format!(
                    "the {} {text:?} is not between {} and {}",
                    self.name, self.first, self.last
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    /// So many times after one.
    fn series(cron: &str, name: &str, from: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (Cron::parse(cron).unwrap(), zone(name));
        let mut time = at(from);
        let mut found = Vec::new();
        for _ in 0..count {
            time = cron.after(time, &zone).unwrap();
            found.push(time.to_string());
        }
        found
    }

    #[rstest]
    #[case("0 3 * * 0", "2026-11-26T18:00:00Z", "2026-11-29T03:00:00Z")]
    #[case("0 3 * * 7", "2026-11-26T18:00:00Z", "2026-11-29T03:00:00Z")]
    #[case("0 3 * * sun", "2026-11-26T18:00:00Z", "2026-11-29T03:00:00Z")]
    #[case("@weekly", "2026-11-26T18:00:00Z", "2026-11-29T00:00:00Z")]
    #[case("@monthly", "2026-11-26T18:00:00Z", "2026-12-01T00:00:00Z")]
    #[case("@yearly", "2026-11-26T18:00:00Z", "2027-01-01T00:00:00Z")]
    #[case("@hourly", "2026-11-26T18:59:59Z", "2026-11-26T19:00:00Z")]
    #[case("*/15 * * * *", "2026-11-26T18:00:00Z", "2026-11-26T18:15:00Z")]
    #[case("5/20 * * * *", "2026-11-26T18:25:00Z", "2026-11-26T18:45:00Z")]
    #[case("0 22-23,1 * * *", "2026-11-26T23:00:00Z", "2026-11-27T01:00:00Z")]
    #[case("0 0 29 2 *", "2026-11-26T18:00:00Z", "2028-02-29T00:00:00Z")]
    // Either the 13th or a Friday.
    #[case("0 0 13 * fri", "2026-11-26T18:00:00Z", "2026-11-27T00:00:00Z")]
    #[case("0 0 13 * fri", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z")]
    // A starred field restricts nothing, even with a step.
    #[case("0 0 */2 * mon", "2026-11-26T18:00:00Z", "2026-12-07T00:00:00Z")]
    #[case("30 4 1,15 JAN-MAR ?", "2026-11-26T18:00:00Z", "2027-01-01T04:30:00Z")]
    fn the_next_time(#[case] cron: &str, #[case] from: &str, #[case] next: &str) {
        assert_eq!(
            Cron::parse(cron).unwrap().after(at(from), &TimeZone::UTC),
            Some(at(next))
        );
    }

    #[rstest]
    #[case("* * * *", "4 fields")]
    #[case("60 * * * *", "minute \"60\"")]
    #[case("* 24 * * *", "hour")]
    #[case("* * 0 * *", "day of the month")]
    #[case("* * * 13 *", "month")]
    #[case("* * * * 8", "day of the week")]
    #[case("5-3 * * * *", "ends before")]
    #[case("*/0 * * * *", "step of 0")]
    #[case("*/x * * * *", "no number")]
    #[case("*/99999999999 * * * *", "no number")]
    #[case("0 0 30 2 *", "never comes")]
    #[case("@sometimes", "1 fields")]
    #[case("-1 * * * *", "minute")]
    fn nonsense_is_refused(#[case] cron: &str, #[case] words: &str) {
        let error = Cron::parse(cron).unwrap_err();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn a_time_that_the_clock_skips_comes_later_the_same_day() {
        // In Warsaw, 02:30 of 29 March 2026 does not exist.
        assert_eq!(
            series("30 2 * * *", "Europe/Warsaw", "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
        // 02:30 and 03:30 are the same time that day: it comes once.
        assert_eq!(
            series("30 2,3 * * *", "Europe/Warsaw", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
    }

    #[test]
    fn a_time_that_comes_twice_counts_once() {
        // In New York, 01:30 of 1 November 2026 comes twice.
        assert_eq!(
            series("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2),
            ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
        );
    }

    #[test]
    fn zones_half_an_hour_off_are_known() {
        assert_eq!(
            series("0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", 1),
            ["2026-01-01T03:30:00Z"]
        );
        // Lord Howe Island moves its clock by half an hour.
        assert_eq!(
            series("15 2 4 10 *", "Australia/Lord_Howe", "2026-10-01T00:00:00Z", 1),
            ["2026-10-03T15:45:00Z"]
        );
    }

    #[test]
    fn the_last_time_is_found_backwards() {
        let cron = Cron::parse("0 3 * * *").unwrap();
        let until = |time: &str| cron.until(at(time), &zone("Europe/Warsaw")).unwrap().to_string();
        assert_eq!(until("2026-11-26T02:00:00Z"), "2026-11-26T02:00:00Z");
        assert_eq!(until("2026-11-26T01:59:59Z"), "2026-11-25T02:00:00Z");
        assert_eq!(until("2026-03-29T12:00:00Z"), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn both_directions_agree() {
        let (cron, zone) = (Cron::parse("*/37 */5 * * 1-5").unwrap(), zone("Europe/London"));
        let mut time = at("2026-03-20T00:00:00Z");
        for _ in 0..200 {
            let next = cron.after(time, &zone).unwrap();
            assert!(next > time);
            assert_eq!(cron.until(next, &zone), Some(next));
            time = next;
        }
    }
}
