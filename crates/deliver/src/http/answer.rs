//! What an answer means for the rows of a request. Pure: the time is an argument.

use std::time::Duration;

use reqwest::StatusCode;

/// How long the other side is left alone when somebody has to put something right first.
const PUT_RIGHT_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause that the other side may ask for; it does not know how long we can wait.
const ASKED_PAUSE_MAX: Duration = Duration::from_mins(5);

/// What is done after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has the rows.
    Delivered,
    /// The same again, after at least this pause.
    Again(Option<Duration>),
    /// There are rows among them that it does not take.
    SomeRejected,
    /// It takes none of them.
    AllRejected,
}

/// Sources: RFC 9110 (15.4 to 15.6, 10.2.3), RFC 6585 (429), RFC 8470 (425).
pub(super) fn verdict(status: StatusCode, retry_after: Option<&str>, now_unix_seconds: i64) -> Verdict {
    let asked = || retry_after.and_then(|text| pause(text, now_unix_seconds)).map(|pause| pause.min(ASKED_PAUSE_MAX));
    match status.as_u16() {
        200..=299 => Verdict::Delivered,
        408 | 425 | 429 => Verdict::Again(asked()),
        401 | 403 | 300..=399 => Verdict::Again(Some(asked().unwrap_or_default().max(PUT_RIGHT_PAUSE))),
        400 | 413 | 422 => Verdict::SomeRejected,
        402..=499 => Verdict::AllRejected,
        // 5xx, and what is no final answer at all.
        _ => Verdict::Again(asked()),
    }
}

/// `Retry-After` is a number of seconds or a date.
fn pause(text: &str, now_unix_seconds: i64) -> Option<Duration> {
    let seconds = match text.trim().parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?.timestamp();
            u64::try_from(date.saturating_sub(now_unix_seconds)).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>) -> Verdict {
        verdict(StatusCode::from_u16(status).expect("a status"), retry_after, 1_445_412_480 - 90)
    }

    #[test]
    fn an_answer_decides_what_becomes_of_the_rows() {
        assert_eq!([200, 201, 202, 204].map(|status| of(status, None)), [Verdict::Delivered; 4]);
        assert_eq!([408, 425, 429, 500, 502, 503, 504].map(|status| of(status, None)), [Verdict::Again(None); 7]);
        assert_eq!(
            [401, 403, 301, 302, 307, 308].map(|status| of(status, None)),
            [Verdict::Again(Some(PUT_RIGHT_PAUSE)); 6]
        );
        assert_eq!([400, 413, 422].map(|status| of(status, None)), [Verdict::SomeRejected; 3]);
        assert_eq!([404, 405, 409, 410, 415].map(|status| of(status, None)), [Verdict::AllRejected; 5]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_has_a_limit() {
        assert_eq!(of(503, Some("7")), Verdict::Again(Some(Duration::from_secs(7))));
        assert_eq!(of(429, Some("Wed, 21 Oct 2015 07:28:00 GMT")), Verdict::Again(Some(Duration::from_secs(90))));
        assert_eq!(
            of(429, Some("Wed, 21 Oct 2014 07:28:00 GMT")),
            Verdict::Again(None),
            "21 October 2014 was no Wednesday"
        );
        assert_eq!(of(503, Some("86400")), Verdict::Again(Some(ASKED_PAUSE_MAX)));
        assert_eq!(of(503, Some("soon")), Verdict::Again(None));
        assert_eq!(of(401, Some("1")), Verdict::Again(Some(PUT_RIGHT_PAUSE)));
    }
}
