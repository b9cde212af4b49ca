//! One emulated chip: a QEMU process with two cores, the tether of each, and the port to their memory.
//!
//! Both cores share the emulator's clock, which counts the instructions of both. The rig gives one of them a turn at a
//! time, while the other one sleeps: so what a core counts in its turn are its own.

use crate::board::{ICOUNT, accept, listen, stop};
use crate::engine::{Given, Machines};
use crate::qtest::Qtest;
use crate::tether::{Done, Nothing, TetherEnd};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use twinstep::ChannelId;

/// QEMU's name for it.
const MACHINE: &str = "mps2-an521";
/// Ticks of SysTick, at 20 MHz, in a hundred instructions of 2^9 ns.
pub(super) const TICKS_IN_A_HUNDRED_INSTRUCTIONS: u32 = 1024;

/// A running chip. It is killed when dropped.
pub(super) struct Chip {
    /// The port to its memory.
    pub(super) memory: Qtest,
    process: Child,
    tethers: [TetherEnd; 2],
}

impl Chip {
    /// Powers a chip up with an image for each core; its ports are in `folder`. Both cores wait for their first turn.
    pub(super) fn power_up(qemu: &Path, images: &[PathBuf; 2], folder: &Path) -> Result<Self> {
        let (memory, memory_path) = listen(&folder.join("memory"))?;
        let (tether_a, path_a) = listen(&folder.join("tether-a"))?;
        let (tether_b, path_b) = listen(&folder.join("tether-b"))?;
        let chardev = |id: &str, path: &Path| format!("socket,id={id},path={}", path.display());
        let [core_0, core_1] = images;
        let mut process = Command::new(qemu)
            .args(["-M", MACHINE, "-display", "none", "-monitor", "none", "-accel", "tcg"])
            .args(ICOUNT)
            .args(["-qtest-log", "none", "-qtest", &format!("unix:{}", memory_path.display())])
            .args(["-chardev", &chardev("a", &path_a), "-serial", "chardev:a"])
            .args(["-chardev", &chardev("b", &path_b), "-serial", "chardev:b"])
            .args(["-device", &format!("loader,file={}", core_1.display())])
            .arg("-kernel")
            .arg(core_0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", qemu.display()))?;
        // In a closure, so that QEMU is stopped whatever fails in it.
        let connected = (|| {
            let memory = Qtest::connect(accept(&memory, &mut process, MACHINE)?)?;
            let id = process.id();
            let mut tether = |listener| TetherEnd::new(accept(listener, &mut process, MACHINE)?, id);
            let mut tethers = [tether(&tether_a)?, tether(&tether_b)?];
            for tether in &mut tethers {
                ensure!(tether.boots()?, "the emulated chip does not boot");
            }
            Ok::<_, anyhow::Error>((memory, tethers))
        })();
        match connected {
            Ok((memory, tethers)) => Ok(Self { memory, process, tethers }),
            Err(error) => {
                stop(&mut process);
                Err(error)
            }
        }
    }

    /// Lets a core that has stopped begin anew, and waits until it waits for its first turn.
    pub(super) fn begin_anew(&mut self, core: ChannelId) -> Result<()> {
        let tether = &mut self.tethers[core.index()];
        tether.reset()?;
        ensure!(tether.boots()?, "core {core} does not boot again");
        Ok(())
    }
}

impl Machines for Chip {
    fn turn(&mut self, core: ChannelId, given: &Given) -> Result<Option<Done>> {
        self.tethers[core.index()].turn(given, &mut Nothing)
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}
