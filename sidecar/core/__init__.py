"""What it is: the rules of conversions as plain values and pure functions. No I/O, no clock, no logging."""
