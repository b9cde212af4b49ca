//! Figures of `cargo rig measure`.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use workloads::{STATES_KIB, Workload};

/// What the table needs of the recording.
#[derive(Deserialize)]
pub(super) struct Measured {
    cortex_m3: Platform,
    cortex_m3_fast: Platform,
    host: Platform,
    host_architecture: String,
}

#[derive(Deserialize)]
struct Platform {
    /// By the name of the workload.
    instructions: BTreeMap<String, f64>,
}

impl Platform {
    fn of(&self, workload: Workload) -> Result<f64> {
        let name = workload.to_string();
        self.instructions.get(&name).copied().with_context(|| format!("`{name}` is not in it"))
    }

    /// Returns the most instructions of a write, of whatever size the state is.
    fn write(&self) -> Result<f64> {
        let writes = STATES_KIB
            .into_iter()
            .flat_map(|state_kib| [Workload::Set { state_kib }, Workload::TryUpdate { state_kib }]);
        writes.map(|workload| self.of(workload)).try_fold(0.0, |most: f64, write| Ok(most.max(write?)))
    }

    /// Returns how many times fewer instructions the digest and the commit take than the CRC.
    fn commit(&self) -> Result<f64> {
        Ok(self.of(Workload::Crc)? / self.of(Workload::DigestThenCommit)?)
    }
}

// One decimal: the board's clock counts no finer.
impl Measured {
    pub(super) fn write(&self) -> Result<String> {
        let (board, host) = (self.cortex_m3.write()?, self.host.write()?);
        Ok(format!("at most {board:.1} on Cortex-M3, {host:.1} on {}", self.host_architecture))
    }

    pub(super) fn commit(&self) -> Result<String> {
        let (small, fast, host) = (self.cortex_m3.commit()?, self.cortex_m3_fast.commit()?, self.host.commit()?);
        let architecture = &self.host_architecture;
        Ok(format!(
            "{small:.1} times fewer instructions on Cortex-M3 at opt-level s, {fast:.1} at 3, {host:.1} on {architecture}"
        ))
    }
}
