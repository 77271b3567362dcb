//! Days, for expectations that expire.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

/// Something that is no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no day: write the year, the month and the day, such as 2027-06-30")]
pub struct BadDate(String);

impl Date {
    /// The day that it is, in UTC.
    #[must_use]
    pub fn today() -> Self {
        // A clock before 1970 makes every expectation count.
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::of_day(elapsed.map_or(0, |elapsed| elapsed.as_secs() / 86_400))
    }

    /// The day so many days after 1970-01-01.
    fn of_day(mut days: u64) -> Self {
        let mut year = 1970;
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= u64::from(days_of_month(year, month)) {
            days -= u64::from(days_of_month(year, month));
            month += 1;
        }
        let day = days as u32 + 1;
        Self { year, month, day }
    }
}

fn is_leap_year(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u32) -> u64 {
    if is_leap_year(year) { 366 } else { 365 }
}

/// 0 where there is no such month.
fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year(year) => 29,
        2 => 28,
        _ => 0,
    }
}

impl FromStr for Date {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        let bad = || BadDate(text.to_owned());
        let mut fields = text.splitn(3, '-').map(str::parse);
        let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(bad());
        };
        let date = Self { year, month, day };
        let exists = (1..=days_of_month(year, month)).contains(&day);
        // A number can be written in several ways, a day in one.
        match exists && date.to_string() == text {
            true => Ok(date),
            false => Err(bad()),
        }
    }
}

impl TryFrom<String> for Date {
    type Error = BadDate;

    fn try_from(text: String) -> Result<Self, BadDate> {
        text.parse()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970_with_leap_years() {
        for (days, text) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (789, "1972-02-29"),
            (11_016, "2000-02-29"),
            (20_783, "2026-11-26"),
            (20_818, "2026-12-31"),
            (20_819, "2027-01-01"),
        ] {
            assert_eq!(Date::of_day(days).to_string(), text);
            assert_eq!(text.parse(), Ok(Date::of_day(days)));
        }
    }

    #[test]
    fn days_are_ordered() {
        let days = ["2026-11-26", "2026-11-27", "2026-12-01", "2027-01-01"];
        let days = days.map(|text| text.parse::<Date>().unwrap());
        assert!(days.is_sorted());
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-11-31",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "26-11-26",
            "2026-1-026",
            "+026-01-01",
            "2026-11-26 ",
            "2026/11/26",
        ] {
            assert_eq!(text.parse::<Date>(), Err(BadDate(text.into())));
        }
    }
}
