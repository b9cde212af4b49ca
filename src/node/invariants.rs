//! Invariants (feature `sim`): what holds of a channel whenever none of its calls is under way. A pure look, that changes nothing.
//!
//! ```text
//! broken_invariant   of the mode, the epoch, the cycle, the claim: after each call
//! has_times_within   no time is further ahead than any can be: after each verdict
//! footing            what may only rise, held against the one after the next call
//! broken_in_memory   copies, digests and marks: a look at all of it, now and then
//! ```
//!
//! A flipped bit breaks them on purpose. The control data is looked at only while it agrees with its copy. What is not kept three
//! times, which is the memory and the times, is to be looked at only as long as nobody has damaged it, which is known to whoever
//! did. With a mechanism switched off some do not hold: these are the ones that it is for.

use super::meeting::Boot;
use super::turn::Progress;
use super::{MayUpgrade, Node};
use crate::ids::{ChannelId, Cycle, Epoch, Instant, Phase, Stage};
use crate::lease::Grounds;
use crate::mirror::MemoryInvariant;
use crate::mode::Mode;
use crate::program::Program;
use core::fmt;

/// What holds of a channel between two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Invariant {
    /// A channel that serves has an epoch.
    EpochOfService,
    /// The newest number seen or issued is at least that of the own epoch.
    NewestNumber,
    /// What was leased was this channel's, and so is what was asked for.
    OwnLease,
    /// A channel that serves alone owns the outputs.
    OwnerAlone,
    /// A channel that serves without a state has not committed any cycle.
    StateOfService,
    /// A channel that stands by has a state; one that starts or joins has none.
    StateOfMode,
    /// A channel that starts or joins has no cycle in progress, nor a sample or a vote of one.
    NoCycle,
    /// A channel that is paired, or starts, has committed nothing alone.
    Fork,
    /// Only a channel that is paired is on probation.
    Probation,
    /// Votes are examined in duplex, of this cycle or one before; evidence that is out is of this one.
    Examination,
    /// The peer's sample of the next cycle is kept by a channel that has voted on this one with it.
    SampleAhead,
    /// A cycle in progress has this channel's sample.
    OwnSample,
    /// The votes are of this cycle or the one before, and once this channel has stepped its own is of this one.
    VotedCycle,
    /// Past the patience a cycle in duplex is held for an answer of the arbiter, be it asked again later, or for evidence.
    Patience,
    /// A claim has grounds that its mode has.
    ClaimedGrounds,
    /// A claim is of this channel, for a number above its epoch; the first one of a pair may be the epoch itself.
    ClaimedNumber,
    /// Only a claim to go on alone is backed by a check of the memory.
    BackedClaim,
    /// The outputs are let go in a trial, by their owner.
    LetGo,
    /// Only a channel that starts is about to boot a pair, and it claims what it needs for that.
    Boot,
    /// Only an owner in duplex cuts a joiner over, or a channel that starts.
    Cut,
    /// Only a channel out of service looks to a peer that serves; a joiner's is not itself.
    ServingPeer,
    /// A donor, and nobody else, has a donor's books, of a peer that it knows and that is not barred; so has a joiner its own.
    CopyBooks,
    /// Only a channel that serves waits for a block of the peer.
    WantedBlock,
    /// The peer has no more of this channel than was sent.
    Acknowledged,
    /// No time is further ahead than any can be.
    Times,
    /// What this channel claims, or goes on in as the owner, has a number above every one seen or issued before.
    FreshNumber,
    /// The newest number never falls.
    NewestRises,
    /// The epoch of a state never falls.
    EpochRises,
    /// A channel in service commits one cycle after the other.
    OneCycle,
    /// A cycle that is settled left nothing uncommitted.
    Committed,
    /// The state that was settled is the one that was voted for.
    VotedState,
    /// Nothing is left to be copied but by a donor.
    CopyOver,
    /// The memory by itself.
    Memory(MemoryInvariant),
}

