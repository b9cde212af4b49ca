//! Replays one injection and prints what both channels did.

use super::episode;
use super::fault::Class;
use super::inject::CHANNELS;
use super::plan::{MOST_INJECTIONS, Plan};
use super::tally::keeps;
use anyhow::{Result, ensure};
use twinstep::sim::TracedEvent;

/// Replays the injection of this index; returns whether it kept its promise.
pub(crate) fn replay(plan: &Plan, index: u64) -> Result<bool> {
    let (number, place) = (index / MOST_INJECTIONS, index % MOST_INJECTIONS);
    println!("episode {number}: {:?}", plan.setup(number));
    let class = plan.class(index);
    ensure!(!plan.without.has(class), "injection {place} of episode {number} is of a class that is left out");
    let mut kept = None;
    let name = |class: usize| Class::ALL.get(class).map_or("?", |class| class.name);
    episode::run(plan, number, Some(index), |done, after| {
        let outcome = done.outcome.map_or("nothing there", super::classify::Outcome::name);
        println!("{:>12} {:<26} {outcome}", done.index, name(done.class));
        for traced in after.trace {
            let at = traced.at_us as f64 / 1000.0;
            let what = match traced.what {
                TracedEvent::Noted(entry) => {
                    format!("  noted in cycle {} epoch {:?}: {:?}", entry.cycle, entry.epoch, entry.event)
                }
                TracedEvent::Verdict { cycle, outcome, mode, faults, diagnosis } => {
                    let faults = if faults.is_empty() { String::new() } else { format!(", {faults}") };
                    let diagnosis = diagnosis.map(|diagnosis| format!(", {diagnosis:?}")).unwrap_or_default();
                    format!("verdict of cycle {cycle}: {outcome:?} in {mode:?}{faults}{diagnosis}")
                }
                TracedEvent::Drove(what) => format!("drove {what}"),
                TracedEvent::Became(what) => what,
            };
            println!("{at:12.3} ms  {}  {what}", traced.channel);
        }
        if done.index == index {
            println!("noticed after {:?} cycles; {:?}", done.latency, done.seen);
            let [silent, idle] = [after.report.longest_silence_us, after.report.longest_idle_us].map(|us| us / 1000);
            if idle < silent {
                println!("silent for up to {silent} ms; but for when the only half with the state hung, for {idle} ms");
            }
            for (channel, mode) in CHANNELS.into_iter().zip(after.modes) {
                println!("{channel}: {mode:?}");
            }
            let class = Class::ALL.get(done.class);
            let keeps = |outcome| class.is_some_and(|class| keeps(class.promise, outcome, done.diverged));
            kept = Some(done.outcome.is_none_or(keeps));
        }
        done.index < index
    })?;
    ensure!(kept.is_some(), "the episode ends before injection {place}");
    Ok(kept == Some(true))
}
