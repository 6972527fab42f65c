"""All recipes for the initial parameters of a single layer, by name, each with what is known of it.

A recipe is a function of settings that returns an initializer: a function (rng, fan_out, fan_in) -> W of shape
(fan_out, fan_in), as in the tutorial and in PyTorch; JAX, Keras and scikit-learn store the transpose. An
initializer that also sets biases returns (W, b) with b (fan_out, 1); otherwise biases are initialized to zero. All
normal recipes scale the same draws, and so do all uniform ones: with the same seed they differ only in scale, so
comparisons are paired. A recipe raises ValueError for invalid settings; the message begins with the setting's name.

Not included are dirac_ (PyTorch) and delta_orthogonal (JAX), which are for convolutions, and STFT (Keras), which is for
spectrograms.
"""

from pipeline.initializers import fan_scaling, fixed_scale, structured
from pipeline.initializers.registry import Entry, Variances

RECIPES: dict[str, Entry[Variances]] = fixed_scale.RECIPES | fan_scaling.RECIPES | structured.RECIPES
