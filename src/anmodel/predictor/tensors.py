"""The open inference protocol v2: request tensors as the frame the model reads, forecasts as response tensors."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from kserve import InferInput, InferOutput, InferRequest, InferResponse
from kserve.errors import InvalidInput

from anmodel.forecasts import FORECAST_OUTPUTS
from anmodel.predictor.records import Columns, RecordsRefused, frame_of_columns

_NUMERIC = frozenset(
    ("FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL")
)
_OUTPUT_TYPES = {name: "INT64" if name == "will_purchase_pred" else "FP64" for name in FORECAST_OUTPUTS}


def input_metadata(columns: Columns) -> list[dict[str, Any]]:
    """One tensor a feature: FP64 for a number (null where not known), BYTES for a category ("" where not known)."""
    numbers = set(columns.numbers)
    return [{"name": name, "datatype": "FP64" if name in numbers else "BYTES", "shape": [-1]} for name in columns.names]


def output_metadata() -> list[dict[str, Any]]:
    """One tensor a forecast column."""
    return [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in _OUTPUT_TYPES.items()]


def frame_of_request(request: InferRequest, columns: Columns) -> pd.DataFrame:
    """Rows of the request's tensors; each has shape [n] or [n, 1]. What does not fit is refused by name."""
    inputs = {tensor.name: tensor for tensor in request.inputs}
    if len(inputs) != len(request.inputs):
        raise InvalidInput("an input tensor is given twice; one tensor a feature is needed")
    columns.check(inputs)
    numbers = [_values(inputs[name], number=True) for name in columns.numbers]
    texts = {name: [_text(value) for value in _values(inputs[name], number=False)] for name in columns.categories}
    lengths = {len(values) for values in (*numbers, *texts.values())}
    if len(lengths) != 1 or 0 in lengths:
        raise InvalidInput(f"the input tensors hold {sorted(lengths)} rows; all need the same number, at least 1")
    matrix = np.column_stack(numbers) if numbers else np.empty((lengths.pop(), 0))
    return frame_of_columns(matrix, texts, columns)


def response_of(
    request: InferRequest, name: str, version: str, forecasts: pd.DataFrame, reasons: Sequence[Any] | None
) -> InferResponse:
    """The forecast columns, and `reasons` (JSON text a row) when they were asked for.

    A request without an id gets one: the server cannot answer without.
    """
    outputs = [_output(column, _OUTPUT_TYPES[column], forecasts[column].to_numpy()) for column in FORECAST_OUTPUTS]
    if reasons is not None:
        texts = np.array([json.dumps(row) for row in reasons], dtype=object)
        outputs.append(_output("reasons", "BYTES", texts))
    return InferResponse(
        response_id=request.id or str(uuid.uuid4()),
        model_name=name,
        model_version=version,
        infer_outputs=outputs,
        use_binary_outputs=request.use_binary_outputs,
        requested_outputs=request.request_outputs,
    )


def _output(name: str, datatype: str, values: Any) -> InferOutput:
    tensor = InferOutput(name=name, shape=[len(values)], datatype=datatype)
    kind = {"FP64": np.float64, "INT64": np.int64}.get(datatype, object)
    tensor.set_data_from_numpy(np.asarray(values, dtype=kind), binary_data=False)
    return tensor


def _values(tensor: InferInput, *, number: bool) -> Any:
    """A tensor as a flat array."""
    if number != (tensor.datatype in _NUMERIC):
        raise RecordsRefused(
            f"{tensor.name}: got datatype {tensor.datatype}; {'FP64' if number else 'BYTES'} is needed"
        )
    shape = list(tensor.shape)
    if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise InvalidInput(f"{tensor.name}: got shape {shape}; [n] or [n, 1] is needed")
    try:
        flat = tensor.as_numpy().reshape(-1)
        return flat.astype(np.float64) if number else flat
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{tensor.name}: its data does not fit datatype {tensor.datatype} and shape {shape}"
        ) from error


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or isinstance(value, str):
        return value
    raise InvalidInput(f"got {value!r} in a BYTES tensor; texts are needed")
