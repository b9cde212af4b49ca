//! The temperature around the tank: the hours of an average year in Seattle, from the CSV file in `data`.

use anyhow::{Context, bail, ensure};
use fastrand::Rng;
use serde::Deserialize;

const SEATTLE_CSV: &str = include_str!("../data/seattle-temps.csv");

/// One control cycle is 10 s of the plant's time.
const CYCLES_PER_HOUR: u64 = 360;

/// The year that the file's dates are of, and how many days its months have.
const YEAR: usize = 2010;
const DAYS_OF_MONTHS: [usize; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The temperature over time, from some hour of the year on.
pub(crate) struct Weather {
    /// One temperature for each hour, from the first of the year on; never empty.
    hours_c: Vec<f64>,
    start_hour: u64,
}

impl Weather {
    /// Seattle, beginning at an hour of the year that the seed picks.
    pub(crate) fn seattle(seed: u64) -> anyhow::Result<Self> {
        let hours_c = hours_c(SEATTLE_CSV).context("the embedded weather data")?;
        let start_hour = Rng::with_seed(seed).u64(0..hours_c.len() as u64);
        Ok(Weather { hours_c, start_hour })
    }

    /// The temperature in a control cycle, on a straight line from one hour to the next. After the last hour of the
    /// year comes the first.
    pub(crate) fn ambient_c(&self, cycle: u32) -> f64 {
        let cycles = u64::from(cycle);
        let hour = self.start_hour + cycles / CYCLES_PER_HOUR;
        let share = (cycles % CYCLES_PER_HOUR) as f64 / CYCLES_PER_HOUR as f64;
        let from_c = self.hour_c(hour);
        from_c + (self.hour_c(hour + 1) - from_c) * share
    }

    fn hour_c(&self, hour: u64) -> f64 {
        let at = hour % self.hours_c.len() as u64;
        self.hours_c.get(at as usize).copied().unwrap_or(f64::NAN)
    }
}

#[derive(Deserialize)]
struct Row<'r> {
    date: &'r str,
    #[serde(rename = "temp")]
    temperature_f: f64,
}

/// Reads one temperature for each hour, in degrees Celsius. The hours must follow each other from the first of the
/// year on. A single hour may be missing, as one is where daylight saving time begins: it gets the mean of its
/// neighbours.
fn hours_c(text: &str) -> anyhow::Result<Vec<f64>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().context("line 1")?.clone();
    let mut hours_c: Vec<f64> = Vec::new();
    for record in reader.records() {
        // Says the line itself.
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row<'_> = record.deserialize(Some(&headers)).with_context(|| format!("line {line}"))?;
        let Row { date, temperature_f } = row;
        ensure!(temperature_f.is_finite(), "line {line}: {temperature_f} is no temperature");
        let temperature_c = (temperature_f - 32.0) / 1.8;
        let hour = hour_of_year(date).with_context(|| format!("line {line}: {date:?} is no hour of {YEAR}"))?;
        match (hour.checked_sub(hours_c.len()), hours_c.last().copied()) {
            (Some(0), _) => {}
            (Some(1), Some(before_c)) => hours_c.push(before_c.midpoint(temperature_c)),
            _ => bail!("line {line}: {date} does not follow the hour before"),
        }
        hours_c.push(temperature_c);
    }
    ensure!(!hours_c.is_empty(), "no hours");
    Ok(hours_c)
}

