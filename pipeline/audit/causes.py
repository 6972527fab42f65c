"""The causes that an audit can name."""

# Identifier of a cause -> what it is, in a clause. Faults first that are certain, without a p-value.
CAUSES: dict[str, str] = {
    "non_finite": "values that are NaN or infinite",
    "zeros": "all weights are 0",
    "constant": "all weights are equal",
    "equal_units": "several units have the same weights, or the same up to sign or scale",
    "zero_unit": "a unit, or an input, whose weights are all 0",
    "zero_weights": "single weights are exactly 0: masked, or too small for the number format",
    "same_draws": "two layers hold the same random draws",
    "wrong_law": "the weights follow another law than expected, which is named",
    "wrong_scale": "the weights follow no law of the catalogue, but a family with a wrong standard deviation",
    "wrong_family": "the standard deviation is right, the shape of the distribution is not",
    "shifted_mean": "the mean of the weights is not 0",
    "outliers": "single weights are too large",
    "uneven_units": "a unit's weights, or those of an input, are larger or smaller than the others'",
    "dependent_units": "two units' weights are more strongly correlated than independent draws",
    "bias": "biases follow another law than expected",
    "normalization": "scale or shift of a normalization layer is not at its initial value",
    "data_dependent": "the weights depend on the data",
    "not_initial": "the weights follow no distribution of an initializer: they are trained, or were set by hand",
    "unsuitable": "weights as drawn from a known law, with which a network of this depth and activation does not train",
}
