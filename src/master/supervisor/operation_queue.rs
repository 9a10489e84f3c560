//! The operations that the operator has asked for and that are not begun.

use super::event::Operation;

/// The queue of operations. Operations of one kind are one operation, but for workers to add and to remove,
/// which are counted.
///
/// They run in the order of the fields, whatever the order of the signals. A reload makes all operations
/// before it unnecessary, an upgrade excepted. While a drain of the workers is queued, workers to add or to
/// remove are ignored.
#[derive(Debug, Default)]
pub(super) struct OperationQueue {
    reload: bool,
    removed: usize,
    added: usize,
    upgrade: bool,
    drain_workers: bool,
}

impl OperationQueue {
    pub(super) fn push(&mut self, operation: Operation) {
        match operation {
            Operation::Reload => {
                *self = OperationQueue { reload: true, upgrade: self.upgrade, ..OperationQueue::default() }
            }
            Operation::Upgrade => self.upgrade = true,
            Operation::DrainWorkers => {
                *self = OperationQueue { removed: 0, added: 0, drain_workers: true, ..*self }
            }
            Operation::AddWorker | Operation::RemoveWorker if self.drain_workers => {}
            Operation::AddWorker => self.added += 1,
            // It cancels a worker that was to be added.
            Operation::RemoveWorker if self.added > 0 => self.added -= 1,
            Operation::RemoveWorker => self.removed += 1,
        }
    }

    pub(super) fn pop(&mut self) -> Option<Operation> {
        let take = |count: &mut usize| std::mem::replace(count, count.saturating_sub(1)) > 0;
        match self {
            _ if std::mem::take(&mut self.reload) => Some(Operation::Reload),
            _ if take(&mut self.removed) => Some(Operation::RemoveWorker),
            _ if take(&mut self.added) => Some(Operation::AddWorker),
            _ if std::mem::take(&mut self.upgrade) => Some(Operation::Upgrade),
            _ if std::mem::take(&mut self.drain_workers) => Some(Operation::DrainWorkers),
            _ => None,
        }
    }
}
