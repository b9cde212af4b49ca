//! Sends that take their time, in the run loop: an estimate of them that stays high would end reintegration for good, and a clock that is
//! read only after each of them is not one that jumps.

use super::program::{A, CONFIG, Relay, Sum, channel};
use super::time::{Around, Port, both};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use twinstep::sim::Storage;
use twinstep::{Config, Mode, Preferred};
use twinstep_hal::{Link, Lockstep};

/// A serves, B reboots. One send of A takes so long, or the clock jumps in it, and each cycle its outputs take so long.
fn after_one_slow_send(slow_us: u64, jump_us: u64, drive_us: u64) -> Mode {
    let around = [0, 1].map(|me| {
        let is_over = Arc::new(AtomicBool::new(false));
        let has_jumped = is_over.clone();
        Around {
            send_us: Arc::new(move |now| {
                let is_slow = me == 0 && now > 1_500_000 && !is_over.swap(true, SeqCst);
                400 + if is_slow { slow_us } else { 0 }
            }),
            shows: Arc::new(move |now| now + 1_000_000 + if has_jumped.load(SeqCst) { jump_us } else { 0 }),
            ..Around::usual()
        }
    });
    let [mode, _] = both(around, |mut port| {
        let mut mode = Mode::Starting;
        for (boot, cycles) in if port.me == A { vec![(1, 120)] } else { vec![(2, 40), (3, 90)] } {
            let mut pair = channel(&port, Preferred(A), boot, CONFIG);
            for _ in 0..cycles {
                let _ = pair.cycle(&mut port, || 1).unwrap();
                if port.me == A {
                    port.pass(drive_us);
                }
                mode = pair.node().mode();
            }
            if boot > 1 {
                port.pass(500_000);
            }
        }
        mode
    });
    mode
}

#[test]
fn one_slow_send_ends_no_reintegration() {
    for (slow_us, jump_us, drive_us) in [(0, 0, 0), (150_000, 0, 0), (50_000, 0, 55_000), (0, 10_000_000, 0)] {
        assert_eq!(after_one_slow_send(slow_us, jump_us, drive_us), Mode::Duplex, "{slow_us} {jump_us} {drive_us}");
    }
}

/// A link whose send ends with an error after so long, whatever time it is given.
struct Slow {
    port: Port,
    out_us: Arc<AtomicU64>,
}

impl Link for Slow {
    type Error = ();
    const FRAME_BYTES: usize = 655;

    fn send(&mut self, frame: &[u8], within_us: u32) -> Result<(), ()> {
        match self.out_us.load(SeqCst) {
            0 => self.port.send(frame, within_us),
            us => {
                self.port.pass(us);
                Err(())
            }
        }
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, ()> {
        self.port.receive()
    }
}

/// B dies at 4 s; from then on each send of A fails after this long. Returns A's longest cycle, and how many it served alone.
fn after_sends_that_fail(out_us: u64) -> (u64, u32) {
    let relay = Relay::default();
    let [a, _] = both([Around::usual(), Around::usual()], |mut port| {
        let (mut longest_us, mut alone) = (0, 0);
        let slow = Arc::new(AtomicU64::new(0));
        let link = Slow { port: port.clone(), out_us: slow.clone() };
        let memory: &'static mut Storage<[u32; 256]> = Box::leak(Box::new(Storage::new()));
        let config = Config { nonce: 1 + port.me.index() as u32, ..CONFIG };
        let mut pair = Lockstep::<Sum, _, _>::new(port.me, memory.cells(), link, relay.clone(), config).unwrap();
        let until_us = if port.me == A { 34_000_000 } else { 4_000_000 };
        while port.now_us() < until_us {
            if port.now_us() > 3_950_000 && port.me == A {
                slow.store(out_us, SeqCst);
            }
            let before_us = port.now_us();
            let _ = pair.cycle(&mut port, || 1).unwrap();
            longest_us = longest_us.max(port.now_us() - before_us);
            alone = pair.node().counters().alone;
        }
        (longest_us, alone)
    });
    a
}

/// A driver that does not keep to the time that it is given makes cycles longer, but each of them ends.
#[test]
fn sends_longer_than_the_longest_gap_leave_a_cycle_its_end() {
    for out_us in [199_000, 250_000, 400_000] {
        let (longest_us, alone) = after_sends_that_fail(out_us);
        assert!(longest_us < 6 * out_us && alone > 20, "{out_us} us: {longest_us} us, {alone} cycles");
    }
}
