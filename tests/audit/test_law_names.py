"""Names of laws in the words of frameworks."""

import math
import re

import pytest

from pipeline.audit.judge import STRUCTURES
from pipeline.audit.law_names import law_of, read_call
from pipeline.distributions.laws import BY_NAME, Fans, law
from pipeline.errors import UserError

# From the documentation of torch.nn.init, keras.initializers and jax.nn.initializers.
NAMES = {
    "pytorch": {
        "kaiming_normal_": "he_normal",
        "kaiming_uniform_": "he_uniform",
        "torch.nn.init.kaiming_normal_(mode='fan_out', nonlinearity='relu')": "he_normal(mode='fan_out')",
        "kaiming_normal_(nonlinearity='linear')": "lecun_normal",
        "kaiming_uniform_(nonlinearity='tanh')": "kaiming_uniform(nonlinearity='tanh')",
        "kaiming_uniform_(a=math.sqrt(5))": "pytorch_linear",
        "xavier_normal_": "xavier_normal",
        "xavier_uniform_(gain=5/3)": "xavier_uniform(gain=5/3)",
        "xavier_normal_(gain=1.4142)": "xavier_normal(gain=sqrt(2))",
        "normal_": "normal(std=1)",
        "normal_(std=0.02)": "normal(std=0.02)",
        "uniform_": "uniform(low=0, high=1)",
        "uniform_(-0.05, 0.05)": "uniform(low=-0.05, high=0.05)",
        "uniform_(a=-0.1, b=0.1)": "uniform(low=-0.1, high=0.1)",
        "trunc_normal_": "truncated_normal(std=1)",
        "trunc_normal_(std=0.02)": "normal(std=0.02)",  # the bounds are -2 and 2, a hundred standard deviations away
        "trunc_normal_(std=0.02, a=-0.04, b=0.04)": "truncated_normal(std=0.02)",
        "orthogonal_(gain=1.41)": "orthogonal",
        "zeros_": "zeros",
        "nn.Linear": "pytorch_linear",
        "he_normal": "he_normal",
    },
    "keras": {
        "HeNormal": "he_truncated_normal",
        "he_normal": "he_truncated_normal",
        "keras.initializers.HeUniform()": "he_uniform",
        "glorot_uniform": "xavier_uniform",
        "GlorotNormal": "xavier_truncated_normal",
        "lecun_normal": "lecun_truncated_normal",
        "LecunUniform": "lecun_uniform",
        "RandomNormal": "normal(std=0.05)",
        "RandomNormal(stddev=0.02)": "normal(std=0.02)",
        "TruncatedNormal": "truncated_normal(std=0.05)",
        "RandomUniform": "uniform(low=-0.05, high=0.05)",
        "Orthogonal": "orthogonal",
        "xavier_normal": "xavier_normal",
    },
    "flax": {
        "he_normal": "he_truncated_normal",
        "nn.initializers.lecun_normal()": "lecun_truncated_normal",
        "kaiming_uniform": "he_uniform",
        "xavier_uniform": "xavier_uniform",
        "normal(0.02)": "normal(std=0.02)",
        "truncated_normal(stddev=0.02)": "truncated_normal(std=0.02)",
    },
    "": {
        "he_normal": "he_normal",
        "HeNormal": "he_truncated_normal",
        "kaiming_normal": "he_normal",
        "glorot_normal": "xavier_truncated_normal",
        "lecun_normal": "lecun_normal",
        " he_uniform ": "he_uniform",
        "he_normal(mode=fan_out)": "he_normal(mode='fan_out')",
        "normal(std=0.03)": "normal(std=0.03)",
        "sklearn_mlp": "xavier_uniform",
        "sklearn_mlp(activation='logistic')": "sklearn_mlp(activation='logistic')",
    },
}


@pytest.mark.parametrize(
    ("framework", "name", "expected"),
    [(framework, name, found) for framework, names in NAMES.items() for name, found in names.items()],
)
def test_names(framework: str, name: str, expected: str) -> None:
    assert law_of(name, framework) == expected


@pytest.mark.parametrize("framework", ["", "pytorch", "sklearn", "onnx"])
def test_names_of_the_catalogue_remain(framework: str) -> None:
    """In Keras and Flax "he_normal" and the like mean other laws."""
    for name in BY_NAME:
        assert law_of(name, framework) == name


def test_what_is_returned_is_in_the_catalogue() -> None:
    for names in NAMES.values():
        for found in names.values():
            assert found in STRUCTURES or law(found, Fans(64, 32)).variance > 0.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("he_nromal", "expect holds the text 'he_nromal'; did you mean he_normal? It must be "),
        ("xavier", "; did you mean xavier_normal? It must be "),
        ("normal", "expect holds the text 'normal'; normal requires std."),
        ("uniform", "uniform requires high and low."),
        ("normal(std=-1)", "std must be greater than 0, not -1."),
        ("uniform(low=1, high=0)", "high must be greater than low, not 0."),
        ("normal(std='a')", "no law of the audit has these settings"),
        ("he_normal(negative_slope=0.2)", "no law of the audit has these settings"),
        ("trunc_normal_(std=1, a=-1, b=1)", "no law of the audit has these settings"),
        ("random_walk", "weights of random_walk depend on the network and have no law."),
        ("", "it must be an initializer"),
        ("he_normal(", "? It must be an initializer"),
        ("__import__('os').system('x')", "it must be an initializer"),
        ("normal(std=9**9**9)", "? It must be an initializer"),
        ("normal(std=1/0)", "? It must be an initializer"),
        ("(" * 5000, "it must be an initializer"),
    ],
)
def test_names_that_mean_nothing(name: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        law_of(name)
    pattern = re.escape(message).replace(r"\.\*", ".*")
    assert re.search(pattern, str(error.value))
    assert "\n" not in str(error.value)


def test_calls() -> None:
    call = read_call("nn.init.kaiming_uniform_(0.5, a=sqrt(5), mode='fan_in', gain=-2**2)")
    assert call.name == "kaiming_uniform_"
    assert call.arguments == (0.5,)
    assert call.keywords == {"a": math.sqrt(5.0), "mode": "fan_in", "gain": -4}
    for text in ("a b", "1 + 2", "f(g(1))", "f(x.y)", "f(3**5)"):
        with pytest.raises(ValueError, match="not"):
            read_call(text)
