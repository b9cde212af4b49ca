//! Upsets on the simulated pair: flips a bit at a named place of a channel at a random moment, and restarts what does
//! not come back.

use super::{CHANNELS, Run, STEPS_IN_A_CYCLE};
use crate::seu::Seu;
use tank::field_bus::ModeCode;
use twinstep::{ChannelId, Config, Mode, Site};

/// What does not stay: a stuck or failing arithmetic unit is no upset.
const SITES: [Site; Site::ALL.len() - 2] = {
    let mut sites = [Site::Output; Site::ALL.len() - 2];
    let (mut from, mut to) = (0, 0);
    while from < Site::ALL.len() {
        if !matches!(Site::ALL[from], Site::StuckOutput | Site::FailingOutput) {
            sites[to] = Site::ALL[from];
            to += 1;
        }
        from += 1;
    }
    sites
};
/// Steps between two flips: two cycles on the average.
const FLIP_EVERY: std::ops::Range<u32> = 3 * STEPS_IN_A_CYCLE / 2..5 * STEPS_IN_A_CYCLE / 2;
/// A pair out of duplex for so long does not find back by itself.
const APART_AT_MOST: u32 = 60 * STEPS_IN_A_CYCLE;

/// The state of the upsets of a run. Times are steps.
pub(super) struct Upsets {
    pub(super) seu: Seu,
    rng: fastrand::Rng,
    now: u32,
    next_flip: u32,
    together: u32,
    wrong: u32,
    states_lost: u32,
}

impl Upsets {
    pub(super) fn new(seed: u64, flips: u32) -> Self {
        let rng = fastrand::Rng::with_seed(seed ^ 0x5E0);
        let next_flip = 10 * STEPS_IN_A_CYCLE;
        Self { seu: Seu::new(flips), rng, now: 0, next_flip, together: 0, wrong: 0, states_lost: 0 }
    }

    /// Whether all flips are done, and have had the time to show.
    pub(super) fn is_done(&self) -> bool {
        self.seu.is_done() && self.now > self.next_flip + 20 * STEPS_IN_A_CYCLE && self.together == self.now
    }
}

impl Run<'_> {
    /// Looks after the pair, and flips a bit if one is due.
    pub(super) fn go_on_with_upsets(&mut self, period_us: u64) {
        let (modes, report) = (self.modes(), self.pair.report());
        let Some(upsets) = &mut self.upsets else { return };
        upsets.now += 1;
        if modes == [Some(ModeCode::Duplex); 2] {
            upsets.together = upsets.now;
        } else {
            let calm = (u32::from(Config::DEFAULT.probation_cycles) + 2) * STEPS_IN_A_CYCLE;
            upsets.next_flip = upsets.next_flip.max(upsets.now + calm);
        }
        if report.wrong > std::mem::replace(&mut upsets.wrong, report.wrong) {
            upsets.seu.wrong(None, 0, "a wrong output".into());
        }
        let has_lost_state = report.states_lost > std::mem::replace(&mut upsets.states_lost, report.states_lost);
        let is_apart = upsets.now > upsets.together + APART_AT_MOST;
        let are_safe = modes == [Some(ModeCode::Safe); 2];
        let astray = CHANNELS.into_iter().find(|channel| {
            let serves_alone = self.pair.mode(channel.other()).is_some_and(Mode::serves_alone);
            serves_alone && (is_apart || modes[channel.index()] == Some(ModeCode::Safe))
        });
        if has_lost_state {
            upsets.seu.outage("neither had the state");
            self.world.0.borrow_mut().begin_anew();
        } else if let Some(channel) = astray {
            upsets.seu.restarted(channel, "it did not come back");
            self.reboot(&[channel]);
        } else if are_safe {
            upsets.seu.safe_stop();
            self.reboot(&CHANNELS);
        } else if is_apart {
            self.reboot(&CHANNELS);
        }
        self.flip_if_due(period_us);
    }

    fn reboot(&mut self, channels: &[ChannelId]) {
        let Some(upsets) = &mut self.upsets else { return };
        upsets.together = upsets.now;
        for channel in channels {
            self.pair.kill(*channel);
        }
        for channel in channels {
            self.pair.restart(*channel);
            let mut world = self.world.0.borrow_mut();
            let latest = world.latest;
            world.plant.injected(latest, Some(*channel), "booted again");
        }
    }

    fn flip_if_due(&mut self, period_us: u64) {
        let Some(upsets) = &mut self.upsets else { return };
        if upsets.seu.is_done() || upsets.now < upsets.next_flip {
            return;
        }
        self.pair.run_us(upsets.rng.u64(0..period_us / u64::from(STEPS_IN_A_CYCLE)));
        let board = upsets.seu.turn();
        let (Some(site), bit) = (upsets.rng.choice(SITES), upsets.rng.usize(..)) else { return };
        let Some(node) = self.pair.node_mut(board) else { return };
        if !node.flip(site, bit) {
            return; // there is nothing at this place now
        }
        let cycle = node.cycle().0;
        upsets.next_flip = upsets.now + upsets.rng.u32(FLIP_EVERY);
        upsets.seu.flipped(board, cycle, &region(site), format!("bit {bit}, modulo what there is"), self.journal.len());
        self.world.0.borrow_mut().plant.injected(cycle, Some(board), region(site));
    }

    /// Forgets what the channels were suspected of, as on boards.
    pub(super) fn readmit(&mut self) {
        for channel in CHANNELS {
            if let Some(node) = self.pair.node_mut(channel) {
                CHANNELS.into_iter().for_each(|suspect| node.readmit(suspect));
            }
        }
    }
}

/// `PeerSample` as "peer sample"; the parts of memory as on boards.
fn region(site: Site) -> String {
    match site {
        Site::Working => "working state".into(),
        Site::Digest => "digests".into(),
        _ => {
            let mut words = String::new();
            for letter in format!("{site:?}").chars() {
                if letter.is_uppercase() && !words.is_empty() {
                    words.push(' ');
                }
                words.push(letter.to_ascii_lowercase());
            }
            words
        }
    }
}
