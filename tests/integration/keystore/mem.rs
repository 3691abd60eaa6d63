//! The store in memory.

use std::sync::Arc;

use async_trait::async_trait;
use kes::keystore::{Keystore, Settings, open};

use super::subject::{Nature, Subject};

/// The store in memory. There is no second process to share it with: all handles are the same store.
pub(crate) struct Memory(Arc<dyn Keystore>);

#[async_trait]
impl Subject for Memory {
    const NATURE: Nature = Nature::STRICT;

    async fn fresh() -> Self {
        Self(open(&Settings::Mem).await.unwrap().store)
    }

    async fn handle(&self) -> Arc<dyn Keystore> {
        Arc::clone(&self.0)
    }

    async fn plant_text(&self, _name: &str, _text: &str) -> Result<(), &'static str> {
        Err("nobody but the server can write into its memory")
    }
}

#[tokio::test]
async fn it_says_what_it_is_and_that_it_forgets() {
    let opened = open(&Settings::Mem).await.unwrap();
    assert_eq!(opened.store.to_string(), "In Memory");
    assert!(opened.warnings.concat().contains("lost"));
    assert_eq!(
        opened.store.status().await.unwrap(),
        std::time::Duration::from_millis(1)
    );
}
