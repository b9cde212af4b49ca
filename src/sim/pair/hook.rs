//! A function of the user's own that is called before each call of a node.

use super::Pair;
use crate::ids::ChannelId;
use crate::node::Node;
use crate::program::Program;
use crate::sim::checks::Checks;
use std::boxed::Box;

/// The call of a node that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallPoint {
    /// [`Node::handle_frame`].
    HandleFrame,
    /// [`Node::poll_verdict`].
    PollVerdict,
    /// [`Node::begin`].
    Begin,
    /// [`Node::poll_transmit`].
    PollTransmit,
}

impl CallPoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HandleFrame, Self::PollVerdict, Self::Begin, Self::PollTransmit];
}

type Function<'m, P> = Box<dyn FnMut(CallPoint, ChannelId, &mut Node<'m, P>) + 'm>;

/// The user's function.
pub(super) struct Hook<'m, P: Program> {
    function: Function<'m, P>,
    /// Still true after a panic of the function, which is no panic of the program.
    is_running: bool,
}

impl<'m, P: Program> Hook<'m, P> {
    pub(super) fn call(
        &mut self,
        point: CallPoint,
        channel: ChannelId,
        node: &mut Node<'m, P>,
        checks: &mut Option<Box<Checks>>,
    ) {
        if let Some(checks) = checks {
            checks.suspect(channel); // the hook may damage it
        }
        self.is_running = true;
        (self.function)(point, channel, node);
        self.is_running = false;
    }

    pub(super) fn has_panicked(&self) -> bool {
        self.is_running
    }
}

/// Calls the hook, if there is one.
pub(super) fn before<'m, P: Program>(
    (hook, checks): (&mut Option<Hook<'m, P>>, &mut Option<Box<Checks>>),
    point: CallPoint,
    channel: ChannelId,
    node: &mut Node<'m, P>,
) {
    if let Some(hook) = hook {
        hook.call(point, channel, node, checks);
    }
}

impl<'m, P: Program> Pair<'m, P> {
    /// Calls `hook` from now on before each call of a node: a place for faults of your own, and for counting.
    ///
    /// The hook may change the node, which is checked again before the call. It stays until another one takes its place,
    /// also through a restart of a channel and [`calm`](Self::calm). A hook that changes nothing leaves the run as it is;
    /// the simulation takes longer, since it looks at channels that only wait as well. Times and memory are not checked for
    /// [invariants](Self::check_invariants) then, since the hook may have damaged them. A panic of the hook ends the run.
    ///
    /// ```
    #[doc = include_str!("example.txt")]
    /// pair.before_calls(|point, channel, node| {
    ///     if (point, channel) == (CallPoint::HandleFrame, ChannelId::A) && calls.replace(calls.get() + 1) == 4 {
    ///         node.flip(Site::Output, 3);
    ///     }
    /// });
    /// pair.run(10);
    /// assert!(calls.get() > 4);
    /// let report = pair.report();
    /// assert_eq!((report.wrong, report.missing, report.masked), (0, 0, 2)); // counted in both channels
    /// ```
    pub fn before_calls(&mut self, hook: impl FnMut(CallPoint, ChannelId, &mut Node<'m, P>) + 'm) {
        self.hook = Some(Hook { function: Box::new(hook), is_running: false });
    }
}
