"""The seams between the queue and its stores: broker, result backend, lock, and the unit that joins the first two."""
