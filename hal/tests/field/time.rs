//! Virtual time for two run loops, each on a thread of its own: the one that has to wake first runs, and only that one. The same
//! run gives the same result each time.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use twinstep::wire::MAX_FRAME_BYTES;
use twinstep::{ChannelId, Instant};
use twinstep_hal::{Clock, Link};

/// More virtual time than any run takes.
const LIMIT_US: u64 = 10_000_000_000;

#[derive(Default)]
struct World {
    now: u64,
    /// When each one wakes; `None` before its begin and after its end.
    wake: [Option<u64>; 2],
    running: Option<usize>,
    begun: usize,
    /// Frames on their way to each one, with their arrival.
    wires: [VecDeque<(u64, Vec<u8>)>; 2],
    is_listening: [bool; 2],
}

impl World {
    fn hand_on(&mut self) {
        if self.begun < 2 {
            return;
        }
        let next = (0..2).filter_map(|at| Some((self.wake[at]?, at))).min();
        self.running = next.map(|(_, at)| at);
        if let Some((wake, _)) = next {
            self.now = self.now.max(wake);
            assert!(self.now < LIMIT_US, "virtual time runs out: a call does not come back");
        }
    }
}

/// What a channel's surroundings are like.
#[derive(Clone)]
pub struct Around {
    /// What a frame takes from one to the other.
    pub delay_us: u64,
    /// What a send takes, by virtual time.
    pub send_us: Arc<dyn Fn(u64) -> u64 + Send + Sync>,
    /// How much too late a wait ends.
    pub late_us: u64,
    /// The longest sleep at a time.
    pub nap_us: u64,
    /// What the clock shows, by virtual time.
    pub shows: Arc<dyn Fn(u64) -> u64 + Send + Sync>,
}

impl Around {
    /// A link that takes 3 ms, and a clock that began a second before.
    pub fn usual() -> Self {
        Self {
            delay_us: 3_000,
            send_us: Arc::new(|_| 0),
            late_us: 0,
            nap_us: 200_000,
            shows: Arc::new(|now| now + 1_000_000),
        }
    }
}

/// A channel's clock and its end of the link.
#[derive(Clone)]
pub struct Port {
    pub me: ChannelId,
    pub around: Around,
    world: Arc<(Mutex<World>, Condvar)>,
    frame: Vec<u8>,
}

impl Port {
    /// Returns the virtual time.
    pub fn now_us(&self) -> u64 {
        self.world.0.lock().unwrap().now
    }

    /// Lets time pass in which this channel does nothing.
    pub fn pass(&self, us: u64) {
        let at = self.now_us() + us;
        self.sleep(at, false);
    }

    fn sleep(&self, until: u64, for_frames: bool) {
        let me = self.me.index();
        let (lock, changed) = &*self.world;
        let mut world = lock.lock().unwrap();
        let first = world.wires[me].front().map(|(at, _)| *at).filter(|_| for_frames);
        world.wake[me] = Some(until.min(first.unwrap_or(u64::MAX)).max(world.now));
        world.is_listening[me] = for_frames;
        world.hand_on();
        changed.notify_all();
        while world.running != Some(me) {
            world = changed.wait(world).unwrap();
        }
    }

    fn begin(&self) {
        self.world.0.lock().unwrap().begun += 1;
        self.sleep(0, false);
    }
}

/// Ends a channel's part, also if it panics.
struct End(Port);

impl Drop for End {
    fn drop(&mut self) {
        let (lock, changed) = &*self.0.world;
        let Ok(mut world) = lock.lock() else { return };
        world.wake[self.0.me.index()] = None;
        world.hand_on();
        changed.notify_all();
    }
}

impl Clock for Port {
    fn now(&mut self) -> Instant {
        Instant::from_micros((self.around.shows)(self.now_us()))
    }

    fn wait_until(&mut self, at: Instant) {
        let now = self.now_us();
        let shown = (self.around.shows)(now);
        let ahead = at.as_micros().saturating_sub(shown).clamp(1, self.around.nap_us);
        self.sleep(now + ahead + self.around.late_us, true);
    }
}

impl Link for Port {
    type Error = ();
    const FRAME_BYTES: usize = MAX_FRAME_BYTES;

    fn send(&mut self, frame: &[u8], _: u32) -> Result<(), ()> {
        let took = (self.around.send_us)(self.now_us());
        if took > 0 {
            self.pass(took);
        }
        let to = self.me.other().index();
        let mut world = self.world.0.lock().unwrap();
        let at = world.now + self.around.delay_us;
        world.wires[to].push_back((at, frame.to_vec()));
        if world.is_listening[to] {
            world.wake[to] = world.wake[to].map(|wake| wake.min(at));
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<&[u8]>, ()> {
        let mut world = self.world.0.lock().unwrap();
        let now = world.now;
        let wire = &mut world.wires[self.me.index()];
        if wire.front().is_none_or(|(at, _)| *at > now) {
            return Ok(None);
        }
        self.frame = wire.pop_front().unwrap().1;
        Ok(Some(&self.frame))
    }
}

/// Runs a script on each side, each with its surroundings.
pub fn both<R: Send>(around: [Around; 2], script: impl Fn(Port) -> R + Sync) -> [R; 2] {
    let world: Arc<(Mutex<World>, Condvar)> = Arc::default();
    let [a, b] = around;
    let ports = [(ChannelId::A, a), (ChannelId::B, b)].map(|(me, around)| Port {
        me,
        around,
        world: world.clone(),
        frame: vec![],
    });
    let script = &script;
    std::thread::scope(|scope| {
        ports
            .map(|port| {
                scope.spawn(move || {
                    port.begin();
                    let _end = End(port.clone());
                    script(port)
                })
            })
            .map(|thread| thread.join().unwrap())
    })
}
