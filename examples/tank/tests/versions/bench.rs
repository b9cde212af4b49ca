//! A controller without a peer.

use tank::{Drive, Flaw, Plant, PlantV2, Reading, Tank, TrendEntry, Version2};
use twinstep::mirror::Mirror;
use twinstep::sim::Storage;
use twinstep::{CannotMigrate, Cycle, Program, Successor};

/// What the tests look at in either version.
pub(crate) trait Version: Program<Input = Reading, Output = Drive> {
    fn latest(state: &Self::State) -> Option<TrendEntry>;
    fn trend(state: &Self::State) -> (&[TrendEntry], u32);
    /// In the units of version 1.
    fn integral_centi_c_cycles(state: &Self::State) -> f64;
}

impl Version for Tank {
    fn latest(state: &Plant) -> Option<TrendEntry> {
        state.latest().copied()
    }

    fn trend(state: &Plant) -> (&[TrendEntry], u32) {
        (&state.trend, state.trend_next)
    }

    fn integral_centi_c_cycles(state: &Plant) -> f64 {
        f64::from(state.integral_centi_c_cycles)
    }
}

impl<F: Flaw> Version for Version2<F> {
    fn latest(state: &PlantV2) -> Option<TrendEntry> {
        state.latest().copied()
    }

    fn trend(state: &PlantV2) -> (&[TrendEntry], u32) {
        (&state.trend, state.trend_next)
    }

    fn integral_centi_c_cycles(state: &PlantV2) -> f64 {
        f64::from(state.integral_centi_c_q8) / 256.0 * 128.0
    }
}

/// One controller without a peer.
pub(crate) struct Bench<'m, P: Program> {
    pub(crate) mirror: Mirror<'m, P::State>,
    pub(crate) cycle: Cycle,
}

impl<'m, P: Version> Bench<'m, P> {
    pub(crate) fn new(storage: &'m mut Storage<P::State>) -> Self {
        Self::with_state(storage, P::init)
    }

    pub(crate) fn with_state(storage: &'m mut Storage<P::State>, init: impl FnOnce(&mut P::State)) -> Self {
        Self { mirror: Mirror::new(storage.cells(), init), cycle: Cycle(0) }
    }

    /// Steps through so many cycles with one reading; returns the last output.
    pub(crate) fn run(&mut self, cycles: u32, reading: Reading) -> Drive {
        let mut drive = P::SAFE;
        for _ in 0..cycles {
            self.cycle = self.cycle.next();
            drive = P::step(self.cycle, &mut self.mirror.tracked(), &reading);
        }
        drive
    }

    pub(crate) fn state(&self) -> &P::State {
        self.mirror.state()
    }

    pub(crate) fn integral_centi_c_cycles(&self) -> f64 {
        P::integral_centi_c_cycles(self.state())
    }
}

impl<'m, F: Flaw> Bench<'m, Version2<F>> {
    /// Takes the state of a version 1 over.
    pub(crate) fn after(old: &Bench<'_, Tank>, storage: &'m mut Storage<PlantV2>) -> Result<Self, CannotMigrate> {
        let mut outcome = Ok(());
        let mut bench = Self::with_state(storage, |new| outcome = Version2::<F>::migrate(old.state(), new));
        bench.cycle = old.cycle;
        outcome.map(|()| bench)
    }
}

/// Returns a reading of a cold day.
pub(crate) fn tank_at(tank_centi_c: i16) -> Reading {
    Reading { tank_centi_c, ambient_centi_c: 500, door_open: false, disagree: false }
}
