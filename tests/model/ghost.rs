//! What an all-seeing observer remembers, and the invariants it judges by. It hears every
//! frame and sees every drive; the channels know nothing of it.

use super::program::{FIRST, agreed, next};
use super::world::{CHANNELS, WINDOW_US};
use std::hash::Hash;
use twinstep::diagnose::Suspects;
use twinstep::wire::{EvidencePayload, Kind, Payload, VoteFrame};
use twinstep::{Diagnosis, Epoch, Mode, Outcome, Site, canonical};

/// What must never be; the text says which.
pub type Violation = &'static str;

/// The last cycles of something, by number.
#[derive(Clone, Copy, Hash)]
pub struct Ring<T>([Option<(u32, T)>; 6]);

impl<T: Copy> Ring<T> {
    const fn new() -> Self {
        Self([None; 6])
    }

    pub fn get(&self, cycle: u32) -> Option<T> {
        self.0[cycle as usize % 6].filter(|(of, _)| *of == cycle).map(|(_, value)| value)
    }

    pub fn put(&mut self, cycle: u32, value: T) {
        self.0[cycle as usize % 6] = Some((cycle, value));
    }

    fn newest(&self) -> Option<u32> {
        self.0.iter().flatten().map(|(of, _)| *of).max()
    }

    fn cut_back(&mut self, before: u32) {
        for entry in &mut self.0 {
            *entry = entry.filter(|(of, _)| *of < before);
        }
    }
}

/// A cycle in an epoch, as a frame names it.
#[derive(Clone, Copy, Debug, Hash, PartialEq)]
pub struct Moment {
    pub cycle: u32,
    epoch: u16,
}

impl Moment {
    pub fn new(epoch: Epoch, cycle: u32) -> Self {
        Self { cycle, epoch: (epoch.counter() << 1 | epoch.owner().index() as u32) as u16 }
    }

    fn of(frame: &[u8]) -> Self {
        let phase = u32::from_le_bytes([frame[3], frame[4], frame[5], frame[6]]);
        Self { cycle: phase >> 2, epoch: u16::from_le_bytes([frame[1], frame[2]]) }
    }

    /// The moment that a frame gives evidence of.
    pub fn of_evidence(frame: &[u8]) -> Option<Self> {
        is_kind(frame, &[Kind::Evidence, Kind::Settled]).then(|| Self::of(frame))
    }
}

pub fn is_kind(frame: &[u8], kinds: &[Kind]) -> bool {
    Kind::of_frame(frame).is_some_and(|kind| kinds.contains(&kind))
}

/// A vote as it was sent: by itself, or the second one with the evidence.
#[derive(Clone, Copy, Hash, PartialEq)]
pub struct Tap {
    at: Moment,
    input: [u8; 4],
    output: u16,
}

impl Tap {
    /// Takes a frame apart if it carries a vote for an output.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let payload = &frame[8..frame.len() - 4];
        let vote = if Moment::of_evidence(frame).is_some() {
            EvidencePayload::parse(payload).ok()?.vote
        } else if is_kind(frame, &[Kind::Vote]) {
            VoteFrame::parse(payload).ok()?.vote
        } else {
            return None;
        };
        let (digests, output) = vote.split_at_checked(8)?;
        let input = digests[..4].try_into().ok()?;
        Some(Self { at: Moment::of(frame), input, output: canonical::decode(output)? })
    }
}

/// What a channel found, and whether it had the evidence of both.
#[derive(Clone, Copy, Hash)]
struct Finding {
    at: Moment,
    diagnosis: Diagnosis,
    of_both: bool,
}

