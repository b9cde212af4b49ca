//! What a simulated pair is made of.

use super::arbiter::ArbiterKind;
use super::link::LinkFaults;
use super::wire::LineModel;
use crate::config::Config;
use crate::mechanism::Mechanism;

/// What a simulated pair is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// All chance comes from it.
    pub seed: u64,
    /// Timing and policy; pair and nonces are filled in.
    pub config: Config,
    /// How long frames take, in each direction. `config` says what the channels believe of it, and nothing checks that
    /// this is so: that a sample's frame takes `link_delay_us`, and that an answer is there within `retransmit_us`. The
    /// default,
    /// [`LineModel::UART_115200`], fits [`Config::DEFAULT`]; much shorter periods want a faster line.
    pub line: LineModel,
    /// What the link does.
    pub link: LinkFaults,
    /// Who decides on the outputs.
    pub arbiter: ArbiterKind,
    /// The clocks' deviations from true time, in millionths.
    pub drift_ppm: [i32; 2],
    /// A mechanism switched off in both channels, as a negative control.
    pub off: Option<Mechanism>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            seed: 0,
            config: Config::DEFAULT,
            line: LineModel::UART_115200,
            link: LinkFaults::NONE,
            arbiter: ArbiterKind::Relay { asks: 1 },
            drift_ppm: [50, -50],
            off: None,
        }
    }
}
