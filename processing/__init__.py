"""What readings mean: flags, panes, windows, statistics, verdicts and exceedances. Pure: no clock, no I/O."""
