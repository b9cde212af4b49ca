//! How long a copy of 64 KiB takes while the program goes on writing, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use twinstep::reintegrate::CopyProgress;
use twinstep::sim::{LineModel, LinkFaults, Pair, Setup, Storage};
use twinstep::{Agreement, ChannelId, Config, ConfigError, Cycle, Faults, Mode, Program, Tracked};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const BLOCKS: u32 = 1024;
const DIRTY: u32 = 51;
const WORDS_IN_A_BLOCK: u32 = 16;

/// Writes a word in each of `DIRTY` blocks a cycle, scattered over 64 KiB.
struct Scatter;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Words([u32; 16 * 1024]);

impl Program for Scatter {
    type Input = u32;
    type Output = u32;
    type State = Words;
    const SAFE: u32 = 0;
    const VERSION: u32 = 1;
    const BUILD: twinstep::Build = twinstep::Build::new(1);

    fn agree(a: &u32, b: &u32) -> Agreement<u32> {
        Agreement::on(*a.max(b))
    }

    fn step(cycle: Cycle, state: &mut Tracked<Words>, input: &u32) -> u32 {
        let first = cycle.0.wrapping_mul(2_654_435_761) >> 7;
        let mut sum = *input;
        for n in 0..DIRTY {
            let block = (first + n * (BLOCKS / DIRTY)) % BLOCKS;
            let word = (block * WORDS_IN_A_BLOCK + (cycle.0 + n) % WORDS_IN_A_BLOCK) as usize;
            state.try_update(|s| s.0.get(word), |old| old.wrapping_add(cycle.0 ^ n));
            sum = sum.wrapping_add(state.0[word]);
        }
        sum
    }
}

struct Copy {
    cycles: u32,
    blocks_sent: u32,
    most_in_a_cycle: u32,
    progress: Vec<CopyProgress>,
}

