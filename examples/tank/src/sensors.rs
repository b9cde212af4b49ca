//! How the two channels' sensors settle on one reading.

use crate::Reading;
use twinstep::Agreement;

/// Two good sensors of one temperature read less than this apart.
const LARGEST_DISCREPANCY_CENTI_C: u16 = 150;

/// Returns the mean of both samples, and whether they are too far apart.
pub(crate) fn agree(a: &Reading, b: &Reading) -> Agreement<Reading> {
    let apart = |a: i16, b: i16| a.abs_diff(b) > LARGEST_DISCREPANCY_CENTI_C;
    let disagree = apart(a.tank_centi_c, b.tank_centi_c) || apart(a.ambient_centi_c, b.ambient_centi_c);
    let input = Reading {
        tank_centi_c: a.tank_centi_c.midpoint(b.tank_centi_c),
        ambient_centi_c: a.ambient_centi_c.midpoint(b.ambient_centi_c),
        door_open: a.door_open || b.door_open, // an open door is the cautious answer
        disagree,
    };
    Agreement::with_discrepancy(input, disagree)
}
