//! What is drawn of the rows: runs of one state, copies, lines thinned to the pixels there are.

use crate::record::{Copied, CycleRow};

/// Consecutive rows in the same state, from the beginning of one cycle to the beginning of another.
pub(super) struct Run<T> {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) state: T,
}

pub(super) fn runs<T: Copy + PartialEq>(rows: &[CycleRow], state: impl Fn(&CycleRow) -> T) -> Vec<Run<T>> {
    let mut runs: Vec<Run<T>> = Vec::new();
    for row in rows {
        let from = u64::from(row.cycle);
        let until = from + 1;
        let state = state(row);
        match runs.last_mut() {
            Some(run) if run.state == state => run.until = until,
            last => {
                // A state lasts until the next row, should rows be missing.
                if let Some(run) = last {
                    run.until = from;
                }
                runs.push(Run { from, until, state });
            }
        }
    }
    runs
}

/// The cycles of each copy and how far it had come in them: a cycle without progress, or another size, ends a copy.
pub(super) fn copies(rows: &[CycleRow]) -> Vec<Vec<(u64, Copied)>> {
    let mut copies: Vec<Vec<(u64, Copied)>> = Vec::new();
    let mut before: Option<Copied> = None;
    for row in rows {
        if let Some(copied) = row.copied {
            let goes_on = before.is_some_and(|before| before.total_blocks == copied.total_blocks);
            let step = (u64::from(row.cycle), copied);
            match copies.last_mut() {
                Some(copy) if goes_on => copy.push(step),
                _ => copies.push(vec![step]),
            }
        }
        before = row.copied;
    }
    copies
}

/// A place in the picture, in pixels.
pub(super) type Point = (i32, i32);

/// At most four points for each column of pixels, the highest and the lowest among them: a long run stays a small file
/// and loses no spike.
pub(super) fn thinned(points: &[Point]) -> Vec<Point> {
    let mut line: Vec<Point> = Vec::new();
    for column in points.chunk_by(|one, next| one.0 == next.0) {
        let lowest = column.iter().min_by_key(|point| point.1);
        let highest = column.iter().max_by_key(|point| point.1);
        let kept = [column.first(), lowest, highest, column.last()];
        line.extend(kept.into_iter().flatten());
    }
    line.dedup();
    line
}
