//! Virtual time: gives the boards their turns, carries bytes at the speed of their lines, and goes from one thing that
//! happens to the next.
//!
//! All times are nanoseconds since the run began. A turn's work is done at once, and counts from its beginning: what a
//! board sends leaves it at the moment of its turn at which it was sent. A board that is killed has sent what had left by
//! then, and nothing else.

mod queue;
mod seat;

use crate::tether::{Done, Line, Rest};
use anyhow::{Context, Result};
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
    fn turn(&mut self, board: ChannelId, given: &Given) -> Result<Option<Done>>;
}

/// What a board is given for a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The time, and what has arrived on link and field bus.
    Turn { header: TurnHeader, link: Vec<u8>, field: Vec<u8> },
    /// It goes on with the turn in which its program stopped.
    GoOn,
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
    /// A board's bytes, of its turn of this number, have reached the plant side.
    Said { from: ChannelId, turn: u64, bytes: Vec<u8> },
    /// A board has ended a turn.
    Worked,
    /// A board is gone.
    Gone(ChannelId),
    /// A board's program has stopped before the instruction at this address. It may go on.
    Stopped { board: ChannelId, at: u32 },
    /// A time has come that the run asked for.
    Alarm,
}

/// What is due.
enum Due {
    Turn { board: ChannelId, life: u32, generation: u64 },
    Left { from: ChannelId, life: u32, byte: u8, arrives_ns: u64 },
    Arrives { at: ChannelId, byte: u8 },
    Said { from: ChannelId, life: u32, turn: u64, bytes: Vec<u8> },
    GoesOn { board: ChannelId, life: u32 },
    Told { at: ChannelId, life: u32, bytes: Vec<u8> },
    Rung { at: ChannelId },
    Alarm { again_after_ns: Option<u64> },
}

/// The boards, their lines, and what is due.
pub(crate) struct Engine {
    tick_ns_q16: u32,
    now_ns: u64,
    /// How many turns were given.
    turns: u64,
    queue: Queue<Due>,
    seats: [Seat; 2],
    /// Where both are cores of one chip a send is a doorbell, and the bytes are in their memory.
    rings: bool,
}