impl Invariant {
    /// All but those of the memory by itself.
    pub const ALL: [Self; 32] = [
        Self::EpochOfService,
        Self::NewestNumber,
        Self::OwnLease,
        Self::OwnerAlone,
        Self::StateOfService,
        Self::StateOfMode,
        Self::NoCycle,
        Self::Fork,
        Self::Probation,
        Self::Examination,
        Self::SampleAhead,
        Self::OwnSample,
        Self::VotedCycle,
        Self::Patience,
        Self::ClaimedGrounds,
        Self::ClaimedNumber,
        Self::BackedClaim,
        Self::LetGo,
        Self::Boot,
        Self::Cut,
        Self::ServingPeer,
        Self::CopyBooks,
        Self::WantedBlock,
        Self::Acknowledged,
        Self::Times,
        Self::FreshNumber,
        Self::NewestRises,
        Self::EpochRises,
        Self::OneCycle,
        Self::Committed,
        Self::VotedState,
        Self::CopyOver,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EpochOfService => "serves without an epoch",
            Self::NewestNumber => "has an epoch above the newest number that it knows",
            Self::OwnLease => "holds or asks for the lease of the other channel",
            Self::OwnerAlone => "serves alone and does not own the outputs",
            Self::StateOfService => "serves without a state after a cycle was committed",
            Self::StateOfMode => "has a state in a mode without one, or stands by without one",
            Self::NoCycle => "starts or joins with something of a cycle",
            Self::Fork => "is paired, or starts, and has committed alone",
            Self::Probation => "is on probation out of duplex",
            Self::Examination => "examines votes in a mode, or of a cycle, that has none to examine",
            Self::SampleAhead => "keeps the peer's next sample before it can have one",
            Self::OwnSample => "has a cycle in progress without a sample of its own",
            Self::VotedCycle => "keeps a vote of a cycle that it is not of",
            Self::Patience => "holds a cycle past its patience and waits for nothing",
            Self::ClaimedGrounds => "claims on grounds that its mode does not have",
            Self::ClaimedNumber => "claims a number that is not its own or not above its epoch",
            Self::BackedClaim => "has backed a claim that there is not",
            Self::LetGo => "has let go of outputs that it does not own in a trial",
            Self::Boot => "boots a pair in a mode or without a claim for that",
            Self::Cut => "cuts a joiner over and may not",
            Self::ServingPeer => "looks to a peer that serves, and serves or is it itself",
            Self::CopyBooks => "has books of a copy that its mode does not have, or lacks them, or copies to nobody",
            Self::WantedBlock => "waits for a block of the peer out of service",
            Self::Acknowledged => "takes for acknowledged what was never sent",
            Self::Times => "waits for a time further ahead than any can be",
            Self::FreshNumber => "claims or owns a number that was seen or issued before",
            Self::NewestRises => "has forgotten the newest number",
            Self::EpochRises => "went back to an older epoch with its state",
            Self::OneCycle => "went back, or left cycles out, in service",
            Self::Committed => "has settled a cycle and left writes uncommitted",
            Self::VotedState => "has settled on a state that it did not vote for",
            Self::CopyOver => "has blocks to copy and is no donor",
            Self::Memory(invariant) => return invariant.fmt(f),
        })
    }
}

/// Returns the first invariant that is broken. Those behind it are not looked at: such a look comes after each call.
macro_rules! first_broken {
    ($($is_broken:expr => $invariant:ident),* $(,)?) => {{
        $(if $is_broken {
            return Some(Invariant::$invariant);
        })*
        None
    }};
}

/// What may only rise from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footing {
    newest: u32,
    epoch: Epoch,
    owns: bool,
    /// The epoch of the claim that is under way.
    claimed: Epoch,
    committed: Cycle,
    is_empty: bool,
    serves: bool,
}

