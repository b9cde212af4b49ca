use super::*;
use crate::tether::Said;
use ChannelId::{A, B};

/// Boards that follow a script, and the turns that they were given.
#[derive(Default)]
struct Scripted {
    script: std::collections::VecDeque<Done>,
    given: Vec<(TurnHeader, Vec<u8>, Vec<u8>)>,
}

impl Machines for Scripted {
    fn turn(&mut self, _: ChannelId, given: &Given) -> Result<Option<Done>> {
        if let Given::Turn { header, link, field } = given {
            self.given.push((*header, link.clone(), field.clone()));
        }
        Ok(self.script.pop_front())
    }
}

const LINK: LineModel = LineModel { baud: 1_000_000, fifo_bytes: 2, latency_us: 7 };
const PACE: Pace = Pace { mhz: Some(100), link: LINK, drift_ppm: [0, 0] };
/// A tick for each instruction: 10 ns.
const TICKS: u32 = 100;

fn says(ticks: u32, line: Line, at: u32, bytes: &[u8], rest: Rest) -> Done {
    Done { said: vec![Said { line, ticks: at, bytes: bytes.to_vec() }], ticks, rest }
}

fn sleeps(us: u64) -> Done {
    Done { said: Vec::new(), ticks: 100, rest: Rest::Until { us } }
}

#[test]
fn work_takes_the_time_of_its_instructions_and_bytes_leave_at_the_baud_rate() {
    let mut engine = Engine::new(PACE, TICKS);
    let script = [says(5_000, Line::CrossLink, 1_000, &[1, 2, 3, 4, 0], Rest::Taken), sleeps(9_000)];
    let mut boards = Scripted { script: script.into(), ..Scripted::default() };
    engine.boot(A);
    let mut left = Vec::new();
    while let Some(happened) = engine.next(&mut boards).unwrap() {
        if let Happened::Left { byte, arrives_ns, .. } = happened {
            left.push((byte, engine.now_ns(), arrives_ns));
        }
    }
    // Sent 1,000 instructions, 10 us, into the turn; a byte takes 10 us.
    let sent = BOOT_NS + 10_000;
    let expected =
        (1..).zip([1, 2, 3, 4, 0]).map(|(place, byte)| (byte, sent + place * 10_000, sent + place * 10_000 + 7_000));
    assert!(left.iter().copied().eq(expected.take(5)), "{left:?}");
    let [(first, ..), (second, ..), (third, ..)] = &boards.given[..] else { panic!("{:?}", boards.given) };
    // One is shifted out and two wait; the last one is taken when two have left. But its work took 50 us.
    assert_eq!((first.now_us, first.room_bytes), (5_000, 3));
    assert_eq!((second.now_us, second.room_bytes), (5_050, 2));
    assert_eq!(third.now_us, 9_000);
}

#[test]
fn a_slow_line_holds_its_sender_up() {
    let pace = Pace { link: LineModel { baud: 10_000, ..LINK }, ..PACE };
    let mut engine = Engine::new(pace, TICKS);
    let script = [says(100, Line::CrossLink, 0, &[1, 2, 3, 4, 0], Rest::Taken), sleeps(90_000)];
    let mut boards = Scripted { script: script.into(), ..Scripted::default() };
    engine.boot(A);
    while engine.next(&mut boards).unwrap().is_some() {}
    assert_eq!(boards.given[1].0.now_us, 5_000 + 2_000, "two bytes of five have left");
}

#[test]
fn a_message_wakes_a_board_that_sleeps_but_not_one_that_works() {
    let mut engine = Engine::new(PACE, TICKS);
    let script =
        [Done { said: Vec::new(), ticks: 100_000, rest: Rest::Until { us: 50_000 } }, sleeps(60_000), sleeps(70_000)];
    let mut boards = Scripted { script: script.into(), ..Scripted::default() };
    engine.boot(B);
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Worked)));
    // It works for a millisecond, in which two messages come; the second half of one wakes nobody.
    for (byte, at_us) in [(1, 5_100), (0, 5_200), (2, 5_300), (0, 5_400), (3, 7_000)] {
        engine.deliver(B, byte, at_us * 1_000);
    }
    engine.tell(B, vec![9, 0]);
    for _ in 0..2 {
        assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Worked)));
    }
    assert_eq!(boards.given[1].0.now_us, 6_000);
    assert_eq!((&boards.given[1].1[..], &boards.given[1].2[..]), (&[1, 0, 2, 0][..], &[9, 0][..]));
    assert_eq!((boards.given[2].0.now_us, &boards.given[2].1[..]), (60_000, &[3][..]));
}

#[test]
fn what_a_killed_board_said_and_has_not_left_is_gone() {
    let mut engine = Engine::new(PACE, TICKS);
    let mut boards = Scripted::default();
    boards.script.push_back(says(100_000, Line::FieldBus, 90_000, &[1, 0], Rest::Until { us: 50_000 }));
    boards.script.push_back(sleeps(u64::MAX));
    engine.boot(A);
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Worked)));
    engine.alarm(BOOT_NS + 800_000);
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Alarm)));
    engine.kill(A);
    engine.boot(A);
    // Only the first turn of the next life comes.
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Worked)));
    assert_eq!(boards.given[1].0.now_us, 5_000, "the clock begins with the boot");
}

#[test]
fn a_board_without_an_answer_is_a_dead_board() {
    let mut engine = Engine::new(PACE, TICKS);
    engine.boot(A);
    let happened = engine.next(&mut Scripted::default()).unwrap();
    assert!(matches!(happened, Some(Happened::Gone(A))), "{happened:?}");
    assert!(!engine.is_alive(A, 1));
}

#[test]
fn a_program_that_stopped_goes_on_only_when_it_is_told_to() {
    let mut engine = Engine::new(PACE, TICKS);
    let mut boards = Scripted::default();
    boards.script.push_back(says(100, Line::FieldBus, 90, &[1, 0], Rest::Stopped(0x1234)));
    boards.script.push_back(sleeps(u64::MAX));
    engine.boot(A);
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Stopped { board: A, at: 0x1234 })));
    engine.deliver(A, 0, 6_000_000);
    engine.alarm(20_000_000);
    // What it had said goes its way, and no message wakes it.
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Said { from: A, turn: 1, .. })));
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Alarm)));
    engine.go_on(A);
    assert!(matches!(engine.next(&mut boards).unwrap(), Some(Happened::Worked)));
    assert_eq!(engine.now_ns(), 20_000_000);
}
