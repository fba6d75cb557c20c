//! XML of strangers: events, without entities of their own.

use protocol::quarantine::Reason;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::documents::{Refused, Result};

/// A reader of a part.
pub(super) fn reader(part: &[u8]) -> Reader<&[u8]> {
    Reader::from_reader(part)
}

/// The next event.
pub(super) fn next<'a>(reader: &mut Reader<&'a [u8]>) -> Result<Event<'a>> {
    match reader.read_event() {
        // A document of Word declares no types; entities of its own are what attacks are made of.
        Ok(Event::DocType(_)) => Err(broken("declares entities of its own")),
        Ok(event) => Ok(event),
        Err(error) => Err(broken(&format!(
            "is broken at byte {}: {error}",
            reader.error_position()
        ))),
    }
}

pub(super) fn broken(what: &str) -> Refused {
    Refused::new(Reason::Broken, format!("holds XML that {what}"))
}

/// What a reference stands for. What nobody knows stands for nothing.
pub(super) fn resolved(reference: &BytesRef<'_>) -> String {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return character.to_string();
    }
    let name = reference.decode().unwrap_or_default();
    resolve_xml_entity(&name).unwrap_or_default().to_owned()
}

/// An attribute, whatever its namespace.
pub(super) fn attribute(element: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let mut attributes = element.attributes();
    let mut attributes = attributes.with_checks(false).flatten();
    let found = attributes.find(|attribute| attribute.key.local_name().as_ref() == name)?;
    let value = found.normalized_value(XmlVersion::Implicit1_0).ok()?;
    Some(value.into_owned())
}

/// The text of the first element of a name.
pub(super) fn first_text(part: &[u8], name: &[u8]) -> Result<Option<String>> {
    let mut reader = reader(part);
    let mut text = None;
    loop {
        match next(&mut reader)? {
            Event::Start(start) if start.local_name().as_ref() == name => text = Some(String::new()),
            Event::End(end) if end.local_name().as_ref() == name => return Ok(text),
            Event::Text(part) => {
                if let Some(text) = &mut text {
                    text.push_str(&part.decode().unwrap_or_default());
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(text) = &mut text {
                    text.push_str(&resolved(&reference));
                }
            }
            Event::Eof => return Ok(None),
            _ => {}
        }
    }
}

/// An attribute of all elements of a name.
pub(super) fn attributes(part: &[u8], element: &[u8], name: &[u8]) -> Result<Vec<String>> {
    let mut reader = reader(part);
    let mut found = Vec::new();
    loop {
        match next(&mut reader)? {
            Event::Start(start) | Event::Empty(start) if start.local_name().as_ref() == element => {
                found.extend(attribute(&start, name));
            }
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}
