"""The receipt of one conversion: what happened to it, why, and what comes next, in plain words."""