impl Footing {
    /// Returns what does not hold of one call, after which it is `later`.
    pub fn broken_by(&self, later: &Self) -> Option<Invariant> {
        let is_state_kept = !self.is_empty && !later.is_empty;
        // One that joined or began anew in between goes on elsewhere.
        let is_in_service = self.serves && later.serves;
        let is_new = |number: Epoch, before: Epoch| number != before && number != Epoch::NONE;
        // A claim may be older than what was seen while it was under way.
        let is_own = later.owns && is_new(later.epoch, self.epoch) && later.epoch != self.claimed;
        let is_issued_again = |number: Epoch| number.counter() <= self.newest;
        first_broken! {
            is_own && is_issued_again(later.epoch) => FreshNumber,
            is_new(later.claimed, self.claimed) && is_issued_again(later.claimed) => FreshNumber,
            later.newest < self.newest => NewestRises,
            is_state_kept && later.epoch.counter() < self.epoch.counter() => EpochRises,
            is_in_service && !(0..=1).contains(&later.committed.since(self.committed)) => OneCycle,
        }
    }
}

/// The modes in which a claim is made on these grounds.
fn may_claim(mode: Mode, grounds: Grounds) -> bool {
    match grounds {
        Grounds::First => mode == Mode::Starting,
        Grounds::PeerJoins => mode == Mode::Donor,
        Grounds::Silence => mode.is_paired(),
        Grounds::PeerEmpty | Grounds::PeerStandsBy => mode.is_paired() || mode == Mode::Standby,
        Grounds::PeerFaulty => mode == Mode::Duplex,
        Grounds::HandedOver | Grounds::TakesBack => mode == Mode::Trial,
    }
}

