//! The rate of the cycle is the configured one, whatever the link, the sensor and the timer do.

use super::program::{A, CONFIG, channel};
use super::time::{Around, both};
use std::sync::Arc;
use twinstep::{Config, Mode, Preferred};

/// What differs from the configuration.
#[derive(Clone, Copy, Debug)]
struct Field {
    delay_us: u64,
    sensor_us: u64,
    late_us: u64,
    send_us: u64,
    /// B's clock against A's.
    drift_ppm: i64,
    is_alone: bool,
}

const USUAL: Field = Field { delay_us: 3_000, sensor_us: 0, late_us: 0, send_us: 0, drift_ppm: 0, is_alone: false };
/// The vote window holds two frames of ten times the configured delay.
const WIDE: Config = Config { vote_window_us: 85_000, ..CONFIG };
const CYCLES: usize = 340;
const LEFT_OUT: usize = 40;

/// What a channel saw of its run.
struct Seen {
    mean_us: f64,
    mode: Mode,
    timing: twinstep::Timing,
    retransmitted: u32,
}

fn run(config: Config, field: Field) -> [Seen; 2] {
    let around = [0, field.drift_ppm].map(|drift_ppm| Around {
        delay_us: field.delay_us,
        late_us: field.late_us,
        nap_us: 200_000,
        send_us: Arc::new(move |_| field.send_us),
        shows: Arc::new(move |now| (now as i64 + 1_000_000 + now as i64 * drift_ppm / 1_000_000) as u64),
    });
    both(around, move |mut port| {
        let nonce = 1 + port.me.index() as u32;
        let mut pair = channel(&port, Preferred(A), nonce, config);
        let mut starts = vec![];
        let mut mode = Mode::Starting;
        for cycle in 0..CYCLES {
            if field.is_alone && port.me != A && cycle > 20 {
                break;
            }
            let inner = port.clone();
            let _ = pair.cycle(&mut port, || {
                starts.push(inner.now_us());
                inner.pass(field.sensor_us);
                1
            });
            // One of both ends first, and then the other one is alone.
            mode = if cycle + 10 < CYCLES { pair.node().mode() } else { mode };
        }
        let spans = starts.len().saturating_sub(1 + LEFT_OUT);
        let span = starts.last().unwrap_or(&0) - starts.get(LEFT_OUT).unwrap_or(&0);
        Seen {
            mean_us: span as f64 / spans as f64,
            mode,
            timing: pair.node().timing(),
            retransmitted: pair.node().counters().retransmitted,
        }
    })
}

/// The mean period of both is the mean of what both clocks make of the configured one, within 1e-4.
fn judge(config: Config, field: Field) -> [Seen; 2] {
    let seen = run(config, field);
    // A clock that is 100 ppm fast ends its period 100 ppm early.
    let expected = f64::from(config.period_us) * (1.0 - field.drift_ppm as f64 / 2e6);
    for seen in seen.iter().take(if field.is_alone { 1 } else { 2 }) {
        let mode = if field.is_alone { Mode::Simplex } else { Mode::Duplex };
        assert_eq!(seen.mode, mode, "{field:?}");
        let off = (seen.mean_us / expected - 1.0).abs();
        assert!(off < 1e-4, "{field:?}: {} us, {off:.1e} off", seen.mean_us);
    }
    seen
}

#[test]
fn the_mean_period_is_the_configured_one_whatever_the_link_takes() {
    for delay_us in [0, 300, 400, 1_000, 3_000, 8_000, 20_000, 30_000] {
        let [a, b] = judge(WIDE, Field { delay_us, ..USUAL });
        for seen in [a, b] {
            let measured =
                u64::from(seen.timing.delay_us.unwrap_or_else(|| panic!("{delay_us} us: {:?}", seen.timing)));
            assert!(measured.abs_diff(delay_us) <= 20, "{delay_us} us is measured as {measured}");
            assert!(u64::from(seen.timing.period_us).abs_diff(100_000) <= 10, "{:?}", seen.timing);
            assert!(seen.timing.skew_us.abs() <= 20, "{:?}", seen.timing);
            // Not each frame of each cycle is sent again because its answer takes its time.
            assert!(seen.retransmitted <= 80, "{delay_us} us: {} repetitions", seen.retransmitted);
        }
    }
}

#[test]
fn the_mean_period_is_the_configured_one_whatever_the_sensor_takes() {
    for sensor_us in [1_000, 10_000, 40_000, 50_000] {
        for is_alone in [false, true] {
            judge(CONFIG, Field { sensor_us, is_alone, ..USUAL });
        }
        judge(CONFIG, Field { sensor_us, late_us: 1_000, send_us: 200, ..USUAL });
    }
}

#[test]
fn late_wake_ups_slow_sends_and_unequal_clocks_cost_no_rate() {
    for late_us in [1, 100, 1_000] {
        for is_alone in [false, true] {
            judge(CONFIG, Field { late_us, is_alone, ..USUAL });
            judge(CONFIG, Field { send_us: 200, late_us, is_alone, ..USUAL });
        }
    }
    for drift_ppm in [-200, 50, 200] {
        judge(CONFIG, Field { drift_ppm, ..USUAL });
        judge(CONFIG, Field { drift_ppm, delay_us: 8_000, sensor_us: 10_000, late_us: 700, ..USUAL });
    }
    judge(CONFIG, Field { send_us: 400, is_alone: true, sensor_us: 50_000, ..USUAL });
}
