//! Events in words.

use twinstep::diagnose::Reason;
use twinstep::journal::Event;
use twinstep::mode::ModeEvent;
use twinstep::{Diagnosis, Mode};

/// Says what happened.
pub(crate) fn in_words(event: &Event) -> String {
    match event {
        Event::ModeChanged { from, to, because } => {
            format!("{} to {}: {}", mode(*from), mode(*to), cause(*because))
        }
        Event::Rejected(reject) => format!("a frame dropped: {reject}"),
        Event::Held => "no result by the deadline: held".into(),
        Event::TookOver => "took over the outputs".into(),
        Event::Repaired { working, checkpoint, digests } => {
            format!("memory mended: {working} working blocks, {checkpoint} of the checkpoint, {digests} digests")
        }
        Event::BeyondRepair(block) => format!("block {block} is damaged beyond what this channel can mend"),
        Event::RepairedByPeer(block) => format!("block {block} mended from the peer's copy"),
        Event::SampleRepaired => "a copy of a sample mended".into(),
        Event::ControlRepaired => "control data mended".into(),
        Event::Recommitted => "state damaged between vote and commit: stepped again".into(),
        Event::Diagnosed(diagnosis) => format!("the votes differed: {}", found(*diagnosis)),
        Event::Excluded(channel) => format!("{channel} taken out of service"),
        Event::Barred(channel) => format!("{channel} faulty too often: may not join until it is readmitted"),
        Event::Readmitted(channel) => format!("{channel} readmitted"),
        Event::Discrepancy => "the samples are further apart than the program expects".into(),
        Event::ProofTested { passed: true } => "proof test of the comparator passed".into(),
        Event::ProofTested { passed: false } => "proof test of the comparator FAILED".into(),
        Event::UpgradeStep { from, to } => format!("upgrade: {from} to {to}"),
        Event::NotAlike { input, old, new } => {
            format!(
                "outputs not alike: digests {old:08x} of the old version, {new:08x} of the new one, input {input:08x}"
            )
        }
        Event::Tried { cycles, tolerated, differing } => {
            format!("tried in {cycles} cycles: {tolerated} tolerated, {differing} not alike")
        }
        Event::LetGo => "let go of the outputs for the other version".into(),
        Event::HandedOver(channel) => format!("the outputs were handed over to {channel}"),
        Event::Withheld => "an output was not released: its sample is too old".into(),
        Event::Stalled => "was not polled at a deadline: waits for the other channel once more".into(),
        Event::Gap => "the clock jumped, or nobody called for long".into(),
        Event::Fault(faults) => format!("fault: {}", named(faults.iter_names().map(|(name, _)| name))),
    }
}

/// Names the kind of an event in a word or two, for a mark on a timeline.
pub(super) fn kind(event: &Event) -> &'static str {
    match event {
        Event::ModeChanged { .. } => "mode",
        Event::Rejected(_) => "frame dropped",
        Event::Held => "held",
        Event::TookOver => "took over",
        Event::Repaired { .. } | Event::RepairedByPeer(_) | Event::SampleRepaired | Event::ControlRepaired => "mended",
        Event::BeyondRepair(_) => "beyond repair",
        Event::Recommitted => "recommitted",
        Event::Diagnosed(_) => "votes differed",
        Event::Excluded(_) => "excluded peer",
        Event::Barred(_) => "barred",
        Event::Readmitted(_) => "readmitted",
        Event::Discrepancy => "discrepancy",
        Event::ProofTested { .. } => "proof test",
        Event::UpgradeStep { .. } => "upgrade",
        Event::NotAlike { .. } => "not alike",
        Event::Tried { .. } => "tried",
        Event::LetGo => "let go",
        Event::HandedOver(_) => "handed over",
        Event::Withheld => "withheld",
        Event::Stalled | Event::Gap => "stalled",
        Event::Fault(_) => "fault",
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Starting => "starting",
        Mode::Duplex => "duplex",
        Mode::Simplex => "simplex",
        Mode::Donor => "donor",
        Mode::Joining => "joining",
        Mode::Standby => "standby",
        Mode::Safe => "safe",
        Mode::Trial => "trial",
    }
}

fn cause(because: ModeEvent) -> &'static str {
    match because {
        ModeEvent::CutOver => "both go on from one state",
        ModeEvent::StartOver => "starts over as an empty one",
        ModeEvent::Joins => "the first block of the peer's state came",
        ModeEvent::Donates => "a peer wants to join",
        ModeEvent::CopyEnded => "the copy was given up",
        ModeEvent::Granted => "the outputs were granted",
        ModeEvent::Refused => "the outputs were refused",
        ModeEvent::LeaseLost => "the outputs were taken away",
        ModeEvent::Overtaken => "the pair went on without it",
        ModeEvent::TrialBegins => "both go on, in two versions",
        ModeEvent::Fatal => "a fault that nobody can be blamed for, or a second one",
    }
}

fn found(diagnosis: Diagnosis) -> String {
    match diagnosis {
        Diagnosis::Transient(suspects) if suspects.is_empty() => "agreed when stepped once more, no suspect".into(),
        Diagnosis::Transient(suspects) => {
            let suspects = named(suspects.iter_names().map(|(name, _)| name));
            format!("agreed when stepped once more, suspected: {suspects}")
        }
        Diagnosis::Faulty(channel, proof) => {
            let proof = match proof {
                Reason::Settled => "the other one had settled on another result",
                Reason::Checkpoint => "its checkpoint is damaged",
                Reason::Unstable => "it gave two results",
                Reason::Health => "its health is in doubt",
                Reason::TooOften => "it was suspected too often",
                Reason::Policy => "the policy prefers the other one",
            };
            format!("{channel} is faulty, {proof}")
        }
        Diagnosis::Unattributed => format!("nobody can say who is wrong: {}", diagnosis.hint()),
    }
}

/// Flags by their names, in small letters.
fn named(names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<String> = names.map(|name| name.to_lowercase().replace('_', " ")).collect();
    if names.is_empty() { "unknown".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstep::diagnose::Suspects;
    use twinstep::{ChannelId, Faults};

    #[test]
    fn what_came_of_it_is_said() {
        let transient = Diagnosis::Transient(Suspects::CHANNEL_A | Suspects::PATH);
        assert_eq!(
            in_words(&Event::Diagnosed(transient)),
            "the votes differed: agreed when stepped once more, suspected: channel a, path"
        );
        let faulty = Diagnosis::Faulty(ChannelId::B, Reason::Unstable);
        assert_eq!(in_words(&Event::Diagnosed(faulty)), "the votes differed: B is faulty, it gave two results");
        assert_eq!(
            in_words(&Event::Diagnosed(Diagnosis::Unattributed)),
            "the votes differed: nobody can say who is wrong: suspect the program: nothing speaks against one channel alone"
        );
        let faults = Faults::PEER_SILENT | Faults::LEASE_REFUSED;
        assert_eq!(in_words(&Event::Fault(faults)), "fault: peer silent, lease refused");
        assert_eq!(in_words(&Event::Fault(Faults::empty())), "fault: unknown");
    }
}
