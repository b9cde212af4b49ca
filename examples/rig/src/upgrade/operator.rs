//! The operator: goes through the tasks of a scenario, whatever the boards are made of.

use super::books::UpgradeFigures;
use super::flavour::{Flavour, OLD_VERSION};
use super::order_name;
use super::script::Round;
use super::task::{Goal, Half, Task, may_pass};
use super::view::View;
use std::collections::VecDeque;
use tank::field_bus::ModeCode;
use tank::{Drive, Reading};
use twinstep::ChannelId;
use twinstep::upgrade::{NotReady, Order, Refusal, Step};

/// What is to be done to the boards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Act {
    Order(ChannelId, Order),
    Offer(Flavour),
    Forgive,
    Kill(ChannelId),
}

/// An order that was given.
#[derive(Clone, Copy, Debug)]
struct Given {
    order: Order,
    board: ChannelId,
    to_owner: bool,
    cycle: u32,
    at: f64,
}

/// A half that was killed, and what came then. Times are periods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Killed {
    pub(crate) board: ChannelId,
    pub(crate) at: f64,
    /// The step of the board that owned.
    pub(crate) step: Option<Step>,
    /// Who drove next, and in which version.
    pub(crate) served_on: Option<(ChannelId, u32)>,
    /// When both were in duplex again.
    pub(crate) duplex_at: Option<f64>,
    /// When nothing was left to do.
    pub(crate) ended_at: Option<f64>,
}

/// Goes through the tasks.
pub(crate) struct Operator {
    tasks: VecDeque<Task>,
    rounds: VecDeque<Round>,
    /// When the first task began.
    since: f64,
    /// No order before this: the last one was refused, or a candidate was offered just now.
    not_before: f64,
    given: Option<Given>,
    answer: Option<Option<Refusal>>,
    orders: u32,
    /// All orders go to the board that owns.
    only_to_owner: bool,
    is_armed: bool,
    is_on_the_way: bool,
    killed: Option<Killed>,
    last_drive: Option<f64>,
    silence: f64,
    now: f64,
    books: UpgradeFigures,
}

/// Periods that a task may take.
const PATIENCE: f64 = 250.0;
/// Periods until an order that was refused, or not answered, is given again.
const AGAIN_AFTER: f64 = 3.0;
const ANSWER_WITHIN: f64 = 12.0;

impl Operator {
    /// Goes through rounds of tasks, one after the other.
    pub(crate) fn new(rounds: Vec<Round>, only_to_owner: bool) -> Self {
        Self {
            tasks: VecDeque::new(),
            rounds: rounds.into(),
            since: 0.0,
            not_before: 0.0,
            given: None,
            answer: None,
            orders: 0,
            only_to_owner,
            is_armed: false,
            is_on_the_way: false,
            killed: None,
            last_drive: None,
            silence: 0.0,
            now: 0.0,
            books: UpgradeFigures::default(),
        }
    }

    /// Whether nothing is left to do, or can be done.
    pub(crate) fn is_done(&self) -> bool {
        self.books.stuck.is_some() || self.tasks.is_empty() && self.rounds.is_empty()
    }

    /// Whether something could not be done.
    pub(crate) fn is_stuck(&self) -> bool {
        self.books.stuck.is_some()
    }

    /// Takes the answer to the last order.
    pub(crate) fn answered(&mut self, order: Order, refusal: Option<Refusal>) {
        if self.given.is_some_and(|given| given.order == order) {
            self.answer = Some(refusal);
        }
    }

    /// Takes a step from a board's journal.
    pub(crate) fn stepped(&mut self, cycle: u32, board: ChannelId, to: Step) {
        self.books.stepped(cycle, board, to);
    }

    /// Takes the first cycle of a trial whose outputs were not alike.
    pub(crate) fn differed(&mut self, cycle: u32, input: &Reading, old: &Drive, new: &Drive) {
        self.books.differed(format!("cycle {cycle}, on {input:?}: {old:?} and {new:?}"));
    }

    /// Takes an output that reached the plant, and the version of the board that drove it.
    pub(crate) fn drove(&mut self, board: ChannelId, version: u32) {
        self.books.drove(version);
        if let Some(killed) = &mut self.killed {
            killed.served_on.get_or_insert((board, version));
        }
        let before = self.last_drive.replace(self.now);
        self.silence = self.silence.max(before.map_or(0.0, |before| self.now - before));
    }

    /// Notes that the half is dead.
    pub(crate) fn killed(&mut self, board: ChannelId, step: Option<Step>) {
        self.killed = Some(Killed { board, at: self.now, step, served_on: None, duplex_at: None, ended_at: None });
    }

    /// Looks at the pair; returns what is to be done, if anything.
    pub(crate) fn look(&mut self, view: &View) -> Option<Act> {
        self.now = view.now;
        self.books.look(view);
        if let (Some(killed), Some(_)) = (&mut self.killed, view.duplex()) {
            killed.duplex_at.get_or_insert(view.now);
        }
        loop {
            let left = (self.rounds.len(), self.tasks.len());
            let act = self.go_on(view);
            if act.is_some() || left == (self.rounds.len(), self.tasks.len()) {
                return act;
            }
        }
    }

