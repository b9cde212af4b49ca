//! The plant side of the field bus: sensors, actuators, the weather, and the record.

use crate::plant::PlantModel;
use crate::record::{Copied, CycleRow, Injection, Mode, Record, Source};
use crate::scenario::Plan;
use crate::weather::Weather;
use anyhow::Result;
use std::collections::BTreeMap;
use tank::field_bus::ModeCode;
use tank::{Drive, Reading, Valve};
use twinstep::ChannelId;

/// The plant with its weather, and what is to be drawn of the run.
pub(crate) struct PlantSide {
    model: PlantModel,
    weather: Weather,
    rows: BTreeMap<u32, CycleRow>,
    injections: Vec<Injection>,
    modes: [Mode; 2],
    /// Blocks of the copy that is under way.
    copy_blocks: u32,
    /// Where the first cycle stands: behind those of the pair's earlier lives.
    base: u32,
}

impl PlantSide {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let weather = Weather::seattle(seed)?;
        let model = PlantModel::new(seed, weather.ambient_c(0));
        let modes = [Mode::Starting; 2];
        Ok(Self { model, weather, rows: BTreeMap::new(), injections: Vec::new(), modes, copy_blocks: 0, base: 0 })
    }

    /// The pair begins with its first cycle again.
    pub(crate) fn begin_anew(&mut self) {
        self.base = self.rows.keys().next_back().copied().unwrap_or_default();
    }

    /// Returns what a board's sensors read now.
    pub(crate) fn reading(&mut self, board: ChannelId) -> Reading {
        self.model.reading(board.index())
    }

    /// Follows an output; the first of a cycle moves the plant on by that cycle.
    pub(crate) fn drive(&mut self, board: ChannelId, cycle: u32, output: &Drive, is_new: bool) {
        if is_new {
            let ambient_c = self.weather.ambient_c(self.base.saturating_add(cycle));
            self.model.step(output, ambient_c);
        }
        let row = self.row(cycle);
        row.driver = Some(board.index());
        row.duty = f32::from(output.heater_permille) / 1000.0;
        row.valve_open = output.valve == Valve::Open;
        row.alarms = output.alarms.bits();
    }

    /// Notes the mode a board is in after a cycle.
    pub(crate) fn mode(&mut self, board: ChannelId, cycle: u32, mode: Option<ModeCode>) {
        let mode = mode.map_or(Mode::Off, shown);
        let was = std::mem::replace(&mut self.modes[board.index()], mode);
        if was == Mode::Donor && mode == Mode::Duplex {
            self.copied(cycle, self.copy_blocks, self.copy_blocks);
        }
        self.row(cycle).modes[board.index()] = mode;
    }

    /// Notes how far the copy to a joining board is.
    pub(crate) fn copied(&mut self, cycle: u32, done_blocks: u32, total_blocks: u32) {
        self.copy_blocks = total_blocks;
        self.row(cycle).copied = Some(Copied { done_blocks, total_blocks });
    }

    /// Notes repairs of memory.
    pub(crate) fn repaired(&mut self, cycle: u32, repairs: u32) {
        self.row(cycle).repaired += repairs;
    }

    /// Notes what was done to the pair.
    pub(crate) fn injected(&mut self, cycle: u32, board: Option<ChannelId>, what: impl Into<String>) {
        let cycle = self.base.saturating_add(cycle);
        self.injections.push(Injection { cycle, channel: board.map(ChannelId::index), what: what.into() });
    }

    /// Returns how often something was done to the link.
    pub(crate) fn link_changes(&self) -> usize {
        self.injections.iter().filter(|injection| injection.channel.is_none()).count()
    }

    /// Returns the record for the renderers.
    pub(crate) fn record(&self, plan: &Plan) -> Record {
        let rows = self.rows.values().filter(|row| row.cycle > 0).cloned().collect();
        let (name, source) = (plan.kind.name().to_owned(), Source::Run { seed: plan.seed });
        Record { name, source, rows, injections: self.injections.clone() }
    }

    fn row(&mut self, cycle: u32) -> &mut CycleRow {
        let cycle = self.base.saturating_add(cycle);
        let (modes, tank_c, ambient_c) = (self.modes, self.model.tank_c(), self.weather.ambient_c(cycle));
        self.rows.entry(cycle).or_insert_with(|| CycleRow {
            cycle,
            modes,
            driver: None,
            duty: 0.0,
            valve_open: false,
            alarms: 0,
            copied: None,
            repaired: 0,
            tank_c: tank_c as f32,
            ambient_c: ambient_c as f32,
        })
    }
}

/// Returns a mode as it is drawn.
pub(crate) fn shown(mode: ModeCode) -> Mode {
    match mode {
        ModeCode::Starting => Mode::Starting,
        ModeCode::Duplex => Mode::Duplex,
        ModeCode::Simplex => Mode::Simplex,
        ModeCode::Standby => Mode::Standby,
        ModeCode::Safe => Mode::Safe,
        ModeCode::Donor => Mode::Donor,
        ModeCode::Joining => Mode::Joining,
        ModeCode::Trial => Mode::Trial,
    }
}
