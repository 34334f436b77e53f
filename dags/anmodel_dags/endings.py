"""What a step's exit code tells the DAG. The codes are those of the package's errors."""

WRONG = (2, 3)
"""A setting or an argument is wrong, or two parts are of different versions: no repeat mends that."""

NO_CHAMPION = 6
"""No version of the model is in use yet."""
