//! One smoke on boards with clocks and UARTs of their own, by the host's clock: what all other runs have in virtual time.
//!
//! A busy host may stop a board for as long as it likes. So nothing is claimed of time: a board that is killed may be
//! missed late, and a board that was held up may be taken for a dead one. What no host can change is claimed: no output
//! is wrong, none is driven by two, and the outputs go on after the death of the board that drove.

use crate::board::{MACHINE, accept, listen, stop};
use crate::frames::{Deframer, framed};
use crate::judge::Judge;
use crate::plant_side::PlantSide;
use crate::relay::Relay;
use crate::run::{Outcome, Progress};
use crate::scenario::{Plan, claim};
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tank::field_bus::{MAX_MESSAGE_BYTES, ModeCode, ToBoard, ToPlant};
use twinstep::ChannelId;

/// Wall time: a pair of which nothing is heard for so long has stopped.
const SILENT_AT_MOST: Duration = Duration::from_secs(120);
/// How long a board may take to read what no longer fits into its socket; then it is lost.
const SEND_WITHIN: Duration = Duration::from_millis(100);
/// Cycles in duplex before the death of the board that drives, and after it.
const CYCLES_BEFORE: u32 = 20;
/// See above.
const CYCLES_AFTER: u32 = 20;

/// A line of a board.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    CrossLink,
    FieldBus,
}

/// Bytes that a board sent.
struct Heard {
    board: ChannelId,
    line: Line,
    bytes: Vec<u8>,
}

/// A running board. It is killed when dropped.
struct Board {
    process: Child,
    cross_link: UnixStream,
    field_bus: UnixStream,
}

impl Board {
    fn boot(qemu: &Path, image: &Path, folder: &Path, board: ChannelId, heard: &Sender<Heard>) -> Result<Self> {
        let (cross_link, cross_path) = listen(&folder.join(format!("cross-{board}")))?;
        let (field_bus, field_path) = listen(&folder.join(format!("field-{board}")))?;
        let chardev = |id: &str, path: &Path| format!("socket,id={id},path={}", path.display());
        let mut process = Command::new(qemu)
            .args(["-M", MACHINE, "-display", "none", "-monitor", "none"])
            .args(["-semihosting-config", "enable=on,target=native,chardev=log", "-chardev", "null,id=log"])
            .args(["-chardev", &chardev("cross", &cross_path), "-serial", "chardev:cross"])
            .args(["-chardev", &chardev("field", &field_path), "-serial", "chardev:field"])
            .arg("-kernel")
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", qemu.display()))?;
        let connected = (|| {
            let ports = [accept(&cross_link, &mut process, MACHINE)?, accept(&field_bus, &mut process, MACHINE)?];
            for (port, line) in ports.iter().zip([Line::CrossLink, Line::FieldBus]) {
                port.set_write_timeout(Some(SEND_WITHIN))?;
                listen_to(port.try_clone()?, heard.clone(), board, line);
            }
            Ok::<_, anyhow::Error>(ports)
        })();
        match connected {
            Ok([cross_link, field_bus]) => Ok(Self { process, cross_link, field_bus }),
            Err(error) => {
                stop(&mut process);
                Err(error)
            }
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn listen_to(mut stream: UnixStream, heard: Sender<Heard>, board: ChannelId, line: Line) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            let bytes = buffer[..count].to_vec();
            if heard.send(Heard { board, line, bytes }).is_err() {
                return;
            }
        }
    });
}

const CHANNELS: [ChannelId; 2] = [ChannelId::A, ChannelId::B];

/// The rig's side of the run.
struct Run {
    boards: [Option<Board>; 2],
    from_board: [Deframer; 2],
    taps: [Deframer; 2],
    nonces: [u32; 2],
    pair: u32,
    relay: Relay,
    judge: Judge,
    plant: PlantSide,
    driver: Option<ChannelId>,
    /// Cycles that had reached the plant when a board was killed, and which one it was.
    killed: Option<(u32, ChannelId)>,
    driven_by_survivor: u32,
    modes: [Option<ModeCode>; 2],
    /// The cycle since which both boards have been in duplex.
    duplex_since: Option<u32>,
}

/// Kills the board that drives, on two boards that boot this image.
pub(crate) fn run(plan: Plan, qemu: &Path, image: &Path, progress: &Progress) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("no temporary folder for the boards' ports")?;
    let (sender, heard) = channel();
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let mut run = Run {
        boards: [None, None],
        from_board: Default::default(),
        taps: Default::default(),
        nonces: [rng.u32(1..), rng.u32(1..)],
        pair: rng.u32(..),
        relay: Relay::new(false),
        judge: Judge::new(),
        plant: PlantSide::new(plan.seed)?,
        driver: None,
        killed: None,
        driven_by_survivor: 0,
        modes: [None; 2],
        duplex_since: None,
    };
    for board in CHANNELS {
        run.boards[board.index()] = Some(Board::boot(qemu, image, folder.path(), board, &sender)?);
    }
    let mut since = (0, Instant::now());
    while run.driven_by_survivor < CYCLES_AFTER && since.1.elapsed() < SILENT_AT_MOST {
        match heard.recv_timeout(SILENT_AT_MOST) {
            Ok(heard) => run.hear(&heard)?,
            Err(_) => break,
        }
        run.kill_if_due();
        if run.judge.cycles() > since.0 {
            since = (run.judge.cycles(), Instant::now());
            progress.at(since.0);
        }
    }
    Ok(run.into_outcome(&plan))
}

