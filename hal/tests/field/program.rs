//! A small program, and a relay that can fall silent.

use super::time::Port;
use std::sync::{Arc, Mutex};
use twinstep::sim::Storage;
use twinstep::{
    Agreement, Arbiter, Build, ChannelId, Claim, Config, Confirmation, Cycle, Epoch, Grounds, Instant, Program, Tracked,
};
use twinstep_hal::Lockstep;

pub const A: ChannelId = ChannelId::A;

/// Sums its input; the output is the sum.
pub struct Sum;

impl Program for Sum {
    type Input = u8;
    type Output = u32;
    type State = [u32; 256];
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(*a.max(b))
    }

    fn step(_: Cycle, state: &mut Tracked<[u32; 256]>, input: &u8) -> u32 {
        state.try_update(|s| s.first(), |sum| sum.wrapping_add(u32::from(*input)));
        state[0]
    }
}

pub const CONFIG: Config = Config { nonce: 1, ..Config::DEFAULT };

/// A relay of one word that both ends see.
#[derive(Clone, Default)]
pub struct Relay {
    through: Arc<Mutex<Option<Epoch>>>,
    /// Whether no claim is answered.
    pub is_mute: Arc<Mutex<bool>>,
}

impl Arbiter for Relay {
    fn claim(&mut self, _: Instant, _: Epoch, to: Epoch, _: Grounds) -> Claim {
        if *self.is_mute.lock().unwrap() {
            return Claim::Pending;
        }
        let mut through = self.through.lock().unwrap();
        if through.is_none_or(|kept| to.counter() > kept.counter()) {
            *through = Some(to);
        }
        if *through == Some(to) { Claim::Granted } else { Claim::Refused }
    }

    fn confirms(&self, epoch: Epoch, me: ChannelId) -> Confirmation {
        (*self.through.lock().unwrap() == Some(epoch) && epoch.owner() == me).into()
    }

    fn release(&mut self, _: Epoch, _: ChannelId) {}

    fn remembered(&self) -> Option<Epoch> {
        Some(self.through.lock().unwrap().unwrap_or(Epoch::NONE))
    }
}

/// Makes a channel on new memory.
pub fn channel<R: Arbiter>(port: &Port, arbiter: R, nonce: u32, config: Config) -> Lockstep<'static, Sum, Port, R> {
    let memory: &'static mut Storage<[u32; 256]> = Box::leak(Box::new(Storage::new()));
    Lockstep::new(port.me, memory.cells(), port.clone(), arbiter, Config { nonce, ..config }).unwrap()
}
