//! A trace as a picture: who did what, for how long, and on whose behalf.

use std::fmt::Write as _;

use super::Seen;

const WIDTH: u64 = 960;
/// Where bars begin, and where the longest ends.
const BARS: (u64, u64) = (330, 880);
const ROW: u64 = 24;
const TOP: u64 = 64;
const INDENT: u64 = 16;
/// Of the services, in the order in which they come.
const COLORS: [&str; 5] = ["#6b7280", "#2563eb", "#d97706", "#059669", "#9333ea"];

/// An SVG of one trace. Spans come below their parents, in the order of time.
pub fn svg(spans: &[Seen], title: &str) -> String {
    let rows = rows(spans);
    let begin = spans.iter().map(|span| span.time.0).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.time.1).max().unwrap_or_default();
    let scale = Scale {
        begin,
        length: (end - begin).max(1),
    };
    let mut services: Vec<&str> = Vec::new();
    for (span, _) in &rows {
        if !services.contains(&&*span.service) {
            services.push(&span.service);
        }
    }
    let color = |service: &str| {
        let place = services.iter().position(|known| *known == service).unwrap_or_default();
        COLORS[place % COLORS.len()]
    };
    let height = TOP + ROW * rows.len() as u64 + 16;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\" role=\"img\" aria-label=\"{title}\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n",
        title = escaped(title)
    );
    let mut text = |x: u64, y: u64, anchor: &str, fill: &str, text: &str| {
        // A String takes any text.
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{}</text>",
            escaped(text)
        );
    };
    text(16, 22, "start", "#111827", title);
    for (place, service) in services.iter().enumerate() {
        text(
            16 + 150 * place as u64,
            44,
            "start",
            color(service),
            &format!("\u{25a0} {service}"),
        );
    }
    for (place, (span, depth)) in rows.iter().enumerate() {
        let y = TOP + ROW * place as u64;
        text(16 + INDENT * depth, y + 15, "start", "#111827", &span.name);
        let (left, right) = (scale.place(span.time.0), scale.place(span.time.1));
        let took = duration(span.time.1 - span.time.0);
        match right + 70 < WIDTH {
            true => text(right + 6, y + 15, "start", "#4b5563", &took),
            false => text(left - 6, y + 15, "end", "#4b5563", &took),
        }
    }
    for (place, (span, _)) in rows.iter().enumerate() {
        let y = TOP + ROW * place as u64 + 4;
        let (left, right) = (scale.place(span.time.0), scale.place(span.time.1));
        let (width, height, fill) = ((right - left).max(1), ROW - 8, color(&span.service));
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"2\" fill=\"{fill}\"/>"
        );
    }
    svg + "</svg>\n"
}

/// From times to places.
struct Scale {
    begin: u64,
    length: u64,
}

impl Scale {
    fn place(&self, time: u64) -> u64 {
        let (left, right) = BARS;
        let share = u128::from(time - self.begin) * u128::from(right - left) / u128::from(self.length);
        // It is no more than the width of the picture.
        left + u64::try_from(share).unwrap_or_default()
    }
}

/// Spans with how many are above them, each after its parent.
fn rows(spans: &[Seen]) -> Vec<(&Seen, u64)> {
    fn below<'a>(parent: &str, depth: u64, spans: &[&'a Seen], rows: &mut Vec<(&'a Seen, u64)>) {
        for span in spans.iter().filter(|span| span.parent == parent) {
            rows.push((span, depth));
            below(&span.id, depth + 1, spans, rows);
        }
    }
    let mut sorted: Vec<_> = spans.iter().collect();
    sorted.sort_by_key(|span| span.time);
    let mut rows = Vec::new();
    // Whoever called may not have said anything.
    let is_top = |span: &&&Seen| !spans.iter().any(|other| other.id == span.parent);
    for top in sorted.iter().filter(is_top) {
        rows.push((*top, 0));
        below(&top.id, 1, &sorted, &mut rows);
    }
    rows
}

fn duration(nanoseconds: u64) -> String {
    let microseconds = nanoseconds / 1000;
    match microseconds {
        0..1000 => format!("{microseconds} µs"),
        _ => format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

    use super::*;

    fn span(service: &str, id: &str, parent: &str, time: (u64, u64)) -> Seen {
        Seen {
            service: service.into(),
            name: format!("<{id}>"),
            kind: SpanKind::Internal,
            trace: "t".into(),
            id: id.into(),
            parent: parent.into(),
            attributes: BTreeMap::new(),
            is_error: false,
            time,
        }
    }

    #[test]
    fn spans_are_below_their_parents_and_as_long_as_they_took() {
        let spans = [
            span("worker", "c", "b", (3_000_000, 4_000_000)),
            span("gateway", "b", "a", (2_000_000, 10_000_000)),
            span("gateway", "d", "a", (1_000_000, 1_000_500)),
            span("gateway", "a", "elsewhere", (0, 10_000_000)),
        ];
        let picture = svg(&spans, "a & b");
        let names: Vec<_> = picture.split("&lt;").skip(1).map(|rest| &rest[..1]).collect();
        assert_eq!(names, ["a", "d", "b", "c"]);
        assert!(picture.contains("a &amp; b") && picture.ends_with("</svg>\n"));
        // All of the way, a tenth of it from three tenths on, and what is too short to see.
        for bar in [
            "x=\"330\" y=\"68\" width=\"550\"",
            "x=\"495\" y=\"140\" width=\"55\"",
            "x=\"385\" y=\"92\" width=\"1\"",
        ] {
            assert!(picture.contains(bar), "{bar} in {picture}");
        }
        assert!(picture.contains("1.0 ms") && picture.contains("0 µs"), "{picture}");
    }
}