/// One channel, as seen by the observer.
#[derive(Clone, Copy, Hash)]
pub struct Channel {
    /// The first and the last sample of each cycle.
    samples: Ring<[u8; 2]>,
    /// The last votes: of a cycle there may be two, and the peer may be one cycle behind.
    votes: [Option<Tap>; 3],
    /// States after the committed cycles.
    committed: Ring<u16>,
    /// Those of its boot before: frames of it may still be on their way.
    former: Ring<u16>,
    pub mode: Option<Mode>,
    empty: bool,
    /// It has committed alone since both last had the same state.
    forked: bool,
    /// It had done so when it lost its state.
    was_forked: bool,
    /// A flip waits in its next step.
    pub armed: bool,
    /// A bit of it flipped where only the channel itself can be to blame.
    pub is_guilty: bool,
    /// And goes on doing so, until the channel is replaced.
    pub permanent: Option<Site>,
    /// A bit flips in the peer's next vote, as it is kept.
    pub misreads: bool,
    /// A bit of its checkpoint flipped: for a block that the step wrote only the peer has another copy.
    pub needs_peer: bool,
    /// It sent a `Cut`, and nothing came back yet.
    cut_is_out: bool,
    /// What it last gave evidence of and when first, and what it last took the peer's of.
    gave: Option<(Moment, u32)>,
    took: Option<Moment>,
    found: Option<Finding>,
}

impl Channel {
    const NEW: Self = Self {
        samples: Ring::new(),
        votes: [None; 3],
        committed: Ring::new(),
        former: Ring::new(),
        mode: None,
        empty: true,
        forked: false,
        was_forked: false,
        armed: false,
        is_guilty: false,
        misreads: false,
        permanent: None,
        needs_peer: false,
        cut_is_out: false,
        gave: None,
        took: None,
        found: None,
    };

    fn has_voted(&self, cycle: u32) -> bool {
        self.votes.iter().flatten().any(|vote| vote.at.cycle == cycle)
    }
}

/// What is looked at.
#[derive(Clone, Copy, Debug, Hash, PartialEq)]
pub enum Promise {
    /// All invariants.
    All,
    /// And that both stay in duplex with nothing held: a frame's fault costs nothing else.
    Steady,
    /// Lineages alone, under an arbiter that lets both go on.
    Lineages,
}

/// The observer.
#[derive(Clone, Copy, Hash)]
pub struct Ghost {
    promise: Promise,
    pub channels: [Channel; 2],
    driven: Ring<u16>,
    /// No channel has a state any more: the first cycle begins anew.
    is_lost: bool,
    /// An output did not open since the arbiter did not answer.
    pub is_unanswered: bool,
    /// A bit flipped in a channel in duplex.
    pub value_fault: bool,
    /// One channel died while both had the same state: the other must not lose it by itself.
    pub must_keep: bool,
}

/// What a channel shows after an event.
pub struct Sight {
    pub mode: Mode,
    pub settled: Option<u32>,
    pub value: u16,
    pub empty: bool,
    /// The cycle in progress, or the last one.
    pub at: Moment,
    pub now: u32,
    /// No fault hit the environment, or a second channel: what did is to be masked.
    pub is_single: bool,
}

impl Ghost {
    pub const fn new(promise: Promise) -> Self {
        let channels = [Channel::NEW; 2];
        Self {
            promise,
            channels,
            driven: Ring::new(),
            is_lost: false,
            is_unanswered: false,
            value_fault: false,
            must_keep: false,
        }
    }

    pub fn sampled(&mut self, at: usize, cycle: u32, sample: u8) {
        let samples = &mut self.channels[at].samples;
        let first = samples.get(cycle).map_or(sample, |[first, _]| first);
        samples.put(cycle, [first, sample]);
    }

    pub fn sent(&mut self, at: usize, now: u32, frame: &[u8]) {
        let channel = &mut self.channels[at];
        channel.cut_is_out |= is_kind(frame, &[Kind::Cut]);
        if let Some(moment) = Moment::of_evidence(frame)
            && channel.gave.is_none_or(|(gave, _)| gave != moment)
        {
            channel.gave = Some((moment, now));
        }
        let Some(vote) = Tap::of(frame) else { return };
        if !channel.votes.contains(&Some(vote)) {
            channel.armed = false;
            channel.votes = [channel.votes[1], channel.votes[2], Some(vote)];
        }
    }

