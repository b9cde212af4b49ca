//! MAIL  what the user sends to the other half over the cross link, in the time that a cycle leaves.

/// Parcels both ways, kept by the user: [`Lockstep::cycle_with`](crate::Lockstep::cycle_with) carries them.
///
/// They go while both halves are in duplex, not in a trial, after a cycle's verdict, as long as one still gets through before the
/// next start. What a parcel takes is judged by [`link_delay_us`](twinstep::Config::link_delay_us), a sample's frame: send none that
/// take longer, or raise that. One has [`Node::PARCEL_BYTES`](twinstep::Node::PARCEL_BYTES) at most. Any of them may be lost, and one that the link repeats comes twice: what is sent has to say where it belongs.
/// [`transfer`](crate::images::transfer) does, for images.
pub trait Mail {
    /// Parcels sent in a cycle at most.
    const A_CYCLE: u8 = 1;

    /// Takes a parcel. Called in the middle of a cycle: keep it, and look at it after the verdict.
    fn take(&mut self, parcel: &[u8]);

    /// Writes the next parcel to be sent into the front of `room` and returns its length; `None` if there is none.
    fn give(&mut self, room: &mut [u8]) -> Option<usize>;
}

/// No mail: what comes is dropped.
#[derive(Clone, Copy, Debug)]
pub struct NoMail;

impl Mail for NoMail {
    const A_CYCLE: u8 = 0;

    fn take(&mut self, _: &[u8]) {}

    fn give(&mut self, _: &mut [u8]) -> Option<usize> {
        None
    }
}
