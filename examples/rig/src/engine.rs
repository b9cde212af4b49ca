//! Virtual time: gives the boards their turns, carries bytes at the speed of their lines, and goes from one thing that
//! happens to the next.
//!
//! All times are nanoseconds since the run began. A turn's work is done at once, and counts from its beginning: what a
//! board sends leaves it at the moment of its turn at which it was sent. A board that is killed has sent what had left by
//! then, and nothing else.

mod queue;
mod seat;

use crate::tether::{Done, Line, Rest};
use anyhow::Result;
use queue::Queue;
use seat::Seat;
use tether::TurnHeader;
use twinstep::ChannelId;
use twinstep::sim::LineModel;

/// What works in turns.
pub(crate) trait Machines {
    /// Lets a board work for a turn; `None`: it has stopped for good.
    ///
    /// # Errors
    /// If the emulator hangs.
    fn turn(&mut self, board: ChannelId, header: TurnHeader, link: &[u8], field: &[u8]) -> Result<Option<Done>>;
}

/// What time and lines are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Instructions in a microsecond; `None`: work takes no time.
    pub(crate) mhz: Option<u32>,
    /// The cross link, each way.
    pub(crate) link: LineModel,
    /// The deviations of the boards' clocks from true time, in millionths.
    pub(crate) drift_ppm: [i32; 2],
}

impl Pace {
    /// The pace of the scenarios, if nothing else is said: a Cortex-M at 50 MHz, and a UART with a FIFO of 16 bytes.
    pub(crate) const DEFAULT: Self = Self {
        mhz: Some(50),
        link: LineModel { baud: 115_200, fifo_bytes: 16, latency_us: 100 },
        drift_ppm: [50, -50],
    };
}

/// The field bus of each board: fast, with a driver that buffers all that a cycle says.
const FIELD_BUS: LineModel = LineModel { baud: 2_000_000, fifo_bytes: 4096, latency_us: 50 };
/// From power-up to the first turn.
const BOOT_NS: u64 = 5_000_000;
/// The least that a turn takes, where work takes no time.
const LEAST_TURN_NS: u64 = 1_000;
const NS_A_US: u64 = 1_000;

/// What happened that the run has to look at.
#[derive(Debug)]
pub(crate) enum Happened {
    /// A byte has left a board for the link; the other board would have it at that time.
    Left {
        from: ChannelId,
        /// The life of the board that sent it, which may be over.
        life: u32,
        byte: u8,
        arrives_ns: u64,
    },
    /// A board's bytes have reached the plant side.
    Said { from: ChannelId, bytes: Vec<u8> },
    /// A board has ended a turn, and sent a doorbell to the other one's core if it has no line to it.
    Worked(ChannelId),
    /// A board has stopped for good, or its program has, before the instruction at this address.
    Stopped { board: ChannelId, at: Option<u32> },
    /// A time has come that the run asked for.
    Alarm,
}

/// What is due.
enum Due {
    Turn { board: ChannelId, life: u32, generation: u64 },
    Left { from: ChannelId, life: u32, byte: u8, arrives_ns: u64 },
    Arrives { at: ChannelId, byte: u8 },
    Said { from: ChannelId, life: u32, bytes: Vec<u8> },
    Told { at: ChannelId, life: u32, bytes: Vec<u8> },
    Rung { at: ChannelId },
    Alarm,
}

/// The boards, their lines, and what is due.
pub(crate) struct Engine {
    pace: Pace,
    tick_ns_q16: u32,
    now_ns: u64,
    queue: Queue<Due>,
    seats: [Seat; 2],
    /// Where both are cores of one chip a send is a doorbell, and the bytes are in their memory.
    rings: bool,
}

impl Engine {
    /// Starts at time 0, with no board; `ticks_in_ten_instructions` is how the boards' counters count.
    pub(crate) fn new(pace: Pace, ticks_in_ten_instructions: u32) -> Self {
        let seats = pace.drift_ppm.map(|drift_ppm| Seat::new(pace.link, FIELD_BUS, drift_ppm));
        let tick_ns_q16 = pace.mhz.map_or(0, |mhz| {
            let instruction_ns_q16 = (1_000_u64 << 16) / u64::from(mhz);
            u32::try_from(instruction_ns_q16 * 10 / u64::from(ticks_in_ten_instructions)).unwrap_or(u32::MAX)
        });
        Self { pace, tick_ns_q16, now_ns: 0, queue: Queue::new(), seats, rings: false }
    }

    /// The boards are cores of one chip: a send rings the other one's doorbell.
    pub(crate) fn with_doorbells(mut self) -> Self {
        self.rings = true;
        self
    }

    /// Returns the time since the run began.
    pub(crate) fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// Returns the same in microseconds.
    pub(crate) fn now_us(&self) -> u64 {
        self.now_ns / NS_A_US
    }

    /// A board is powered up now; returns the number of its life.
    pub(crate) fn boot(&mut self, board: ChannelId) -> u32 {
        let seat = &mut self.seats[board.index()];
        seat.boot(self.now_ns);
        let due = Due::Turn { board, life: seat.life, generation: seat.generation };
        let life = seat.life;
        self.queue.push(self.now_ns + BOOT_NS, due);
        life
    }

    /// A board is dead from now on. What it sent and has not left is gone.
    pub(crate) fn kill(&mut self, board: ChannelId) {
        self.seats[board.index()].kill();
    }

    /// A board does nothing until this time, as if it had been stopped by a debugger; its clock goes on.
    pub(crate) fn stall(&mut self, board: ChannelId, until_ns: u64) {
        let seat = &mut self.seats[board.index()];
        seat.busy_until_ns = seat.busy_until_ns.max(until_ns);
    }