    /// A channel took a frame.
    pub fn took(&mut self, at: usize, frame: &[u8]) {
        let channel = &mut self.channels[at];
        channel.took = Moment::of_evidence(frame).or(channel.took);
        channel.cut_is_out &= !is_kind(frame, &[Kind::Sample, Kind::Vote]);
    }

    /// A deadline passed without a result. A joiner that does not answer is no reason.
    pub fn held(&mut self, at: usize) -> Result<(), Violation> {
        if self.channels[at].cut_is_out { self.fails("held for a joiner that does not answer") } else { Ok(()) }
    }

    /// Judges a diagnosis: nobody innocent is blamed, and from both sides' evidence both find the same.
    pub fn found(&mut self, by: usize, at: Moment, diagnosis: Diagnosis, is_single: bool) -> Result<(), Violation> {
        let of_both = self.channels[by].took == Some(at);
        let finding = Finding { at, diagnosis, of_both };
        self.channels[by].found = Some(finding);
        for (channel, named) in self.channels.iter().zip(CHANNELS) {
            let is_blamed = match diagnosis {
                Diagnosis::Transient(suspects) => suspects.intersects(Suspects::of(named)),
                Diagnosis::Faulty(faulty, _) => faulty == named,
                Diagnosis::Unattributed => false,
            };
            if is_blamed && !channel.is_guilty {
                self.fails("an innocent channel is blamed")?;
            }
            if matches!(diagnosis, Diagnosis::Faulty(..)) && is_blamed && channel.permanent.is_none() && is_single {
                self.fails("a channel is excluded for one transient fault")?;
            }
        }
        let other = self.channels[1 - by].found.filter(|other| other.at == at && other.of_both && of_both);
        if other.is_some_and(|other| other.diagnosis != diagnosis) {
            self.fails("one pair of evidence, two diagnoses")?;
        }
        Ok(())
    }

    pub fn died(&mut self, at: usize, redundant: bool) {
        self.channels[at].mode = None;
        self.channels[at].armed = false;
        // A survivor whose checkpoint is damaged has nobody to mend it from.
        self.must_keep = redundant && !self.channels[1 - at].needs_peer;
    }

    pub fn rebooted(&mut self, at: usize) {
        let before = self.channels[at]; // it said what it said
        let Channel { samples, votes, is_guilty, permanent, .. } = before;
        let former = if before.committed.newest().is_some() { before.committed } else { before.former };
        let was_forked = before.forked || before.was_forked;
        self.channels[at] = Channel { samples, votes, former, was_forked, is_guilty, permanent, ..Channel::NEW };
    }

    /// Whether a flip is used up by a step that nobody else does: no redundancy, no promise.
    pub fn is_unprotected(&self, at: usize, outcome: Outcome, cycle: u32) -> bool {
        let alone = matches!(outcome, Outcome::Alone | Outcome::TookOver);
        let channel = &self.channels[at];
        // A channel that both found faulty in this cycle does not go on with it while the other one can.
        let other = &self.channels[1 - at];
        let has_other = other.mode.is_some() && !other.empty;
        let was_found_faulty = channel.found.is_some_and(|found| {
            let names_it = matches!(found.diagnosis, Diagnosis::Faulty(faulty, _) if faulty == CHANNELS[at]);
            names_it && found.of_both && found.at.cycle == cycle
        });
        let is_broken = channel.permanent.is_some() && !(was_found_faulty && has_other);
        alone && (is_broken || channel.armed && !channel.has_voted(cycle))
    }

    /// Judges an output that reached the actuator.
    pub fn drive(
        &mut self,
        at: usize,
        outcome: Outcome,
        epoch: Epoch,
        cycle: u32,
        output: u16,
    ) -> Result<(), Violation> {
        let judged = self.judge_output(at, outcome, epoch, cycle, output);
        judged.or_else(|violation| self.fails(violation))
    }

