//! The scenarios: what is done to the pair, and what is claimed of the run.

use crate::engine::Pace;
use crate::judge::Figures;
use crate::seu::Aim;
use crate::upgrade::{self, Cell};
use clap::ValueEnum;
use fastrand::Rng;
use tank::field_bus::ModeCode;
use tank::{Plant, TIMING};
use twinstep::blocks;
pub(crate) use twinstep::sim::campaign::Claim;

/// A scenario of the rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The board that drives is killed in the middle of a cycle.
    Failover,
    /// Bytes on the cross link are flipped, lost and repeated.
    Noise,
    /// The cross link is cut, both boards alive, and healed later.
    Partition,
    /// The board that drives is killed, restarted, and gets the state copied, again and again.
    Rejoin,
    /// Bits are flipped in the mirrored memory of running boards.
    Rot,
    /// Bits are flipped anywhere in the memory of running boards.
    Seu,
    /// The boards are upgraded from version 1 to version 2 while they serve.
    Upgrade,
    /// They go back to version 1 from a version 2 that is wrong, or is not wanted.
    Rollback,
    /// In each step of an upgrade each half is killed.
    UpgradeFaults,
    /// Two cores of one chip: each is stopped dead and comes back, and bits are flipped in their mirrored memory.
    Dualcore,
}

/// Rounds of death and return of boards in one run.
pub(crate) const ROUNDS: usize = 10;
/// The same of cores.
pub(crate) const CORE_ROUNDS: usize = 5;

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Failover,
        Self::Noise,
        Self::Partition,
        Self::Rejoin,
        Self::Rot,
        Self::Seu,
        Self::Upgrade,
        Self::Rollback,
        Self::UpgradeFaults,
        Self::Dualcore,
    ];

    /// Whether it runs more than one version.
    pub(crate) fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::Rollback | Self::UpgradeFaults)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Noise => "noise",
            Self::Partition => "partition",
            Self::Rejoin => "rejoin",
            Self::Rot => "rot",
            Self::Seu => "seu",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::UpgradeFaults => "upgrade-faults",
            Self::Dualcore => "dualcore",
        }
    }
}

/// A scenario with its moments, all drawn from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// The last cycle of the run.
    pub(crate) cycles: u32,
    /// The cycle of the kill or of the cut.
    pub(crate) strikes_at: u32,
    /// Bytes of the owner's frames in that cycle that still get through before the kill.
    pub(crate) strike_byte: u32,
    /// The cycle in which the link is healed.
    pub(crate) heals_at: u32,
    /// The share of bytes that the link damages.
    pub(crate) byte_errors: f64,
    /// What time and lines are like.
    pub(crate) pace: Pace,
    /// Faults to be injected.
    pub(crate) flips: u32,
    /// What they hit.
    pub(crate) aim: Aim,
    /// The half to be killed in an upgrade, and in which step.
    pub(crate) cell: Option<Cell>,
    /// Only this one of the halves to be killed.
    pub(crate) only: Option<usize>,
    /// Negative control: the relay lets everybody through.
    pub(crate) broken_relay: bool,
    /// Negative control: no bootloader ever starts a candidate.
    pub(crate) broken_bootloader: bool,
    /// Negative control: what the new version drives is not compared.
    pub(crate) broken_trial: bool,
}

/// Bytes of a sample and a vote of the tank on the link, delimiters included.
pub(crate) const EXCHANGE_BYTES: u32 = 52;

impl Plan {
    /// Draws the moments of a scenario.
    pub(crate) fn new(kind: Kind, seed: u64, cycles: u32) -> Self {
        let mut rng = Rng::with_seed(seed);
        let strikes_at = cycles / 2 + rng.u32(0..=cycles / 8);
        Self {
            kind,
            seed,
            cycles,
            strikes_at,
            strike_byte: rng.u32(1..=EXCHANGE_BYTES),
            heals_at: strikes_at + cycles / 8,
            byte_errors: if kind == Kind::Noise { 1e-3 } else { 0.0 },
            pace: Pace::DEFAULT,
            flips: 0,
            aim: Aim::Memory,
            cell: None,
            only: None,
            broken_relay: false,
            broken_bootloader: false,
            broken_trial: false,
        }
    }

