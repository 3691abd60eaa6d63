//! [`Seldom`]: a future beside a busy one, polled only when it has asked for it.
//!
//! A connection is woken for each request, and beside it wait a timer and the end of the server, which come once in a while. To poll
//! these two each time would take the lock of a list that all connections of the server share.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A future that is polled at first, when it has woken its task, and when it is to be [again](Seldom::again).
pub(super) struct Seldom<F> {
    future: F,
    bell: Option<Arc<Bell>>,
}

/// What the future wakes: it remembers that it was this future.
struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<F> Seldom<F> {
    /// Nothing has been polled yet.
    pub(super) fn new(future: F) -> Self {
        Self { future, bell: None }
    }

    /// The future itself, to be changed; it is polled next time.
    pub(super) fn again(&mut self) -> &mut F {
        self.bell = None;
        &mut self.future
    }
}

impl<F: Future + Unpin> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let same = this.bell.take_if(|bell| bell.task.will_wake(cx.waker()));
        if let Some(bell) = &same
            && !bell.rung.load(Ordering::Acquire)
        {
            this.bell = same;
            return Poll::Pending;
        }
        // A new one each time it has rung: a late ring of the one before wakes the task, and is no harm.
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(false),
            task: cx.waker().clone(),
        });
        let waker = Waker::from(bell.clone());
        this.bell = Some(bell);
        Pin::new(&mut this.future).poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often it is polled, and is ready the third time.
    struct Thrice(Arc<AtomicUsize>, Option<Waker>);

    impl Future for Thrice {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            self.1 = Some(cx.waker().clone());
            if self.0.fetch_add(1, Ordering::Relaxed) < 2 {
                return Poll::Pending;
            }
            Poll::Ready(())
        }
    }

    /// A task that counts how often it is woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_polled_once_and_then_when_it_has_woken_the_task() {
        let polls = Arc::new(AtomicUsize::new(0));
        let task = Arc::new(Task::default());
        let waker = Waker::from(task.clone());
        let mut cx = Context::from_waker(&waker);
        let mut seldom = Seldom::new(Thrice(polls.clone(), None));
        for _ in 0..3 {
            assert!(Pin::new(&mut seldom).poll(&mut cx).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        seldom.future.1.take().unwrap().wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
        for _ in 0..3 {
            assert!(Pin::new(&mut seldom).poll(&mut cx).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 2);
        seldom.again();
        assert!(Pin::new(&mut seldom).poll(&mut cx).is_ready());
    }

    #[test]
    fn a_task_that_has_moved_is_the_one_that_is_woken() {
        let (old, new) = (Arc::new(Task::default()), Arc::new(Task::default()));
        let mut seldom = Seldom::new(Thrice(Arc::default(), None));
        for task in [&old, &new] {
            let waker = Waker::from(task.clone());
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut seldom).poll(&mut cx).is_pending());
        }
        seldom.future.1.take().unwrap().wake();
        let woken = |task: &Task| task.0.load(Ordering::Relaxed);
        assert_eq!((woken(&old), woken(&new)), (0, 1));
    }
}