impl Engine {
    /// Starts at time 0, with no board. So fast count the boards' counters.
    pub(crate) fn new(pace: Pace, ticks_in_a_hundred_instructions: u32) -> Self {
        let seats = pace.drift_ppm.map(|drift_ppm| Seat::new(pace.link, FIELD_BUS, drift_ppm));
        let tick_ns_q16 = pace.mhz.map_or(0, |mhz| {
            let instruction_ns_q16 = (1_000_u64 << 16) / u64::from(mhz);
            u32::try_from(instruction_ns_q16 * 100 / u64::from(ticks_in_a_hundred_instructions)).unwrap_or(u32::MAX)
        });
        Self { tick_ns_q16, now_ns: 0, turns: 0, queue: Queue::new(), seats, rings: false }
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

    /// A board gets no turn any more, though what it has sent goes its way: its processor has stopped.
    pub(crate) fn stop(&mut self, board: ChannelId) {
        self.seats[board.index()].stop();
    }

    /// A board that was stopped gets turns again, from now on.
    pub(crate) fn resume(&mut self, board: ChannelId) {
        let seat = &self.seats[board.index()];
        self.queue.push(self.now_ns, Due::Turn { board, life: seat.life, generation: seat.generation });
    }

    /// Lets a board's clock run at another rate from now on, and jump.
    pub(crate) fn set_clock(&mut self, board: ChannelId, drift_ppm: i32, jump_us: i64) {
        self.seats[board.index()].set_clock(self.now_ns, drift_ppm, jump_us);
        self.wake(board); // what it waits for may have come
    }

    /// A board whose program has stopped goes on with it, now.
    pub(crate) fn go_on(&mut self, board: ChannelId) {
        let life = self.seats[board.index()].life;
        self.queue.push(self.now_ns, Due::GoesOn { board, life });
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
        self.queue.push(at_ns, Due::Alarm { again_after_ns: None });
    }

    /// The run is woken from now on each time that so much has gone by, also where nothing happens.
    pub(crate) fn alarm_every(&mut self, span_ns: u64) {
        self.queue.push(self.now_ns + span_ns, Due::Alarm { again_after_ns: Some(span_ns) });
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
                    return self.begin_turn(board, machines).map(Some);
                }
                Due::GoesOn { board, life } => {
                    if self.is_alive(board, life) {
                        return self.turn(board, &Given::GoOn, machines).map(Some);
                    }
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
                Due::Said { from, life, turn, bytes } => {
                    if self.is_alive(from, life) {
                        return Ok(Some(Happened::Said { from, turn, bytes }));
                    }
                }
                Due::Rung { at } => self.wake(at),
                Due::Alarm { again_after_ns } => {
                    if let Some(span_ns) = again_after_ns {
                        self.alarm_every(span_ns);
                    }
                    return Ok(Some(Happened::Alarm));
                }
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

    fn begin_turn(&mut self, board: ChannelId, machines: &mut dyn Machines) -> Result<Happened> {
        let seat = &mut self.seats[board.index()];
        let (link, field) = seat.begin_turn();
        let header = TurnHeader {
            now_us: seat.clock_us(self.now_ns),
            tick_ns_q16: self.tick_ns_q16,
            room_bytes: u16::try_from(seat.link_out.room_bytes(self.now_ns)).unwrap_or(u16::MAX),
            link_bytes: link.len() as u16, // a driver's buffer holds no more
        };
        self.turn(board, &Given::Turn { header, link, field }, machines)
    }

    fn turn(&mut self, board: ChannelId, given: &Given, machines: &mut dyn Machines) -> Result<Happened> {
        let (now_ns, tick_ns_q16) = (self.now_ns, self.tick_ns_q16);
        self.turns += 1;
        let at = || format!("{board} after {} ms of virtual time", now_ns / 1_000_000);
        let Some(mut done) = machines.turn(board, given).with_context(at)? else {
            self.kill(board);
            return Ok(Happened::Gone(board));
        };
        if *given == Given::GoOn {
            done.count_from(self.seats[board.index()].stopped_after);
        }
        let taken_ns = self.send(board, &done);
        let seat = &mut self.seats[board.index()];
        let ends_ns = now_ns + tether::ns_of(done.ticks, tick_ns_q16).max(LEAST_TURN_NS);
        let wakes_ns = match done.rest {
            Rest::Until { us } => seat.true_ns(us).max(ends_ns),
            Rest::Taken => taken_ns.max(ends_ns),
            Rest::Stopped(at) => {
                seat.stop();
                seat.stopped_after = done.ticks;
                return Ok(Happened::Stopped { board, at });
            }
        };
        seat.rest(ends_ns, matches!(done.rest, Rest::Until { .. }));
        self.queue.push(wakes_ns, Due::Turn { board, life: seat.life, generation: seat.generation });
        Ok(Happened::Worked)
    }

    /// Puts what a board sent in a turn on its lines; returns when its UART has taken all of it.
    fn send(&mut self, board: ChannelId, done: &Done) -> u64 {
        let (seat, turn) = (&mut self.seats[board.index()], self.turns);
        let life = seat.life;
        let mut taken_ns = self.now_ns;
        for said in &done.said {
            let at_ns = self.now_ns + tether::ns_of(said.ticks, self.tick_ns_q16);
            match said.line {
                Line::CrossLink if self.rings => self.queue.push(at_ns, Due::Rung { at: board.other() }),
                Line::CrossLink => {
                    for byte in &said.bytes {
                        let times = seat.link_out.send(at_ns);
                        taken_ns = times.accepted_ns;
                        let due = Due::Left { from: board, life, byte: *byte, arrives_ns: times.arrives_ns };
                        self.queue.push(times.left_ns, due);
                    }
                }
                Line::FieldBus => {
                    let left_ns = said.bytes.iter().map(|_| seat.bus_out.send(at_ns).left_ns).last();
                    let due = Due::Said { from: board, life, turn, bytes: said.bytes.clone() };
                    self.queue.push(left_ns.unwrap_or(at_ns), due);
                }
            }
        }
        taken_ns
    }
}

#[cfg(test)]
mod tests;
