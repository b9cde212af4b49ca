//! One injection again, with all that both channels did.

use super::done::{After, Done};
use super::fault::Class;
use super::inject::CHANNELS;
use crate::sim::{Traced, TracedEvent};
use core::fmt::Write;
use std::format;
use std::prelude::v1::*;

/// What was replayed, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// What both channels did, a line each.
    pub text: String,
    /// Whether the injection kept what is promised of its class; `None` if it was not come to: the index is of no episode, or of a
    /// class that is left out.
    pub kept: Option<bool>,
    /// What became of it.
    pub done: Option<Done>,
}

impl Replay {
    /// Prints it.
    pub fn print(&self) {
        std::print!("{}", self.text);
    }

    /// Adds an injection of the episode; `index` is the one that is replayed.
    pub(super) fn add(&mut self, done: &Done, after: &After, index: u64) {
        // Writing to a string cannot fail.
        let text = &mut self.text;
        let class = Class::ALL.get(done.class);
        let outcome = done.outcome.map_or("nothing there", super::classify::Outcome::name);
        let _ = writeln!(text, "{:>12} {:<26} {outcome}", done.index, class.map_or("?", |class| class.name));
        for traced in &after.trace {
            let _ = writeln!(text, "{}", line(traced));
        }
        if let Some(panic) = &after.panic {
            let _ = writeln!(text, "panicked: {panic}");
        }
        if let Some(broken) = &after.broken {
            let _ = writeln!(text, "invariant broken: {broken}");
        }
        if done.index != index {
            return;
        }
        let _ = writeln!(text, "noticed after {:?} cycles; {:?}", done.latency, done.seen);
        let [silent, idle] = [after.report.longest_silence_us, after.report.longest_idle_us].map(|us| us / 1000);
        if idle < silent {
            let but = format!("but for when the only half with the state hung, for {idle} ms");
            let _ = writeln!(text, "silent for up to {silent} ms; {but}");
        }
        for (channel, mode) in CHANNELS.into_iter().zip(after.modes) {
            let _ = writeln!(text, "{channel}: {mode:?}");
        }
        let keeps = |outcome| class.is_some_and(|class| class.promise.is_kept_by(outcome, done.diverged));
        self.kept = Some(done.outcome.is_none_or(keeps));
        self.done = Some(*done);
    }
}

fn line(traced: &Traced) -> String {
    let at = traced.at_us as f64 / 1000.0;
    let what = match &traced.what {
        TracedEvent::Noted(entry) => {
            format!("  noted in cycle {} epoch {:?}: {:?}", entry.cycle, entry.epoch, entry.event)
        }
        TracedEvent::Verdict { cycle, outcome, mode, faults, diagnosis } => {
            let faults = if faults.is_empty() { String::new() } else { format!(", {faults}") };
            let diagnosis = diagnosis.map(|found| format!(", {found:?}: {}", found.hint())).unwrap_or_default();
            format!("verdict of cycle {cycle}: {outcome:?} in {mode:?}{faults}{diagnosis}")
        }
        TracedEvent::Sampled(what) => format!("sampled {what}"),
        TracedEvent::Drove(what) => format!("drove {what}"),
        TracedEvent::Broke(invariant) => format!("BROKEN: {invariant}"),
        TracedEvent::Became(what) => what.clone(),
    };
    format!("{at:12.3} ms  {}  {what}", traced.channel)
}
