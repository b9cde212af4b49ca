//! A UART that takes nothing since a dead peer holds its line, and one whose receiver stays deaf after an error.

use super::program::{A, CONFIG, Sum};
use super::time::{Around, Port, both};
use embedded_hal::delay::DelayNs;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use twinstep::sim::Storage;
use twinstep::{Config, Mode, Preferred};
use twinstep_hal::{Link, Lockstep, SerialLink};

/// What is wrong with the UART of A.
#[derive(Clone, Default)]
struct Wrong {
    takes_nothing: Arc<AtomicBool>,
    /// Its FIFO takes a frame, and nothing of it goes out.
    holds_fifo: Arc<AtomicBool>,
    fails_once: Arc<AtomicBool>,
}

struct Uart {
    port: Port,
    bytes: Vec<u8>,
    wrong: Wrong,
    is_deaf: bool,
}

impl ErrorType for Uart {
    type Error = ErrorKind;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        while let Ok(Some(bytes)) = self.port.receive() {
            self.bytes.extend(bytes);
        }
        Ok(!self.bytes.is_empty() && !self.is_deaf)
    }
}

impl Read for Uart {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, ErrorKind> {
        if self.wrong.fails_once.swap(false, SeqCst) {
            self.is_deaf = true;
            return Err(ErrorKind::Other);
        }
        into[0] = self.bytes.remove(0);
        Ok(1)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.wrong.takes_nothing.load(SeqCst))
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        if self.wrong.takes_nothing.load(SeqCst) {
            self.port.pass(10_000_000);
        }
        let _ = self.port.send(bytes, 0);
        Ok(bytes.len())
    }

    /// What is in its FIFO stays there while the peer holds the line.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        if self.wrong.holds_fifo.load(SeqCst) {
            self.port.pass(10_000_000);
        }
        Ok(())
    }
}

struct Delay(Port);

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        self.0.pass(u64::from(ns).div_ceil(1_000));
    }
}

/// How A did: its longest call, how many cycles it served while B was off, its mode in the end.
#[derive(Debug)]
struct End {
    longest_us: u64,
    alone: u32,
    mode: Mode,
}

/// B dies after twenty cycles, and boots again a second later.
fn run([takes_nothing, holds_fifo]: [bool; 2], goes_deaf: bool, restarts: bool) -> End {
    let wrong = Wrong::default();
    let [a, _] = both([Around::usual(), Around::usual()], |mut port| {
        let is_a = port.me == A;
        let mut end = End { longest_us: 0, alone: 0, mode: Mode::Starting };
        for nonce in if is_a { vec![1] } else { vec![2, 3] } {
            let mine = if is_a { wrong.clone() } else { Wrong::default() };
            let uart = Uart { port: port.clone(), bytes: vec![], wrong: mine, is_deaf: false };
            let mut link = SerialLink::<_, 655, _>::polled(uart, Delay(port.clone()));
            if restarts {
                link = link.restarted_by(|uart| uart.is_deaf = false);
            }
            let memory: &'static mut Storage<[u32; 256]> = Box::leak(Box::new(Storage::new()));
            let config = Config { nonce, ..CONFIG };
            let mut pair = Lockstep::<Sum, _, _>::new(port.me, memory.cells(), link, Preferred(A), config).unwrap();
            for _ in 0..if nonce == 2 { 20 } else { 80 } {
                let before = port.now_us();
                let _ = pair.cycle(&mut port, || 1).unwrap();
                end.longest_us = end.longest_us.max(port.now_us() - before);
                if port.now_us() < 7_500_000 {
                    (end.alone, end.mode) = (pair.node().counters().alone, pair.node().mode());
                }
            }
            if nonce == 2 {
                wrong.takes_nothing.store(takes_nothing, SeqCst);
                wrong.holds_fifo.store(holds_fifo, SeqCst);
                port.pass(1_000_000);
                wrong.takes_nothing.store(false, SeqCst);
                wrong.holds_fifo.store(false, SeqCst);
                wrong.fails_once.store(goes_deaf, SeqCst);
            }
        }
        end
    });
    a
}

#[test]
fn a_cycle_comes_back_in_two_periods_though_the_uart_takes_nothing() {
    for blocked in [[false, false], [true, false], [false, true]] {
        let end = run(blocked, false, true);
        assert!(end.longest_us <= 200_000, "{end:?}");
        assert!(end.alone >= 9, "{end:?}");
        assert_eq!(end.mode, Mode::Duplex, "{end:?}");
    }
}

#[test]
fn a_deaf_receiver_is_brought_back() {
    assert_eq!(run([false; 2], true, true).mode, Mode::Duplex);
    assert_eq!(run([false; 2], true, false).mode, Mode::Simplex, "nobody restarts it");
}

/// A's UART takes nothing for forty cycles; B lives on. Returns A's longest cycle, and its mode in the end.
fn with_a_living_peer(patience: u8) -> (u64, Mode) {
    let [a, _] = both([Around::usual(), Around::usual()], |mut port| {
        let wrong = Wrong::default();
        let uart = Uart { port: port.clone(), bytes: vec![], wrong: wrong.clone(), is_deaf: false };
        let link = SerialLink::<_, 655, _>::polled(uart, Delay(port.clone()));
        let memory: &'static mut Storage<[u32; 256]> = Box::leak(Box::new(Storage::new()));
        let config = Config { nonce: 1 + port.me.index() as u32, patience, ..CONFIG };
        let mut pair = Lockstep::<Sum, _, _>::new(port.me, memory.cells(), link, Preferred(A), config).unwrap();
        let (mut longest_us, mut mode) = (0, Mode::Starting);
        for cycle in 0..160 {
            wrong.takes_nothing.store(port.me == A && (40..80).contains(&cycle), SeqCst);
            let before = port.now_us();
            let _ = pair.cycle(&mut port, || 1).unwrap();
            longest_us = longest_us.max(port.now_us() - before);
            mode = if cycle < 150 { pair.node().mode() } else { mode };
        }
        (longest_us, mode)
    });
    a
}

/// A send that failed is the last one of its turn: the next one would take its time as well.
#[test]
fn nor_do_the_frames_for_a_living_peer_hold_it() {
    for patience in [0, 1, 2] {
        let (longest_us, mode) = with_a_living_peer(patience);
        assert!(longest_us <= 200_000 && mode == Mode::Duplex, "patience {patience}: {longest_us} us, {mode:?}");
    }
}
