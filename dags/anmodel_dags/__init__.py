"""What the DAGs share: names, days and pods. No computing, nothing of the package anmodel; found by PYTHONPATH."""
