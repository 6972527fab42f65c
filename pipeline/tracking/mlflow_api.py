"""What this package uses of MLflow, imported with the environment that MLflow reads when it is imported."""

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
for chatty in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(chatty).setLevel(logging.CRITICAL)  # errors are reported in one line, without a traceback

from mlflow import MlflowClient, entities, pyfunc
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.types import Schema, TensorSpec
from mlflow.utils.uri import append_to_uri_path

__all__ = (
    "MlflowClient",
    "MlflowException",
    "Model",
    "ModelSignature",
    "Schema",
    "SqlAlchemyStore",
    "TensorSpec",
    "append_to_uri_path",
    "entities",
    "pyfunc",
)