    /// Returns what is claimed of the run, and whether it held.
    pub(crate) fn claims(&self, figures: &Figures, ending: &Ending) -> Vec<Claim> {
        if self.kind == Kind::Seu {
            return seu_claims(self, figures, ending);
        }
        if self.kind.upgrades() {
            return upgrade::claims(self, figures, ending);
        }
        let mut claims = vec![
            claim(format!("at least {} cycles reached the plant", self.cycles), figures.cycles >= self.cycles),
            claim("missing 0", figures.missing == 0),
            claim("wrong 0", figures.wrong == 0),
            claim("unvoted_in_duplex 0", figures.unvoted_in_duplex == 0),
            claim("safe outputs 0", figures.safe == 0),
            claim("owners_max 1", figures.owners_max == 1),
            claim("no output after one of a later cycle", figures.went_back == 0),
            gap_claim(figures),
        ];
        if let Some(overhead) = ending.checks_link_overhead.then_some(figures.link_overhead_bytes_max) {
            claims.push(claim("link overhead of 1 to 42 bytes a cycle and direction", (1..=42).contains(&overhead)));
        }
        match self.kind {
            Kind::Failover => {
                claims.push(claim("no board drove without the lease", figures.cut_off == 0));
                let same_cycle = figures.kill_cycle.is_some() && figures.takeover_cycle == figures.kill_cycle;
                claims.push(claim("the owner was killed", figures.kill_cycle.is_some()));
                claims.push(claim("takeover in the cycle of the kill", same_cycle && figures.takeovers == 1));
            }
            Kind::Noise => {
                let rate = figures.damaged_bytes.zip(figures.carried_bytes);
                let injected = rate.is_some_and(|(damaged, carried)| damaged > 0 && damaged * 2_000 >= carried);
                claims.push(claim("at least one byte in 2000 was damaged", injected));
                claims.push(claim("no takeover", figures.takeovers == 0));
                claims.push(claim("no board drove without the lease", figures.cut_off == 0));
                claims.push(claim("duplex at the end", ending.modes == [Some(ModeCode::Duplex); 2]));
            }
            Kind::Partition => {
                claims.push(claim("the link was cut, and healed again", ending.link_changes == 2));
                claims.push(claim("one board went on alone, and the other stood by", ending.one_stood_by));
                claims.push(claim("duplex at the end", ending.modes == [Some(ModeCode::Duplex); 2]));
            }
            Kind::Rejoin => {
                claims.extend(rounds_claims(figures, ROUNDS, ["board", "killed", "kill"]));
                claims.push(claim("no board drove without the lease", figures.cut_off == 0));
            }
            Kind::Rot => {
                claims.extend(rot_claims(figures));
                claims.push(claim("no takeover", figures.takeovers == 0));
                claims.push(claim("no board drove without the lease", figures.cut_off == 0));
                claims.push(claim("duplex at the end", ending.modes == [Some(ModeCode::Duplex); 2]));
            }
            Kind::Dualcore => {
                claims.extend(rounds_claims(figures, CORE_ROUNDS, ["core", "stopped", "stop and of the hang"]));
                let hung = figures.hung.filter(|hung| figures.takeover_cycles.contains(&hung.hung_in));
                let is_back = hung.is_some_and(|hung| hung.held_output && hung.duplex_in.is_some());
                claims.push(claim("a core hung with an output in hand, was overtaken, went on, and is back", is_back));
                claims.push(claim("every frame in the mailbox was heard", figures.unheard_frames == Some(0)));
                claims.extend(rot_claims(figures));
                claims.push(claim("duplex at the end", ending.modes == [Some(ModeCode::Duplex); 2]));
            }
            Kind::Seu | Kind::Upgrade | Kind::Rollback | Kind::UpgradeFaults => {}
        }
        claims
    }
}

/// What a claim takes after the deadline: the survivor looks for the arbiter's answer each eighth of `retransmit_us`, here twice. Before
/// that it repeats its sample and its vote. They keep it no longer than their exchange took in the cycle of the first of the two
/// outputs, which came that much after the start of its cycle.
const CLAIM_US: u32 = TIMING.retransmit_us / 4;

/// The longest time between two outputs: if the owner dies between its vote and its output, the other one claims at the deadline of
/// the next cycle, and drives that output together with its own.
pub(crate) const LONGEST_GAP_US: u32 = 2 * TIMING.period_us + TIMING.vote_window_us + CLAIM_US;

/// What is claimed of the time between two outputs.
pub(crate) fn gap_claim(figures: &Figures) -> Claim {
    let is_in_time = figures.longest_gap_us.is_some_and(|longest_us| longest_us <= u64::from(LONGEST_GAP_US));
    claim("at most two periods, a vote window and a claim between two outputs", is_in_time)
}

const STATE_BLOCKS: u32 = blocks::<Plant>() as u32;

