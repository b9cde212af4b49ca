//! A live channel that hears frames, and what must hold of it at each step.

use super::moment::{CONFIG, Channel, NONCES};
use super::seal::seal;
use crate::program::{Drive, Filter, Plant, Sample, sample};
use twinstep::mirror::Mirror;
use twinstep::sim::Storage;
use twinstep::wire::{self, Cut, Hello, Keys, Kind, MAX_FRAME_BYTES, Payload, Reject};
use twinstep::{Begun, Cycle, Epoch, Instant, Mode, Node, Outcome, Program, Verdict};
use zerocopy::FromBytes;

/// More frames than a channel has to send at once.
const MOST_FRAMES_OUT: usize = 16;

/// The channel, and what it heard that may have become part of the keys.
pub(super) struct Live<'m> {
    channel: Channel<'m>,
    own_sample: Option<(Cycle, Sample)>,
    /// Nonces and epochs that accepted frames spoke of.
    said: Vec<(u32, Epoch)>,
}

/// What a frame from outside must not change.
#[derive(Debug, PartialEq)]
struct Snapshot {
    mode: Mode,
    epoch: Epoch,
    cycle: Cycle,
    settled: Option<Cycle>,
    digest: u32,
    is_empty: bool,
    next_start: Instant,
}

impl Snapshot {
    fn of(node: &Node<'_, Filter>) -> Self {
        Self {
            mode: node.mode(),
            epoch: node.epoch(),
            cycle: node.cycle(),
            settled: node.settled_cycle(),
            digest: node.state_digest(),
            is_empty: node.is_empty(),
            next_start: node.next_start(),
        }
    }
}

impl<'m> Live<'m> {
    pub(super) fn new(channel: Channel<'m>) -> Self {
        Self { channel, own_sample: None, said: Vec::new() }
    }

    /// Lets time pass, in 32nds of a period, and the channel take its turn.
    pub(super) fn wait(&mut self, time: u8) {
        let now = self.channel.now.plus_us(u32::from(time) * (CONFIG.period_us / 32));
        self.channel.now = now;
        self.poll();
        let node = &mut self.channel.node;
        if now >= node.next_start() {
            let reading = sample(self.channel.me, node.cycle().next());
            if let Ok(Begun::New(cycle)) = node.begin(now, reading) {
                self.own_sample = Some((cycle, reading));
            }
            self.poll();
        }
        self.transmit();
    }

