//! How many operations there are at once, however many are wanted.

use std::sync::{Condvar, Mutex, PoisonError};

use super::*;

/// Where operations meet: how many are in, how many ever were at once, and whether they may go on.
#[derive(Default)]
struct Meeting {
    state: Mutex<(usize, usize, bool)>,
    opened: Condvar,
}

impl Meeting {
    /// Comes in and waits for [`Meeting::open`].
    fn attend(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += 1;
        state.1 = state.1.max(state.0);
        let mut state = self
            .opened
            .wait_while(state, |state| !state.2)
            .unwrap_or_else(PoisonError::into_inner);
        state.0 -= 1;
    }

    fn open(&self) {
        self.state.lock().unwrap().2 = true;
        self.opened.notify_all();
    }

    fn present(&self) -> usize {
        self.state.lock().unwrap().0
    }

    fn most(&self) -> usize {
        self.state.lock().unwrap().1
    }
}

#[tokio::test]
async fn ten_thousand_operations_are_sixty_four_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_owned();
    let (store, _) = connect(&Settings { path }).await.unwrap();
    let (store, meeting) = (Arc::new(store), Arc::new(Meeting::default()));
    let operations: Vec<_> = (0..10_000)
        .map(|_| {
            let (store, meeting) = (store.clone(), meeting.clone());
            tokio::spawn(async move {
                let work = move |_: &Directory| {
                    meeting.attend();
                    Ok(())
                };
                store.run(work).await.is_ok()
            })
        })
        .collect();
    while meeting.present() < MAX_PARALLEL {
        tokio::task::yield_now().await;
    }
    meeting.open();
    for operation in operations {
        assert!(operation.await.unwrap());
    }
    assert_eq!(meeting.most(), MAX_PARALLEL);
}