impl<P: Program, const FRAME: usize, U: MayUpgrade<P>> Node<'_, P, FRAME, U> {
    /// Returns what does not hold of the channel now that no call of it is under way; nothing while a flipped bit of the control
    /// data waits to be mended.
    pub fn broken_invariant(&self) -> Option<Invariant> {
        self.has_sound_control().then(|| self.broken_rule()).flatten()
    }

    /// Returns what may only rise, as it is right after a call.
    pub(crate) fn footing(&self) -> Footing {
        let (standing, turn) = (&self.control.standing, &self.control.turn);
        Footing {
            newest: standing.newest(),
            epoch: standing.epoch(),
            owns: self.control.owns(),
            claimed: self.control.claim.figures().map_or(Epoch::NONE, |(to, _)| to),
            committed: turn.committed(),
            is_empty: standing.is_empty(),
            serves: standing.mode().serves(),
        }
    }

    /// Whether no time is further ahead of `now`, the time of the last call, than any can be.
    pub fn has_times_within(&self, now: Instant) -> bool {
        let now = self.time.at(now, &self.control.config);
        let config = &self.control.config;
        let is_handover_bounded = self.drop_resend_at <= now.plus_us(config.retransmit_us());
        self.schedule.is_bounded(now, config) && self.outgoing.is_bounded(now, config) && is_handover_bounded
    }

    /// As `broken_invariant`, of control data that is known to be sound, as it is right after a call.
    pub(crate) fn broken_rule(&self) -> Option<Invariant> {
        let mode = self.control.standing.mode();
        self.broken_standing(mode)
            .or_else(|| self.broken_turn(mode))
            .or_else(|| self.broken_claim(mode))
            .or_else(|| self.broken_meeting(mode))
    }

    #[inline]
    fn broken_standing(&self, mode: Mode) -> Option<Invariant> {
        let (standing, me) = (&self.control.standing, self.control.config.me());
        let (epoch, is_empty) = (standing.epoch(), standing.is_empty());
        let is_of_peer = |leased: Epoch| leased != Epoch::NONE && leased.owner() != me;
        let starts_anew = || self.control.turn.cycle() == Cycle(0);
        let is_state_of_mode = match mode {
            Mode::Starting => is_empty && starts_anew(),
            Mode::Joining => is_empty,
            Mode::Standby => !is_empty,
            Mode::Duplex | Mode::Trial | Mode::Simplex | Mode::Donor | Mode::Safe => true,
        };
        first_broken! {
            mode.serves() && epoch.counter() == 0 => EpochOfService,
            epoch.counter() > standing.newest() => NewestNumber,
            is_of_peer(self.leased) || is_of_peer(self.asked) => OwnLease,
            mode.serves_alone() && epoch.owner() != me => OwnerAlone,
            is_empty && mode.serves() && self.control.turn.committed() != Cycle(0) => StateOfService,
            !is_state_of_mode => StateOfMode,
            standing.is_fork() && (mode.is_paired() || mode == Mode::Starting) => Fork,
            standing.probation() > 0 && !mode.is_paired() => Probation,
        }
    }

    /// Whether there is anything of a cycle.
    fn has_cycle(&self) -> bool {
        let (turn, samples) = (&self.control.turn, &self.samples);
        let has_votes = self.my_vote.length() > 0 || self.peer_vote.length() > 0;
        let has_samples = samples.has_mine() || samples.has_theirs() || samples.has_ahead();
        !turn.is_settled() || turn.held() > 0 || has_votes || has_samples || self.case.last().is_some()
    }

    #[inline]
    fn broken_turn(&self, mode: Mode) -> Option<Invariant> {
        let turn = &self.control.turn;
        let (cycle, progress) = (turn.cycle(), turn.progress());
        let (mine, theirs) = (&self.my_vote, &self.peer_vote);
        let is_settled = progress == Progress::Settled;
        let is_sampled = progress == Progress::Sampled;
        let is_of_none = |voted: Cycle| !(-1..=0).contains(&voted.since(cycle));
        if let Some(last) = self.case.last() {
            let may_examine = matches!(mode, Mode::Duplex | Mode::Standby | Mode::Safe);
            if !may_examine || last.cycle().since(cycle) > 0 {
                return Some(Invariant::Examination);
            }
        }
        let has_found = || self.case.of(cycle).is_some_and(|examination| examination.mine().is_some());
        let asks = || self.control.claim.is_under_way() || self.silence.is_unanswered();
        let waits = || asks() || self.case.of(cycle).is_some();
        first_broken! {
            matches!(mode, Mode::Starting | Mode::Joining) && self.has_cycle() => NoCycle,
            progress == Progress::Examined && !has_found() => Examination,
            (is_sampled || mode.serves_alone()) && self.samples.has_ahead() => SampleAhead,
            !is_settled && !self.samples.has_mine() => OwnSample,
            mine.length() > 0 && is_of_none(mine.cycle()) => VotedCycle,
            !is_settled && !is_sampled && mine.cycle() != cycle => VotedCycle,
            mode == Mode::Duplex && theirs.length() > 0 && is_of_none(theirs.cycle()) => VotedCycle,
            mode == Mode::Duplex && !is_settled && turn.held() > self.control.config.patience() && !waits() => Patience,
        }
    }

    #[inline]
    fn broken_claim(&self, mode: Mode) -> Option<Invariant> {
        let claim = &self.control.claim;
        if claim.has_let_go() && !(U::IS_ON && mode == Mode::Trial && self.control.owns()) {
            return Some(Invariant::LetGo);
        }
        if !claim.is_under_way() {
            return claim.is_backed().then_some(Invariant::BackedClaim);
        }
        let (me, epoch) = (self.control.config.me(), self.control.standing.epoch());
        let Some((to, grounds)) = claim.figures() else { return Some(Invariant::ClaimedGrounds) };
        // An arbiter that did not answer is asked again by a channel that stands by.
        let asks_again = mode == Mode::Standby && grounds == Grounds::Silence && self.silence.is_unanswered();
        // The first owner may be told its number by the other channel: it is in that epoch before it asks.
        let is_above = to.counter() > epoch.counter() || grounds == Grounds::First && to == epoch;
        first_broken! {
            !may_claim(mode, grounds) && !asks_again => ClaimedGrounds,
            to.owner() != me || !is_above => ClaimedNumber,
            claim.is_backed() && self.takeover_claim().is_none() => BackedClaim,
        }
    }

    #[inline]
    fn broken_meeting(&self, mode: Mode) -> Option<Invariant> {
        let (me, is_donor) = (self.control.config.me(), mode == Mode::Donor);
        let is_joiner = mode == Mode::Joining;
        let cuts_first = self.meeting.is_cutting_first();
        let may_cut = || cuts_first || mode.is_paired() && self.control.owns();
        let serving = self.meeting.serving();
        let may_join = matches!(mode, Mode::Starting | Mode::Joining | Mode::Standby);
        let donates_to_none =
            || self.control.standing.peer_nonce() == 0 || self.control.suspicion.is_barred(me.other());
        first_broken! {
            !self.is_boot_sound(mode) => Boot,
            self.meeting.is_cutting() && !may_cut() || cuts_first && !self.meeting.is_cutting() => Cut,
            serving.is_some() && !may_join => ServingPeer,
            is_joiner && serving.is_none_or(|serving| serving.owner() == me) => ServingPeer,
            self.copying.books() != [is_donor, is_joiner] || is_donor && donates_to_none() => CopyBooks,
            self.mending.waits() && !mode.serves() => WantedBlock,
            mode.is_paired() && self.has_unsent_acknowledged() => Acknowledged,
        }
    }

    fn is_boot_sound(&self, mode: Mode) -> bool {
        let claims_first = || self.control.claim.on(Grounds::First).is_some();
        match self.meeting.boot() {
            Boot::Listening => mode != Mode::Starting || !claims_first(),
            Boot::Cutting { .. } => mode == Mode::Starting && !claims_first(),
            Boot::Leading { .. } => mode == Mode::Starting && self.control.config.me() == ChannelId::A,
            Boot::Alone | Boot::Joining => mode == Mode::Starting && claims_first(),
        }
    }

    fn has_unsent_acknowledged(&self) -> bool {
        // A pair that cuts over begins as if the peer knew that this channel has settled, which no frame says.
        let turn = &self.control.turn;
        let sent = if turn.is_settled() { Phase::new(turn.cycle(), Stage::Settled) } else { self.sent_phase() };
        !self.outgoing.peer_lags(sent)
    }

    /// Whether the memory can be looked at: else the state of another version lies where the checkpoint will be, or what says so is
    /// damaged.
    pub(crate) fn has_memory_to_look_at(&self) -> bool {
        self.has_sound_control() && !self.is_landing()
    }

    /// Returns what does not hold of the memory, by a look at all of it; `None` also where it cannot be looked at.
    pub fn broken_in_memory(&self) -> Option<Invariant> {
        if !self.has_memory_to_look_at() {
            return None;
        }
        let turn = &self.control.turn;
        let voted = self.my_vote.of(turn.cycle()).filter(|_| turn.is_settled());
        let voted_else = voted.is_some_and(|vote| vote.state_digest != self.mirror.committed_digest());
        let is_idle_copy = self.control.standing.mode() != Mode::Donor && self.mirror.uncopied_blocks() > 0;
        if let Some(invariant) = self.mirror.broken_invariant() {
            return Some(Invariant::Memory(invariant));
        }
        first_broken! {
            turn.is_settled() && self.mirror.is_written() => Committed,
            voted_else => VotedState,
            is_idle_copy => CopyOver,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::case::Examination;
    use super::super::copy::Copying;
    use super::*;
    use crate::mechanism::Mechanism;
    use crate::program::{Agreement, Build};
    use crate::sim::{Pair, Setup, Storage};
    use crate::tracked::Tracked;
    use std::collections::BTreeSet;
    use std::prelude::v1::*;

    struct Counter;

    impl Program for Counter {
        type Input = u8;
        type Output = u32;
        type State = [u32; 640];
        const SAFE: u32 = 0;
        const VERSION: u32 = 1;
        const BUILD: Build = Build::new(1);

        fn agree(a: &u8, b: &u8) -> Agreement<u8> {
            Agreement::on(*a.max(b))
        }

        fn step(_: Cycle, state: &mut Tracked<[u32; 640]>, input: &u8) -> u32 {
            state.update(|s| &s[0], |count| count.wrapping_add(u32::from(*input)));
            state[0]
        }
    }

    type Of<'n, 'm> = &'n mut Node<'m, Counter>;
    /// How an invariant is broken.
    type Spoil = fn(Of<'_, '_>);

    const NOW: Instant = Instant::from_micros(1);
    const PAST: Cycle = Cycle(1);

    /// Where a pair is brought to before the channel is broken.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum At {
        Boot,
        /// In duplex, between two cycles.
        Rest,
        /// In duplex, in a cycle that nobody has stepped on.
        Sampled,
        Alone,
        Donor,
        Joiner,
    }

    /// Brings a pair there, and hands the channel out.
    fn bring(at: At, look: impl FnOnce(Of<'_, '_>)) {
        let mut memory = [Storage::new(), Storage::new()];
        let setup = Setup { seed: 5, ..Setup::default() };
        let mut pair = Pair::<Counter>::new(&setup, &mut memory, |_: ChannelId, cycle: Cycle| cycle.0 as u8).unwrap();
        let is_there = |node: Of<'_, '_>| match at {
            At::Boot => true,
            At::Rest => node.control.turn.cycle().0 > 9 && node.control.turn.is_settled(),
            At::Sampled => node.control.turn.cycle().0 > 9 && node.control.turn.progress() == Progress::Sampled,
            At::Alone => node.mode() == Mode::Simplex && node.control.turn.is_settled(),
            At::Donor => node.mode() == Mode::Donor,
            At::Joiner => node.mode() == Mode::Joining,
        };
        let is_copied = matches!(at, At::Donor | At::Joiner);
        if is_copied || at == At::Alone {
            pair.run(20);
            pair.kill(ChannelId::B);
            pair.run(if is_copied { 3 } else { 0 });
            pair.restart(ChannelId::B);
        }
        if at == At::Alone {
            pair.kill(ChannelId::B);
        }
        let channel = if at == At::Joiner { ChannelId::B } else { ChannelId::A };
        for _ in 0..100_000 {
            if is_there(pair.node_mut(channel).unwrap()) {
                return look(pair.node_mut(channel).unwrap());
            }
            pair.run_us(50);
        }
        core::panic!("{at:?} does not come about");
    }

    /// Of each invariant at least one way to break it.
    const BROKEN: [(Invariant, At, Spoil); 33] = [
        (Invariant::EpochOfService, At::Rest, |node| node.control.standing.start_over()),
        (Invariant::OwnLease, At::Rest, |node| node.leased = Epoch::new(1, ChannelId::B)),
        (Invariant::OwnLease, At::Rest, |node| node.asked = Epoch::new(1, ChannelId::B)),
        (Invariant::OwnerAlone, At::Alone, |node| {
            let next = node.control.standing.epoch().successor(ChannelId::B);
            node.control.standing.adopt(next);
        }),
        (Invariant::StateOfService, At::Rest, |node| node.control.standing.give_up_state()),
        (Invariant::StateOfMode, At::Boot, |node| node.control.standing.take_state()),
        (Invariant::StateOfMode, At::Joiner, |node| node.control.standing.take_state()),
        (Invariant::StateOfMode, At::Boot, |node| node.control.turn.go_on_from(PAST)),
        (Invariant::NoCycle, At::Boot, |node| node.control.turn.reach(Progress::Sampled)),
        (Invariant::NoCycle, At::Joiner, |node| assert!(node.samples.fix(&7_u8))),
        (Invariant::Fork, At::Rest, |node| node.control.standing.went_alone()),
        (Invariant::Probation, At::Alone, |node| node.control.standing.begin_probation(3)),
        (Invariant::Examination, At::Alone, |node| node.case.open(Examination::of(PAST, None, false))),
        (Invariant::Examination, At::Sampled, |node| node.control.turn.reach(Progress::Examined)),
        (Invariant::SampleAhead, At::Alone, |node| assert!(node.samples.keep_ahead(&[0; 5]))),
        (Invariant::OwnSample, At::Sampled, |node| node.samples.clear()),
        (Invariant::VotedCycle, At::Rest, |node| assert!(node.my_vote.keep(PAST, &[0; 12]))),
        (Invariant::VotedCycle, At::Rest, |node| assert!(node.peer_vote.keep(PAST, &[0; 12]))),
        (Invariant::VotedCycle, At::Sampled, |node| node.control.turn.reach(Progress::Voted)),
        (Invariant::Patience, At::Sampled, |node| (0..9).for_each(|_| node.control.turn.hold())),
        (Invariant::ClaimedGrounds, At::Rest, |node| node.control.claim.begin(node.next_epoch(), Grounds::PeerJoins)),
        (Invariant::ClaimedNumber, At::Rest, |node| {
            node.control.claim.begin(node.control.standing.epoch(), Grounds::Silence);
        }),
        (Invariant::BackedClaim, At::Rest, |node| node.control.claim.back()),
        (Invariant::LetGo, At::Rest, |node| node.control.claim.let_go()),
        (Invariant::Boot, At::Rest, |node| node.meeting.lead(1)),
        (Invariant::Boot, At::Boot, |node| node.meeting.start_alone()),
        (Invariant::Cut, At::Alone, |node| node.meeting.cut(NOW, 1)),
        (Invariant::ServingPeer, At::Rest, |node| node.meeting.peer_serves(node.control.standing.epoch())),
        (Invariant::ServingPeer, At::Joiner, |node| node.meeting.nobody_serves()),
        (Invariant::CopyBooks, At::Donor, |node| node.copying = Copying::default()),
        (Invariant::CopyBooks, At::Donor, |node| node.control.suspicion.bar(ChannelId::B)),
        (Invariant::WantedBlock, At::Boot, |node| node.mending.want(NOW, 0)),
        (Invariant::Acknowledged, At::Rest, |node| {
            node.outgoing.restart(Phase::new(node.control.turn.cycle().next(), Stage::Sample));
        }),
    ];

    #[test]
    fn each_one_is_found_broken() {
        for (invariant, at, spoil) in BROKEN {
            bring(at, |node| {
                assert_eq!(node.broken_invariant(), None, "{at:?}");
                spoil(node);
                node.remember();
                assert_eq!(node.broken_invariant(), Some(invariant), "{at:?}");
            });
        }
    }

    /// No move of the standing can break it: only a flipped bit, and that in all three copies.
    #[test]
    fn an_epoch_above_the_newest_number_is_found() {
        let mut found = BTreeSet::new();
        bring(At::Rest, |node| {
            for bit in 0..super::super::Site::CONTROL_BITS {
                node.flip_control(bit);
                assert_eq!(node.broken_invariant(), None, "it waits to be mended");
                let copies = node.copies;
                node.copies = [node.control; 2];
                found.extend(node.broken_invariant());
                node.copies = copies;
                node.flip_control(bit);
                assert!(node.has_sound_control());
            }
        });
        assert!(found.contains(&Invariant::NewestNumber), "{found:?}");
        assert!(found.len() > 8, "{found:?}");
    }

    const IN_MEMORY: [(Invariant, Spoil); 9] = [
        (Invariant::Committed, |node| node.mirror.tracked().set(|s| &s[0], 1)),
        (Invariant::VotedState, |node| node.my_vote.flip_bit(40)),
        (Invariant::CopyOver, |node| node.mirror.copy_set().begin()),
        (Invariant::Memory(MemoryInvariant::BlockDigest), |node| node.mirror.flip_checkpoint_bit(0)),
        (Invariant::Memory(MemoryInvariant::RegionDigest), |node| node.mirror.flip_digest_bit(40 * 32)),
        (Invariant::Memory(MemoryInvariant::CleanBlock), |node| node.mirror.flip_working_bit(9)),
        (Invariant::Memory(MemoryInvariant::Marks), |node| node.mirror.flip_mark_bit(8 * 39)),
        (Invariant::Memory(MemoryInvariant::Uncopied), |node| node.mirror.flip_mark_bit(1)),
        (Invariant::Memory(MemoryInvariant::ScrubPlace), |node| node.mirror.flip_scrub_bit(20)),
    ];

    #[test]
    fn each_one_of_the_memory_is_found_broken() {
        for (invariant, spoil) in IN_MEMORY {
            bring(At::Rest, |node| {
                assert_eq!(node.broken_in_memory(), None);
                spoil(node);
                assert_eq!(node.broken_in_memory(), Some(invariant));
            });
        }
        for at in [At::Boot, At::Sampled, At::Alone, At::Donor, At::Joiner] {
            bring(at, |node| assert_eq!(node.broken_in_memory(), None, "{at:?}"));
        }
    }

    #[test]
    fn a_time_too_far_ahead_is_found() {
        for bit in [39, 40 + 39] {
            bring(At::Rest, |node| {
                let now = node.next_start(); // no earlier than the last call
                assert!(node.has_times_within(now));
                node.schedule.flip_bit(bit);
                assert!(!node.has_times_within(now), "{bit}");
            });
        }
        bring(At::Rest, |node| {
            let now = node.next_start();
            node.outgoing.say_hello_at(now.plus_us(u32::MAX));
            assert!(!node.has_times_within(now));
            node.outgoing.say_hello_at(now);
            node.drop_resend_at = now.plus_us(u32::MAX);
            assert!(!node.has_times_within(now));
        });
    }

    const FOOTING: Footing = Footing {
        newest: 7,
        epoch: Epoch::new(6, ChannelId::A),
        owns: true,
        claimed: Epoch::NONE,
        committed: Cycle(40),
        is_empty: false,
        serves: true,
    };

    #[test]
    fn what_may_only_rise_is_held_against_the_call_before() {
        let older = Epoch::new(5, ChannelId::B);
        let next = Footing { committed: Cycle(41), ..FOOTING };
        for (later, broken) in [
            (FOOTING, None),
            (next, None),
            (Footing { claimed: Epoch::new(8, ChannelId::A), ..next }, None),
            (Footing { claimed: Epoch::new(7, ChannelId::A), ..next }, Some(Invariant::FreshNumber)),
            (Footing { epoch: Epoch::new(8, ChannelId::A), newest: 8, ..next }, None),
            (Footing { epoch: Epoch::new(7, ChannelId::A), ..next }, Some(Invariant::FreshNumber)),
            (Footing { epoch: Epoch::new(7, ChannelId::B), owns: false, ..next }, None),
            (Footing { newest: 6, ..next }, Some(Invariant::NewestRises)),
            (Footing { epoch: older, owns: false, ..next }, Some(Invariant::EpochRises)),
            (Footing { epoch: older, owns: false, is_empty: true, ..FOOTING }, None),
            (Footing { committed: Cycle(39), ..FOOTING }, Some(Invariant::OneCycle)),
            (Footing { committed: Cycle(42), ..FOOTING }, Some(Invariant::OneCycle)),
            (Footing { committed: Cycle(0), serves: false, ..FOOTING }, None),
        ] {
            assert_eq!(FOOTING.broken_by(&later), broken, "{later:?}");
        }
    }

    /// The mechanism that it watches is off or on.
    #[test]
    fn a_claim_of_a_number_that_was_seen_is_found() {
        for (off, broken) in [(None, None), (Some(Mechanism::Numbers), Some(Invariant::FreshNumber))] {
            bring(At::Rest, |node| {
                off.into_iter().for_each(|off| node.switch_off(off));
                node.control.standing.saw(node.control.standing.epoch().counter() + 5);
                let before = node.footing();
                node.claim_outputs(Grounds::Silence);
                assert_eq!(before.broken_by(&node.footing()), broken, "{off:?}");
            });
        }
    }

    #[test]
    fn none_is_without_a_control_and_each_is_named_once() {
        let elsewhere = [
            Invariant::NewestNumber,
            Invariant::Times,
            Invariant::FreshNumber,
            Invariant::NewestRises,
            Invariant::EpochRises,
            Invariant::OneCycle,
        ];
        let named =
            BROKEN.iter().map(|(invariant, ..)| *invariant).chain(IN_MEMORY.iter().map(|(invariant, _)| *invariant));
        let controlled: BTreeSet<_> = named.chain(elsewhere).collect();
        let all = Invariant::ALL.into_iter().chain(MemoryInvariant::ALL.map(Invariant::Memory));
        let all: BTreeSet<_> = all.collect();
        assert_eq!(controlled, all);
        let texts: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), all.len());
    }
}