    /// Hears bytes as they are.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let nonces = self.nonces(self.channel.peer_nonce);
        let parsed = wire::parse(bytes, &Keys { pair: CONFIG.pair, epoch: self.channel.node.epoch(), nonces });
        let expected = parsed.err().filter(|cause| *cause != Reject::Crc);
        let keys = self.all_keys();
        let heard = self.deliver(bytes);
        // What is wrong before the CRC is wrong under any key.
        assert!(expected.is_none_or(|cause| heard == Err(cause)), "{heard:?}, not {expected:?}: {bytes:02x?}");
        if !matches!(heard, Err(Reject::TooShort | Reject::TooLong | Reject::Version | Reject::Kind | Reject::Crc)) {
            let fits = keys.iter().any(|keys| wire::parse(bytes, keys).is_ok());
            assert!(fits, "{heard:?} for bytes whose CRC does not hold: {bytes:02x?}");
        }
    }

    /// Hears a frame whose CRC is made right, under the peer's nonce, the one that was said last, or that of nobody.
    pub(super) fn hear_sealed(&mut self, bytes: &[u8], whose: u8) {
        let said = self.said.last().map_or(0, |(nonce, _)| *nonce);
        let nonce = [self.channel.peer_nonce, self.channel.peer_nonce, said, 0][usize::from(whose) % 4];
        let keys = Keys { pair: CONFIG.pair, epoch: self.channel.node.epoch(), nonces: self.nonces(nonce) };
        let _ = self.deliver(&seal(bytes, &keys)); // judged there
    }

    /// Returns the nonces of A and B if the peer has this one.
    fn nonces(&self, of_peer: u32) -> [u32; 2] {
        self.channel.me.in_order(self.channel.nonce, of_peer)
    }

    /// Returns all keys that the channel may hold.
    fn all_keys(&self) -> Vec<Keys> {
        let (epoch, pair) = (self.channel.node.epoch(), CONFIG.pair);
        let nonces = NONCES.into_iter().chain([0]).chain(self.said.iter().map(|(nonce, _)| *nonce));
        nonces
            .flat_map(|nonce| {
                let epochs = [epoch, Epoch::NONE].into_iter().chain(self.said.iter().map(|(_, epoch)| *epoch));
                let nonces = self.nonces(nonce);
                epochs.map(move |epoch| Keys { pair, epoch, nonces })
            })
            .collect()
    }

    fn deliver(&mut self, bytes: &[u8]) -> Result<(), Reject> {
        let node = &mut self.channel.node;
        let (before, rejected) = (Snapshot::of(node), node.counters().rejected_total());
        let heard = node.handle_frame(self.channel.now, bytes);
        let after = Snapshot::of(node);
        assert_eq!(node.counters().rejected_total() - rejected, u32::from(heard.is_err()), "{heard:?} is counted");
        assert!(may_follow(&before, &after, heard), "{heard:?} from {before:?} to {after:?}: {bytes:02x?}");
        if heard.is_ok() {
            self.note(bytes);
        }
        self.poll();
        self.transmit();
        heard
    }

    /// Notes the nonce and the epoch that an accepted frame spoke of.
    fn note(&mut self, bytes: &[u8]) {
        let keys = self.all_keys();
        let Some((header, payload)) = keys.iter().find_map(|keys| wire::parse(bytes, keys).ok()) else { return };
        match header.kind {
            Kind::Hello => self.said.extend(Hello::parse(payload).ok().map(|hello| (hello.nonce, hello.epoch))),
            Kind::Cut => self.said.extend(Cut::parse(payload).ok().map(|cut| (cut.nonce, cut.epoch))),
            _ => self.said.push((self.channel.peer_nonce, header.epoch)),
        }
    }

    fn poll(&mut self) {
        let before = self.checkpoint();
        let mut arbiter = self.channel.arbiter;
        let verdict = self.channel.node.poll_verdict(self.channel.now, &mut arbiter).map(Verdict::unbind);
        self.channel.arbiter = arbiter;
        if let Some(verdict) = verdict {
            self.judge(&before, verdict.bind(&arbiter));
        }
    }

    fn checkpoint(&mut self) -> Plant {
        let memory = self.channel.node.memory();
        let mut bytes = [0; size_of::<Plant>()];
        for (room, block) in bytes.chunks_mut(64).zip(0..) {
            room.copy_from_slice(memory.block(block).unwrap_or_default());
        }
        Plant::read_from_bytes(&bytes).expect("the bytes of a state")
    }

    /// Judges what is released by running the program once more.
    fn judge(&mut self, before: &Plant, verdict: Verdict<'_, Drive>) {
        let (outcome, mode) = (verdict.outcome(), verdict.mode());
        for voted in verdict.release() {
            let cycle = voted.cycle();
            let output = voted.open().expect("neither damaged nor without a lease");
            let node = &self.channel.node;
            match outcome {
                Outcome::Safe => assert_eq!((output, mode), (Filter::SAFE, Mode::Safe)),
                Outcome::Agreed | Outcome::Alone | Outcome::TookOver if cycle == node.cycle() => {
                    let input = node.agreed_input().expect("a step was done");
                    let own = self.own_sample.filter(|(of, _)| *of == cycle).map(|(_, own)| Filter::agree(&own, &own));
                    assert!(outcome != Outcome::Alone || own.is_none_or(|own| own.input == *input));
                    assert!(mode.serves() && mode.serves_alone() == (outcome != Outcome::Agreed), "{outcome:?}");
                    assert_eq!((output, node.state().clone()), step(cycle, before, input), "{outcome:?}");
                    self.channel.driven = Some((cycle, output));
                }
                Outcome::TookOver => {
                    let driven = self.channel.driven.filter(|(of, _)| *of == cycle);
                    assert!(driven.is_none_or(|(_, driven)| driven == output), "once more: {output:?}");
                }
                Outcome::Agreed | Outcome::Tried | Outcome::Alone | Outcome::Held | Outcome::Waiting => {
                    panic!("{outcome:?} drives cycle {cycle}")
                }
            }
        }
    }

    fn transmit(&mut self) {
        let Channel { node, now, .. } = &mut self.channel;
        let mut buffer = [0; MAX_FRAME_BYTES];
        for _ in 0..MOST_FRAMES_OUT {
            match node.poll_transmit(*now, &mut buffer) {
                Ok(None) => return,
                Ok(Some(length)) => assert!((wire::OVERHEAD_BYTES..=MAX_FRAME_BYTES).contains(&length)),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("there is no end to what is sent");
    }
}

/// Runs the program once on a copy of a state.
fn step(cycle: Cycle, before: &Plant, input: &Sample) -> (Drive, Plant) {
    let mut storage = Storage::new();
    let mut mirror = Mirror::new(storage.cells(), |state: &mut Plant| state.clone_from(before));
    let output = Filter::step(cycle, &mut mirror.tracked(), input);
    (output, mirror.state().clone())
}

/// Whether a frame that was taken, or dropped for this cause, may have this effect at once.
fn may_follow(before: &Snapshot, after: &Snapshot, heard: Result<(), Reject>) -> bool {
    use Mode::{Donor, Duplex, Joining, Simplex, Standby, Starting};
    let modes = (before.mode, after.mode);
    let keeps_state = before.digest == after.digest && before.cycle == after.cycle;
    match heard {
        _ if before == after => true,
        // A frame of a newer epoch: the pair went on without this channel, which starts over if it is empty.
        Ok(()) | Err(Reject::Epoch) if modes == (Duplex, Standby) => keeps_state,
        Ok(()) | Err(Reject::Epoch) if modes == (Duplex, Starting) => before.is_empty,
        // What was copied is not what the cut speaks of.
        Err(Reject::Digest) => modes == (Joining, Starting),
        Err(_) => false,
        Ok(()) => match modes {
            (Simplex, Donor) => keeps_state,
            (Starting | Standby | Joining, Starting | Joining | Duplex) => true,
            _ => false,
        },
    }
}
