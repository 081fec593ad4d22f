"""Features of a part of the data from the store: found there, or made, by several processes each for its own images."""

from collections.abc import Callable
from dataclasses import replace

from finetune.errors import EnvironmentFault, FeaturesTooLargeError
from finetune.features import Features, FeatureStore, StoreIdentity
from finetune.features.store import Compute
from finetune.features.stored import DealtArray
from finetune.progress import Say
from finetune.ranks import Ranks


class PartStore:
    """Keeps features in `store`; with `may_widen` in fp32 where they are too large for fp16."""

    def __init__(
        self, store: FeatureStore, ranks: Ranks, *, may_widen: bool, say: Say, check: Callable[[], None]
    ) -> None:
        self.store, self.ranks, self.may_widen, self.say, self.check = store, ranks, may_widen, say, check

    def features(self, split: str, identity: StoreIdentity, compute: Compute) -> Features:
        """Features of a part; of several processes each makes those of its own images, and opens those of all.

        Raises EnvironmentFault where another process has stored its share elsewhere.
        """
        if self.ranks.count == 1:
            return self._find_or_make(split, identity, compute)
        places = range(len(identity.images))
        shares = [places[number :: self.ranks.count] for number in range(min(self.ranks.count, len(places)))]
        if self.ranks.number < len(shares):
            own = shares[self.ranks.number]
            self._find_or_make(split, identity.part(own), lambda order: compute(own[order.start : order.stop]))
        self.ranks.wait()
        opened = [self._open(identity.part(share)) for share in shares]
        whole = [features for features in opened if features is not None]
        if len(whole) < len(shares):
            raise EnvironmentFault(
                f"Features that another process has stored are not in {self.store.root}; all processes need one store."
            )
        return [DealtArray(arrays) for arrays in zip(*whole, strict=True)]

    def _find_or_make(self, split: str, identity: StoreIdentity, compute: Compute) -> Features:
        stored = self._open(identity)
        if stored is not None:
            self.say(f"Features of the {split} part were found in the store; no image was decoded for them.")
            return stored
        try:
            return self.store.build(identity, compute, say=self.say, check=self.check)
        except FeaturesTooLargeError:
            wider = self._wider(identity)
            if wider is None:
                raise
        self.say("Features are too large for fp16: they are stored in fp32.")
        return self.store.build(wider, compute, say=self.say, check=self.check)

    def _open(self, identity: StoreIdentity) -> Features | None:
        """What is stored under an identity, or under its wider one."""
        stored, wider = self.store.open(identity), self._wider(identity)
        return self.store.open(wider) if stored is None and wider is not None else stored

    def _wider(self, identity: StoreIdentity) -> StoreIdentity | None:
        return replace(identity, dtype="float32") if self.may_widen and identity.dtype == "float16" else None
