//! The jobs of a pool that wait for a thread, and which of them is next.
//!
//! Plain data. Each root has a line of its own. **Invariant:** no root takes more than its share of the
//! threads that the others leave. So a disk that does not answer leaves threads and room in a line for the
//! others, and so do two of them.

use std::collections::{HashMap, VecDeque};

/// How much of the threads a root may take that the other roots leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Three quarters, rounded down, but at least one.
    ThreeQuarters,
    /// All.
    All,
}

/// When a job is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrder {
    /// After those of its root that came before.
    InTurn,
    /// Before those that are done in turn, but only every other time. For a root's path, and for the file of
    /// a cached entry: many requests depend on these.
    First,
    /// In turn, and never refused. For an answer under way; the number of these is bounded by that of the
    /// connections.
    Always,
}

/// The queue of a pool. `J` is a job.
pub struct Queue<J> {
    lines: HashMap<usize, Line<J>>,
    /// Jobs that wait, of all roots.
    len: usize,
    /// Jobs that are being done, of all roots.
    running: usize,
    /// The number of the next job that comes.
    next: u64,
    threads: usize,
    share: Share,
}

/// A job that waits.
struct Waiting<J> {
    /// Later ones have higher numbers.
    number: u64,
    order: JobOrder,
    job: J,
}

/// The jobs of one root.
struct Line<J> {
    /// Those that wait and go before the others.
    first: VecDeque<Waiting<J>>,
    /// The others that wait.
    in_turn: VecDeque<Waiting<J>>,
    /// True if the last one that was taken had gone before the others.
    took_first: bool,
    /// How many of them may be refused.
    refusable: usize,
    /// How many are being done.
    running: usize,
}

impl<J> Line<J> {
    fn new() -> Line<J> {
        let (first, in_turn) = (VecDeque::new(), VecDeque::new());
        Line { first, in_turn, took_first: false, refusable: 0, running: 0 }
    }

    /// Takes the job whose turn it is.
    fn take(&mut self) -> Option<Waiting<J>> {
        let may_go_first = !self.took_first || self.in_turn.is_empty();
        let takes_first = may_go_first && !self.first.is_empty();
        self.took_first = takes_first;
        if takes_first { self.first.pop_front() } else { self.in_turn.pop_front() }
    }

    /// The number of the job that has waited longest.
    fn oldest(&self) -> Option<u64> {
        [&self.first, &self.in_turn].into_iter().filter_map(|jobs| jobs.front()).map(|job| job.number).min()
    }
}

impl<J> Queue<J> {
    /// An empty queue for so many threads.
    pub fn new(threads: usize, share: Share) -> Queue<J> {
        Queue { lines: HashMap::new(), len: 0, running: 0, next: 0, threads, share }
    }

    /// True if no job waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of jobs of this root that wait, without those that are never refused.
    pub fn refusable(&self, root: usize) -> usize {
        self.lines.get(&root).map_or(0, |line| line.refusable)
    }

    /// Adds a job that reads this root.
    pub fn push(&mut self, root: usize, order: JobOrder, job: J) {
        let line = self.lines.entry(root).or_insert_with(Line::new);
        let jobs = if order == JobOrder::First { &mut line.first } else { &mut line.in_turn };
        jobs.push_back(Waiting { number: self.next, order, job });
        line.refusable += usize::from(order != JobOrder::Always);
        self.next += 1;
        self.len += 1;
    }

    /// Takes a job of the root whose oldest job has waited longest, among those that have not their share of
    /// the threads yet; with its root.
    pub fn pop(&mut self) -> Option<(usize, J)> {
        let oldest = |(root, line): (&usize, &Line<J>)| {
            let number = line.oldest().filter(|_| line.running < self.most(line))?;
            Some((number, *root))
        };
        let (_, root) = self.lines.iter().filter_map(oldest).min()?;
        let line = self.lines.get_mut(&root)?;
        let Waiting { order, job, .. } = line.take()?;
        line.refusable -= usize::from(order != JobOrder::Always);
        line.running += 1;
        self.running += 1;
        self.len -= 1;
        Some((root, job))
    }

