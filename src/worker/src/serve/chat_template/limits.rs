//! Bounds for templates, which come with a model from whoever made it. Real ones stay far below.
//!
//! Size, nesting, instructions and output are bounded, and so is what one filter makes of a small
//! number. A template can still double a value again and again by `~` or `+`, or add to a long list:
//! the template engine has no hook there, and the container's memory limit is what ends that.

use std::{
    io::{self, Write},
    thread,
};

use minijinja::{
    Environment, Error, ErrorKind, State, Value, filters,
    value::{Kwargs, Rest, StringInput},
};
use minijinja_contrib::pycompat;

/// Largest template in bytes; the longest known ones have 20,000.
pub const SOURCE: usize = 128 << 10;
/// Most instructions of one rendering: some dozens for each message that fits into a context.
const INSTRUCTIONS: u64 = 2_000_000;
/// The template engine calls itself for every step of a chain (`a|d|d|d…`), and for every level of a
/// value. Its own bound on that counts brackets only; the other bounds here keep it within this.
/// Memory is taken when it is used.
const STACK: usize = 256 << 20;
/// Most bytes of a rendering: several times those of the largest request.
const OUTPUT: usize = 32 << 20;
/// Widest indentation and field.
const WIDTH: usize = 1000;

/// Does what the template engine does, where it may nest deeply.
///
/// # Errors
/// When the system has no room for it, or the template engine panics.
pub fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("chat-template".into()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        thread
            .join()
            .map_err(|_| "the template engine met a fault of its own".to_owned())
    })
}

/// Bounds what templates of an environment can do.
pub fn set(environment: &mut Environment<'_>) {
    environment.set_fuel(Some(INSTRUCTIONS));
    environment.add_filter("indent", indent);
    environment.add_filter("format", format);
    environment.set_unknown_method_callback(|state, value, method, arguments| {
        if method == "format"
            && let Some(text) = value.as_str()
        {
            check_fields(text)?;
        }
        pycompat::unknown_method_callback(state, value, method, arguments)
    });
}

/// The filter `indent`.
fn indent(
    text: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let wanted = match width {
        Some(width) => Some(width),
        None => options.get("width")?,
    };
    match wanted {
        Some(width) if width > WIDTH => Err(too_wide()),
        _ => filters::indent(text, width, first, blank, options),
    }
}

/// The filter `format`.
fn format(state: &State<'_, '_>, text: &Value, arguments: Rest<Value>) -> Result<Value, Error> {
    check_fields(text.as_str().unwrap_or_default())?;
    filters::format(state, text, arguments)
}

/// Refuses a text to be filled in whose fields are wide: `%1000000s`.
fn check_fields(text: &str) -> Result<(), Error> {
    let numbers = text.split(|character: char| !character.is_ascii_digit());
    let wide = |digits: &str| !digits.is_empty() && digits.parse::<usize>().map_or(true, |width| width > WIDTH);
    match { numbers }.any(wide) {
        true => Err(too_wide()),
        false => Ok(()),
    }
}

fn too_wide() -> Error {
    let text = format!("fields and indentations wider than {WIDTH} are not supported");
    Error::new(ErrorKind::InvalidOperation, text)
}

/// What to say of an error.
pub fn reason(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => format!("the chat template takes more than {INSTRUCTIONS} steps"),
        ErrorKind::WriteFailure => format!("the chat template writes more than {OUTPUT} bytes"),
        _ => error.detail().map_or_else(|| error.to_string(), Into::into),
    }
}

/// What a template writes, up to a bound.
#[derive(Default)]
pub struct Output(Vec<u8>);

impl Output {
    /// All of it.
    ///
    /// # Errors
    /// When it is no text, which no template writes.
    pub fn into_text(self) -> Result<String, Error> {
        String::from_utf8(self.0).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > OUTPUT - self.0.len() {
            return Err(io::Error::other(format!("it writes more than {OUTPUT} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
