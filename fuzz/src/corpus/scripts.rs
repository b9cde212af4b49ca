//! Scripts for the mirror: each call and each flip with each remedy, on what is clean and on what is being written.

use crate::mirror::{Call, Copy, Operation, Remedy, Script, Width};
use Operation::{
    Adopt, Commit, CommitDamaged, CommitWrong, Flip, Mend, Missing, Modify, PendingDigest, Put, RangeDigest, Reset,
    Rollback, Scrub, ScrubAll, ScrubOne, Stray, Write,
};

const CALLS: [Call; 4] = [Call::Set, Call::Update, Call::TryUpdate, Call::Edit];
const WIDTHS: [Width; 6] = [Width::Byte, Width::Word, Width::UnderBlock, Width::Block, Width::Span, Width::Whole];
const COPIES: [Copy; 3] = [Copy::Working, Copy::Checkpoint, Copy::Digest];
const REMEDIES: [Remedy; 7] = [
    Remedy::ScrubAll,
    Remedy::ScrubOne,
    Remedy::ScrubInTime,
    Remedy::Commit,
    Remedy::Rollback,
    Remedy::Mend,
    Remedy::Adopt,
];

/// Returns the corpus of `mirror`.
pub fn scripts() -> Vec<(String, Script)> {
    let mut scripts = Vec::new();
    let mut add = |name: String, operations| scripts.push((name.to_lowercase(), Script { fill: 0x3C, operations }));
    for call in CALLS {
        let writes = WIDTHS.into_iter().flat_map(|width| {
            [
                Write { call, width, at: 61, fill: 9 },
                PendingDigest {},
                Commit {},
                Write { call, width, at: 190, fill: 2 },
            ]
        });
        add(format!("write-{call:?}"), writes.chain([Stray { call }, Rollback {}, Missing {}]).collect());
    }
    for copy in COPIES {
        for remedy in REMEDIES {
            let written = Write { call: Call::Set, width: Width::Byte, at: 66, fill: 1 };
            let flips = [(written, 8 * 66), (written, 8 * 199), (Modify { from: 3, stride: 40, fill: 5 }, 77)];
            let operations = flips.into_iter().flat_map(|(write, bit)| {
                let flip = Flip { copy, bit, remedy };
                [write, flip, Commit {}, flip, Scrub { blocks: 3 }]
            });
            add(format!("flip-{copy:?}-{remedy:?}"), operations.collect());
        }
    }
    let modify = Modify { from: 0, stride: 70, fill: 1 };
    add(
        "commit-refused".into(),
        vec![modify, CommitWrong { difference: 5 }, modify, CommitDamaged { bit: 3 }, Commit {}],
    );
    // The flip is the very difference that the write made, so that it looks like no write.
    let hidden = Flip { copy: Copy::Checkpoint, bit: 0, remedy: Remedy::Commit };
    add("hidden-write".into(), vec![modify, hidden, modify, hidden, Commit {}]);
    let put = |block, length| Put { block, length, fill: 0xA5 };
    add(
        "blocks".into(),
        vec![put(0, 64), put(3, 8), put(3, 64), put(4, 64), Adopt { difference: 0 }, Reset { fill: 7 }],
    );
    add("mends".into(), vec![modify, Mend { block: 1, difference: 0 }, Mend { block: 1, difference: 3 }]);
    let digest = |first, exponent| RangeDigest { first, exponent };
    add("digests".into(), vec![digest(0, 2), digest(1, 0), digest(2, 31), digest(9, 1), Adopt { difference: 1 }]);
    add("scrubs".into(), vec![modify, Scrub { blocks: 1 }, ScrubOne { block: 3 }, ScrubOne { block: 9 }, ScrubAll {}]);
    scripts
}
