//! Room for the text of a C++ exception.

use std::ffi::{CStr, c_char};

use tch::TchError;

pub(crate) struct Message([c_char; 1024]);

impl Default for Message {
    fn default() -> Self {
        Self([0; 1024])
    }
}

impl Message {
    pub fn pointer(&mut self) -> *mut c_char {
        self.0.as_mut_ptr()
    }

    pub fn capacity(&self) -> i64 {
        self.0.len() as i64
    }

    pub fn text(&self) -> String {
        // SAFETY: zeroed at first, and whoever writes to it ends the text with a zero.
        unsafe { CStr::from_ptr(self.0.as_ptr()) }
            .to_string_lossy()
            .into_owned()
    }

    pub fn into_error(self) -> TchError {
        TchError::Torch(self.text())
    }
}