/// Returns how many hours of the year are over at a date such as `2010/01/31 23:00`.
fn hour_of_year(date: &str) -> Option<usize> {
    let (day, time) = date.split_once(' ')?;
    let mut parts = day.split('/').map(|part| part.parse::<usize>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let hour: usize = time.strip_suffix(":00")?.parse().ok()?;

    let months_over = month.checked_sub(1)?;
    let days_of_month = *DAYS_OF_MONTHS.get(months_over)?;
    let is_valid = year == YEAR && parts.next().is_none() && (1..=days_of_month).contains(&day) && hour < 24;
    let days_over = DAYS_OF_MONTHS.iter().take(months_over).sum::<usize>() + day.checked_sub(1)?;
    is_valid.then_some(days_over * 24 + hour)
}

#[cfg(test)]
mod tests {
    use super::{SEATTLE_CSV, Weather, hour_of_year, hours_c};

    fn from_new_year() -> anyhow::Result<Weather> {
        Ok(Weather { hours_c: hours_c(SEATTLE_CSV)?, start_hour: 0 })
    }

    fn assert_near(one: f64, other: f64) {
        assert!((one - other).abs() < 0.005, "{one} is not {other}");
    }

    #[test]
    fn the_file_covers_the_year() -> anyhow::Result<()> {
        let weather = from_new_year()?;
        assert_eq!(weather.hours_c.len(), 365 * 24);
        let in_range = |hour_c: &f64| (3.0..25.0).contains(hour_c);
        assert!(weather.hours_c.iter().all(in_range));
        Ok(())
    }

    #[test]
    fn known_hours() -> anyhow::Result<()> {
        let weather = from_new_year()?;
        // 39.4 °F, then 39.2 °F, and half-way between the two.
        assert_near(weather.ambient_c(0), 4.11);
        assert_near(weather.ambient_c(360), 4.00);
        assert_near(weather.ambient_c(180), 4.06);
        // 39.6 °F in the last hour of the year, after which it begins anew.
        assert_near(weather.ambient_c(8_759 * 360), 4.22);
        assert_near(weather.ambient_c(8_760 * 360), 4.11);
        Ok(())
    }

    #[test]
    fn the_hour_lost_to_daylight_saving_time_is_made_up() -> anyhow::Result<()> {
        let weather = from_new_year()?;
        let lost = hour_of_year("2010/03/14 03:00").unwrap_or_default();
        // 43.0 °F before and 42.2 °F after it.
        let around: Vec<f64> = weather.hours_c.iter().skip(lost - 1).take(3).copied().collect();
        for (hour_c, known_c) in around.into_iter().zip([6.11, 5.89, 5.67]) {
            assert_near(hour_c, known_c);
        }
        Ok(())
    }

    #[test]
    fn every_cycle_has_a_temperature() -> anyhow::Result<()> {
        for seed in 0..20 {
            let weather = Weather::seattle(seed)?;
            for cycle in [0, 1, 359, 360, 3_153_599, 3_153_600, u32::MAX] {
                assert!((3.0..25.0).contains(&weather.ambient_c(cycle)));
            }
        }
        Ok(())
    }

    #[test]
    fn the_seed_picks_the_start() -> anyhow::Result<()> {
        assert_eq!(Weather::seattle(1)?.start_hour, Weather::seattle(1)?.start_hour);
        let mut starts: Vec<u64> = Vec::new();
        for seed in 0..20 {
            starts.push(Weather::seattle(seed)?.start_hour);
        }
        starts.sort_unstable();
        starts.dedup();
        assert!(starts.len() > 10);
        Ok(())
    }

    #[test]
    fn dates_are_hours_of_the_year() {
        assert_eq!(hour_of_year("2010/01/01 00:00"), Some(0));
        assert_eq!(hour_of_year("2010/03/01 01:00"), Some((31 + 28) * 24 + 1));
        assert_eq!(hour_of_year("2010/12/31 23:00"), Some(365 * 24 - 1));
        for wrong in [
            "",
            "2010/01/01",
            "2010/01/01 24:00",
            "2010/01/01 01:30",
            "2010/02/29 00:00",
            "2010/01/00 00:00",
            "2010/00/01 00:00",
            "2010/13/01 00:00",
            "2010/01/01/01 00:00",
            "2011/01/01 00:00",
        ] {
            assert_eq!(hour_of_year(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_malformed_line_is_named() {
        let first = "2010/01/01 00:00,39.4";
        for (malformed, line) in [
            ("2010/01/01 01:00,warm", "line 3"),
            ("2010/01/01 01:00,NaN", "line 3"),
            ("2010/01/01 01:00", "line: 3"),
            ("2010/01/01 01:00,39.2,1", "line: 3"),
            ("yesterday,39.2", "line 3"),
            ("2010/01/01 00:00,39.2", "line 3"),
            ("2010/01/01 03:00,39.2", "line 3"),
        ] {
            let error = hours_c(&format!("date,temp\n{first}\n{malformed}\n"))
                .map_or_else(|error| format!("{error:#}"), |_| String::new());
            assert!(error.contains(line), "{malformed}: {error}");
        }
        assert!(hours_c("date,temp\n").is_err());
        assert!(hours_c("date,humidity\n2010/01/01 00:00,39.4\n").is_err());
        assert!(hours_c("date,temp\n2010/01/01 01:00,39.4\n").is_err());
    }
}
