"""Audits as JSON for other programs.

The document is {"version": 1, "audits": [...], "errors": [{"source", "message"}]}. An audit has the fields of
`results.Audit`, and `ok`; a layer those of `results.LayerAudit`, with its name, kind, shape, dtype, fans, units, layout
and activation; findings have `layer`, `cause` (a key of `results.CAUSES`), `text`, `p` and `fix`. Numbers are finite:
null stands for NaN and infinity. A p-value of 0 is a certain finding. With --grade there is a `grade` instead, with
the fields of `grading.results.Grade`, and `ok`. Fields may be added under the same version; a field that is renamed,
removed or changes its meaning makes a new version.
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.audit.results import Audit, LayerAudit

VERSION = 1


def document(audits: Sequence[Audit], errors: Mapping[str, str], **more: Any) -> str:
    """The JSON of audits and of the messages for sources that could not be read; ends with a newline."""
    content = {
        "version": VERSION,
        "audits": [as_dict(audit) for audit in audits],
        "errors": [{"source": source, "message": message} for source, message in errors.items()],
        **more,
    }
    return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_dict(audit: Audit) -> dict[str, Any]:
    """The fields of an audit, and `ok`."""
    return vars(audit) | {"ok": audit.ok, "layers": [_layer(each) for each in audit.layers]}


def _layer(audited: LayerAudit) -> dict[str, Any]:
    fields = dict(vars(audited))
    layer = fields.pop("layer")
    own = ("name", "kind", "fan_in", "fan_out", "units", "layout", "activation", "tied_to")
    described = {key: getattr(layer, key) for key in own}
    return described | {"shape": layer.weight.shape, "dtype": layer.weight.dtype} | fields


def plain(value: Any) -> Any:
    """The value as JSON has it: dataclasses and named tuples as dictionaries, null for NaN and infinity."""
    if dataclasses.is_dataclass(value):
        value = vars(value)
    elif hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if hasattr(value, "item"):  # a number of NumPy
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