    fn judge_output(
        &mut self,
        at: usize,
        outcome: Outcome,
        epoch: Epoch,
        cycle: u32,
        output: u16,
    ) -> Result<(), Violation> {
        self.channels[at].cut_is_out = false; // answered, or given up
        if outcome == Outcome::Agreed {
            self.check_voted(epoch, cycle, output)?;
        }
        let other = &self.channels[1 - at];
        let other_lost = other.mode.is_none() || other.empty;
        if self.is_lost && cycle == 1 {
            (self.driven, self.is_lost) = (Ring::new(), false);
        } else if outcome == Outcome::TookOver && other_lost && (other.forked || other.was_forked) {
            // What the other one did alone died with it: the pair goes on from the older state.
            self.driven = self.channels[at].committed;
            self.driven.cut_back(cycle);
        }
        if self.driven.newest() > Some(cycle) {
            return Err("a cycle was driven after a later one");
        }
        if let Some(before) = self.driven.get(cycle) {
            return if before == output { Ok(()) } else { Err("I1: one cycle drove two values") };
        }
        // For what an arbiter that does not answer kept from being driven stands the state that was committed.
        let committed = || self.channels[at].committed.get(cycle - 1).filter(|_| self.is_unanswered);
        let parent = if cycle == 1 { Some(FIRST) } else { self.driven.get(cycle - 1).or_else(committed) };
        let parent = parent.ok_or("a cycle is missing: nothing was driven for the one before")?;
        let legitimate = self.inputs(at, outcome, cycle).any(|input| next(parent, cycle, input) == output);
        if !legitimate {
            return Err("a wrong output was driven");
        }
        self.driven.put(cycle, output);
        Ok(())
    }

    /// I1: both channels sent that vote for that cycle and epoch, from one input.
    fn check_voted(&self, epoch: Epoch, cycle: u32, output: u16) -> Result<(), Violation> {
        let released = (Moment::new(epoch, cycle), output);
        let of =
            |channel: &Channel| channel.votes.into_iter().flatten().find(|vote| (vote.at, vote.output) == released);
        let [a, b] = self.channels.each_ref().map(of);
        match a.zip(b) {
            Some((a, b)) if a.input == b.input => Ok(()),
            _ => Err("I1: released in duplex without two equal votes for it"),
        }
    }

    /// The inputs on which a channel may have stepped.
    fn inputs(&self, at: usize, outcome: Outcome, cycle: u32) -> impl Iterator<Item = u8> {
        let [a, b] = [0, 1].map(|at| self.channels[at].samples.get(cycle));
        let (both, own) = match outcome {
            Outcome::Agreed => (true, false),
            Outcome::Alone => (false, true),
            Outcome::TookOver => (true, true),
            Outcome::Tried | Outcome::Held | Outcome::Waiting | Outcome::Safe => (false, false), // one version only
        };
        let pairs = a.zip(b).filter(|_| both).map(|(a, b)| a.map(|a| b.map(|b| agreed(a, b))).into_iter().flatten());
        let own = self.channels[at].samples.get(cycle).filter(|_| own).map(|own| own.map(|own| agreed(own, own)));
        pairs.into_iter().flatten().chain(own.into_iter().flatten())
    }