/// Kills and restarts B, and measures the copy to it; an error if it was refused.
fn copy(config: Config, link: LinkFaults) -> Result<Copy, String> {
    let setup = Setup { seed: 1, config, line: line(&config), ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let sensor = |_: ChannelId, cycle: Cycle| cycle.0;
    let mut pair = Pair::<Scatter>::new(&setup, &mut memory, sensor).unwrap();
    pair.run(30);
    pair.kill(ChannelId::B);
    pair.run(3);
    pair.restart(ChannelId::B);
    pair.set_link(link);
    let (mut began, mut progress) = (None, Vec::new());
    for _ in 0..20 * 400 {
        pair.run_us(u64::from(config.period_us) / 20);
        let node = pair.node(ChannelId::A).unwrap();
        if let Some(refused) = node.copy_refused() {
            assert_eq!(node.mode(), Mode::Simplex);
            assert!(node.first_fault().is_some());
            return Err(refused.to_string());
        }
        let (mode, cycle, now) = (node.mode(), node.cycle().0, node.copy_progress());
        if mode == Mode::Donor && began.is_none() {
            began = Some(cycle);
        }
        progress.extend(now.filter(|now| progress.last() != Some(now)));
        if mode == Mode::Duplex && pair.mode(ChannelId::B) == Some(Mode::Duplex) {
            let blocks_sent = pair.node(ChannelId::A).unwrap().counters().blocks_sent;
            pair.run(20);
            let report = pair.report();
            assert_eq!((report.wrong, report.missing, report.copies_failed, report.joined), (0, 0, 0, 1));
            let most_in_a_cycle = report.blocks_in_a_cycle_max;
            return Ok(Copy { cycles: cycle - began.unwrap(), blocks_sent, most_in_a_cycle, progress });
        }
    }
    panic!("neither joined nor refused: {:?}", pair.report());
}

/// Budgets of so many blocks a cycle want 3 Mbaud, where a block takes 0.3 ms; at 115200 baud a period has 13 of them.
/// A sample's frame takes `link_delay_us`, nearly all of it on its way.
fn line(config: &Config) -> LineModel {
    const SAMPLE_US: u32 = 80;
    LineModel { baud: 3_000_000, latency_us: config.link_delay_us - SAMPLE_US, ..LineModel::UART_115200 }
}

const PERIOD_MS: u32 = Config::DEFAULT.period_us / 1_000;

fn with_budget(copy_blocks: u16) -> Config {
    Config { copy_blocks, ..Config::DEFAULT }
}

fn formula(budget: u32) -> u32 {
    BLOCKS.div_ceil(budget - DIRTY) + 1
}

#[test]
fn a_copy_of_64_kib_at_5_percent_dirty_keeps_to_the_formula_and_the_budget() {
    for budget in [56, 64, 102, 204, 512] {
        let Copy { cycles, blocks_sent, most_in_a_cycle, progress } =
            copy(with_budget(budget), LinkFaults::NONE).unwrap();
        let allowed = f64::from(formula(budget.into())) * 1.05;
        println!("budget {budget}: {cycles} cycles of {allowed:.1}, {blocks_sent} blocks sent");
        assert!(f64::from(cycles) <= allowed, "budget {budget}: {cycles} cycles, {allowed} allowed");
        assert!(most_in_a_cycle <= budget.into(), "budget {budget}: {most_in_a_cycle} blocks in a cycle");
        // The budget is used: a copy that dawdles would not keep to a tighter limit either.
        assert!(most_in_a_cycle > u32::from(budget) * 9 / 10 || budget > 256, "{most_in_a_cycle} of {budget}");
        assert!(blocks_sent >= BLOCKS);
        assert!(progress.iter().all(|at| at.total_blocks == BLOCKS && at.done_blocks <= BLOCKS));
        let settled = progress.iter().filter(|at| at.cycles >= 8);
        assert!(settled.clone().all(|at| at.dirty_blocks == DIRTY), "{progress:?}");
        // What it says is to come never rises by more than the formula allows for one cycle.
        assert!(progress.windows(2).all(|two| two[0].cycles <= two[1].cycles));
        assert!(progress.last().unwrap().done_blocks > BLOCKS - u32::from(budget));
    }
}

#[test]
fn a_lossy_link_makes_the_copy_longer_but_not_dearer() {
    let link = LinkFaults { lose: 0.2, repeat: 0.1, ..LinkFaults::NONE };
    let Copy { cycles, most_in_a_cycle, .. } = copy(with_budget(102), link).unwrap();
    println!("one frame in five lost: {cycles} cycles");
    assert!(cycles < 3 * formula(102), "{cycles}");
    assert!(most_in_a_cycle <= 102, "{most_in_a_cycle}");
}

/// Acknowledgements that come long after a block could be sent again: nothing was lost, so hardly
/// anything is.
#[test]
fn a_long_way_is_not_taken_for_a_loss() {
    let config = Config { link_delay_us: 15_000, retransmit_us: 4_000, ..with_budget(102) };
    let Copy { cycles, blocks_sent, .. } = copy(config, LinkFaults::NONE).unwrap();
    println!("seven times the interval there and back: {cycles} cycles, {blocks_sent} blocks sent");
    // Two windows of 32 blocks are all that comes back within such a cycle.
    assert!(cycles <= BLOCKS.div_ceil(64 - DIRTY) + 1, "{cycles}");
    let useful = BLOCKS + cycles * DIRTY;
    assert!(blocks_sent <= useful + useful / 20, "{blocks_sent} sent, {useful} useful");
}

/// A link so slow that what a cycle writes is never there before the next one: no budget helps.
#[test]
fn a_copy_that_the_link_is_too_slow_for_is_refused() {
    let config = Config { link_delay_us: 20_000, ..with_budget(102) };
    let refused = copy(config, LinkFaults::NONE).err().unwrap();
    println!("{refused}");
    assert!(refused.ends_with("this does not converge"), "{refused}");
}

#[test]
fn a_copy_that_cannot_converge_is_refused_with_the_figures() {
    for budget in [4, 51] {
        let refused = copy(with_budget(budget), LinkFaults::NONE).err().unwrap();
        println!("{refused}");
        assert!(refused.contains(&format!("{budget} blocks sent a cycle at most, 51 written")), "{refused}");
        assert!(refused.ends_with("this does not converge"), "{refused}");
    }
}

#[test]
fn a_copy_above_the_limit_is_refused_with_the_figures() {
    let tight = Config { copy_limit_ms: 30 * PERIOD_MS, ..with_budget(64) };
    let refused = copy(tight, LinkFaults::NONE).err().unwrap();
    println!("{refused}");
    assert!(refused.contains("cycles to go, 30 allowed in all"), "{refused}");
    // At the formula's figure it is let through.
    copy(Config { copy_limit_ms: formula(64) * PERIOD_MS, ..with_budget(64) }, LinkFaults::NONE).unwrap();
}

#[test]
fn a_limit_that_no_copy_can_keep_is_a_configuration_error() {
    let config = Config { copy_limit_ms: 10 * PERIOD_MS, ..with_budget(102) };
    let setup = Setup { config, ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let made = Pair::<Scatter>::new(&setup, &mut memory, |_: ChannelId, _: Cycle| 0);
    let expected = ConfigError::CopyTooSlow { blocks: 1024, copy_blocks: 102, need_cycles: 12, limit_cycles: 10 };
    assert_eq!(made.err(), Some(expected));
}

/// A refused joiner is not tried again and again, but on request it is, and after 100 seconds.
#[test]
fn a_refused_copy_is_tried_again_on_request_or_much_later() {
    let config = with_budget(51);
    let setup = Setup { config, line: line(&config), ..Setup::default() };
    let mut memory = [Storage::new(), Storage::new()];
    let mut pair = Pair::<Scatter>::new(&setup, &mut memory, |_: ChannelId, _: Cycle| 0).unwrap();
    pair.run(20);
    pair.kill(ChannelId::B);
    pair.run(3);
    pair.restart(ChannelId::B);
    pair.run(40);
    assert_eq!(pair.report().copies_begun, 1);
    let node = pair.node_mut(ChannelId::A).unwrap();
    assert!(node.first_fault().is_some_and(|first| first.faults.contains(Faults::COPY_FORECAST)), "told in duplex");
    assert!(node.copy_refused().is_some());
    node.retry_copy();
    pair.run(5);
    assert_eq!(pair.report().copies_begun, 2);
    assert_eq!(pair.mode(ChannelId::A), Some(Mode::Donor));
    pair.run(30);
    let refused_in = pair.node(ChannelId::A).unwrap().cycle().0;
    pair.run(900);
    assert_eq!(pair.report().copies_begun, 2);
    pair.run(150);
    assert_eq!(pair.report().copies_begun, 3, "refused before cycle {refused_in}");
}