/// The words name who died, and how.
fn rounds_claims(figures: &Figures, count: usize, [who, killed, kill]: [&str; 3]) -> Vec<Claim> {
    let rounds = &figures.rounds;
    let returned = rounds.iter().filter(|round| round.duplex_in.is_some()).count();
    let by_turns = rounds.windows(2).all(|two| two[0].board != two[1].board);
    let at_once = rounds.iter().all(|round| figures.takeover_cycles.contains(&round.killed_in));
    vec![
        claim(format!("{count} {who}s {killed}, and back in duplex after a copy"), returned == count),
        claim(format!("each time the other {who}"), by_turns),
        // All of it each time: what a board had before its death is gone.
        claim("the link carried the state each time", figures.blocks_copied >= count as u32 * STATE_BLOCKS),
        claim(
            format!("at most {} blocks in a cycle", figures.copy_budget_blocks),
            (1..=figures.copy_budget_blocks).contains(&figures.blocks_in_a_cycle_max),
        ),
        claim(
            format!("takeover in the cycle of each {kill}, and no other"),
            at_once && figures.takeovers == count as u32 + u32::from(figures.hung.is_some()),
        ),
        claim("blackout_cycles 0", figures.blackout_cycles == 0),
    ]
}

fn rot_claims(figures: &Figures) -> Vec<Claim> {
    let rot = figures.rot.unwrap_or_default();
    let all = rot.all();
    let everywhere = [rot.working, rot.checkpoint, rot.digests].iter().all(|part| part.flipped > 0);
    vec![
        claim("bits flipped in working state, checkpoint and digests", everywhere),
        claim("every flip found and mended, masked, or written over", all.flipped > 0 && all.is_complete()),
        claim(
            format!("each that was found, within the {} cycles of a scrub", rot.bound_cycles),
            rot.found_within_cycles_max <= rot.bound_cycles,
        ),
    ]
}

const WRONG_BEHIND_SEAL: &str = "wrong 0, but for faults between the check of the seal and the actuator";

/// A board that is hit may fail in any way, and both may stop in the safe state; but what is driven is right.
fn seu_claims(plan: &Plan, figures: &Figures, ending: &Ending) -> Vec<Claim> {
    let seu = figures.seu.clone().unwrap_or_default();
    let flipped = seu.flips.len();
    let (injected, wrong) = match plan.aim {
        Aim::Memory => (format!("at least {} bits flipped", plan.flips), "wrong 0"),
        Aim::Registers => (format!("at least {} faults of a processor", plan.flips), WRONG_BEHIND_SEAL),
        Aim::EveryInstruction { .. } => ("instructions skipped from vote to actuator".into(), WRONG_BEHIND_SEAL),
    };
    // Beside those that the pair did not come by in three cycles each.
    let all = seu.stretch.map_or(usize::MAX, |stretch| stretch[2].saturating_sub(seu.not_reached as usize));
    let enough =
        if let Aim::EveryInstruction { .. } = plan.aim { all.min(plan.flips as usize) } else { plan.flips as usize };
    let mut claims = vec![claim(injected, flipped > 0 && flipped >= enough)];
    if let Aim::EveryInstruction { .. } = plan.aim {
        let are_few = 20 * seu.not_reached as usize <= flipped;
        claims.push(claim("all but one in twenty of those that were aimed at", are_few));
    }
    claims.extend([
        claim(wrong, figures.wrong == seu.uncovered_outputs),
        claim("unvoted_in_duplex 0", figures.unvoted_in_duplex == 0),
        claim("owners_max 1", figures.owners_max == 1),
        claim("duplex at the end", ending.modes == [Some(ModeCode::Duplex); 2]),
    ]);
    claims
}

/// What else is known at the end of a run.
pub(crate) struct Ending {
    /// The modes of the boards that are alive.
    pub(crate) modes: [Option<ModeCode>; 2],
    /// How often the link was cut or healed.
    pub(crate) link_changes: usize,
    /// Whether one board stood by while the other one served alone.
    pub(crate) one_stood_by: bool,
    /// Whether the run carried real bytes.
    pub(crate) checks_link_overhead: bool,
}

/// Whether one board serves alone and the other one, alive, does not.
pub(crate) fn one_stands_by(modes: [Option<ModeCode>; 2]) -> bool {
    use ModeCode::{Donor, Simplex, Standby};
    matches!(modes, [Some(Simplex | Donor), Some(Standby)] | [Some(Standby), Some(Simplex | Donor)])
}

/// Makes a claim.
pub(crate) fn claim(claim: impl Into<String>, held: bool) -> Claim {
    Claim::new(claim, held)
}

#[cfg(test)]
mod tests;
