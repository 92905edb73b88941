//! Points in time as XML Schema's `dateTime` spells them, on the proleptic Gregorian calendar.

use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;
const DAYS_PER_ERA: i64 = 146_097;
/// Days from the first of March of the year 0 to 1970.
const DAYS_TO_1970: i64 = 719_468;
/// XML Schema allows zones up to fourteen hours off.
const LARGEST_ZONE_SECONDS: i64 = 14 * 3600;
const LONGEST_YEAR_DIGITS: usize = 9;

/// Seconds since 1970. Prints in UTC; in hex where the year does not have four digits.
pub(crate) struct Instant(pub(crate) i64);

impl fmt::Display for Instant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(SECONDS_PER_DAY));
        if !(1..=9999).contains(&year) {
            return write!(formatter, "0x{:016x}", self.0);
        }
        let second = self.0.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
    }
}

/// Reads `yyyy-mm-ddThh:mm:ss`, an optional fraction, which is dropped, and the zone, which is mandatory.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let (clock, zone) = match time.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let (clock, zone) = time.split_at_checked(time.len().checked_sub("+00:00".len())?)?;
            (clock, parse_zone(zone)?)
        }
    };
    Some(parse_date(date)? * SECONDS_PER_DAY + parse_clock(clock)? - zone)
}

fn parse_date(text: &str) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let mut parts = text.split('-');
    let year = digits(parts.next()?, 4..=LONGEST_YEAR_DIGITS)? * sign;
    let month = digits(parts.next()?, 2..=2)?;
    let day = digits(parts.next()?, 2..=2)?;
    let days = days(year, month, day);
    // A day that the month does not have comes back as another date.
    (parts.next().is_none() && (1..=12).contains(&month) && date(days) == (year, month, day)).then_some(days)
}

fn parse_clock(text: &str) -> Option<i64> {
    let text = match text.split_once('.') {
        Some((whole, fraction)) => digits(fraction, 1..=18).map(|_| whole)?,
        None => text,
    };
    let mut parts = text.split(':');
    let hour = digits(parts.next()?, 2..=2)?;
    let minute = digits(parts.next()?, 2..=2)?;
    let second = digits(parts.next()?, 2..=2)?;
    (parts.next().is_none() && hour < 24 && minute < 60 && second < 60)
        .then_some(hour * 3600 + minute * 60 + second)
}

fn parse_zone(text: &str) -> Option<i64> {
    let (sign, text) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = text.split_once(':')?;
    let minutes = digits(minutes, 2..=2)?;
    let seconds = digits(hours, 2..=2)? * 3600 + minutes * 60;
    (minutes < 60 && seconds <= LARGEST_ZONE_SECONDS).then_some(sign * seconds)
}

fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let plain = count.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Days since 1970 to year, month and day. Years are counted from March, so that the leap day comes last.
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_TO_1970;
    let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (month + 9).rem_euclid(12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_specification_shows() {
        assert_eq!(parse("2001-01-01T10:00:00+10:00"), Some(0x3a4f_c880));
        assert_eq!(parse("1970-01-01T00:00:06+00:00"), Some(6));
        assert_eq!(parse("1970-01-01T00:00:06.999Z"), Some(6));
        assert_eq!(parse("2013-06-26T09:09:17+00:00"), Some(0x51ca_afbd));
        assert_eq!(parse("2024-02-29T23:59:59-00:30"), Some(1_709_252_999));
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "T",
            "2001-01-01",
            "2001-01-01T10:00:00",
            "2001-02-29T00:00:00Z",
            "2001-13-01T00:00:00Z",
            "2001-00-01T00:00:00Z",
            "2001-01-00T00:00:00Z",
            "2001-01-01T24:00:00Z",
            "2001-01-01T00:60:00Z",
            "2001-01-01T00:00:60Z",
            "2001-01-01T00:00:00+15:00",
            "2001-01-01T00:00:00.Z",
            "201-01-01T00:00:00Z",
            "2001-01-01T00:00:00Zé",
            "é001-01-01T00:00:00Z",
            "+001-01-01T00:00:00Z",
            "2001-1-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn prints_odd_years_in_hex() {
        assert_eq!(Instant(i64::MAX).to_string(), "0x7fffffffffffffff");
        assert_eq!(Instant(i64::MIN).to_string(), "0x8000000000000000");
        assert_eq!(Instant(-1).to_string(), "1969-12-31T23:59:59+00:00");
        assert_eq!(Instant(253_402_300_799).to_string(), "9999-12-31T23:59:59+00:00");
    }

    proptest! {
        #[test]
        fn reads_what_it_prints(seconds in -62_135_596_800_i64..253_402_300_800) {
            prop_assert_eq!(parse(&Instant(seconds).to_string()), Some(seconds));
        }

        #[test]
        fn never_panics(text in "[-0-9T:.Z+]{0,32}") {
            let _ = parse(&text);
        }
    }
}
