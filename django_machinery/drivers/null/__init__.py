"""`null://`: a result backend that throws results away, for who only wants tasks to run (Go: backends/null)."""
