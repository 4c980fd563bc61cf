"""Arrays in, numbers out: pure statistics that import nothing of the application."""