impl Run {
    fn hear(&mut self, heard: &Heard) -> Result<()> {
        let from = heard.board;
        match heard.line {
            Line::CrossLink => {
                for byte in &heard.bytes {
                    if let Some(out) = self.taps[from.index()].push(*byte) {
                        self.judge.sees_frame(from, &out.frame, out.wire_bytes);
                    }
                }
                if self.boards[from.index()].is_some()
                    && let Some(other) = &mut self.boards[from.other().index()]
                {
                    let _ = other.cross_link.write_all(&heard.bytes); // one that hangs loses it
                }
            }
            Line::FieldBus => {
                for byte in &heard.bytes {
                    let message = self.from_board[from.index()].push(*byte);
                    if let Some(message) = message.and_then(|message| ToPlant::decode(&message.frame)) {
                        self.answer(from, message)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, board: ChannelId, message: ToPlant) -> Result<()> {
        match message {
            ToPlant::Ready => {
                let nonce = self.nonces[board.index()];
                self.tell(board, &ToBoard::Boot { side: board.into(), nonce, pair: self.pair, patience: 0 });
                self.tell(board, &ToBoard::Lease { through: self.relay.through(), answers: None });
                self.give_reading(board);
            }
            ToPlant::Claim { to } => {
                let through = self.relay.claim(board, to);
                self.tell(board, &ToBoard::Lease { through, answers: Some(to) });
                self.tell(board.other(), &ToBoard::Lease { through, answers: None });
            }
            ToPlant::Sampled { cycle, reading } => self.judge.says_sampled(board, cycle, reading),
            ToPlant::Drive { cycle, epoch, outcome, output } if self.relay.passes(board, epoch) => {
                let is_new = self.judge.drives(board, epoch.counter(), outcome, cycle, &output);
                self.plant.drive(board, cycle, &output, is_new);
                self.driver = Some(board);
                if is_new {
                    self.driven_by_survivor += u32::from(self.killed.is_some_and(|(_, killed)| killed != board));
                    CHANNELS.into_iter().for_each(|board| self.give_reading(board));
                }
            }
            ToPlant::Drive { .. } => self.judge.cut_off(),
            ToPlant::Settled { cycle, outcome, mode, .. } => {
                self.judge.settled(board, cycle, outcome, mode);
                self.modes[board.index()] = Some(mode);
                if self.modes == [Some(ModeCode::Duplex); 2] {
                    self.duplex_since.get_or_insert(self.judge.cycles());
                } else {
                    self.duplex_since = None;
                }
                self.plant.mode(board, cycle.max(self.judge.latest()), Some(mode));
            }
            ToPlant::Failed { code } => bail!("board {board} gave up with code {code}"),
            _ => {}
        }
        Ok(())
    }

    fn kill_if_due(&mut self) {
        let cycles = self.judge.cycles();
        // A board that was held up may be out of service: the other one alone has the state then.
        let is_calm = self.duplex_since.is_some_and(|since| cycles >= since + CYCLES_BEFORE);
        if let (None, Some(board)) = (self.killed, self.driver.filter(|_| is_calm)) {
            self.boards[board.index()] = None;
            self.judge.died(board);
            self.killed = Some((cycles, board));
            let latest = self.judge.latest();
            self.plant.injected(latest, Some(board), "killed");
            self.plant.mode(board, latest, None);
        }
    }

    fn give_reading(&mut self, board: ChannelId) {
        let reading = self.plant.reading(board);
        self.judge.gave(board, reading);
        self.tell(board, &ToBoard::Reading(reading));
    }

    fn tell(&mut self, board: ChannelId, message: &ToBoard) {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let Some(length) = message.encode(&mut buffer) else { return };
        if let Some(board) = &mut self.boards[board.index()] {
            let _ = board.field_bus.write_all(&framed(&buffer[..length])); // one that hangs loses it
        }
    }

    fn into_outcome(self, plan: &Plan) -> Outcome {
        let (killed, survived) = (self.killed.is_some(), self.driven_by_survivor);
        let (record, figures) = (self.plant.record(plan), self.judge.into_figures());
        let claims = vec![
            claim("the board that drove was killed", killed),
            claim(format!("the other one drove {CYCLES_AFTER} cycles after it"), survived >= CYCLES_AFTER),
            claim("wrong 0", figures.wrong == 0),
            claim("safe outputs 0", figures.safe == 0),
            claim("owners_max 1", figures.owners_max == 1),
        ];
        Outcome { record, figures, claims, journal: Vec::new(), logs: Default::default() }
    }
}
