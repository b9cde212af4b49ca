//! Configurations and programs as a newcomer would choose them: they boot and join again, or it is said before.

use super::program::{A, CONFIG, Relay};
use super::time::{Around, Port, both};
use std::sync::Arc;
use twinstep::sim::Storage;
use twinstep::{Agreement, Build, Config, Cycle, Faults, Mode, Program, Tracked};
use twinstep_hal::Lockstep;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Big([u32; 15_000]);

/// 60,000 bytes, of which so many blocks are written in a cycle: the same ones, or others each time.
struct Writes<const BLOCKS: u32, const MOVES: bool>;

impl<const BLOCKS: u32, const MOVES: bool> Program for Writes<BLOCKS, MOVES> {
    type Input = u8;
    type Output = u32;
    type State = Big;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: Build = Build::new(1);

    fn agree(a: &u8, b: &u8) -> Agreement<u8> {
        Agreement::on(*a.max(b))
    }

    fn step(cycle: Cycle, state: &mut Tracked<Big>, _: &u8) -> u32 {
        for n in 0..BLOCKS {
            let block = if MOVES { cycle.0.wrapping_mul(BLOCKS) + n } else { n * 100 };
            let word = (block * 16 % 15_000) as usize;
            state.try_update(|s| s.0.get(word), |old| old.wrapping_add(1));
        }
        cycle.0
    }
}

struct End {
    mode: Mode,
    /// Told before the first death.
    told: Faults,
    forecast: Option<u32>,
    joined_in: Option<u64>,
}

/// B dies after 40 cycles and boots again; A may raise its budget.
fn run<P: Program<Input = u8, State: 'static>>(config: Config, raises_to: Option<u16>, cycles: u32) -> End {
    let relay = Relay::default();
    // The link takes what was configured, and the line is fast.
    let around = [(); 2].map(|()| Around {
        delay_us: config.link_delay_us.into(),
        send_us: Arc::new(|_| 50),
        ..Around::usual()
    });
    let [a, _] = both(around, |mut port: Port| {
        let mut end = End { mode: Mode::Starting, told: Faults::empty(), forecast: None, joined_in: None };
        for (nonce, cycles) in if port.me == A { vec![(1, cycles)] } else { vec![(2, 40), (3, cycles)] } {
            let memory: &'static mut Storage<P::State> = Box::leak(Box::new(Storage::new()));
            let config = Config { nonce, ..config };
            let mut pair =
                Lockstep::<P, _, _>::new(port.me, memory.cells(), port.clone(), relay.clone(), config).unwrap();
            let mut alone_at = None;
            for _ in 0..cycles {
                let verdict = pair.cycle(&mut port, || 1).unwrap();
                let (fault, mode) = (verdict.fault().unwrap_or_default(), verdict.mode());
                if alone_at.is_none() {
                    end.told |= fault;
                    end.forecast = pair.node().copy_forecast().map(|forecast| forecast.written_blocks).or(end.forecast);
                }
                if mode == Mode::Simplex && alone_at.is_none() {
                    alone_at = Some(port.now_us());
                    if let Some(blocks) = raises_to {
                        pair.raise_copy_budget(blocks);
                    }
                }
                if let (Mode::Duplex, Some(since), None) = (mode, alone_at, end.joined_in) {
                    end.joined_in = Some((port.now_us() - since) / u64::from(config.period_us));
                    end.mode = mode;
                }
            }
            if nonce == 2 {
                port.pass(1_000_000);
            }
        }
        end
    });
    a
}

/// Eight blocks a cycle and a budget of four: it cannot join, and that is told while both serve. With a higher budget it does.
#[test]
fn a_budget_that_is_too_small_is_told_before_the_first_death() {
    for raises_to in [None, Some(16)] {
        for end in [run::<Writes<8, false>>(CONFIG, raises_to, 400), run::<Writes<8, true>>(CONFIG, raises_to, 400)] {
            assert!(end.told.contains(Faults::COPY_FORECAST), "{:?}", end.told);
            assert_eq!((end.forecast, end.joined_in.is_some()), (Some(8), raises_to.is_some()));
        }
    }
}

/// Three blocks a cycle, the same ones, cost the copy hardly anything.
#[test]
fn blocks_that_are_written_again_and_again_count_once() {
    let end = run::<Writes<3, false>>(Config { copy_limit_ms: 30_000, ..CONFIG }, None, 400);
    assert!(!end.told.contains(Faults::COPY_FORECAST));
    // 938 blocks, four a cycle.
    assert!(end.joined_in.is_some_and(|cycles| cycles <= 270), "{:?}", end.joined_in);
}

/// Windows and delays at their edges: what `check` lets through boots, and joins again.
#[test]
fn what_is_let_through_boots_and_joins_again() {
    let mut refused = 0;
    for (vote_window_us, link_delay_us, retransmit_us) in [
        (99_900, 29_000, 15_000),
        (70_000, 34_000, 15_000),
        (60_000, 29_000, 15_000),
        (60_000, 3_000, 1),
        (10_000, 4_000, 9_000),
    ] {
        let config = Config { vote_window_us, link_delay_us, retransmit_us, nonce: 1, ..CONFIG };
        if config.check().is_err() {
            refused += 1;
            continue;
        }
        let end = run::<Writes<1, false>>(config, Some(64), 400);
        let context = (vote_window_us, link_delay_us, retransmit_us);
        assert!(end.mode == Mode::Duplex, "{context:?}: {:?}", end.told);
    }
    assert_eq!(refused, 1, "three frames do not cross in a period");
}
