"""Stage `audit`: audit the models in the folder audits/ against the section `audits` of params.yaml.

An alarm, or a file that cannot be read or is not at initialization, does not fail the stage: reports/audit.md begins
with it, it is counted in reports/audit.json, and printed.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.audit.model import LEVEL, audit_opened, batch
from pipeline.audit.results import AS_INTENDED, NOT_CHECKED, Audit
from pipeline.config import params
from pipeline.config.audits import AuditSettings
from pipeline.config.messages import corrected, dotted, nearest
from pipeline.errors import UserError
from pipeline.model_files.files import read
from pipeline.reporting import audit_report
from pipeline.stages import progress
from pipeline.storage import atomic_files, reports

AUDITS = Path("audits")
NO_MODELS = {".md", ".py", ".dvc", ".txt"}  # endings of files that are not audited
SHARD = re.compile(r"-\d{5}-of-\d{5}\.\w+$")  # a part of a model; the file *.index.json stands for all of them


def audit() -> None:
    """Write reports/audit.md, reports/audit.csv, reports/audit.json and the figure. Raises UserError."""
    P = params.load()
    files = models(AUDITS, P.audits)
    with progress.task(f"Auditing {progress.count(len(files), 'model')} in {AUDITS}/.", len(files) + 1) as advance:
        audits: dict[str, Audit] = {}
        for name in files:
            audits[name] = audit_file(name, P.audits.get(name, AuditSettings()))
            advance(1)
        write_reports(audits, P.audits)
        advance(1)
    for name, one in audits.items():
        if one.state != AS_INTENDED:
            print(f"{AUDITS}/{name}: {one.state}: {audit_report.summary(one)}; see reports/audit.md.", file=sys.stderr)


def models(folder: Path, settings: Mapping[str, AuditSettings]) -> list[str]:
    """The paths of the models in a folder and its subfolders, sorted, relative to it. Raises UserError.

    Files of NO_MODELS, hidden ones, parts of a model that has an index, and batches of data named in `settings` are
    left out.
    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    batches = {one.data for one in settings.values() if one.data}
    names = sorted(name for name in found - batches if is_model(name, found))
    problems = []
    for name, one in settings.items():
        if name not in names:
            problems.append(_missing(dotted("audits", name), name, names))
        if one.data and one.data not in found:
            problems.append(_missing(dotted("audits", name, "data"), one.data, sorted(found - set(names))))
    if problems:
        raise UserError("\n".join(f"params.yaml: {problem}" for problem in problems))
    return names


def is_model(name: str, files: Iterable[str]) -> bool:
    """Whether a file of the folder is to be audited; `files` are all its files."""
    path = Path(name)
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    indexed = SHARD.search(name) and any(file == f"{SHARD.sub('', name)}{path.suffix}.index.json" for file in files)
    return not (hidden or indexed or path.suffix in NO_MODELS)


def _missing(key: str, name: str, others: list[str]) -> str:
    problem = f"{key} names a file that {AUDITS}/ does not have"
    return corrected(problem, nearest(name, others), f"it has {', '.join(others) or 'no such files'}")


def audit_file(name: str, settings: AuditSettings) -> Audit:
    """The audit of a file in audits/; a file that cannot be read is not checked. Raises UserError for its settings."""
    try:
        opened = read(AUDITS / name)
    except UserError as error:
        prefix = rf"^{re.escape(str(AUDITS / name))}: "
        reason = re.sub(rf"{prefix}(?=is |has |contains |cannot )", "the file ", str(error))
        reason = re.sub(rf"{prefix}(?=damaged)", "the file is ", reason)
        return Audit(name, "", NOT_CHECKED, LEVEL, [], [], None, [reason])
    try:
        given = batch(AUDITS / settings.data) if settings.data else None
        return audit_opened(opened, settings.expect, settings.activation, given)
    except UserError as error:
        raise UserError(f"params.yaml: {dotted('audits', name)}: {error}") from error


def write_reports(audits: Mapping[str, Audit], settings: Mapping[str, AuditSettings]) -> None:
    """The files of the stage."""
    from pipeline.figures import audit_figure, style  # a third of a second

    drawn = audit_figure.audit(*audit_figure.panels({name: audits[name] for name in audit_report.in_order(audits)}))
    text = audit_report.report(audits, settings)
    atomic_files.write_csv(reports.REPORTS / "audit.csv", audit_report.layer_table(audits))
    atomic_files.write_json(reports.REPORTS / "audit.json", audit_report.metrics(audits))
    atomic_files.write_bytes(reports.FIGURES / "audit.png", style.png(drawn))
    atomic_files.write_text(reports.REPORTS / "audit.md", text)


if __name__ == "__main__":
    from pipeline.stages import run_and_exit

    run_and_exit(audit)
