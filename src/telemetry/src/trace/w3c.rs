//! W3C Trace Context: which span of a caller a request belongs to.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// Names the caller's span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems on the way have to say.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The flags that the standard knows: sampled, and a trace id by chance.
const FLAGS: u8 = 0b11;
/// What the standard asks to keep; longer ones are dropped.
const MAX_STATE: usize = 512;
const MAX_MEMBERS: usize = 32;

/// The span that `headers` name. One that is not well-formed is none, as the standard has it.
pub fn extract(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    let (trace, span, flags) = parse(parent.to_str().ok()?)?;
    Some(SpanContext::new(
        trace,
        span,
        flags,
        true,
        state(headers).unwrap_or_default(),
    ))
}

/// Replaces what `headers` name by `span`.
pub fn inject(span: &SpanContext, headers: &mut HeaderMap) {
    headers.remove(TRACEPARENT);
    headers.remove(TRACESTATE);
    if !span.is_valid() {
        return;
    }
    let flags = span.trace_flags().to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
    if let Ok(parent) = HeaderValue::from_str(&parent) {
        headers.insert(TRACEPARENT, parent);
    }
    let state = span.trace_state().header();
    if !state.is_empty()
        && let Ok(state) = HeaderValue::from_str(&state)
    {
        headers.insert(TRACESTATE, state);
    }
}

/// Drops from `headers` what is not well-formed.
pub fn clean(headers: &mut HeaderMap) {
    let span = extract(headers).unwrap_or(SpanContext::NONE);
    inject(&span, headers);
}

fn parse(text: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let hex = |range: Range<usize>| {
        let digits = text.get(range)?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digits.bytes().all(is_hex).then_some(digits)
    };
    let is_dash = |at: usize| text.as_bytes().get(at) == Some(&b'-');
    let version = hex(0..2).filter(|version| *version != "ff")?;
    // Versions to come may have more to say after a dash.
    let ends = text.len() == 55 || (version != "00" && is_dash(55));
    if !(ends && is_dash(2) && is_dash(35) && is_dash(52)) {
        return None;
    }
    let trace = TraceId::from_hex(hex(3..35)?).ok()?;
    let span = SpanId::from_hex(hex(36..52)?).ok()?;
    let flags = u8::from_str_radix(hex(53..55)?, 16).ok()?;
    let is_valid = trace != TraceId::INVALID && span != SpanId::INVALID;
    is_valid.then_some((trace, span, TraceFlags::new(flags & FLAGS)))
}

fn state(headers: &HeaderMap) -> Option<TraceState> {
    let lists = headers.get_all(TRACESTATE).iter();
    let lists = lists.map(HeaderValue::to_str).collect::<Result<Vec<_>, _>>().ok()?;
    if lists.iter().map(|list| list.len() + 1).sum::<usize>() > MAX_STATE {
        return None;
    }
    let members = lists.iter().flat_map(|list| list.split(','));
    let members = members.map(str::trim).filter(|member| !member.is_empty());
    let pairs = members.map(|member| member.split_once('=').filter(|(key, _)| !key.is_empty()));
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    if pairs.len() > MAX_MEMBERS {
        return None;
    }
    TraceState::from_key_value(pairs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn cleaned(pairs: &[(HeaderName, &str)]) -> Vec<String> {
        let mut headers = headers(pairs);
        clean(&mut headers);
        let values = [TRACEPARENT, TRACESTATE].map(|name| headers.get(name).cloned());
        let values = values.into_iter().flatten();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_is_well_formed_passes() {
        for (sent, passed) in [
            (PARENT, PARENT),
            (&PARENT.replace("-01", "-00"), &PARENT.replace("-01", "-00")),
            (&PARENT.replace("-01", "-ff"), &PARENT.replace("-01", "-03")),
            (&PARENT.replacen("00", "cc", 1), PARENT),
            (&(PARENT.replacen("00", "01", 1) + "-more"), PARENT),
        ] {
            assert_eq!(cleaned(&[(TRACEPARENT, sent)]), [passed], "{sent}");
        }
        let state = [
            (TRACEPARENT, PARENT),
            (TRACESTATE, "a=1, b@v=x y"),
            (TRACESTATE, "c=3,"),
        ];
        assert_eq!(cleaned(&state), [PARENT, "a=1,b@v=x y,c=3"]);
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        for sent in [
            "",
            "00",
            &PARENT[..54],
            &format!("{PARENT}0"),
            &format!("{PARENT}-more"),
            &PARENT.to_uppercase(),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replacen("00", "0x", 1),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
            &PARENT.replace("b7ad6b7169203331", "+7ad6b7169203331"),
            &PARENT.replace('-', "_"),
            "00-é0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert!(
                cleaned(&[(TRACEPARENT, sent), (TRACESTATE, "a=1")]).is_empty(),
                "{sent}"
            );
        }
        let twice = [(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)];
        assert!(cleaned(&twice).is_empty());
        assert!(cleaned(&[(TRACESTATE, "a=1")]).is_empty());
    }

    #[test]
    fn a_bad_state_leaves_the_parent() {
        let long = format!("a={}", "x".repeat(600));
        let many = (0..40).map(|i| format!("k{i}=1")).collect::<Vec<_>>().join(",");
        for state in ["nonsense", "A=1", "a=1,=2", &long, &many] {
            assert_eq!(
                cleaned(&[(TRACEPARENT, PARENT), (TRACESTATE, state)]),
                [PARENT],
                "{state}"
            );
        }
    }
}
