//! [`give_back`]: the heap returns what it does not need.
//!
//! The system's heap keeps freed memory for itself, thinking that it will be needed again: after thousands of connections have ended,
//! all that they took.
#![expect(unsafe_code, reason = "the heap is spoken to through the C library")]

/// Gives free memory of the heap back to the system, as far as whole pages are free. Takes the locks of the heap for some milliseconds,
/// so it is nothing for every request.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it may be called at any time from any thread, and touches free memory only (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}
