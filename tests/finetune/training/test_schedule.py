"""The learning rate rises, falls, and never leaves its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from finetune.training import learning_rate_at


@given(total=st.integers(1, 500), warmup=st.integers(0, 100), peak=st.floats(1e-6, 1.0))
def test_the_rate_stays_between_zero_and_its_peak_and_ends_at_a_hundredth(total: int, warmup: int, peak: float) -> None:
    rates = [learning_rate_at(step, total, warmup, peak) for step in range(total)]
    assert all(0 < rate <= peak * (1 + 1e-12) for rate in rates)
    falling = rates[warmup:]
    assert falling == sorted(falling, reverse=True)
    assert learning_rate_at(max(total, warmup), total, warmup, peak) <= peak * (0.01 + 1e-9) or total <= warmup
