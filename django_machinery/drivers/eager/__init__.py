"""`eager://`: tasks run in the thread that sends them, through the whole wire; states and locks live in the process."""
