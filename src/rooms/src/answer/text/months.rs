//! Names of months.

const MONTHS: [&str; 12] = [
    "january jan januar jänner stycznia styczeń styczniu janvier enero",
    "february feb februar lutego luty lutym février febrero",
    "march mar märz marca marzec marcu mars marzo",
    "april apr kwietnia kwiecień kwietniu avril abril",
    "may mai maja maj maju mayo",
    "june jun juni czerwca czerwiec czerwcu juin junio",
    "july jul juli lipca lipiec lipcu juillet julio",
    "august aug sierpnia sierpień sierpniu août agosto",
    "september sep sept września wrzesień wrześniu septembre septiembre",
    "october oct oktober okt października październik październiku octobre octubre",
    "november nov listopada listopad listopadzie novembre noviembre",
    "december dec dezember dez grudnia grudzień grudniu décembre diciembre",
];

/// The month, from 1, that a word in lower case is.
pub fn month(word: &str) -> Option<u8> {
    let place = MONTHS
        .iter()
        .position(|names| names.split_ascii_whitespace().any(|name| name == word))?;
    u8::try_from(place + 1).ok()
}
