//! Why documents of a Room are set aside, and what whoever looks after them can do about it.
//!
//! On the wire a reason is its name in CamelCase (see [`crate::rooms::ingest::NewDocument::quarantined`]): the operator
//! counts by it, and consoles show [`Reason::advice`] beside it.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $name:ident => $judged:literal, $advice:literal;)*) => {
        /// Why a document is set aside.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[doc = $doc])* $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as it travels.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What to do about it.
            pub fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }

            /// Whether it is a judgement that a curator may overrule by releasing the document. The others say that
            /// there is nothing to release: its text cannot be had.
            pub fn is_judgement(self) -> bool {
                match self { $(Self::$name => $judged,)* }
            }
        }
    };
}

reasons! {
    /// No reader for it.
    UnsupportedType => false, "give it as PDF, DOCX, HTML, Markdown, plain text, CSV, PNG, JPEG, TIFF or WebP";
    /// Bytes that are no text of any encoding that is read.
    NotText => false, "save it as UTF-8";
    /// It needs a password.
    Encrypted => false, "save it without a password";
    /// Its author forbids to copy its text.
    CopyForbidden => false, "save it without restrictions, if you may";
    /// It breaks the rules of its format.
    Broken => false, "open it, and save it again";
    /// It says nothing.
    Empty => false, "remove it, or give it some text";
    /// It has too many bytes.
    TooLarge => false, "split it, or raise the limit of its source";
    /// It has too many pages.
    TooManyPages => false, "split it";
    /// Unpacked, it would be far larger than it is.
    UnpacksTooLarge => false, "save it without large parts that are no text, or split it";
    /// It has too much text.
    TooMuchText => false, "split it";
    /// It was not read in time.
    TooSlow => false, "split it, or save it in a simpler form";
    /// It needed more memory than a document may.
    TooMuchMemory => false, "split it, or save it in a simpler form";
    /// Reading it ended the process that does.
    ReaderFailed => false, "save it again, or in another format";
    /// Pages without text, in a source without OCR.
    NoTextLayer => true, "set sources[].ocr of its source, or save it with its text";
    /// A language of OCR that is not installed.
    OcrUnavailable => false, "use an image of atelier-data that has the package of that language of Tesseract";
    /// A scan with too few dots in an inch.
    LowResolution => true, "scan it again, with 300 dots in an inch";
    /// A scan that is hardly recognized.
    BadScan => true, "scan it again, or correct its text and give it as a text file";
    /// A scan of which little was recognized.
    LowCoverage => true, "scan it again, straight and with clear print, or give its text as a text file";
    /// Text that people do not see.
    HiddenText => true, "look at the source of the document, remove what is hidden in it, or release it";
    /// Text that gives orders to a model, or leads its reader to send data elsewhere.
    Injection => true, "read it; remove what speaks to models, or release it";
    /// Personal data, where they are not to be kept.
    PersonalData => true, "remove them, or set ingestion.pii to Redact";
    /// Who may see it cannot be read.
    InvalidAcl => false, "correct the file that says who may see it: see its source's log";
    /// What it is called cannot be kept.
    InvalidName => false, "give it a shorter name";
    /// The model that embeds does not take it.
    EmbeddingRefused => false, "make ingestion.chunk.tokens smaller, or choose another embedding model";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Reason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let found = Self::ALL.iter().find(|reason| reason.as_str() == text);
        found.copied().ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_travels_by_its_name_and_says_what_to_do() {
        for reason in Reason::ALL {
            let text = serde_json::to_string(reason).unwrap();
            assert_eq!(text, format!("{:?}", reason.as_str()));
            assert_eq!(reason.as_str().parse(), Ok(*reason));
            assert!(reason.advice().len() >= 8, "{reason}");
        }
        assert_eq!("Nonsense".parse::<Reason>(), Err(()));
    }
}
