//! One emulated chip: a QEMU process with two cores, the field bus of each, and the port to their memory.

use crate::board::{accept, prefer};
use crate::frames::{Deframer, framed};
use crate::qtest::Qtest;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tank::field_bus::{MAX_MESSAGE_BYTES, ToBoard, ToPlant};
use twinstep::ChannelId;

/// QEMU's name for it.
const MACHINE: &str = "mps2-an521";

/// A running chip. It is killed when dropped.
pub(super) struct Chip {
    /// The port to its memory.
    pub(super) memory: Qtest,
    process: Child,
    buses: [FieldBus; 2],
}

/// The plant side's end of a core's field bus. It never waits: what one core has said must not wait for the other one.
struct FieldBus {
    stream: UnixStream,
    deframer: Deframer,
}

impl Chip {
    /// Powers a chip up with an image for each core; its ports are in `folder`.
    pub(super) fn power_up(qemu: &Path, images: &[PathBuf; 2], folder: &Path) -> Result<Self> {
        let listen = |name: &str| {
            let path = folder.join(name);
            let listener = UnixListener::bind(&path).with_context(|| format!("port {} is taken", path.display()))?;
            Ok::<_, anyhow::Error>((listener, path))
        };
        let (memory, memory_path) = listen("memory")?;
        let (bus_a, path_a) = listen("field-a")?;
        let (bus_b, path_b) = listen("field-b")?;
        let chardev = |id: &str, path: &Path| format!("socket,id={id},path={}", path.display());
        let [core_0, core_1] = images;
        let mut process = Command::new(qemu)
            .args(["-M", MACHINE, "-display", "none", "-monitor", "none"])
            .args(["-accel", "tcg", "-qtest-log", "none", "-qtest", &format!("unix:{}", memory_path.display())])
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
        prefer(process.id());
        // In a closure, so that QEMU is stopped whatever fails in it.
        let connected = (|| {
            let bus = |listener: &UnixListener, process: &mut Child| {
                let stream = accept(listener, process, MACHINE)?;
                stream.set_nonblocking(true)?;
                Ok::<_, anyhow::Error>(FieldBus { stream, deframer: Deframer::default() })
            };
            let memory = Qtest::connect(accept(&memory, &mut process, MACHINE)?)?;
            Ok::<_, anyhow::Error>((memory, [bus(&bus_a, &mut process)?, bus(&bus_b, &mut process)?]))
        })();
        match connected {
            Ok((memory, buses)) => Ok(Self { memory, process, buses }),
            Err(error) => {
                stop(&mut process);
                Err(error)
            }
        }
    }

    /// Returns all that a core has said on its field bus until now.
    pub(super) fn hear(&mut self, core: ChannelId) -> Result<Vec<ToPlant>> {
        let FieldBus { stream, deframer } = &mut self.buses[core.index()];
        let mut messages = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = match stream.read(&mut buffer) {
                Ok(0) => bail!("the emulated chip stopped by itself"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(messages),
                Err(error) => return Err(error).context("the emulated chip cannot be heard"),
            };
            let frames = buffer[..count].iter().filter_map(|byte| deframer.push(*byte));
            messages.extend(frames.filter_map(|frame| ToPlant::decode(&frame.frame)));
        }
    }

    /// Tells a core something. One that does not read loses it; that is no error.
    pub(super) fn tell(&mut self, core: ChannelId, message: &ToBoard) {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let Some(length) = message.encode(&mut buffer) else { return };
        let _ = self.buses[core.index()].stream.write_all(&framed(&buffer[..length]));
    }

    /// Begins with a whole message both ways: a core that was stopped left one half said, and one half heard.
    pub(super) fn begin_anew(&mut self, core: ChannelId) {
        let bus = &mut self.buses[core.index()];
        bus.deframer = Deframer::default();
        let _ = bus.stream.write_all(&[0]);
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        stop(&mut self.process);
    }
}

fn stop(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
