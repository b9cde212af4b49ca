//! All orders of calls, each state once.

use super::call::Call;
use super::pair::Pair;
use std::collections::HashMap;

/// What a walk came to.
#[derive(Default)]
pub struct Found {
    /// Orders that were covered.
    pub orders: u64,
    /// States that were called from.
    pub states: u64,
    /// States that orders ended in, and how many of them are outside of duplex.
    pub ends: u64,
    pub left_duplex: u64,
    /// The longest that a pair took to serve again.
    pub periods: u64,
    /// The first order that did harm, and which.
    pub wrong: Option<String>,
}

/// Walks all orders of so many calls.
pub fn walk(start: &Pair, calls: &[Call], length: usize, periods: u64) -> Found {
    let mut found = Found::default();
    // By fingerprint: a state, the orders that lead to it, and one of them.
    let mut level = HashMap::from([(start.fingerprint(), (start.clone(), 1_u64, Vec::new()))]);
    for _ in 0..length {
        let mut next: HashMap<u64, (Pair, u64, Vec<Call>)> = HashMap::new();
        for (pair, orders, path) in level.into_values() {
            found.states += 1;
            for call in calls {
                let (mut pair, mut path) = (pair.clone(), path.clone());
                path.push(*call);
                if let Err(wrong) = call.apply(&mut pair) {
                    found.wrong = Some(format!("{path:?}: {wrong}"));
                    return found;
                }
                let known = next.entry(pair.fingerprint()).or_insert_with(|| (pair, 0, path));
                known.1 += orders;
            }
        }
        level = next;
    }
    for (mut pair, orders, path) in level.into_values() {
        found.orders += orders;
        found.ends += 1;
        found.left_duplex += u64::from(!pair.is_in_duplex());
        match pair.serve(2, periods) {
            Ok(took) => found.periods = found.periods.max(took),
            Err(wrong) => {
                found.wrong = Some(format!("{path:?}: {wrong}"));
                return found;
            }
        }
    }
    found
}
