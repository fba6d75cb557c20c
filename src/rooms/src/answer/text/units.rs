//! What numbers count.

/// Words and signs for what a number counts, by a name for each.
const UNITS: &[(&str, &str)] = &[
    ("%", "% percent pct prozent procent procenta proc"),
    ("eur", "€ eur euro euros"),
    ("usd", "$ usd dollar dollars"),
    ("gbp", "£ gbp"),
    ("pln", "zł pln złotych złote złoty"),
    ("chf", "chf franken francs"),
    ("second", "s sec seconds sekunden sekundy sekund secondes segundos"),
    ("minute", "min minute minutes minuten minuty minut minutos"),
    (
        "hour",
        "h hour hours stunde stunden godzina godziny godzin heure heures hora horas",
    ),
    ("day", "day days tag tage tagen dzień dni dnia jour jours día días"),
    (
        "week",
        "week weeks woche wochen tydzień tygodnie tygodni semaine semaines semana semanas",
    ),
    (
        "month",
        "month months monat monate monaten miesiąc miesiące miesięcy mois mes meses",
    ),
    (
        "year",
        "year years jahr jahre jahren rok lata lat ans année années año años",
    ),
    ("mm", "mm millimetres millimeters"),
    ("cm", "cm centimetres centimeters"),
    ("m", "metre metres meter meters metrów metry mètres metros"),
    (
        "km",
        "km kilometre kilometres kilometer kilometers kilometrów kilomètres kilómetros",
    ),
    ("mile", "mile miles mi"),
    ("mg", "mg milligrams"),
    ("g", "g gram grams gramm gramów"),
    ("kg", "kg kilogram kilograms kilogrammes kilogramm kilogramów kilos"),
    ("t", "t tonne tonnes tons ton"),
    ("ml", "ml millilitres"),
    ("l", "l litre litres liter liters litrów litros"),
    ("°c", "°c celsius"),
    ("°f", "°f fahrenheit"),
    ("kb", "kb kib"),
    ("mb", "mb mib"),
    ("gb", "gb gib"),
    ("tb", "tb tib"),
    ("w", "w watt watts"),
    ("kw", "kw"),
    ("mw", "mw"),
    ("kwh", "kwh"),
    ("v", "v volt volts"),
    ("hz", "hz hertz"),
];

/// The name of the unit that a word in lower case, or a sign, means.
pub fn unit(word: &str) -> Option<&'static str> {
    let of = |(_, words): &&(&str, &str)| words.split_ascii_whitespace().any(|known| known == word);
    UNITS.iter().find(of).map(|(name, _)| *name)
}
