//! What a run begins with, and what the boards' program consists of.

use super::boards::Boards;
use super::shots::Shots;
use super::upgrade::Upgrade;
use super::upsets::Upsets;
use super::{CHANNELS, Run};
use crate::board::{Socket, TICKS_IN_A_HUNDRED_INSTRUCTIONS};
use crate::cross_link::CrossLink;
use crate::engine::Engine;
use crate::firmware::{self, Images};
use crate::judge::Judge;
use crate::plant_side::PlantSide;
use crate::ram::Ram;
use crate::relay::Relay;
use crate::rot::{PlantMemory, Rot};
use crate::rounds::Rounds;
use crate::run::Progress;
use crate::scenario::{Kind, Plan, ROUNDS};
use crate::seu::Aim;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::path::Path;
use tank::TIMING;

/// So many cycles tell what a pair in duplex executes.
const LEARNING_CYCLES: u32 = 16;

impl<'p> Run<'p> {
    /// Makes a run on two boards that are to boot these images.
    pub(super) fn new(plan: Plan, qemu: &Path, images: &Images, progress: &'p Progress) -> Result<Self> {
        let (image, folder) = (images.old(), tempfile::tempdir().context("no temporary folder for the boards' ports")?);
        let elf = std::fs::read(&image).with_context(|| format!("no firmware at {}", image.display()))?;
        let debug_port = plan.kind == Kind::Seu && plan.aim != Aim::Memory;
        let upsets = (plan.kind == Kind::Seu).then(|| {
            let shots = debug_port.then(|| Shots::new(plan.aim, &elf)).transpose()?;
            Ok::<_, anyhow::Error>(Upsets::new(plan.seed, plan.flips, Ram::of(&elf)?, shots))
        });
        let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0xB0A2D5);
        let pair = rng.u32(..);
        Ok(Self {
            socket: Socket {
                qemu: qemu.into(),
                image,
                folder: folder.path().into(),
                memory_port: matches!(plan.kind, Kind::Rot | Kind::Seu),
                debug_port,
                executed: None,
            },
            folder,
            plan,
            rng,
            engine: Engine::new(plan.pace, TICKS_IN_A_HUNDRED_INSTRUCTIONS),
            boards: Boards::default(),
            boots: 0,
            lives: [0; 2],
            nonces: [0; 2],
            pair,
            link: CrossLink::new(&plan),
            from_board: Default::default(),
            relay: Relay::new(plan.broken_relay),
            judge: Judge::of(&plan),
            plant: PlantSide::new(plan.seed)?,
            rounds: (plan.kind == Kind::Rejoin).then(|| Rounds::new(ROUNDS, plan.seed, TIMING.probation_cycles)),
            upsets: upsets.transpose()?,
            upgrade: plan.kind.upgrades().then(|| Upgrade::new(&plan)),
            images: images.clone(),
            rot: (plan.kind == Kind::Rot).then(|| Rot::new(plan.seed, plan.cycles, TIMING.scrub_blocks)),
            memory_at: firmware::address_of("MEMORY", size_of::<PlantMemory>(), &elf)?,
            modes: [None; 2],
            one_stood_by: false,
            journal: Vec::new(),
            logs: Default::default(),
            failed: None,
            progress,
        })
    }

    /// Boots both boards.
    pub(super) fn power_up(&mut self) -> Result<()> {
        CHANNELS.into_iter().try_for_each(|board| self.boot(board))
    }

    /// Returns the addresses of the instructions that a pair executes from its boot to some cycles of duplex.
    pub(super) fn executed(qemu: &Path, images: &Images, progress: &'p Progress) -> Result<BTreeSet<u32>> {
        let mut run = Self::new(Plan::new(Kind::Failover, 1, 8 * LEARNING_CYCLES), qemu, images, progress)?;
        let listing = run.folder.path().join("executed");
        run.socket.executed = Some(listing.clone());
        run.power_up()?;
        while run.judge.cycles() < LEARNING_CYCLES {
            let happened = run.engine.next(&mut run.boards)?.context("the boards stopped")?;
            run.hear(&happened);
        }
        CHANNELS.into_iter().for_each(|board| run.unplug(board));
        let mut executed = BTreeSet::new();
        for board in CHANNELS {
            let path = format!("{}-{}", listing.display(), board.index());
            let text = std::fs::read_to_string(&path).with_context(|| format!("the emulator wrote no {path}"))?;
            executed.extend(text.lines().filter_map(address_in));
        }
        Ok(executed)
    }

    /// Aims faults of the processor at these instructions only.
    pub(super) fn aim_at(&mut self, executed: &BTreeSet<u32>) -> Result<()> {
        let shots = self.upsets.as_mut().and_then(|upsets| upsets.shots.as_mut());
        shots.map_or(Ok(()), |shots| shots.aim_at(executed))
    }
}

/// Returns the address at the beginning of a line of disassembly, `0x00001f3a:  4770  bx  lr`.
fn address_in(line: &str) -> Option<u32> {
    let (address, _) = line.strip_prefix("0x")?.split_once(':')?;
    u32::from_str_radix(address, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn a_listing_has_an_address_in_front_of_each_instruction() {
        assert_eq!(address_in("0x00001f3a:  4770       bx       lr"), Some(0x1F3A));
        assert_eq!(address_in("IN: "), None);
        assert_eq!(address_in("----------------"), None);
    }
}
