"""The waits between restarts."""

from quire_local.backoff import Backoff


def test_the_wait_doubles_up_to_its_limit() -> None:
    backoff = Backoff(first=1, most=5, healthy=60)
    assert [backoff.delay(ran=0.1) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_a_long_healthy_run_starts_the_waits_over() -> None:
    backoff = Backoff(first=1, most=5, healthy=60)
    assert [backoff.delay(0), backoff.delay(0)] == [1, 2]
    assert backoff.delay(ran=60) == 1
    assert backoff.delay(ran=59.9) == 2
