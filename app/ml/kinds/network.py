"""A small neural net: one hidden layer on standardised columns, scored by plain arithmetic, explained by sampling."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from app.ml.encoding import Matrix
from app.ml.frame import Floats
from app.ml.kinds.one_file import OneFile
from app.ml.kinds.scaling import CHUNK, Scaling, fit_scaling

N_BACKGROUND = 32  # rows that explanations start from
_MAX_STEPS = 500  # an epoch: more rows make larger batches, not a longer fit
_MAX_CELLS = 2**20  # numbers in the largest array of an explanation: 8 MB


@dataclass(frozen=True)
class Layers:
    """The net: log-odds = output . max(0, hidden . inputs + hidden_bias) + output_bias.

    Attributes
    ----------
    hidden : ndarray of shape (inputs, units)
    hidden_bias, output : ndarrays of shape (units,)
    output_bias : log-odds
    """

    hidden: Floats
    hidden_bias: Floats
    output: Floats
    output_bias: float

    def margins(self, inputs: Floats) -> Floats:
        """Log-odds of shape (n,) for inputs of shape (n, inputs)."""
        return self.read_out(inputs @ self.hidden + self.hidden_bias)

    def read_out(self, sums: Floats) -> Floats:
        """Log-odds of shape (...) for what arrives at the hidden units: shape (..., units)."""
        return np.asarray(np.maximum(sums, 0) @ self.output + self.output_bias, dtype=np.float64)


@dataclass(frozen=True)
class NetworkModel(OneFile):
    """A net with the scaling of its columns.

    Attributes
    ----------
    scaling : how columns are made comparable
    stages : the net after each epoch; of a stored model only the last
    background : ndarray of shape (N_BACKGROUND, inputs): development rows from the lowest to the highest margin
    seed : of the order in which explanations walk through the features
    """

    scaling: Scaling
    stages: tuple[Layers, ...]
    background: Floats
    seed: int
    file_name: ClassVar[str] = "network.json"

    @property
    def n_rounds(self) -> int:
        """Epochs; 1 of a stored model."""
        return len(self.stages)

    def margins(self, X: Matrix) -> Floats:
        """Log-odds after the last epoch: shape (n,)."""
        return self._margins(X, self.stages[-1])

    def _margins(self, X: Matrix, layers: Layers) -> Floats:
        margins = np.empty(len(X))
        for begin in range(0, len(X), CHUNK):
            margins[begin : begin + CHUNK] = layers.margins(_inputs(self.scaling, X[begin : begin + CHUNK]))
        return margins

    def staged_margins(self, X: Matrix) -> Iterator[Floats]:
        """Log-odds after 1, 2, ... epochs, each of shape (n,)."""
        for layers in self.stages:
            yield self._margins(X, layers)

    def round_margins(self, X: Matrix, at: int) -> Floats:
        """What one epoch changes: shape (n,)."""
        return self._margins(X, self.stages[at]) - (self._margins(X, self.stages[at - 1]) if at else 0.0)

    def native_contributions(self, X: Matrix) -> Floats:
        """Estimated SHAP values by column: shape (n, d); see `sampled_contributions`."""
        return self.sampled_contributions(X, np.arange(X.shape[1]))

    def sampled_contributions(self, X: Matrix, owners: npt.NDArray[np.int64]) -> Floats:
        """Estimated SHAP values by feature, in log-odds: shape (n, features).

        From each background row the features are turned into the account's, one after another, in an order drawn at
        random and in its reverse; a feature's value is the mean change of the log-odds when its turn comes. The
        orders are the same for every account. Each row sums exactly to its log-odds minus the mean of the
        background's.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            The encoded rows.
        owners : ndarray of shape (d,)
            The feature, 0, 1, ..., of each column.

        References
        ----------
        Strumbelj, Kononenko (2014), Knowledge and Information Systems 41, 647-665. Mitchell, Cooper, Frank, Holmes
        (2022), JMLR 23(43): pairs of an order and its reverse.
        """
        if X.shape[1] != len(self.scaling.means):
            raise ValueError(f"the model has {len(self.scaling.means)} columns, the rows have {X.shape[1]}")
        owners = np.concatenate([owners, owners[self.scaling.flagged]])
        orders = self._orders(int(owners.max()) + 1)
        starts = np.repeat(self.background, 2, axis=0)
        found = np.empty((len(X), orders.shape[1]))
        walks, n_features, n_units = *orders.shape, self.stages[-1].output.size
        step = max(1, _MAX_CELLS // max(walks * n_units, walks * n_features, n_features * n_units))
        for begin in range(0, len(X), step):
            inputs = _inputs(self.scaling, X[begin : begin + step])
            found[begin : begin + step] = _walk(self.stages[-1], inputs, starts, orders, owners)
        return found

    def _orders(self, n_features: int) -> npt.NDArray[np.int64]:
        rng = np.random.default_rng(self.seed)
        drawn = [rng.permutation(n_features) for _ in self.background]
        return np.array([order for each in drawn for order in (each, each[::-1])])

    def gains(self, n_columns: int, n_rounds: int) -> Floats:
        """Size of all paths from a column to the log-odds, missingness included: shape (d,).

        References
        ----------
        Garson (1991), AI Expert 6(4), 47-51.
        """
        layers = self.stages[min(n_rounds, self.n_rounds) - 1]
        paths = np.abs(layers.hidden) @ np.abs(layers.output)
        gains = paths[:n_columns].copy()
        shares = np.array(self.scaling.missing_shares)[self.scaling.flagged]
        gains[self.scaling.flagged] += paths[n_columns:] * np.sqrt(shares * (1 - shares))
        return np.asarray(gains, dtype=np.float64)

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        layers = self.stages[-1]
        raw = {
            "scaling": asdict(self.scaling),
            "hidden": layers.hidden.tolist(),
            "hidden_bias": layers.hidden_bias.tolist(),
            "output": layers.output.tolist(),
            "output_bias": layers.output_bias,
            "background": self.background.tolist(),
            "seed": self.seed,
        }
        return json.dumps(raw, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, n_threads: int) -> "NetworkModel":
        """Read what `to_bytes` wrote.

        Raises
        ------
        ValueError
            Where the parts don't fit together, or a number is not finite.
        """
        raw = json.loads(data)
        scaling = Scaling(**{name: tuple(value) for name, value in raw["scaling"].items()})
        hidden, background = np.array(raw["hidden"], dtype=np.float64), np.array(raw["background"], dtype=np.float64)
        bias, output = np.array(raw["hidden_bias"], dtype=np.float64), np.array(raw["output"], dtype=np.float64)
        n_inputs = len(scaling.means) + scaling.flagged.size
        shapes = {len(value) for value in asdict(scaling).values()} | {len(scaling.means)}
        fits = hidden.shape == (n_inputs, output.size) and bias.shape == output.shape == (output.size,)
        if len(shapes) != 1 or not fits or background.ndim != 2 or background.shape[1] != n_inputs:
            raise ValueError("the parts of the net don't fit together")
        layers = Layers(hidden, bias, output, float(raw["output_bias"]))
        numbers = np.concatenate([hidden.ravel(), bias, output, [layers.output_bias], background.ravel()])
        if not np.isfinite(numbers).all() or not len(background):
            raise ValueError("a net needs finite numbers, and rows to explain from")
        return cls(scaling, (layers,), background, int(raw["seed"]))


def _inputs(scaling: Scaling, X: Matrix) -> Floats:
    """What the net reads: shape (n, d + flagged)."""
    if X.shape[1] != len(scaling.means):
        raise ValueError(f"the model has {len(scaling.means)} columns, the rows have {X.shape[1]}")
    return scaling.design(X)[1:].T.astype(np.float64)


def _walk(
    layers: Layers, inputs: Floats, starts: Floats, orders: npt.NDArray[np.int64], owners: npt.NDArray[np.int64]
) -> Floats:
    """Mean change of the log-odds at each feature's turn, over walks from `starts` in `orders`: shape (n, features)."""
    walks, n_features = orders.shape
    arriving = np.stack([inputs[:, owners == f] @ layers.hidden[owners == f] for f in range(n_features)], axis=1)
    leaving = np.stack([starts[:, owners == f] @ layers.hidden[owners == f] for f in range(n_features)], axis=1)
    sums = np.broadcast_to(starts @ layers.hidden + layers.hidden_bias, (len(inputs), walks, layers.output.size)).copy()
    before = layers.read_out(sums)
    changes = np.empty((len(inputs), walks, n_features))
    for turn, features in enumerate(orders.T):
        sums += arriving[:, features] - leaving[np.arange(walks), features]
        after = layers.read_out(sums)
        changes[:, :, turn] = after - before
        before = after
    turns = np.argsort(orders, axis=1)[np.newaxis]  # when each feature has its turn
    return np.asarray(np.take_along_axis(changes, turns, axis=2).mean(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class NetworkLearner:
    """Fits the net by Adam, epoch by epoch; how many are run is chosen as boosting rounds are."""

    params: dict[str, Any]
    seed: int

    @property
    def n_rounds(self) -> int:
        """The most epochs it may be fitted with."""
        return int(self.params["n_epochs"])

    def _batch_size(self, n: int) -> int:
        """Batches of about equal size: scikit-learn divides the penalty by it, so a last one of two rows would rule."""
        n_batches = -(-n // max(int(self.params["batch_size"]), -(-n // _MAX_STEPS)))
        return -(-n // n_batches)

    def fit(self, X: Matrix, y: Floats, *, n_rounds: int, n_threads: int) -> NetworkModel:
        """Run so many epochs; the same on any number of threads as long as BLAS has one."""
        from sklearn.neural_network import MLPClassifier  # a second to import

        scaling = fit_scaling(X, n_threads)
        inputs = np.ascontiguousarray(scaling.design(X)[1:].T)
        net = MLPClassifier(
            hidden_layer_sizes=(self.params["hidden_units"],),
            alpha=self.params["alpha"],
            learning_rate_init=self.params["learning_rate"],
            batch_size=self._batch_size(len(X)),
            random_state=np.random.RandomState(self.seed),  # one that goes on from epoch to epoch
        )
        stages = []
        for _ in range(n_rounds):
            net.partial_fit(inputs, y, classes=[0.0, 1.0])
            stages.append(_layers(net))
        return NetworkModel(scaling, tuple(stages), _background(inputs, stages[-1]), self.seed)


def _layers(net: Any) -> Layers:
    (hidden, output), (hidden_bias, output_bias) = net.coefs_, net.intercepts_
    return Layers(
        hidden.astype(np.float64),
        hidden_bias.astype(np.float64),
        output[:, 0].astype(np.float64),
        float(output_bias[0]),
    )


def _background(inputs: Matrix, layers: Layers) -> Floats:
    """Rows at even steps through the ranks of the margin."""
    ranked = np.argsort(layers.margins(inputs.astype(np.float64)), kind="stable")
    steps = (np.arange(N_BACKGROUND) + 0.5) / N_BACKGROUND * len(ranked)
    return np.asarray(inputs[ranked[steps.astype(int)]], dtype=np.float64)
