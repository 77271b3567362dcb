//! Running code that may panic, and keeping what it said.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Present while this thread is inside [`guarded`]: the last panic's message and place.
    static HEARD: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `f`; a panic becomes an error with its message and its place, and prints nothing.
///
/// # Errors
/// What the panic said.
pub(crate) fn guarded<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(listen);
    let outer = HEARD.replace(Some(None));
    // What a panicking case leaves half done is dropped with its context; nobody looks at it again but to print it.
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let heard = HEARD.replace(outer).flatten();
    result.map_err(|payload| heard.unwrap_or_else(|| said(payload.as_ref())))
}

/// Only the hook is told where a panic happened. Panics of other threads go to whoever listened before.
fn listen() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let ours = HEARD.try_with(|heard| match heard.borrow_mut().as_mut() {
            Some(message) => {
                let place = info.location().map(|place| format!(" at {place}"));
                let said = said(info.payload());
                *message = Some(format!("panicked{}: {said}", place.unwrap_or_default()));
                true
            }
            None => false,
        });
        if !ours.unwrap_or(false) {
            before(info);
        }
    }));
}

fn said(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::guarded;

    #[test]
    fn a_panic_is_kept_with_its_place() {
        let said = guarded(|| panic!("{} stars", 7)).unwrap_err();
        assert!(said.contains("guarded.rs:"), "{said}");
        assert!(said.ends_with(": 7 stars"), "{said}");
    }

    #[test]
    fn one_guard_may_stand_inside_another() {
        let outer = guarded(|| {
            guarded(|| panic!("inner")).unwrap_err();
            panic!("outer");
        });
        assert!(outer.unwrap_err().ends_with("outer"));
        assert_eq!(guarded(|| 5), Ok(5));
    }

    #[test]
    fn a_payload_that_is_no_text_is_still_a_panic() {
        let said = guarded(|| std::panic::resume_unwind(Box::new(7))).unwrap_err();
        assert_eq!(said, "a panic without a message");
    }
}