    /// Returns whether a board is alive in the life that it had.
    pub(crate) fn is_alive(&self, board: ChannelId, life: u32) -> bool {
        self.seats[board.index()].is_alive && self.seats[board.index()].life == life
    }

    /// A byte arrives at a board at this time.
    pub(crate) fn deliver(&mut self, to: ChannelId, byte: u8, at_ns: u64) {
        self.queue.push(at_ns, Due::Arrives { at: to, byte });
    }

    /// Tells a board something on its field bus.
    pub(crate) fn tell(&mut self, board: ChannelId, bytes: Vec<u8>) {
        let (now_ns, seat) = (self.now_ns, &mut self.seats[board.index()]);
        if seat.is_alive {
            let arrives_ns = bytes.iter().map(|_| seat.bus_in.send(now_ns).arrives_ns).last().unwrap_or(now_ns);
            self.queue.push(arrives_ns, Due::Told { at: board, life: seat.life, bytes });
        }
    }

    /// The run is woken at this time.
    pub(crate) fn alarm(&mut self, at_ns: u64) {
        self.queue.push(at_ns, Due::Alarm);
    }

    /// Goes on to the next thing that the run has to look at; `None`: nothing is due any more.
    ///
    /// # Errors
    /// If the emulator hangs.
    pub(crate) fn next(&mut self, machines: &mut dyn Machines) -> Result<Option<Happened>> {
        while let Some((at_ns, due)) = self.queue.pop() {
            self.now_ns = self.now_ns.max(at_ns);
            match due {
                Due::Turn { board, life, generation } => {
                    let seat = &self.seats[board.index()];
                    if !self.is_alive(board, life) || seat.generation != generation {
                        continue;
                    }
                    if seat.busy_until_ns > self.now_ns {
                        self.queue.push(seat.busy_until_ns, Due::Turn { board, life, generation });
                        continue;
                    }
                    return self.turn(board, machines).map(Some);
                }
                Due::Left { from, life, byte, arrives_ns } => {
                    return Ok(Some(Happened::Left { from, life, byte, arrives_ns }));
                }
                Due::Arrives { at, byte } => {
                    if self.seats[at.index()].hears_link(byte) {
                        self.wake(at);
                    }
                }
                Due::Told { at, life, bytes } => {
                    if self.is_alive(at, life) {
                        self.seats[at.index()].hears_bus(&bytes);
                        self.wake(at);
                    }
                }
                Due::Said { from, life, bytes } => {
                    if self.is_alive(from, life) {
                        return Ok(Some(Happened::Said { from, bytes }));
                    }
                }
                Due::Rung { at } => self.wake(at),
                Due::Alarm => return Ok(Some(Happened::Alarm)),
            }
        }
        Ok(None)
    }

    /// A message has come: a board that sleeps begins its next turn.
    fn wake(&mut self, board: ChannelId) {
        let seat = &self.seats[board.index()];
        if seat.is_alive && seat.wakes_on_bytes {
            let due = Due::Turn { board, life: seat.life, generation: seat.generation };
            self.queue.push(self.now_ns.max(seat.busy_until_ns), due);
        }
    }

    fn turn(&mut self, board: ChannelId, machines: &mut dyn Machines) -> Result<Happened> {
        let (now_ns, tick_ns_q16) = (self.now_ns, self.tick_ns_q16);
        let seat = &mut self.seats[board.index()];
        let (link, field) = seat.begin_turn();
        let header = TurnHeader {
            now_us: seat.clock_us(now_ns),
            tick_ns_q16,
            room_bytes: u16::try_from(seat.link_out.room_bytes(now_ns)).unwrap_or(u16::MAX),
            link_bytes: 0, // the tether counts them
        };
        let Some(done) = machines.turn(board, header, &link, &field)? else {
            seat.kill();
            return Ok(Happened::Stopped { board, at: None });
        };
        let life = seat.life;
        let mut taken_ns = now_ns;
        for said in done.said {
            let at_ns = now_ns + tether::ns_of(said.ticks, tick_ns_q16);
            match said.line {
                Line::CrossLink if self.rings => self.queue.push(at_ns, Due::Rung { at: board.other() }),
                Line::CrossLink => {
                    for byte in said.bytes {
                        let times = seat.link_out.send(at_ns);
                        taken_ns = times.accepted_ns;
                        let due = Due::Left { from: board, life, byte, arrives_ns: times.arrives_ns };
                        self.queue.push(times.left_ns, due);
                    }
                }
                Line::FieldBus => {
                    let left_ns = said.bytes.iter().map(|_| seat.bus_out.send(at_ns).left_ns).last();
                    self.queue.push(left_ns.unwrap_or(at_ns), Due::Said { from: board, life, bytes: said.bytes });
                }
            }
        }
        let worked_ns = tether::ns_of(done.ticks, tick_ns_q16).max(LEAST_TURN_NS);
        let ends_ns = now_ns + worked_ns;
        let wakes_ns = match done.rest {
            Rest::Until { us } => seat.true_ns(us).max(ends_ns),
            Rest::Taken => taken_ns.max(ends_ns),
            Rest::Stopped(at) => {
                seat.kill();
                return Ok(Happened::Stopped { board, at: Some(at) });
            }
        };
        seat.rest(ends_ns, matches!(done.rest, Rest::Until { .. }));
        self.queue.push(wakes_ns, Due::Turn { board, life, generation: seat.generation });
        Ok(Happened::Worked(board))
    }

    /// Returns the pace.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }
}

#[cfg(test)]
mod tests;
