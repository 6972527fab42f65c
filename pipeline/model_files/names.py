"""What follows from names: activations and classes of the frameworks, and the roles of arrays in a layer."""

import re

NAMES = (  # of activations, the laboratory's names
    *("relu", "leaky_relu", "tanh", "sigmoid", "linear", "elu", "selu", "gelu", "silu", "softplus", "hardtanh"),
    *("relu6", "hard_sigmoid"),
)
# The frameworks' names, in lower case without underscores -> the laboratory's
ACTIVATIONS = {name.replace("_", ""): name for name in NAMES}
ACTIVATIONS |= {"logistic": "sigmoid", "identity": "linear", "swish": "silu"}
# Modules between a layer and its activation that leave the weights' activation as it is
BETWEEN = re.compile(
    r"BatchNorm|LayerNorm|RMSNorm|GroupNorm|InstanceNorm|Normalization|Dropout|Flatten|Reshape|Pool|Identity$"
)

# Classes of modules -> kinds of layers
KINDS = (
    (re.compile("Embed"), "embedding"),
    (re.compile("Norm"), "normalization"),
    (re.compile("^(Simple|ConvLSTM)?(RNN|LSTM|GRU)|(RNN|LSTM|GRU)(Cell)?$"), "recurrent"),
    (re.compile("Conv"), "convolution"),
    (re.compile("[Ll]inear|Dense|Attention|Gemm|MatMul"), "dense"),
)

# The last part of an array's name -> its role
WEIGHT, BIAS, SCALE, SHIFT, STATISTIC, GAIN, BUFFER = "weight", "bias", "scale", "shift", "statistic", "gain", "buffer"
ROLES = (
    (r"weight_[ih]h(_l\d+)?(_reverse)?|weight_hr_l\d+(_reverse)?", WEIGHT),
    (r"bias_[ih]h(_l\d+)?(_reverse)?", BIAS),
    (r"weight_g|parametrizations\.weight\.original0", GAIN),
    (r"weight|weight_v|weight_orig|parametrizations\.weight\.original1?|(in|q|k|v)_proj_weight", WEIGHT),
    (r"(recurrent_|depthwise_|pointwise_)?kernel(_v)?|embeddings?", WEIGHT),
    (r"bias|in_proj_bias|bias_[kv]", BIAS),
    (r"gamma|scale", SCALE),
    (r"beta", SHIFT),
    (r"(running_)?(mean|var)|num_batches_tracked|moving_(mean|variance)", STATISTIC),
    (
        r"weight_u|parametrizations\.weight\.\d+\.\w+|position_ids|vector_u|original_kernel|(weight|bias)_mask|masked_bias",
        BUFFER,
    ),
)
_ROLES = tuple((re.compile(pattern), name) for pattern, name in ROLES)
EMBEDDING = re.compile(
    r"embed|relative_(position|attention)_bias|(^|[._/])(wte|wpe|(tok|pos)_?emb|emb)($|[._/])", re.IGNORECASE
)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key by which numbers in names are sorted by value: "2.weight" before "10.weight"."""
    parts = re.split(r"(\d+)", name)
    return [
        (0, int(part[:18]), part) if part.isdecimal() and part.isascii() else (1, 0, part) for part in parts if part
    ]


def activation(name: object) -> str:
    """The laboratory's name of a framework's activation; "" if it has none."""
    return ACTIVATIONS.get(str(name).lower().replace("_", ""), "")


def kind_of(module: str) -> str:
    """The kind of layer of a module's class; "" if the class is none of a layer with weights."""
    return next((kind for pattern, kind in KINDS if pattern.search(module)), "")


def role(leaf: str) -> str:
    """The role of an array in its layer, from the last part of its name; "" if the name does not determine it."""
    return next((name for pattern, name in _ROLES if pattern.fullmatch(leaf)), "")


def split(name: str) -> tuple[str, str, str]:
    """The module's part of an array's name, the separator, and the array's own part."""
    module, separator, leaf = name.rpartition("/" if "/" in name else ".")
    if (at := name.find("parametrizations.")) >= 0 and name[:at].endswith((".", "")):
        module, leaf = name[:at].rstrip("."), name[at:]
        separator = "." if module else ""
    return module, separator, leaf


def is_embedding(name: str) -> bool:
    """Whether the rows of a matrix are vectors of tokens or positions, by its name."""
    return bool(EMBEDDING.search(name))


def numbered(name: str) -> tuple[str, str] | None:
    """The key that a weight and a bias such as W1 and b1, fc_w and fc_b share, and the role; None for other names."""
    words = "W|w|weights?|Weights?|kernel|coefs_|coef|B|b|bias|biases|intercepts_"
    match = re.fullmatch(rf"(.*?[_./ ]|)({words})([_.\[ ]?\d*\]?)", name)
    if not match:
        return None
    return f"{match[1]}{match[3]}", WEIGHT if match[2][0] in "Wwkc" else BIAS
