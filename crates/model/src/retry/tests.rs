//! Stories of retries and breakers in virtual time.

use std::time::Duration;

use super::*;
use crate::{ProcessingTime, TimeDelta};

fn at(seconds: i64) -> ProcessingTime {
    ProcessingTime::from_micros(0) + TimeDelta::from_secs(seconds)
}

const SECOND: Duration = Duration::from_secs(1);

mod breaker {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig { failures_in_a_row: 3, rate: None, open_for: SECOND * 2, open_for_max: SECOND * 5 })
    }

    fn fail(breaker: &mut Breaker, now: ProcessingTime) {
        let permit = breaker.permit(now).expect("a call is allowed");
        breaker.failed(permit, now, None);
    }

    fn succeed(breaker: &mut Breaker, now: ProcessingTime) {
        let permit = breaker.permit(now).expect("a call is allowed");
        breaker.succeeded(permit);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_success_begins_the_count_anew() {
        let mut breaker = breaker();
        fail(&mut breaker, at(0));
        fail(&mut breaker, at(0));
        succeed(&mut breaker, at(0));
        fail(&mut breaker, at(1));
        fail(&mut breaker, at(1));
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, at(1));
        assert_eq!(breaker.state(), BreakerState::Open { since: at(1), until: at(3) });
        assert_eq!(breaker.permit(at(2)), Err(at(3)));
    }

    #[test]
    fn one_probe_at_a_time_finds_out_whether_the_other_side_is_back() {
        let mut breaker = breaker();
        (0..3).for_each(|_| fail(&mut breaker, at(0)));
        let probe = breaker.permit(at(2)).expect("its time is over");
        assert!(matches!(breaker.state(), BreakerState::HalfOpen { .. }));
        assert!(breaker.permit(at(2)).is_err(), "a probe is on its way");
        breaker.succeeded(probe);
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, at(3));
        assert_eq!(breaker.state(), BreakerState::Closed, "the count begins anew");
    }

    #[test]
    fn it_stays_open_for_longer_with_every_probe_that_fails_up_to_the_limit() {
        let mut breaker = breaker();
        (0..3).for_each(|_| fail(&mut breaker, at(0)));
        let mut waits = Vec::new();
        let mut now = at(0);
        for _ in 0..4 {
            let BreakerState::Open { since, until } = breaker.state() else { panic!("it is open") };
            assert_eq!(since, at(0), "it says since when the other side is away");
            waits.push((until - now).micros() / 1_000_000);
            now = until;
            fail(&mut breaker, now);
        }
        assert_eq!(waits, [2, 4, 5, 5]);
        let BreakerState::Open { until, .. } = breaker.state() else { panic!("it is open") };
        succeed(&mut breaker, until);
        (0..3).for_each(|_| fail(&mut breaker, at(100)));
        assert_eq!(breaker.state(), BreakerState::Open { since: at(100), until: at(102) }, "it was closed in between");
    }

    #[test]
    fn stragglers_count_neither_way() {
        let mut breaker = breaker();
        let slow_success = breaker.permit(at(0)).expect("closed");
        let slow_failure = breaker.permit(at(0)).expect("closed");
        (0..3).for_each(|_| fail(&mut breaker, at(0)));
        breaker.succeeded(slow_success);
        assert!(matches!(breaker.state(), BreakerState::Open { .. }), "it was permitted before the failures");
        succeed(&mut breaker, at(2));
        breaker.failed(slow_failure, at(2), None);
        fail(&mut breaker, at(2));
        fail(&mut breaker, at(2));
        assert_eq!(breaker.state(), BreakerState::Closed, "two failures since it was closed");
    }

    #[test]
    fn a_probe_without_an_answer_does_not_block_for_ever() {
        let mut breaker = breaker();
        (0..3).for_each(|_| fail(&mut breaker, at(0)));
        let lost = breaker.permit(at(2)).expect("a probe");
        let again = breaker.permit(at(2)).expect_err("a probe is on its way");
        let second = breaker.permit(again).expect("the first one counts as lost");
        breaker.succeeded(lost);
        assert!(matches!(breaker.state(), BreakerState::HalfOpen { .. }), "its answer is too late");
        breaker.abandoned(second, again);
        assert!(breaker.permit(again).is_ok(), "a probe that was given up is followed by another at once");
    }

    #[test]
    fn the_other_side_says_how_long_it_wants_to_be_left_alone() {
        let mut breaker = breaker();
        (0..2).for_each(|_| fail(&mut breaker, at(0)));
        let permit = breaker.permit(at(0)).expect("closed");
        breaker.failed(permit, at(0), Some(SECOND * 60));
        assert_eq!(breaker.permit(at(59)), Err(at(60)));
        assert!(breaker.permit(at(60)).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_the_wait_longer() {
        let mut breaker = breaker();
        (0..3).for_each(|_| fail(&mut breaker, at(1000)));
        assert_eq!(breaker.permit(at(10)), Err(at(12)));
        assert!(breaker.permit(at(12)).is_ok());
    }

    #[test]
    fn a_high_rate_of_failures_opens_it_also_with_successes_in_between() {
        let rate = FailureRate { calls: 10, share: 0.5 };
        let mut breaker =
            Breaker::new(BreakerConfig { failures_in_a_row: 100, rate: Some(rate), ..BreakerConfig::default() });
        for _ in 0..20 {
            succeed(&mut breaker, at(0));
            succeed(&mut breaker, at(0));
            fail(&mut breaker, at(0));
        }
        assert_eq!(breaker.state(), BreakerState::Closed, "three or four of ten");
        let before_it_opens = (0..20)
            .take_while(|call| {
                if call % 2 == 0 {
                    fail(&mut breaker, at(1))
                } else {
                    succeed(&mut breaker, at(1))
                }
                breaker.state() == BreakerState::Closed
            })
            .count();
        assert!((1..10).contains(&before_it_opens), "half of the last ten: {before_it_opens}");
    }

    #[test]
    fn a_rate_of_few_calls_says_nothing() {
        let rate = FailureRate { calls: 10, share: 0.1 };
        let mut breaker =
            Breaker::new(BreakerConfig { failures_in_a_row: 100, rate: Some(rate), ..BreakerConfig::default() });
        (0..9).for_each(|_| fail(&mut breaker, at(0)));
        assert_eq!(breaker.state(), BreakerState::Closed);
        fail(&mut breaker, at(0));
        assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    }
}

mod backoff {
    use super::*;

    fn backoff(give_up_after: Duration) -> Backoff {
        Backoff::new(BackoffConfig { first: SECOND, max: SECOND * 10, give_up_after })
    }

    #[test]
    fn the_longest_pause_doubles_up_to_the_limit() {
        let mut backoff = backoff(SECOND * 1_000_000);
        let pauses: Vec<_> = (0..6).map(|_| backoff.failed(at(0), u64::MAX, None).expect("time is left")).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 10, 10].map(Duration::from_secs));
        for _ in 0..100 {
            assert_eq!(backoff.failed(at(0), u64::MAX, None), Some(SECOND * 10), "no overflow");
        }
        assert_eq!((backoff.failures(), backoff.failing_since()), (106, Some(at(0))));
    }

    #[test]
    fn pauses_are_spread_over_everything_below_the_longest() {
        let first_pause = |random| backoff(SECOND * 100).failed(at(0), random, None).expect("time is left");
        assert_eq!(first_pause(0), Duration::ZERO);
        assert_eq!(first_pause(u64::MAX / 4), Duration::from_millis(250));
        assert_eq!(first_pause(u64::MAX / 2), Duration::from_millis(500));
    }

    #[test]
    fn the_last_try_is_at_the_deadline() {
        let mut backoff = backoff(SECOND * 5);
        assert_eq!(backoff.failed(at(10), u64::MAX, None), Some(SECOND));
        assert_eq!(backoff.failed(at(11), u64::MAX, None), Some(SECOND * 2));
        assert_eq!(backoff.failed(at(13), u64::MAX, None), Some(SECOND * 2), "four would be too late");
        assert_eq!(backoff.failed(at(15), u64::MAX, None), None);
    }

    #[test]
    fn a_success_begins_a_new_series() {
        let mut backoff = backoff(SECOND * 5);
        backoff.failed(at(0), u64::MAX, None);
        backoff.succeeded();
        assert_eq!(backoff.failing_since(), None);
        assert_eq!(backoff.failed(at(100), u64::MAX, None), Some(SECOND));
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_pause_but_not_past_the_deadline() {
        let mut backoff = backoff(SECOND * 60);
        assert_eq!(backoff.failed(at(0), 0, Some(SECOND * 30)), Some(SECOND * 30));
        assert_eq!(backoff.failed(at(30), 0, Some(SECOND * 31)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_shortens_nothing() {
        let mut backoff = backoff(SECOND * 5);
        backoff.failed(at(100), u64::MAX, None);
        assert_eq!(backoff.failed(at(10), u64::MAX, None), Some(SECOND * 2));
    }
}