    fn go_on(&mut self, view: &View) -> Option<Act> {
        if self.is_done() {
            return None;
        }
        if self.tasks.is_empty() {
            let round = self.rounds.pop_front()?;
            self.books.begin(round.name);
            self.tasks = round.tasks.into();
            self.since = view.now;
        }
        let task = *self.tasks.front()?;
        if view.now - self.since > PATIENCE {
            self.books.stuck = Some(format!("{task:?} was not done in {PATIENCE} periods; {view}"));
            return None;
        }
        match task {
            Task::Wait(until) => self.done_if(until.is_so(view)),
            Task::Rest(periods) => self.done_if(view.now - self.since >= f64::from(periods)),
            Task::Offer(flavour) => {
                // The boards tell each other what they have.
                self.not_before = view.now + AGAIN_AFTER;
                self.done_if(true).or(Some(Act::Offer(flavour)))
            }
            Task::Forgive => self.done_if(true).or(Some(Act::Forgive)),
            Task::Give(order) => match self.answer_to(order, view) {
                Ok(None) => self.done_if(true),
                Ok(Some(refusal)) if may_pass(refusal) => self.try_again(view),
                Ok(Some(refusal)) => self.give_up(order, refusal),
                Err(act) => act,
            },
            Task::Refused(order, why) => match self.answer_to(order, view) {
                Ok(Some(refusal)) if why.is(refusal) => {
                    if let Some(last) = self.books.orders.last_mut() {
                        last.refused_as_due = true;
                    }
                    self.done_if(true)
                }
                Ok(Some(Refusal::Busy | Refusal::NoOwner)) => self.try_again(view),
                Ok(Some(refusal)) => self.give_up(order, refusal),
                Ok(None) => {
                    self.books.stuck = Some(format!("{} was to be refused", order_name(order)));
                    None
                }
                Err(act) => act,
            },
            Task::Kill(half) => self.kill(half, view),
            Task::Reach(goal) => self.reach(goal, view),
        }
    }

    /// Returns the figures.
    pub(crate) fn into_figures(self) -> UpgradeFigures {
        UpgradeFigures { killed: self.killed, silence_periods: self.silence, ..self.books }
    }

    fn done_if(&mut self, is_done: bool) -> Option<Act> {
        if is_done {
            self.tasks.pop_front();
            self.since = self.now;
            (self.given, self.answer) = (None, None);
        }
        None
    }

    fn try_again(&mut self, view: &View) -> Option<Act> {
        self.not_before = view.now + AGAIN_AFTER;
        None
    }

    fn give_up(&mut self, order: Order, refusal: Refusal) -> Option<Act> {
        self.books.stuck = Some(format!("{} was refused: {refusal}", order_name(order)));
        None
    }

    /// Gives an order and returns its answer, or until there is one what is to be done.
    fn answer_to(&mut self, order: Order, view: &View) -> Result<Option<Refusal>, Option<Act>> {
        if let (Some(given), Some(answer)) = (self.given, self.answer) {
            (self.given, self.answer) = (None, None);
            let Given { order, board, to_owner, cycle, .. } = given;
            self.books.ordered((cycle, order), (board, to_owner), answer, false);
            return Ok(answer);
        }
        if self.given.is_some_and(|given| view.now - given.at < ANSWER_WITHIN) || view.now < self.not_before {
            return Err(None);
        }
        let Some(owner) = view.owner.filter(|owner| view.board(*owner).is_some()) else { return Err(None) };
        // By turns; a half that is not there, or has the way to the owner still to find, cannot pass an order on.
        let to_owner = self.only_to_owner || self.orders.is_multiple_of(2) || view.follower().is_none();
        let board = if to_owner { owner } else { owner.other() };
        self.orders += 1;
        self.given = Some(Given { order, board, to_owner, cycle: view.latest, at: view.now });
        Err(Some(Act::Order(board, order)))
    }

    fn kill(&mut self, half: Half, view: &View) -> Option<Act> {
        if self.killed.is_some() {
            return self.done_if(true);
        }
        let owner = view.owner?;
        let board = if half == Half::Owner { owner } else { owner.other() };
        if self.is_armed || view.board(board).is_none() {
            return None;
        }
        self.is_armed = true;
        Some(Act::Kill(board))
    }

    /// Gives the order that leads on, or back, from where the upgrade stands; where that way is barred, the other one.
    fn reach(&mut self, goal: Goal, view: &View) -> Option<Act> {
        let goal = if self.is_on_the_way { Goal::On } else { goal };
        let wanted = |version: u32| (version == OLD_VERSION) == (goal == Goal::Back);
        // From version 2 there is no way back.
        let has_ended = view.settled().is_some_and(|version| wanted(version) || version != OLD_VERSION);
        if has_ended {
            if let Some(killed) = &mut self.killed {
                killed.ended_at = Some(view.now);
            }
            return self.done_if(true);
        }
        let order = self.given.map(|given| given.order).or_else(|| next_order(goal, view))?;
        match self.answer_to(order, view) {
            Ok(None) => self.try_again(view),
            Ok(Some(Refusal::NoWayBack)) => {
                self.is_on_the_way = true;
                None
            }
            Ok(Some(Refusal::NotReady(reasons))) if reasons.contains(NotReady::FAULT_LATCHED) => {
                self.try_again(view).or(Some(Act::Forgive))
            }
            Ok(Some(_)) => self.try_again(view),
            Err(act) => act,
        }
    }
}

/// Returns the order that is due where the upgrade stands.
fn next_order(goal: Goal, view: &View) -> Option<Order> {
    let leader = view.leader()?;
    match (leader.step, goal) {
        (Step::Idle, Goal::On) if view.settled() == Some(OLD_VERSION) => Some(Order::Prepare),
        (Step::Prepare, Goal::On) => Some(Order::Split),
        (Step::OldDrives, Goal::On) if leader.is_ready => Some(Order::Switchover),
        // Once the old half is gone there is nobody to compare with.
        (Step::NewDrives, Goal::On)
            if leader.is_ready || view.follower().is_none_or(|seen| seen.mode != ModeCode::Trial) =>
        {
            Some(Order::Commit)
        }
        (Step::Prepare | Step::Split | Step::OldDrives | Step::NewDrives, Goal::Back) => Some(Order::Abort),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