    /// Looks at a channel after an event: who gave up what, and for what.
    pub fn look(&mut self, at: usize, sight: &Sight) -> Result<(), Violation> {
        let (before, donor) = (self.channels[at], self.channels[1 - at]);
        let enters = sight.mode == Mode::Duplex && before.mode != Some(Mode::Duplex);
        let was_served = matches!(before.mode, Some(Mode::Starting | Mode::Joining | Mode::Standby));
        let gives_up = sight.mode == Mode::Joining && before.mode == Some(Mode::Standby);
        let adopts = enters && was_served && sight.settled != Some(0);
        if sight.mode == Mode::Safe && before.mode != Some(Mode::Safe) {
            self.judge_safe(at, sight)?;
        }
        if sight.is_single && before.mode == Some(Mode::Duplex) && sight.mode != Mode::Duplex {
            self.fails("one transient fault cost the redundancy")?;
        }
        if (gives_up || adopts && !before.empty) && before.forked {
            self.fails("I4: a lineage of its own was given up for the other one")?;
        }
        let source = if donor.empty { donor.former } else { donor.committed };
        let older = |cycle| {
            let differs = source.get(cycle).is_some_and(|value| Some(value) != before.committed.get(cycle));
            source.newest() < Some(cycle) || differs
        };
        if (gives_up || adopts) && source.newest().is_none() {
            self.fails("I5: state came from an empty channel")?;
        }
        if (gives_up || adopts) && !before.empty && before.committed.newest().is_some_and(older) {
            self.fails("I5: a newer or another state was given up for an older one")?;
        }
        if enters && sight.settled == Some(0) && donor.mode.is_some() && !donor.empty {
            self.fails("I5: the pair begins anew though a channel has a state")?;
        }
        let channel = &mut self.channels[at];
        channel.mode = Some(sight.mode);
        channel.empty = sight.empty;
        if sight.empty {
            channel.committed = Ring::new();
            channel.was_forked |= channel.forked;
            channel.forked = false;
        } else if let Some(cycle) = sight.settled.filter(|cycle| channel.committed.newest() < Some(*cycle)) {
            channel.committed.put(cycle, sight.value);
            channel.forked |= sight.mode.serves_alone();
        }
        if adopts {
            let known = source.get(sight.settled.unwrap_or_default());
            if known.is_some_and(|known| known != sight.value) {
                self.fails("I5: joined on a state that the donor does not have")?;
            }
            self.channels[at].committed = source;
            self.channels[at].committed.put(sight.settled.unwrap_or_default(), sight.value);
            self.channels.iter_mut().for_each(|channel| (channel.forked, channel.was_forked) = (false, false));
        }
        if self.promise == Promise::Steady && before.mode == Some(Mode::Duplex) && sight.mode != Mode::Duplex {
            self.fails("a frame's fault cost the redundancy")?;
        }
        let lost = self.channels.iter().all(|channel| channel.mode.is_none() || channel.empty);
        self.is_lost = lost || self.is_lost && !adopts;
        if lost && self.must_keep {
            self.fails("the survivor of a single fault lost the state")?;
        }
        Ok(())
    }

    /// The safe state is right only where nobody can say who is wrong: both channels stand by their
    /// results, or after a flip the evidence could not be exchanged; or nobody mends the memory.
    fn judge_safe(&self, at: usize, sight: &Sight) -> Result<(), Violation> {
        let channel = &self.channels[at];
        let gave_at = channel.gave.filter(|(gave, _)| *gave == sight.at).map(|(_, gave_at)| gave_at);
        let lacks_evidence = gave_at.is_some() && channel.took != Some(sight.at);
        let had_window = gave_at.is_none_or(|gave_at| sight.now >= gave_at + WINDOW_US);
        let is_stuck = self.channels.iter().any(|channel| channel.permanent == Some(Site::StuckOutput));
        if !self.value_fault {
            self.fails("the safe state without a value fault")
        } else if sight.is_single && !is_stuck {
            self.fails("one transient fault led to the safe state")
        } else if channel.needs_peer || channel.permanent.is_some() {
            Ok(()) // and the peer did not mend it; or the broken one is alone with its outputs
        } else if !is_stuck && !lacks_evidence {
            self.fails("the safe state though the evidence of both was there")
        } else if lacks_evidence && !had_window {
            self.fails("the safe state before the evidence had its window")
        } else {
            Ok(())
        }
    }

    /// An invariant does not hold; of lineages only, if nothing else is looked at.
    fn fails(&self, violation: Violation) -> Result<(), Violation> {
        if self.promise == Promise::Lineages && !violation.starts_with("I4") { Ok(()) } else { Err(violation) }
    }

    /// Whether a channel last found the other one faulty.
    pub fn condemns_other(&self, at: usize) -> bool {
        let found = self.channels[at].found;
        found.is_some_and(|found| matches!(found.diagnosis, Diagnosis::Faulty(faulty, _) if faulty == CHANNELS[1 - at]))
    }

    /// Whether both went on alone from one parent.
    pub fn is_split(&self) -> bool {
        self.channels.iter().all(|channel| channel.forked)
    }
}