    /// Notes that a job of this root, which was taken, is done.
    pub fn finish(&mut self, root: usize) {
        if let Some(line) = self.lines.get_mut(&root) {
            line.running -= 1;
            self.running -= 1;
        }
    }

    /// How many jobs of a root may be done at once, as many threads as the others leave.
    fn most(&self, line: &Line<J>) -> usize {
        let left = self.threads.saturating_sub(self.running - line.running);
        match self.share {
            Share::ThreeQuarters => (left * 3 / 4).max(left.min(1)),
            Share::All => left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::JobOrder::{Always, First, InTurn};
    use super::*;

    /// The jobs that can be taken at once.
    fn taken(queue: &mut Queue<u32>) -> Vec<(usize, u32)> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn jobs_are_taken_in_their_order_until_their_root_has_its_share() {
        let mut queue = Queue::new(4, Share::ThreeQuarters);
        for job in 1..=5 {
            queue.push(0, InTurn, job);
        }
        queue.push(7, InTurn, 6);
        assert_eq!(taken(&mut queue), [(0, 1), (0, 2), (0, 3), (7, 6)], "the other root has its share");
        assert!(!queue.is_empty());
        queue.finish(7);
        assert_eq!(queue.pop(), None);
        queue.finish(0);
        assert_eq!(taken(&mut queue), [(0, 4)]);
        queue.finish(0);
        assert_eq!(taken(&mut queue), [(0, 5)]);
        assert!(queue.is_empty());
    }

    #[test]
    fn several_roots_that_do_not_answer_leave_a_thread_for_another() {
        let mut queue = Queue::new(16, Share::ThreeQuarters);
        for root in [0, 1] {
            (0..20).for_each(|job| queue.push(root, InTurn, job));
        }
        let of = |taken: &[(usize, u32)], root| taken.iter().filter(|(of, _)| *of == root).count();
        let hung = taken(&mut queue);
        assert_eq!((of(&hung, 0), of(&hung, 1)), (12, 3));
        queue.push(2, InTurn, 1);
        assert_eq!(taken(&mut queue), [(2, 1)]);
    }

    #[test]
    fn jobs_of_several_roots_are_taken_in_the_order_in_which_they_came() {
        let mut queue = Queue::new(9, Share::All);
        for (root, job) in [(2, 1), (0, 2), (2, 3), (1, 4)] {
            queue.push(root, InTurn, job);
        }
        assert_eq!(taken(&mut queue), [(2, 1), (0, 2), (2, 3), (1, 4)]);
    }

    #[test]
    fn a_job_that_goes_first_takes_the_turn_of_the_oldest_of_its_root() {
        let mut queue = Queue::new(9, Share::All);
        for (root, order, job) in [(0, InTurn, 1), (1, InTurn, 2), (0, First, 3)] {
            queue.push(root, order, job);
        }
        assert_eq!(taken(&mut queue), [(0, 3), (0, 1), (1, 2)]);
    }

    #[test]
    fn jobs_that_go_first_leave_the_others_every_other_turn() {
        let mut queue = Queue::new(9, Share::All);
        (1..=3).for_each(|job| queue.push(0, First, job));
        (11..=12).for_each(|job| queue.push(0, InTurn, job));
        assert_eq!(taken(&mut queue).into_iter().map(|(_, job)| job).collect::<Vec<_>>(), [1, 11, 2, 12, 3]);
    }

    #[test]
    fn jobs_that_are_never_refused_have_no_others_refused() {
        let mut queue = Queue::new(1, Share::All);
        for (order, job) in [(InTurn, 1), (Always, 2), (First, 3), (Always, 4)] {
            queue.push(0, order, job);
        }
        assert_eq!((queue.refusable(0), queue.refusable(1)), (2, 0));
        assert_eq!((queue.pop(), queue.refusable(0)), (Some((0, 3)), 1));
    }

    #[test]
    fn a_single_thread_serves_every_root() {
        let mut queue = Queue::new(1, Share::ThreeQuarters);
        queue.push(0, InTurn, 1);
        queue.push(1, InTurn, 2);
        assert_eq!(taken(&mut queue), [(0, 1)]);
        queue.finish(0);
        assert_eq!(taken(&mut queue), [(1, 2)]);
    }
}
