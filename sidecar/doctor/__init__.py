"""The doctor: gathers facts of the running sidecar and of its way to Microsoft; `core.doctor` judges them."""
